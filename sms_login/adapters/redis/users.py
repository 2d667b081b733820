"""Users in Redis: a hash per number, `user:{+86…}`, that never expires. Its fields are those of `users.User`.

`banned` and `returned` are times in epoch ms; `moving` and `moved_from` are explained in `changes`. All four are absent
if they do not apply.
"""

import re
import secrets
import time
from collections.abc import Sequence

from sms_login.adapters.redis.changes import PhoneChanges, change_key
from sms_login.adapters.redis.client import RedisCall, RedisClient
from sms_login.adapters.redis.keys import user_key
from sms_login.calls import Call
from sms_login.errors import ServiceUnavailable
from sms_login.phone import Phone
from sms_login.users import User

_NUMBER = re.compile("[0-9]{1,15}")
# In the order of lua/prelude.lua.
_FIELDS = ("id", "name", "avatar", "created", "banned", "last_login", "returned", "moving", "moved_from")


class RedisUsers:
    """`users.Users` on Redis. `reverify_after` is in seconds."""

    def __init__(self, redis: RedisClient, reverify_after: int = 0) -> None:
        self._redis = redis
        self._changes = PhoneChanges(redis)
        self._away = reverify_after * 1000

    def check(self) -> bool:
        """See `users.Users.check`: `RedisClient.check` says it."""
        return False

    def sign_in(self, phone: Phone, new_id: str, generation: str = "", /) -> RedisCall[User]:
        """See `users.Users.sign_in`. The script that begins a session judges the generation."""
        args: list[str | int] = [new_id, _now(), self._away, generation]
        return self._redis.script("sign_in", [user_key(phone)], args, lambda record: _user(phone, record))

    def find(self, phone: Phone) -> RedisCall[User | None]:
        """See `users.Users.find`."""
        return self._redis.command("HMGET", user_key(phone), *_FIELDS, read=lambda fields: self._found(phone, fields))

    def _found(self, phone: Phone, fields: Sequence[str | None]) -> User | None:
        if not fields[0]:
            return None
        return self.find(phone).answer() if self._changes.settle(phone, fields) else _user(phone, fields)

    def rename(self, phone: Phone, user_id: str, name: str, *, only_if: Call[str | None]) -> RedisCall[User | None]:
        """See `users.Users.rename`. The script itself asks Redis for the session's owner."""
        keys, args = [user_key(phone)], list[str | int]([user_id, name])
        if isinstance(only_if, RedisCall):
            keys, args = [*keys, *only_if.keys], [*args, *only_if.args]
        return self._redis.script("rename_user", keys, args, lambda record: _user(phone, record) if record else None)

    def ban(self, phone: Phone, user_id: str, *, banned: bool = True) -> RedisCall[bool]:
        """See `users.Users.ban`."""
        return self._redis.script("ban_user", [user_key(phone)], [user_id, _now() if banned else ""], bool)

    def move(self, old: Phone, new: Phone, user_id: str) -> RedisCall[User]:
        """See `users.Users.move`. The change has started when this returns, unless it is to the same number."""
        change = f"{new.e164} {secrets.token_urlsafe(9)}"
        record = (old.e164 != new.e164 and self._changes.start(old, user_id, change)) or [None] * len(_FIELDS)
        args: list[str | int] = [user_id, _now(), self._away, old.e164, *(field or "" for field in record[1:7])]

        def taken(record: Sequence[str | None]) -> User:
            if not record or record[0] != user_id:
                self._changes.forget(old, "moving", change).answer()
            return _user(new, record)

        return self._redis.script("take_number", [user_key(new), change_key(change)], args, taken)

    def delete(self, phone: Phone, user_id: str) -> RedisCall[bool]:
        """See `users.Users.delete`."""
        return self._redis.script("delete_user", [user_key(phone)], [user_id], bool)


def _now() -> int:
    return int(time.time() * 1000)


def _user(phone: Phone, record: Sequence[str | None]) -> User:
    if not (record and record[0]):
        raise ServiceUnavailable("redis: a record without an id, a cancelled change, or a repeat of an older login")
    user_id, name, avatar, created, banned, last_login, returned = (field or "" for field in record[:7])
    return User(user_id, phone, name, avatar, _ms(created), bool(banned), _ms(last_login), bool(returned))


def _ms(field: str) -> int:
    return int(field) if _NUMBER.fullmatch(field) else 0
