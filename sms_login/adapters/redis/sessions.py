"""Sessions in Redis: one hash for each, and for each number an index that expires with its last session.

session:{+86…}:<id>     hash  a session
session:{+86…}:index    hash  the sessions that have not ended; lua/begin_session.lua explains the fields of both
"""

import contextlib
from collections.abc import Sequence

from sms_login.adapters.redis.client import RedisClient
from sms_login.errors import ServiceUnavailable
from sms_login.phone import Phone
from sms_login.sessions.store import Rotated, Rotation, SessionRules

_AT_ONCE = 100  # sessions of one number; one more ends the oldest
_KEPT = 120  # s that an index outlives its last session: for longer than a login can be repeated


class RedisSessions:
    """`sessions.store.SessionStore` on Redis."""

    def __init__(self, redis: RedisClient, rules: SessionRules) -> None:
        self._redis = redis
        self._rules = rules

    def begin(self, phone: Phone, session: str, user_id: str) -> int:
        """See `sessions.store.SessionStore.begin`."""
        args: list[str | int] = [user_id, session, self._rules.idle * 1000, self._rules.most * 1000, _AT_ONCE]
        ttl, *ended = self._redis.run("begin_session", _keys(phone, session), args)
        self._delete(phone, ended)
        return int(ttl)

    def rotate(self, phone: Phone, session: str, count: int) -> Rotated:
        """See `sessions.store.SessionStore.rotate`."""
        rules = self._rules
        args: list[str | int] = [session, count, rules.repeat_for * 1000, rules.idle * 1000, _KEPT * 1000]
        word, *facts = self._redis.run("rotate_session", _keys(phone, session), args)
        return Rotated(Rotation(word), *facts)  # an unknown word is a crash, not a token

    def owner(self, phone: Phone, session: str) -> str | None:
        """See `sessions.store.SessionStore.owner`."""
        return self._redis.run("session_owner", _keys(phone, session), [session]) or None

    def end(self, phone: Phone, session: str) -> None:
        """See `sessions.store.SessionStore.end`."""
        self._redis.run("end_session", _keys(phone, session), [session, _KEPT * 1000])

    def end_all(self, phone: Phone) -> None:
        """See `sessions.store.SessionStore.end_all`."""
        self._delete(phone, self._redis.run("end_sessions", [_key(phone, "index")], []))

    def _delete(self, phone: Phone, sessions: Sequence[str]) -> None:
        """Delete sessions; without an answer they live until they expire, ended ones without effect."""
        with contextlib.suppress(ServiceUnavailable):
            if sessions:
                self._redis.command("delete", *(_key(phone, session) for session in sessions))


def _key(phone: Phone, name: str) -> str:
    return f"session:{{{phone.e164}}}:{name}"


def _keys(phone: Phone, session: str) -> list[str]:
    return [_key(phone, session), _key(phone, "index")]
