"""Users in Redis: a hash per number, `user:{+86…}`, that never expires. Its fields are those of `users.User`.

`banned` and `returned` are times in epoch ms, and absent if they do not apply.
"""

import re
import time

from sms_login.adapters.redis.client import RedisCall, RedisClient
from sms_login.calls import Call
from sms_login.errors import ServiceUnavailable
from sms_login.phone import Phone
from sms_login.users import User

_NUMBER = re.compile("[0-9]{1,15}")
_FIELDS = ("id", "name", "avatar", "created", "banned", "last_login", "returned")  # as in lua/prelude.lua


class RedisUsers:
    """`users.Users` on Redis. `reverify_after` is in seconds."""

    def __init__(self, redis: RedisClient, reverify_after: int = 0) -> None:
        self._redis = redis
        self._away = reverify_after * 1000

    def check(self) -> bool:
        """See `users.Users.check`: `RedisClient.check` says it."""
        return False

    def sign_in(self, phone: Phone, new_id: str) -> RedisCall[User]:
        """See `users.Users.sign_in`."""
        args: list[str | int] = [new_id, _now(), self._away]
        return self._redis.script("sign_in", [_key(phone)], args, lambda fields: _user(phone, fields))

    def find(self, phone: Phone) -> RedisCall[User | None]:
        """See `users.Users.find`."""
        return self._redis.command("HMGET", _key(phone), *_FIELDS, read=lambda fields: _found(phone, fields))

    def rename(self, phone: Phone, user_id: str, name: str, *, only_if: Call[str | None]) -> RedisCall[User | None]:
        """See `users.Users.rename`. The script itself asks Redis for the session's owner."""
        keys, args = [_key(phone)], list[str | int]([user_id, name])
        if isinstance(only_if, RedisCall):
            keys, args = [*keys, *only_if.keys], [*args, *only_if.args]
        return self._redis.script("rename_user", keys, args, lambda fields: _user(phone, fields) if fields else None)

    def ban(self, phone: Phone, user_id: str, *, banned: bool = True) -> RedisCall[bool]:
        """See `users.Users.ban`."""
        return self._redis.script("ban_user", [_key(phone)], [user_id, _now() if banned else ""], bool)

    def delete(self, phone: Phone, user_id: str) -> RedisCall[bool]:
        """See `users.Users.delete`."""
        return self._redis.script("delete_user", [_key(phone)], [user_id], bool)


def _now() -> int:
    return int(time.time() * 1000)


def _key(phone: Phone) -> str:
    return f"user:{{{phone.e164}}}"


def _found(phone: Phone, fields: list[str | None]) -> User | None:
    return _user(phone, fields) if fields[0] else None


def _user(phone: Phone, fields: list[str | None]) -> User:
    user_id, name, avatar, created, banned, last_login, returned = (field or "" for field in fields)
    if not user_id:
        raise ServiceUnavailable("redis: a user record without an id")
    return User(user_id, phone, name, avatar, _ms(created), bool(banned), _ms(last_login), bool(returned))


def _ms(field: str) -> int:
    return int(field) if _NUMBER.fullmatch(field) else 0
