"""Users in SQL: TencentDB for MySQL, or SQLite."""

import time

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, and_, delete, exc, insert, select, update

from sms_login.adapters.sql.client import SqlClient
from sms_login.adapters.sql.schema import USERS
from sms_login.calls import Call, Later
from sms_login.phone import Phone
from sms_login.users import User


class SqlUsers:
    """`users.Users` in SQL."""

    def __init__(self, client: SqlClient) -> None:
        self._client = client

    def sign_in(self, phone: Phone, new_id: str) -> Later[User]:
        """See `users.Users.sign_in`."""
        return Later(lambda: self._sign_in(phone, new_id))

    def _sign_in(self, phone: Phone, new_id: str) -> User:
        with self._client.connection() as connection:
            if user := _find(connection, phone):
                return user
            user = User(new_id, phone, "", "", int(time.time() * 1000))
            row = {"phone": phone.e164, "id": user.id, "name": "", "avatar": "", "created": user.created}
            try:
                connection.execute(insert(USERS).values(row))
            except exc.IntegrityError:  # a concurrent sign-in was faster
                if other := _find(connection, phone):
                    return other
                raise  # the id belongs to another user
            return user

    def find(self, phone: Phone) -> Later[User | None]:
        """See `users.Users.find`."""
        return Later(lambda: self._find(phone))

    def _find(self, phone: Phone) -> User | None:
        with self._client.connection() as connection:
            return _find(connection, phone)

    def rename(self, phone: Phone, user_id: str, name: str, *, only_if: Call[str | None]) -> Later[User | None]:
        """See `users.Users.rename`."""
        return Later(lambda: self._rename(phone, user_id, name) if only_if.answer() == user_id else None)

    def _rename(self, phone: Phone, user_id: str, name: str) -> User | None:
        with self._client.connection() as connection:
            if not (user := _find(connection, phone, user_id)):
                return None
            done = connection.execute(update(USERS).where(_is(phone, user_id)).values(name=name))
            return replace(user, name=name) if done.rowcount else None

    def delete(self, phone: Phone, user_id: str) -> Later[bool]:
        """See `users.Users.delete`."""
        return Later(lambda: self._delete(phone, user_id))

    def _delete(self, phone: Phone, user_id: str) -> bool:
        with self._client.connection() as connection:
            if not _find(connection, phone, user_id):
                return False
            return bool(connection.execute(delete(USERS).where(_is(phone, user_id))).rowcount)


def _is(phone: Phone, user_id: str) -> ColumnElement[bool]:
    return and_(USERS.c.phone == phone.e164, USERS.c.id == user_id)


def _find(connection: Connection, phone: Phone, user_id: str | None = None) -> User | None:
    """Return the number's user, if `user_id` matches. Compared here: for MySQL `id` equals `id` and a space."""
    row = connection.execute(select(USERS).where(USERS.c.phone == phone.e164)).first()
    if not row or (user_id is not None and row.id != user_id):
        return None
    return User(row.id, phone, row.name, row.avatar, row.created)
