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
_AFTER_DIGITS = ":"  # in ASCII
_USERS = select(text("*")).select_from(USERS)  # an old table lacks columns


def page(place: Place, cursor: Any, number: str) -> tuple[Sequence[User], Any]:
    """Return the next users whose number begins with `number`, and the cursor of those after. See `records.page`.

    The cursor is the id of the last user: a number would be in the answers of the admin function, which are logged.
    """
    query = _USERS.where(USERS.c.phone >= number, USERS.c.phone < (number or "+") + _AFTER_DIGITS)
    if cursor:
        last = by_id(place, cursor_of(cursor, str))
        if not last:
            raise Failed("the last user of the page is gone: begin again", "该页最后一个用户已不存在，请重新开始")
        query = query.where(USERS.c.phone > last[0].phone.e164)
    users = _users(place, query.order_by(USERS.c.phone).limit(_PAGE))
    return users, users[-1].id if len(users) == _PAGE else None


def by_id(place: Place, user_id: str) -> Sequence[User]:
    """Return the user of an id, alone, if there is one."""
    users = _users(place, _USERS.where(USERS.c.id == user_id))
    return [user for user in users if user.id == user_id]  # for MySQL `id` equals `id` and a space


def _users(place: Place, query: Select[Any]) -> Sequence[User]:
    with place.sql.connection() as connection:
        rows = connection.execute(query).all()
    return [user_of(Phone.from_e164(row.phone), row._asdict()) for row in rows]
