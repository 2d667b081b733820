"""The place where an operation runs: the settings, Redis and users that are reached there, and its log of changes."""

import json
import os
import time
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sms_admin.check import settings as lenient
from sms_admin.check.settings_words import in_chinese
from sms_admin.failures import Failed
from sms_login.phone import Phone
from sms_login.settings.settings import Settings
from sms_login.users import Users

if TYPE_CHECKING:  # they are slow to import, and many commands need neither
    from sms_login.adapters.redis.client import RedisClient
    from sms_login.adapters.redis.connections import Client
    from sms_login.adapters.sql.client import SqlClient


def settings_of(environ: Mapping[str, str], *prefixes: str) -> Settings:
    """Return the settings of an environment, of which only those with these prefixes must be right.

    Raises Failed with all problems of those; the other settings may be missing or wrong.
    """
    read, problems, broken = lenient.read(environ)
    if read is None or any(name.startswith(prefixes) for name in broken):
        needed = [sentence for sentence in problems if any(prefix in sentence for prefix in prefixes)] or problems
        raise Failed("; ".join(needed), "设置有误：" + "；".join(map(in_chinese, needed)))
    return read


class Place:
    """Where an operation runs. `by` says who asked for it, `write` keeps a line of the log."""

    def __init__(self, environ: Mapping[str, str], by: str, write: Callable[[str], None]) -> None:
        self.environ, self.by, self._write = environ, by, write

    @cached_property
    def settings(self) -> Settings:
        """The settings of Redis and the users, and the rest as far as it is right."""
        return settings_of(self.environ, "REDIS_", "USERS_URL")

    @cached_property
    def redis(self) -> "RedisClient":
        """The login's client of Redis, connected at its first call."""
        from sms_login import wiring  # noqa: PLC0415 - see above
        from sms_login.adapters.redis.client import RedisClient  # noqa: PLC0415 - see above

        return RedisClient(partial(wiring.connect_redis, self.settings))

    @cached_property
    def redis_py(self) -> "Client":
        """redis-py's own client of Redis, for commands without a key."""
        from sms_login import wiring  # noqa: PLC0415 - see above

        return wiring.connect_redis(self.settings)

    @cached_property
    def users(self) -> Users:
        """The table of users: in Redis, or in SQL."""
        from sms_login import wiring  # noqa: PLC0415 - see above

        return wiring.connect_users(self.settings, self.redis)

    @property
    def sql(self) -> "SqlClient":
        """The database of the users, which must be in SQL."""
        from sms_login.adapters.sql.users import SqlUsers  # noqa: PLC0415 - see above

        if not isinstance(self.users, SqlUsers):
            raise TypeError("the users are in Redis")
        return self.users.sql

    def close(self) -> None:
        """Close the connections that were opened here: an instance of the admin function lives on."""
        opened = [vars(self).get(name) for name in ("redis", "redis_py")]
        opened += [getattr(vars(self).get("users"), "sql", None)]
        for client in filter(None, opened):
            client.close()

    def record(self, action: str, phone: Phone | None = None, **facts: Any) -> None:
        """Write to the log who changed what of whom: `phone` masked, `facts` without secrets."""
        whom = {"phone": str(phone)} if phone else {}
        line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "event": "admin", "action": action}
        self._write(json.dumps({**line, "by": self.by, **whom, **facts}, ensure_ascii=False))


def changes_file(environ: Mapping[str, str]) -> Path:
    """Return the log of the changes that are made from this machine, without the admin function."""
    state = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(state, "sms-admin", "changes.jsonl")


def append(path: Path, line: str) -> None:
    """Append a line to a file that only its owner may read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)
