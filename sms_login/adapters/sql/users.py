"""Users in SQL: TencentDB for MySQL, or SQLite."""

import contextlib
import time
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Delete, Update, and_, delete, exc, false, insert, select, text, update

from sms_login.adapters.sql.client import SqlClient
from sms_login.adapters.sql.schema import ADDED, USERS
from sms_login.calls import Call, Later
from sms_login.errors import ServiceUnavailable
from sms_login.phone import Phone
from sms_login.users import User

_FIRST = {column.name for column in USERS.c if column not in ADDED}
_PRECISION = 3_600_000  # ms since the recorded login in which another one is not recorded: it would cost a write


class SqlUsers:
    """`users.Users` in the database `sql`. `reverify_after` is in seconds."""

    def __init__(self, sql: SqlClient, reverify_after: int = 0) -> None:
        self.sql = sql
        self._away = reverify_after * 1000

    def check(self) -> bool:
        """See `users.Users.check`. Inserts no row, and so locks none; a server that only reads refuses even that."""
        with self.sql.connection() as connection:
            none = select(*(USERS.c[name] for name in _FIRST)).where(false())
            connection.execute(insert(USERS).from_select([*_FIRST], none))
        return True

    def sign_in(self, phone: Phone, new_id: str, _generation: str = "", /) -> Later[User]:
        """See `users.Users.sign_in`."""
        return Later(lambda: self._sign_in(phone, new_id))

    def _sign_in(self, phone: Phone, new_id: str) -> User:
        now = int(time.time() * 1000)
        with self.sql.connection() as connection:
            row = _row(connection, phone) or _sign_up(connection, phone, new_id, now)
            user = user_of(phone, row)
            if user.banned or ADDED[0].name not in row:
                return user
            returned = row["returned"] or now
            returning = now - user.last_login >= self._away > now - returned
            values = {"returned": returned} if returning else {"last_login": now, "returned": 0}
            if returning != user.returning or now - user.last_login >= _PRECISION:
                connection.execute(update(USERS).where(_is(phone, user.id)).values(values))
            return replace(user, returning=returning)

    def find(self, phone: Phone) -> Later[User | None]:
        """See `users.Users.find`."""
        return Later(lambda: self._find(phone))

    def _find(self, phone: Phone) -> User | None:
        with self.sql.connection() as connection:
            return _find(connection, phone)

    def rename(self, phone: Phone, user_id: str, name: str, *, only_if: Call[str | None]) -> Later[User | None]:
        """See `users.Users.rename`."""
        return Later(lambda: self._rename(phone, user_id, name) if only_if.answer() == user_id else None)

    def _rename(self, phone: Phone, user_id: str, name: str) -> User | None:
        user = self._write(phone, user_id, update(USERS).values(name=name), banned_too=False)
        return replace(user, name=name) if user else None

    def ban(self, phone: Phone, user_id: str, *, banned: bool = True) -> Later[bool]:
        """See `users.Users.ban`."""
        statement = update(USERS).values(banned=int(time.time() * 1000) if banned else 0)
        return Later(lambda: self._write(phone, user_id, statement) is not None)

    def move(self, old: Phone, new: Phone, user_id: str) -> Later[User]:
        """See `users.Users.move`: one statement, and the primary key refuses a number that is taken."""
        return Later(lambda: self._move(old, new, user_id))

    def _move(self, old: Phone, new: Phone, user_id: str) -> User:
        with contextlib.suppress(exc.IntegrityError):
            self._write(old, user_id, update(USERS).values(phone=new.e164), banned_too=False)
        user = self._find(new) or self._find(old)
        if user and (user.phone == new or user.banned):
            return user
        raise ServiceUnavailable("sql: the users of both numbers have changed meanwhile")

    def delete(self, phone: Phone, user_id: str) -> Later[bool]:
        """See `users.Users.delete`."""
        return Later(lambda: self._write(phone, user_id, delete(USERS)) is not None)

    def _write(self, phone: Phone, user_id: str, statement: Update | Delete, *, banned_too: bool = True) -> User | None:
        """Execute a statement on the row of a user, and return them as they were; None if the number is not theirs."""
        with self.sql.connection() as connection:
            user = _find(connection, phone, user_id)
            if not user or (user.banned and not banned_too):
                return None
            return user if connection.execute(statement.where(_is(phone, user_id))).rowcount else None


def _is(phone: Phone, user_id: str) -> ColumnElement[bool]:
    return and_(USERS.c.phone == phone.e164, USERS.c.id == user_id)


def _row(connection: Connection, phone: Phone) -> Mapping[str, Any] | None:
    """Return the number's row, with the columns that the table has: an old one lacks those of `ADDED`."""
    rows = connection.execute(select(text("*")).select_from(USERS).where(USERS.c.phone == phone.e164))
    row = {**(rows.mappings().first() or {})}
    if row and not row.keys() >= _FIRST:
        raise ServiceUnavailable(f"sql: {USERS.name} lacks a column")
    return row or None


def _sign_up(connection: Connection, phone: Phone, new_id: str, now: int) -> Mapping[str, Any]:
    values = {"phone": phone.e164, "id": new_id, "name": "", "avatar": "", "created": now}
    try:
        connection.execute(insert(USERS).values(values))
    except exc.IntegrityError:  # a concurrent sign-in was faster
        if row := _row(connection, phone):
            return row
        raise ServiceUnavailable("sql: the number had a user for a moment, or the id is another's") from None
    return _row(connection, phone) or values


def _find(connection: Connection, phone: Phone, user_id: str | None = None) -> User | None:
    """Return the number's user, if `user_id` matches. Compared here: for MySQL `id` equals `id` and a space."""
    row = _row(connection, phone)
    if not row or (user_id is not None and row["id"] != user_id):
        return None
    return user_of(phone, row)


def user_of(phone: Phone, row: Mapping[str, Any]) -> User:
    """Return the user of a row, with the columns that the table has."""
    banned, last_login, returned = (row.get(column.name, 0) for column in ADDED)
    if "last_login" in row:  # a sign-up is not recorded there
        last_login = max(last_login, row["created"])
    return User(row["id"], phone, row["name"], row["avatar"], row["created"], bool(banned), last_login, bool(returned))
