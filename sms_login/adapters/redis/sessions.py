"""Sessions in Redis: one hash for each. Every key expires.

session:{+86…}:<id>          hash    a session; lua/begin_session.lua explains its fields
session:{+86…}:generation    int     counts how often all sessions of the number were ended
session:{+86…}:list          list    ids, the latest first
session:{+86…}:owner         string  id of the sessions' user
"""

import contextlib
from collections.abc import Sequence

from sms_login.adapters.redis.client import RedisClient
from sms_login.errors import ServiceUnavailable
from sms_login.phone import Phone
from sms_login.sessions.store import LONGEST_SESSION, Rotated, Rotation, SessionRules

_AT_ONCE = 100  # sessions of one number; one more ends the oldest
# s; the keys that end sessions outlive any session, under any SESSION_TTL.
_KEPT = LONGEST_SESSION + 86400


class RedisSessions:
    """`sessions.store.SessionStore` on Redis."""

    def __init__(self, redis: RedisClient, rules: SessionRules) -> None:
        self._redis = redis
        self._rules = rules

    def begin(self, phone: Phone, session: str, user_id: str) -> int:
        """See `sessions.store.SessionStore.begin`."""
        keys = [_key(phone, name) for name in (session, "generation", "list", "owner")]
        rules = self._rules
        args: list[str | int] = [user_id, session, rules.idle * 1000, rules.most * 1000, _AT_ONCE, _KEPT * 1000]
        ttl, *too_many = self._redis.run("begin_session", keys, args)
        self._delete(phone, too_many)
        return int(ttl)

    def rotate(self, phone: Phone, session: str, count: int) -> Rotated:
        """See `sessions.store.SessionStore.rotate`."""
        keys = [*_keys(phone, session), _key(phone, "list")]
        args: list[str | int] = [session, count, self._rules.repeat_for * 1000, self._rules.idle * 1000]
        word, *facts = self._redis.run("rotate_session", keys, args)
        return Rotated(Rotation(word), *facts)  # an unknown word is a crash, not a token

    def owner(self, phone: Phone, session: str) -> str | None:
        """See `sessions.store.SessionStore.owner`."""
        return self._redis.run("session_owner", _keys(phone, session), []) or None

    def end(self, phone: Phone, session: str) -> None:
        """See `sessions.store.SessionStore.end`."""
        self._redis.run("end_session", [_key(phone, session), _key(phone, "list")], [session])

    def end_all(self, phone: Phone) -> None:
        """See `sessions.store.SessionStore.end_all`."""
        keys = [_key(phone, "generation"), _key(phone, "list"), _key(phone, "owner")]
        self._delete(phone, self._redis.run("end_sessions", keys, [_KEPT * 1000]))

    def _delete(self, phone: Phone, sessions: Sequence[str]) -> None:
        """Delete sessions; without an answer they live until they expire, ended ones without effect."""
        with contextlib.suppress(ServiceUnavailable):
            if sessions:
                self._redis.command("delete", *(_key(phone, session) for session in sessions))


def _key(phone: Phone, name: str) -> str:
    return f"session:{{{phone.e164}}}:{name}"


def _keys(phone: Phone, session: str) -> list[str]:
    return [_key(phone, session), _key(phone, "generation")]
