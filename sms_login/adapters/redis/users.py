"""Users in Redis: a hash per number, `user:{+86…}` with id, name, avatar and created. They never expire."""

import re
import time

from sms_login.adapters.redis.client import RedisClient
from sms_login.errors import ServiceUnavailable
from sms_login.phone import Phone
from sms_login.users import User

_NUMBER = re.compile("[0-9]{1,15}")


class RedisUsers:
    """`users.Users` on Redis."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    def sign_in(self, phone: Phone, new_id: str) -> User:
        """See `users.Users.sign_in`."""
        return _user(phone, self._redis.run("sign_in", [_key(phone)], [new_id, int(time.time() * 1000)]))

    def find(self, phone: Phone) -> User | None:
        """See `users.Users.find`."""
        fields: list[str | None] = self._redis.command("hmget", _key(phone), "id", "name", "avatar", "created")
        return _user(phone, fields) if fields[0] else None

    def rename(self, phone: Phone, user_id: str, name: str) -> User | None:
        """See `users.Users.rename`."""
        fields: list[str | None] = self._redis.run("rename_user", [_key(phone)], [user_id, name])
        return _user(phone, fields) if fields else None

    def delete(self, phone: Phone, user_id: str) -> bool:
        """See `users.Users.delete`."""
        return bool(self._redis.run("delete_user", [_key(phone)], [user_id]))


def _key(phone: Phone) -> str:
    return f"user:{{{phone.e164}}}"


def _user(phone: Phone, fields: list[str | None]) -> User:
    user_id, name, avatar, created = (field or "" for field in fields)
    if not user_id:
        raise ServiceUnavailable("redis: a user record without an id")
    return User(user_id, phone, name, avatar, int(created) if _NUMBER.fullmatch(created) else 0)
