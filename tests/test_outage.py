"""Redis fails and comes back while users log in and refresh."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from sms_login.adapters.redis.client import connect
from sms_login.phone import Phone
from tests.testkit.backends import Backend
from tests.testkit.devices import Device, alerts
from tests.testkit.servers import RedisServer, find_redis_server, require, until
from tests.testkit.world import OTHER_PHONE, UNLIMITED, World

PEOPLE = 400


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """Start a real Redis that has written each change to a file before it answers."""
    require(find_redis_server() is not None, "redis-server")
    with RedisServer("--appendonly", "yes", "--appendfsync", "no") as server:
        yield server


def test_redis_is_killed_while_logins_run(server: RedisServer, clock: time_machine.Traveller) -> None:
    """Calls fail with 503 only, each token has its spent code, and service resumes within 2 s of Redis."""
    world = World(Backend(connect(server.host, server.port)), clock, limits=UNLIMITED)
    people = [Phone.parse(f"+86138001{i:05}", "CN") for i in range(PEOPLE)]
    logins = []
    for phone in people:
        session = world.get_sms(phone=phone).session_id
        logins.append({"phone": phone.e164, "code": world.outbox.code, "sessionId": session})
    outcomes: dict[str, str] = {}
    some_are_in = threading.Event()

    def log_in(share: list[dict[str, str]]) -> None:
        for login in share:
            outcomes[login["phone"]] = world.call("login", **login)["codeStr"]
            if len(outcomes) > PEOPLE // 4:
                some_are_in.set()

    threads = [threading.Thread(target=log_in, args=[logins[i::8]]) for i in range(8)]
    for thread in threads:
        thread.start()
    assert some_are_in.wait(30)
    server.kill()
    for thread in threads:
        thread.join()
    assert set(outcomes.values()) == {"Success", "ServiceUnavailable"}
    assert world.call("health")["codeStr"] == "ServiceUnavailable"
    assert world.call("getSms", phone="+8613800138000")["codeStr"] == "ServiceUnavailable"
    assert len(world.outbox.sent) == PEOPLE

    server.start()
    until(lambda: world.call("health")["codeStr"] == "Success", 30)
    again = {login["phone"]: world.call("login", **login)["codeStr"] for login in logins}
    assert {again[number] for number, outcome in outcomes.items() if outcome == "Success"} == {"CodeHasValid"}
    assert set(again.values()) <= {"Success", "CodeHasValid"}
    assert "Success" in again.values()
    world.backend.client.close()


def test_a_login_whose_answer_is_lost_is_repeated_under_its_key(
    server: RedisServer, clock: time_machine.Traveller
) -> None:
    """If Redis spends the code and dies before the sign-in, a repeat under the Idempotency-Key signs the user in."""
    world = World(Backend(connect(server.host, server.port)), clock)
    session = world.get_sms().session_id
    world.redis.before("begin_session", server.kill)
    login = {"phone": "+8613800138000", "code": world.outbox.code, "sessionId": session}
    headers = {"Idempotency-Key": "k" * 16}
    assert world.call("login", headers, **login)["codeStr"] == "ServiceUnavailable"
    server.start()
    until(lambda: world.call("health")["codeStr"] == "Success", 30)
    assert world.call("login", **login)["codeStr"] == "CodeHasValid"
    assert world.call("login", headers, **login)["data"]["isNewUser"] is True
    world.backend.client.close()


# Sessions.


@pytest.fixture
def world(server: RedisServer, clock: time_machine.Traveller) -> Iterator[World]:
    """Build a login service on a Redis that can be killed and that knows the scripts."""
    client = connect(server.host, server.port)
    world = World(Backend(client), clock, limits=UNLIMITED)
    warm = Device(world)
    assert warm.refresh() == "Success"
    world.cool_down()
    yield world
    client.close()


@pytest.mark.parametrize("restart", [True, False])
def test_a_refresh_whose_answer_is_lost_is_repeated(
    world: World,
    server: RedisServer,
    capsys: pytest.CaptureFixture[str],
    *,
    restart: bool,
) -> None:
    """If the connection resets or Redis dies after the rotation, the repeat gets the refresh token of that rotation."""
    device = Device(world)
    with world.redis.losing("rotate_session"):
        assert device.refresh() == "ServiceUnavailable"
    if restart:
        server.kill()
        assert device.refresh() == "ServiceUnavailable"
        server.start()
        until(lambda: world.call("health")["codeStr"] == "Success", 30)
    assert world.backend.client.hget(device.key, "count") == "2"
    world.wait(5)
    assert device.refresh() == "Success"
    assert world.backend.client.hget(device.key, "count") == "2"
    assert device.refresh() == "Success"
    assert device.is_in
    assert alerts(capsys) == []


def test_a_refresh_that_does_not_reach_redis_can_be_repeated(world: World, server: RedisServer) -> None:
    """After an outage of any length, every session goes on, and its tokens are still valid."""
    device, other = Device(world), Device(world, OTHER_PHONE)
    tokens = (device.token, device.refresh_token)
    before = world.backend.dump()
    server.kill()
    calls: list[tuple[str, dict[str, Any]]] = [
        ("refresh", {"refreshToken": device.refresh_token}),
        ("getUserInfo", {"token": device.token}),
        ("setNickname", {"token": device.token, "name": "name"}),
        ("login", {"token": device.token, "phone": device.phone.e164}),
        ("logout", {"token": device.token}),
        ("logout", {"refreshToken": device.refresh_token, "everywhere": True}),
        ("deleteAccount", {"token": device.token, "code": "123456"}),
    ]
    for method, params in calls:
        answer = world.answer(method, **params)
        assert answer["statusCode"] == 503
        assert '"ServiceUnavailable"' in answer["body"]
    world.clock.shift(60)
    server.start()
    until(lambda: world.call("health")["codeStr"] == "Success", 30)
    after = world.backend.dump()
    after.pop("health", None)  # the mark of a health check lives for a millisecond
    assert after == before
    assert (device.token, device.refresh_token) == tokens
    assert device.is_in
    assert device.refresh() == "Success"
    assert other.refresh() == "Success"


def test_a_logout_whose_answer_is_lost_has_ended_the_session(world: World, server: RedisServer) -> None:
    """A logout ends its session, and a logout everywhere ends all; a restart of Redis brings none back."""
    device, other = Device(world), Device(world, OTHER_PHONE)
    with world.redis.losing("end_session", "end_sessions"):
        world.redis.after("end_sessions", server.kill)
        assert device.call("logout") == "ServiceUnavailable"
        assert other.call("logout", token=other.token, everywhere=True) == "ServiceUnavailable"
    server.start()
    until(lambda: world.call("health")["codeStr"] == "Success", 30)
    assert device.tries() == other.tries() == {"TokenInvalid"}


def test_a_login_whose_session_was_not_begun_is_repeated_under_its_key(world: World, server: RedisServer) -> None:
    """If Redis dies after the code is spent and the user signed up, a repeat gets the tokens."""
    session = world.get_sms().session_id
    login = {"phone": "+8613800138000", "code": world.outbox.code, "sessionId": session}
    headers = {"Idempotency-Key": "k" * 16}
    with world.redis.losing("begin_session"):
        world.redis.after("begin_session", server.kill)
        assert world.call("login", headers, **login)["codeStr"] == "ServiceUnavailable"
    server.start()
    until(lambda: world.call("health")["codeStr"] == "Success", 30)
    data = world.call("login", headers, **login)["data"]
    assert world.call("getUserInfo", token=data["token"])["codeStr"] == "Success"
    assert world.call("refresh", refreshToken=data["refreshToken"])["codeStr"] == "Success"


def test_redis_is_killed_while_users_refresh(server: RedisServer, clock: time_machine.Traveller) -> None:
    """Calls fail with 503 only, and every user can refresh afterwards without counting as a thief."""
    world = World(Backend(connect(server.host, server.port)), clock, limits=UNLIMITED)
    people = [Device(world, Phone.parse(f"+86138001{i:05}", "CN")) for i in range(64)]
    seen: set[str] = set()
    some_have = threading.Event()

    def go_on(share: list[Device]) -> None:
        for _ in range(20):
            for device in share:
                seen.add(device.refresh())
            some_have.set()

    threads = [threading.Thread(target=go_on, args=[people[i::8]]) for i in range(8)]
    for thread in threads:
        thread.start()
    assert some_have.wait(30)
    server.kill()
    for thread in threads:
        thread.join()
    assert seen == {"Success", "ServiceUnavailable"}
    server.start()
    until(lambda: world.call("health")["codeStr"] == "Success", 30)
    assert {device.refresh() for device in people} == {"Success"}
    assert {device.is_in for device in people} == {True}
    world.backend.client.close()
