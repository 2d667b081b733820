"""The table of users in SQL: creating it, and migrating the users of Tencent's SMS-login demo of 2020 into it."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    MetaData,
    Row,
    String,
    Table,
    column,
    insert,
    inspect,
    select,
    table,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeEngine

from sms_login.adapters.sql.client import SqlClient
from sms_login.errors import InvalidPhone, ServiceUnavailable
from sms_login.phone import Phone

_NAME, _AVATAR, _ID = 64, 2048, 64  # characters
_BATCH = 500  # users per statement


def _ascii(length: int) -> TypeEngine[str]:
    """Return a string type that compares byte by byte: in MySQL's default collations `A` equals `a`."""
    return String(length).with_variant(mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql")


USERS = Table(
    "sms_login_users",
    MetaData(),
    Column("phone", _ascii(16), primary_key=True),  # a plus and at most 15 digits: ITU-T E.164
    Column("id", _ascii(_ID), nullable=False, unique=True),
    Column("name", String(_NAME), nullable=False),
    Column("avatar", String(_AVATAR), nullable=False),
    Column("created", BigInteger, nullable=False),  # epoch ms
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
    mysql_collate="utf8mb4_bin",
)
OLD = table("info", *(column(name) for name in ("userId", "phone", "name", "avatar", "time")))


def create(client: SqlClient) -> bool:
    """Create the table of users; return False if it exists. Raises ServiceUnavailable, also for a foreign table."""
    with client.connection() as connection:
        there = inspect(connection).has_table(USERS.name)
        connection.execute(CreateTable(USERS, if_not_exists=True))
        connection.execute(select(USERS).limit(1))
    return not there


class Migration(Struct):
    """The result of a migration: how many users are `new` in our table, and how many it already had.

    `left` has the userIds of users that were not migrated, by reason; `trimmed` those with a too long name or avatar:
    the name is cut, the avatar dropped.
    """

    new: int = 0
    known: int = 0
    left: dict[str, list[str]] = field(default_factory=dict)
    trimmed: list[str] = field(default_factory=list)

    def leave(self, user_id: str, why: str) -> None:
        """Record the reason why a user is not migrated."""
        self.left.setdefault(why, []).append(user_id or "(none)")


def migrate(client: SqlClient) -> Migration:
    """Copy the users of the demo's table `info`; may be repeated. Raises ServiceUnavailable.

    If two users have the same number, the older one keeps it. Users in our table are not changed, nor is `info`.
    """
    migration = Migration()
    with client.connection() as connection:
        if not inspect(connection).has_table(OLD.name):
            raise ServiceUnavailable(f"sql: there is no table {OLD.name} to take users from")
        # All at once, some 750 MB for a million users: an open result would block our own writes.
        rows = connection.execute(select(OLD).order_by(OLD.c.time, OLD.c.userId)).all()
        users = [user for row in rows if (user := _user(row, migration))]
        for i in range(0, len(users), _BATCH):
            _copy(connection, users[i : i + _BATCH], migration)
    return migration


def _user(row: Row[Any], migration: Migration) -> dict[str, Any] | None:
    """Return the row for an old user; None, with the reason recorded, if the user cannot be migrated."""
    user_id = "" if row.userId is None else str(row.userId)
    if not (user_id.isascii() and 0 < len(user_id) <= _ID):
        migration.leave(user_id, f"have no userId of at most {_ID} ASCII characters")
        return None
    try:
        phone = Phone.parse(str(row.phone), "CN")
    except InvalidPhone:
        phone = None
    # The demo served mainland China only. Eleven digits that are wrong there may be a number abroad, but taking them
    # for one would give the user to a stranger.
    if phone is None or phone.region != "CN":
        migration.leave(user_id, "have no valid mobile number of mainland China")
        return None
    name, avatar = row.name or "", row.avatar or ""
    if len(name) > _NAME or len(avatar) > _AVATAR:
        migration.trimmed.append(user_id)
        name, avatar = name[:_NAME], avatar if len(avatar) <= _AVATAR else ""
    return {"phone": phone.e164, "id": user_id, "name": name, "avatar": avatar, "created": _ms(row.time)}


def _ms(time: Any) -> int:
    try:
        return int(time)
    except (TypeError, ValueError):
        return 0  # the time of signing up is unknown


def _copy(connection: Connection, users: Sequence[dict[str, Any]], migration: Migration) -> None:
    """Insert the users whose number and userId are free, in one statement; then read the owners of the numbers."""
    ignoring = insert(USERS).prefix_with("IGNORE", dialect="mysql").prefix_with("OR IGNORE", dialect="sqlite")
    numbers = [user["phone"] for user in users]
    owned = select(USERS.c.phone, USERS.c.id).where(USERS.c.phone.in_(numbers))
    # Not by rowcount: for an INSERT, Python's sqlite3 gives -1 in a Turkish locale, whose lower case of I is not i.
    known = {(row.phone, row.id) for row in connection.execute(owned)}
    connection.execute(ignoring.values(users))
    owners: dict[str, str] = {row.phone: row.id for row in connection.execute(owned)}
    for user in users:
        phone, owner = user["phone"], owners.get(user["phone"])
        if (phone, user["id"]) in known:
            migration.known += 1
        elif owner == user["id"]:
            migration.new += 1
            known.add((phone, owner))
        elif owner is None:
            migration.leave(user["id"], "have the userId of another number")
        else:
            migration.leave(user["id"], "have the number of another user")
