"""The user records in SQL, in the order of their numbers."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select, text

from sms_admin.failures import Failed
from sms_admin.operations import cursor_of
from sms_admin.place import Place
from sms_login.adapters.sql.schema import USERS
from sms_login.adapters.sql.users import user_of
from sms_login.phone import Phone
from sms_login.users import User

_PAGE = 500  # users
_LATEST = 9  # users: it is unlikely that half of them go while a page is shown
_AFTER_DIGITS = ":"  # in ASCII
_USERS = select(text("*")).select_from(USERS)  # an old table lacks columns


def page(place: Place, cursor: Any, number: str) -> tuple[Sequence[User], Any]:
    """Return the next users whose number begins with `number`, and the cursor of those after. See `records.page`.

    The cursor has the ids of the latest users: numbers would be in the answers of the admin function, which are logged.
    The page begins in the middle of those that are still there, and leaves them out: so the list goes on if some of
    them are deleted or get another number meanwhile.
    """
    query = _USERS.where(USERS.c.phone >= number, USERS.c.phone < (number or "+") + _AFTER_DIGITS)
    latest = cursor_of(cursor, list[str]) if cursor else []
    if latest:
        there = sorted(user.phone.e164 for user in _users(place, _USERS.where(USERS.c.id.in_(latest))))
        if not there:
            raise Failed("the last users of the page are gone: begin again", "该页最后的用户已不存在，请重新开始")
        query = query.where(USERS.c.phone > there[(len(there) - 1) // 2])
    users = _users(place, query.order_by(USERS.c.phone).limit(_PAGE))
    fresh = [user for user in users if user.id not in latest]
    return fresh, [user.id for user in users[-_LATEST:]] if len(users) == _PAGE else None


def by_id(place: Place, user_id: str) -> Sequence[User]:
    """Return the user of an id, alone, if there is one."""
    users = _users(place, _USERS.where(USERS.c.id == user_id))
    return [user for user in users if user.id == user_id]  # for MySQL `id` equals `id` and a space


def _users(place: Place, query: Select[Any]) -> Sequence[User]:
    with place.sql.connection() as connection:
        rows = connection.execute(query).all()
    return [user_of(Phone.from_e164(row.phone), row._asdict()) for row in rows]
