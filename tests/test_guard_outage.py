"""The guard on a Redis that fails while it counts, or that holds corrupt counters."""

from collections import Counter

import time_machine

from sms_login.adapters.redis.client import connect
from sms_login.errors import InvalidPhone
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
from tests.testkit.seams import LOST
from tests.testkit.servers import RedisServer, find_redis_server, require
from tests.testkit.world import PHONE, World


def test_a_redis_that_dies_between_client_and_range_sends_nothing(clock: time_machine.Traveller) -> None:
    """If Redis dies after the client's budget is reserved, getSms is a 503 and no SMS is sent."""
    require(find_redis_server() is not None, "redis-server")
    with RedisServer() as server:
        world = World(Backend(connect(server.host, server.port)), clock, ip=IP)
        world.redis.before("reserve", server.kill)
        body = world.call("getSms", phone=PHONE.e164)
        assert (body["errorCode"], body["codeStr"]) == (-1500, "ServiceUnavailable")
        assert world.outbox.sent == []
        world.backend.client.close()


def test_a_login_succeeds_although_its_refund_fails(make: Make, printed: Printed) -> None:
    """If the refund of a login fails, the log has an alert, and the counters stay too high until their windows end."""
    world = make()
    session = world.get_sms().session_id
    with world.redis.losing("refund", arrives=False):
        body = world.call("login", phone=PHONE.e164, code=world.outbox.code, sessionId=session)
    assert body["codeStr"] == "Success"
    (line,) = printed()
    assert line["alerts"] == [{"alert": "budgets_not_corrected", "cause": LOST}]
    assert counts(world) == unverified() + totals() + Counter([f"ip:{IP} guesses"])


def test_a_refusal_stands_although_its_refund_fails(make: Make, printed: Printed) -> None:
    """A number that SendSms refuses and a locked number are answered as ever, each with an alert in the log."""
    world = make()
    world.outbox.refuse = [InvalidPhone()]
    with world.redis.losing("refund", arrives=False):
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
