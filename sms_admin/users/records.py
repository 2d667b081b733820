"""The user records: one page after another, or one of them by its number or id.

Nothing here makes a database work on all users at once, nor keeps more than a page of them in memory.
"""

import re
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from sms_admin.failures import Failed
from sms_admin.place import Place
from sms_admin.users import redis_records
from sms_login.phone import Phone
from sms_login.secret import Masked
from sms_login.users import User

SEARCHED = 10.0  # s for which one call looks for users: far less than the admin function has


class Who(Masked, frozen=True):
    """A user by `phone` (E.164), or else by `id`."""

    phone: str = ""
    id: str = ""


class Some(NamedTuple):
    """Some users, and the cursor of those after them: a JSON value, None after the last ones."""

    users: Sequence[User]
    cursor: Any

    def __repr__(self) -> str:
        return object.__repr__(self)  # it has numbers


def page(place: Place, cursor: Any, number: str = "") -> Some:
    """Return the next users, of those whose number begins with `number`, such as "+86138".

    In SQL they come in the order of their numbers. In Redis they come in no order, and a user may come twice if Redis
    grows or shrinks its tables meanwhile. Raises ServiceUnavailable, and Failed if the cursor has become useless.
    """
    if place.settings.users_url:
        from sms_admin.users import sql_records  # noqa: PLC0415 - with users in Redis, SQLAlchemy is not imported

        return Some(*sql_records.page(place, cursor, number))
    return Some(*redis_records.page(place, cursor, number))


def find(place: Place, who: Who, cursor: Any) -> Some:
    """Return one user; or none, and a cursor to go on from, since Redis has to be searched for an id.

    Raises ServiceUnavailable, and Failed if there is no such user.
    """
    if who.phone:
        user = place.users.find(Phone.from_e164(who.phone)).answer()
        found: Sequence[User] = [user] if user else []
        cursor = None
    elif place.settings.users_url:
        from sms_admin.users import sql_records  # noqa: PLC0415 - as above

        found, cursor = sql_records.by_id(place, who.id), None
    else:
        end = time.monotonic() + SEARCHED
        while True:
            users, cursor = redis_records.page(place, cursor, "")
            found = [user for user in users if user.id == who.id]
            if found or cursor is None or time.monotonic() > end:
                break
    if not found and cursor is None:
        if re.fullmatch(r"(?:00)?[0-9()-]{7,20}", who.id):
            raise Failed(
                "no user has this id; if it is a number, write its plus and country, like +86…",
                "没有这个 ID 的用户；如果是号码，须带加号和国家代码，如 +86…",
            )
        raise Failed("there is no such user", "没有这个用户")
    return Some(found, None if found else cursor)
