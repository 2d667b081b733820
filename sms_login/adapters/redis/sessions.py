"""Sessions in Redis: a hash each, see lua/begin.lua. Every key expires.

session:{+86…}:<id>          hash    user, generation, count, left, ttl
session:{+86…}:generation    int     counts how often all sessions of the number were ended
session:{+86…}:list          list    ids, the latest first
session:{+86…}:owner         string  id of the user whose sessions they are
"""

import contextlib
from collections.abc import Sequence

from sms_login.adapters.redis.client import RedisClient
from sms_login.errors import ServiceUnavailable
from sms_login.phone import Phone
from sms_login.sessions.store import LONGEST_SESSION, Rotated, Rotation, SessionRules

_AT_ONCE = 100  # sessions of one number; the oldest ends where there is one more
_KEPT = LONGEST_SESSION + 86400  # s that what ends sessions is kept: longer than any session, whatever SESSION_TTL was


class RedisSessions:
    """`sessions.store.SessionStore` on Redis."""

    def __init__(self, redis: RedisClient, rules: SessionRules) -> None:
        self._redis = redis
        self._rules = rules

    def begin(self, phone: Phone, session: str, user_id: str) -> int:
        """See `sessions.store.SessionStore.begin`."""
        keys = [_key(phone, name) for name in (session, "generation", "list", "owner")]
        rules = self._rules
        args: list[str | int] = [user_id, rules.idle * 1000, rules.most * 1000, session, _AT_ONCE, _KEPT * 1000]
        ttl, *too_many = self._redis.run("begin", keys, args)
        self._delete(phone, too_many)
        return int(ttl)

    def rotate(self, phone: Phone, session: str, count: int) -> Rotated:
        """See `sessions.store.SessionStore.rotate`."""
        keys = [*_keys(phone, session), _key(phone, "list")]
        args: list[str | int] = [count, self._rules.repeat_for * 1000, self._rules.idle * 1000, session]
        word, *rest = self._redis.run("rotate", keys, args)
        return Rotated(Rotation(word), *rest)  # an unknown word is a crash, not a token

    def owner(self, phone: Phone, session: str) -> str | None:
        """See `sessions.store.SessionStore.owner`."""
        return self._redis.run("alive", _keys(phone, session), []) or None

    def end(self, phone: Phone, session: str) -> None:
        """See `sessions.store.SessionStore.end`."""
        self._redis.run("end", [_key(phone, session), _key(phone, "list")], [session])

    def end_all(self, phone: Phone) -> None:
        """See `sessions.store.SessionStore.end_all`."""
        keys = [_key(phone, "generation"), _key(phone, "list"), _key(phone, "owner")]
        self._delete(phone, self._redis.run("end_all", keys, [_KEPT * 1000]))  # they count no more: these are traces

    def _delete(self, phone: Phone, sessions: Sequence[str]) -> None:
        with contextlib.suppress(ServiceUnavailable):  # what was decided stands, and they expire by themselves
            if sessions:
                self._redis.command("delete", *(_key(phone, session) for session in sessions))


def _key(phone: Phone, name: str) -> str:
    return f"session:{{{phone.e164}}}:{name}"


def _keys(phone: Phone, session: str) -> list[str]:
    return [_key(phone, session), _key(phone, "generation")]
