"""Redis fails in the middle of counting, or holds counters that are broken."""

from collections import Counter
from collections.abc import Sequence

import pytest
import time_machine

from sms_login.adapters.redis.client import connect
from sms_login.errors import InvalidPhone, ServiceUnavailable
from sms_login.limits.store import Reserved, Subject, WindowNames
from tests.testkit.limits import (
    FORGED,
    IP,
    NOW,
    Make,
    Printed,
    alerts,
    counts,
    range_of,
    totals,
    unverified,
)
from tests.testkit.servers import RedisServer, find_redis_server, require
from tests.testkit.world import PHONE, Backend, World


def test_a_redis_that_dies_between_client_and_range_sends_nothing(clock: time_machine.Traveller) -> None:
    """An outage, whatever the client has been counted for by then."""
    require(find_redis_server() is not None, "redis-server")
    with RedisServer() as server:
        world = World(Backend(connect(server.host, server.port)), clock, ip=IP)
        take = world.limit_store.reserve

        def dies_after_the_first(subjects: Sequence[Subject], *, captcha_passed: bool = False) -> Sequence[Reserved]:
            answers = take(subjects, captcha_passed=captcha_passed)
            server.kill()
            return answers

        world.limit_store.reserve = dies_after_the_first  # type: ignore[method-assign] # for this world
        body = world.call("getSms", phone=PHONE.e164)
        assert (body["errorCode"], body["codeStr"]) == (-1500, "ServiceUnavailable")
        assert world.outbox.sent == []
        world.backend.client.close()


def fails(*_windows: WindowNames) -> None:
    """Be a Redis that does not take anything back."""
    raise ServiceUnavailable("redis: ResponseError: budget:{range:+861380013}:hour:1")


def test_a_login_stands_where_giving_back_fails(make: Make, monkeypatch: pytest.MonkeyPatch, printed: Printed) -> None:
    """The log has an alert; the counters are wrong until their window ends."""
    world = make()
    session = world.get_sms().session_id
    monkeypatch.setattr(world.limit_store, "refund", fails)
    body = world.call("login", phone=PHONE.e164, code=world.outbox.code, sessionId=session)
    assert body["codeStr"] == "Success"
    (line,) = printed()
    assert line["alerts"] == [{"alert": "budgets_not_corrected", "cause": "redis: ResponseError: <budget key>"}]
    assert counts(world) == unverified() + totals() + Counter([f"ip:{IP} guesses"])


def test_a_refusal_stands_where_giving_back_fails(
    make: Make, monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    """A refused sending and a lock say what they say, each with an alert."""
    world = make()
    monkeypatch.setattr(world.limit_store, "refund", fails)
    world.outbox.refuse = [InvalidPhone()]
    assert world.call("getSms", phone=PHONE.e164)["codeStr"] == "InvalidPhone"
    world.lock()
    assert world.call("login", phone=PHONE.e164, code="123456", sessionId=FORGED)["codeStr"] == "Locked"
    assert [alert["alert"] for alert in alerts(printed())] == ["budgets_not_corrected"] * 2


def test_counters_that_are_broken_stop_what_they_count(make: Make) -> None:
    """A key of another type is an outage for its client, range, country or everything; nothing is sent or guessed."""
    hour, day = f"{NOW.timestamp() // 3600:.0f}", "20261121"
    broken = [f"ip:{IP}", f"hour:{hour}"], [range_of(PHONE), f"day:{day}"], ["all", f"total:{day}"]
    for subject, window in broken:
        world = make()
        world.backend.client.flushall()
        world.backend.client.rpush(f"budget:{{{subject}}}:{window}", "x")
        assert world.call("getSms", phone=PHONE.e164)["codeStr"] == "ServiceUnavailable"
        assert world.outbox.sent == []
    world = make()
    world.backend.client.flushall()
    world.get_sms()
    world.backend.client.rpush(f"budget:{{ip:{IP}}}:guesses:{hour}", "x")
    assert world.call("login", phone=PHONE.e164, code=world.outbox.code)["codeStr"] == "ServiceUnavailable"


def test_a_counter_that_breaks_after_the_look_sends_nothing_and_the_others_get_theirs_back(
    make: Make, printed: Printed
) -> None:
    """Whether the broken one was counted nobody can tell, and the log says so, with the cause."""
    world = make()
    everything = "budget:{all}:total:20261121"
    world.between_check_and_reserve(lambda: world.backend.client.rpush(everything, "x"))
    assert world.call("getSms", phone=PHONE.e164)["codeStr"] == "ServiceUnavailable"
    (line,) = printed()
    assert line["alerts"] == [{"alert": "budgets_not_corrected"}]
    assert line["detail"].startswith("redis: ResponseError: ")
    assert world.outbox.sent == []
    world.backend.client.delete(everything)
    assert counts(world) == Counter()
