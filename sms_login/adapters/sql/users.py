"""Users in SQL: TencentDB for MySQL, or SQLite. `python -m sms_login.adapters.sql.users` creates their table."""

import os
import sys
import time
from contextlib import closing

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, and_, delete, exc, insert, select, update

from sms_login.adapters.sql.client import SqlClient, connect
from sms_login.adapters.sql.schema import USERS, create, migrate
from sms_login.errors import ServiceUnavailable
from sms_login.phone import Phone
from sms_login.settings.reader import ConfigError, users_url
from sms_login.users import User

_USAGE = """\
usage: USERS_URL=… python -m sms_login.adapters.sql.users create|migrate

create   makes the table of users, if it is not there
migrate  also copies the users of Tencent's SMS-login demo of 2020, from its table `info`; may be repeated
"""


class SqlUsers:
    """`users.Users` in SQL."""

    def __init__(self, client: SqlClient) -> None:
        self._client = client

    def sign_in(self, phone: Phone, new_id: str) -> User:
        """See `users.Users.sign_in`."""
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

    def find(self, phone: Phone) -> User | None:
        """See `users.Users.find`."""
        with self._client.connection() as connection:
            return _find(connection, phone)

    def rename(self, phone: Phone, user_id: str, name: str) -> User | None:
        """See `users.Users.rename`."""
        with self._client.connection() as connection:
            if not (user := _find(connection, phone, user_id)):
                return None
            done = connection.execute(update(USERS).where(_is(phone, user_id)).values(name=name))
            return replace(user, name=name) if done.rowcount else None

    def delete(self, phone: Phone, user_id: str) -> bool:
        """See `users.Users.delete`."""
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


def main() -> int:
    """Run a command on the database of USERS_URL; return its exit code: 1 after a failure or a partial migration."""
    command = sys.argv[1] if len(sys.argv) == 2 else ""  # noqa: PLR2004 - the program and the command
    if command not in {"create", "migrate"}:
        sys.stderr.write(_USAGE)
        return 2
    try:
        engine = connect(users_url(os.environ).reveal(), timeout=60.0)  # a large table is slow
        with closing(SqlClient(engine)) as client:
            made = create(client)
            print(f"The table {USERS.name} " + ("is made." if made else "was there already."))
            return _migrate(client) if command == "migrate" else 0
    except (ConfigError, ServiceUnavailable, ModuleNotFoundError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


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
