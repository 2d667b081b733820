"""The table of users in SQL: `python -m sms_admin.users_table` makes it, and migrates the 2020 demo's users to it."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Column, Connection, Row, column, insert, inspect, select, table, text
from sqlalchemy.schema import CreateColumn, CreateTable

from sms_login.adapters.sql.client import SqlClient, connect
from sms_login.adapters.sql.schema import ADDED, AVATAR, ID, NAME, USERS
from sms_login.errors import InvalidPhone, ServiceUnavailable
from sms_login.phone import Phone
from sms_login.secret import Secret
from sms_login.settings import kinds
from sms_login.settings.kinds import Setting
from sms_login.settings.reader import ConfigError, Reader

_BATCH = 500  # users per statement
OLD = table("info", *(column(name) for name in ("userId", "phone", "name", "avatar", "time")))
_USAGE = """\
usage: USERS_URL=… python -m sms_admin.users_table create|migrate

create   makes the table of users if it is not there, and adds the columns that an older table lacks
migrate  also copies the users of Tencent's SMS-login demo of 2020, from its table `info`; may be repeated
"""


def create(client: SqlClient) -> str:
    """Create the table of users, or add the columns that it lacks; return a sentence that says what was done.

    Raises ServiceUnavailable, also for a foreign table.
    """
    with client.connection() as connection:
        if not inspect(connection).has_table(USERS.name):
            connection.execute(CreateTable(USERS, if_not_exists=True))
            return f"The table {USERS.name} is made."
        connection.execute(select(*(column for column in USERS.c if column not in ADDED)).limit(1))
        there = {column["name"] for column in inspect(connection).get_columns(USERS.name)}
        added = [column for column in ADDED if column.name not in there]
        for new in added:
            # The present users count as seen now, since their last login is unknown.
            default = str(_now()) if new.name == "last_login" else "0"
            filled = Column(new.name, new.type, nullable=False, server_default=default)
            definition = CreateColumn(filled).compile(dialect=connection.dialect)
            connection.execute(text(f"ALTER TABLE {USERS.name} ADD COLUMN {definition}"))
    if added:
        return f"The table {USERS.name} has new columns: {', '.join(column.name for column in added)}."
    return f"The table {USERS.name} was there already."


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
    if not (user_id.isascii() and 0 < len(user_id) <= ID):
        migration.leave(user_id, f"have no userId of at most {ID} ASCII characters")
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
    if len(name) > NAME or len(avatar) > AVATAR:
        migration.trimmed.append(user_id)
        name, avatar = name[:NAME], avatar if len(avatar) <= AVATAR else ""
    user = {"phone": phone.e164, "id": user_id, "name": name, "avatar": avatar, "created": _ms(row.time)}
    return {**user, "last_login": _now()}  # as in `create`


def _now() -> int:
    return int(time.time() * 1000)


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


def main() -> int:
    """Run a command on the database of USERS_URL; return its exit code: 1 after a failure or a partial migration."""
    command = sys.argv[1] if len(sys.argv) == 2 else ""  # noqa: PLR2004 - the program and the command
    if command not in {"create", "migrate"}:
        sys.stderr.write(_USAGE)
        return 2
    try:
        engine = connect(users_url(os.environ).reveal(), timeout=60.0)  # a large table is slow
        with closing(SqlClient(engine)) as client:
            print(create(client))
            return _migrate(client) if command == "migrate" else 0
    except (ConfigError, ServiceUnavailable, ModuleNotFoundError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def users_url(environ: Mapping[str, str]) -> Secret:
    """Return USERS_URL. Raises ConfigError if it is missing or wrong."""
    read = Reader(environ)
    url: Secret = read.value(Setting("USERS_URL", kinds.users_url, required=True))
    if read.problems:
        raise ConfigError(read.problems)
    return url


def _migrate(client: SqlClient) -> int:
    done = migrate(client)
    print(f"Of the users in info, {done.new} are taken over now and {done.known} were before.")
    if done.trimmed:
        print(f"{len(done.trimmed)} had a name or an avatar that is too long: {' '.join(done.trimmed)}")
    for why, user_ids in done.left.items():
        print(f"{len(user_ids)} are NOT taken over: they {why}: {' '.join(user_ids)}")
    return 1 if done.left else 0


if __name__ == "__main__":
    sys.exit(main())
