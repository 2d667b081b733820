"""Sessions in Redis: one hash for each, and for each number an index that expires with its last session.

session:{+86…}:<id>     hash  a session
session:{+86…}:index    hash  the sessions that have not ended; lua/begin_session.lua explains the fields of both
"""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from sms_login.adapters.redis.changes import PhoneChanges
from sms_login.adapters.redis.client import RedisCall, RedisClient, nothing
from sms_login.adapters.redis.keys import session_key
from sms_login.calls import Call, Joint
from sms_login.errors import ServiceUnavailable
from sms_login.phone import Phone
from sms_login.sessions.access_tokens import Claims
from sms_login.sessions.store import Begun, Rotated, Rotation, SessionRules
from sms_login.users import User

_AT_ONCE = 100  # sessions of one number; one more ends the oldest
_KEPT = 120  # s that an index outlives its last session: for longer than a login can be repeated


class RedisSessions:
    """`sessions.store.SessionStore` on Redis."""

    def __init__(self, redis: RedisClient, rules: SessionRules) -> None:
        self._redis = redis
        self._rules = rules
        self._changes = PhoneChanges(redis)

    def begin(self, phone: Phone, session: str, user: Call[User], mover: Claims | None = None) -> Call[Begun]:
        """See `sessions.store.SessionStore.begin`."""
        keys, rules = _keys(phone, session), self._rules
        args: list[str | int] = [session, rules.idle * 1000, rules.most * 1000, _AT_ONCE]
        if isinstance(user, RedisCall):
            new_id, *more = user.args
            keys, args = [*keys, *user.keys], [new_id, *args, *more]
        elif user.answer().banned or (mover and user.answer().id != mover.user_id):
            return Joint([], lambda: Begun(user.answer(), 0))
        else:
            args = [user.answer().id, *args]
        beginning = self._redis.script("begin_session", keys, args, list)

        def begun() -> Begun:
            ttl, record, *ended = beginning.answer()
            self._delete(phone, ended)
            if record and self._changes.settle(phone, record):
                # If another user has left, it says nothing about this login that their sessions have ended.
                if isinstance(user, RedisCall) and not mover and record[0] != user.args[0]:
                    return self.begin(phone, session, replace(user, args=[*user.args[:3], ""])).answer()
                return self.begin(phone, session, user, mover).answer()
            if mover and not isinstance(user, RedisCall):
                self.end_all(mover.phone, mover.user_id).answer()
            return Begun(user.read(record) if isinstance(user, RedisCall) else user.answer(), ttl)

        return Joint([beginning], begun)

    def rotate(self, phone: Phone, session: str, count: int, user: Call[User | None]) -> RedisCall[Rotated]:
        """See `sessions.store.SessionStore.rotate`."""
        keys, rules = _keys(phone, session), self._rules
        args: list[str | int] = [session, count, rules.repeat_for * 1000, rules.idle * 1000, _KEPT * 1000]
        if isinstance(user, RedisCall):
            keys = [*keys, *user.keys]
        elif (found := user.answer()) and found.banned:
            args.append("1")
        # An unknown word is a crash, not a token.
        return self._redis.script("rotate_session", keys, args, lambda reply: Rotated(Rotation(reply[0]), *reply[1:]))

    def owner(self, phone: Phone, session: str) -> RedisCall[str | None]:
        """See `sessions.store.SessionStore.owner`."""
        return self._redis.script("session_owner", _keys(phone, session), [session], lambda user_id: user_id or None)

    def end(self, phone: Phone, session: str) -> RedisCall[None]:
        """See `sessions.store.SessionStore.end`."""
        return self._redis.script("end_session", _keys(phone, session), [session, _KEPT * 1000], nothing)

    def end_all(self, phone: Phone, user_id: str = "", deleting: Call[Any] | None = None) -> Call[None]:
        """See `sessions.store.SessionStore.end_all`."""
        in_redis = deleting.keys if isinstance(deleting, RedisCall) else []
        if deleting and not in_redis:
            deleting.answer()
        ending = self._redis.script("end_sessions", [session_key(phone, "index"), *in_redis], [user_id, ""], list)

        def ended() -> None:
            word, *sessions = ending.answer()
            if word != "ended":
                raise ServiceUnavailable("redis: the user is about to change the number")
            self._delete(phone, sessions)

        return Joint([ending], ended)

    def _delete(self, phone: Phone, sessions: Sequence[str]) -> None:
        """Delete sessions; without an answer they live until they expire, ended ones without effect."""
        if sessions:
            first, *rest = (session_key(phone, session) for session in sessions)
            self._redis.send(self._redis.command("DEL", first, *rest, read=nothing))


def _keys(phone: Phone, session: str) -> list[str]:
    return [session_key(phone, session), session_key(phone, "index")]
