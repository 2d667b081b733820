"""The guard on a Redis that fails while it counts, or that holds corrupt counters."""

from collections import Counter
from collections.abc import Sequence

import pytest
import time_machine

from sms_login.adapters.redis.client import connect
from sms_login.errors import InvalidPhone, ServiceUnavailable
from sms_login.limits.store import Reserved, Subject, WindowNames
from tests.testkit.backends import Backend
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
from tests.testkit.world import PHONE, World


def test_a_redis_that_dies_between_client_and_range_sends_nothing(clock: time_machine.Traveller) -> None:
    """If Redis dies after the client's budget is reserved, getSms is a 503 and no SMS is sent."""
    require(find_redis_server() is not None, "redis-server")
    with RedisServer() as server:
        world = World(Backend(connect(server.host, server.port)), clock, ip=IP)
        reserve = world.limit_store.reserve

        def dies_after_the_first(subjects: Sequence[Subject], *, captcha_passed: bool = False) -> Sequence[Reserved]:
            answers = reserve(subjects, captcha_passed=captcha_passed)
            server.kill()
            return answers

        world.limit_store.reserve = dies_after_the_first  # type: ignore[method-assign] # for this world
        body = world.call("getSms", phone=PHONE.e164)
        assert (body["errorCode"], body["codeStr"]) == (-1500, "ServiceUnavailable")
        assert world.outbox.sent == []
        world.backend.client.close()


def fails(*_windows: WindowNames) -> None:
    """Fail to refund, as a Redis that answers with an error."""
    raise ServiceUnavailable("redis: ResponseError: budget:{range:+861380013}:hour:1")


def test_a_login_succeeds_although_its_refund_fails(
    make: Make, monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    """If the refund of a login fails, the log has an alert, and the counters stay too high until their windows end."""
    world = make()
    session = world.get_sms().session_id
    monkeypatch.setattr(world.limit_store, "refund", fails)
    body = world.call("login", phone=PHONE.e164, code=world.outbox.code, sessionId=session)
    assert body["codeStr"] == "Success"
    (line,) = printed()
    assert line["alerts"] == [{"alert": "budgets_not_corrected", "cause": "redis: ResponseError: <budget key>"}]
    assert counts(world) == unverified() + totals() + Counter([f"ip:{IP} guesses"])


def test_a_refusal_stands_although_its_refund_fails(
    make: Make, monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    """A number that SendSms refuses and a locked number are answered as ever, each with an alert in the log."""
    world = make()
    monkeypatch.setattr(world.limit_store, "refund", fails)
    world.outbox.refuse = [InvalidPhone()]
    assert world.call("getSms", phone=PHONE.e164)["codeStr"] == "InvalidPhone"
    world.lock()
    assert world.call("login", phone=PHONE.e164, code="123456", sessionId=FORGED)["codeStr"] == "Locked"
    assert [alert["alert"] for alert in alerts(printed())] == ["budgets_not_corrected"] * 2


def test_a_corrupt_counter_refuses_the_requests_that_it_counts(make: Make) -> None:
    """If a counter's key has another type, the requests of its client, range or country, or all of them, are 503s."""
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


def test_a_counter_that_breaks_after_the_check_stops_the_sending_and_the_others_are_refunded(
    make: Make, printed: Printed
) -> None:
    """If a counter is corrupted after the check, the log has an alert, since its count is unknown, and the cause."""
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
