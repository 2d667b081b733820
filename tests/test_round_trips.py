"""How often a request goes to Redis, counted where redis-py sends."""

from typing import Any

import pytest
import redis.connection
import time_machine

from sms_login.adapters.redis.client import connect
from sms_login.errors import CodeHasExpired
from tests.testkit.backends import Backend
from tests.testkit.servers import RedisServer
from tests.testkit.world import OTHER_PHONE, World


def test_round_trips(redis_server: RedisServer, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch) -> None:
    """GetSms takes four, login five, two of each for the guard; a login without a session six; a token two.

    A guess at a number that has no code takes three, since a lock is told before that.
    """
    world = World(Backend(connect(redis_server.host, redis_server.port)), clock, ip="203.0.113.7")
    world.backend.client.flushall()
    sent = 0
    send: Any = redis.connection.Connection.send_packed_command

    def counted(self: redis.connection.Connection, *args: object, **kwargs: object) -> object:
        nonlocal sent
        sent += 1
        return send(self, *args, **kwargs)

    monkeypatch.setattr(redis.connection.Connection, "send_packed_command", counted)

    def trips(call: object) -> int:
        nonlocal sent
        sent = 0
        assert callable(call)
        call()
        return sent

    for warm in (False, True):
        session, tokens = "", []

        def ask() -> None:
            nonlocal session
            session = world.get_sms().session_id

        def guess(asked: str | None) -> None:
            with pytest.raises(CodeHasExpired):
                world.log_in(asked, "123456", phone=OTHER_PHONE)

        counts = [trips(ask), trips(lambda: tokens.append(world.log_in(session).token))]  # noqa: B023 - called at once
        world.cool_down()
        counts += [trips(ask), trips(lambda: world.log_in(None))]
        counts += [trips(lambda: world.sessions.user_info(tokens[0]))]  # noqa: B023 - as above
        counts += [trips(lambda: world.sessions.set_nickname(tokens[0], "x"))]  # noqa: B023 - as above
        counts += [trips(lambda: guess(None)), trips(lambda: guess("A" * 22))]
        if warm:
            assert counts == [4, 5, 4, 6, 2, 2, 3, 3]
        world.cool_down()
    world.backend.client.close()
