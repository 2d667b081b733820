"""Redis goes away and comes back while people log in."""

import threading
from collections.abc import Iterator

import pytest
import time_machine

from sms_login.adapters.redis_client import connect
from sms_login.phone import Phone
from tests.servers import RedisServer, find_redis_server, require, until
from tests.world import UNLIMITED, Backend, World

PEOPLE = 400


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A real Redis that has on disk whatever it has answered."""
    require(find_redis_server() is not None, "redis-server")
    with RedisServer("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


def test_redis_is_killed_while_logins_run(server: RedisServer, clock: time_machine.Traveller) -> None:
    """Only 503 answers, no token without a spent code, and service within two seconds of Redis."""
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
    until(lambda: world.call("health")["codeStr"] == "Success", 2)
    again = {login["phone"]: world.call("login", **login)["codeStr"] for login in logins}
    assert {again[number] for number, outcome in outcomes.items() if outcome == "Success"} == {"CodeHasValid"}
    assert set(again.values()) <= {"Success", "CodeHasValid"}
    assert "Success" in again.values()
    world.backend.client.close()


def test_a_lost_answer_is_repeated_under_its_key(server: RedisServer, clock: time_machine.Traveller) -> None:
    """Redis spends the code and dies before the sign-in; with the same key the person gets in all the same."""
    world = World(Backend(connect(server.host, server.port)), clock)
    session = world.get_sms().session_id
    sign_in = world.users.sign_in

    def dies_first(phone: Phone, new_id: str) -> object:
        server.kill()
        return sign_in(phone, new_id)

    world.users.sign_in = dies_first  # type: ignore[method-assign, assignment] # for this one call
    login = {"phone": "+8613800138000", "code": world.outbox.code, "sessionId": session}
    headers = {"Idempotency-Key": "k" * 16}
    assert world.call("login", headers, **login)["codeStr"] == "ServiceUnavailable"
    world.users.sign_in = sign_in  # type: ignore[method-assign] # back again
    server.start()
    until(lambda: world.call("health")["codeStr"] == "Success", 2)
    assert world.call("login", **login)["codeStr"] == "CodeHasValid"
    assert world.call("login", headers, **login)["data"]["isNewUser"] is True
    world.backend.client.close()
