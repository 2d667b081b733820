"""The identity of a client, and the limits that clients of unknown address share, on every kind of Redis."""

import pytest

from sms_login.errors import InvalidPhone, TooManyRequests
from sms_login.limits.policy import Limits
from tests.testkit.limits import (
    IP,
    TO_MIDNIGHT,
    TO_THE_HOUR,
    Make,
    Printed,
    counts,
    neighbour,
    refused,
    stranger,
    totals,
)
from tests.testkit.world import PHONE


def test_clients_of_unknown_address_share_ten_times_the_limits(make: Make, printed: Printed) -> None:
    """Clients without a valid address count as one client, and the log names it so."""
    world = make(limits=Limits(ip_hour=1, guesses=1))
    addresses = ["rubbish", "10.0.0.256", "localhost", "-"]
    for i in range(10):
        world.ip = addresses[i % 4]
        assert world.call("getSms", phone=stranger(i).e164)["codeStr"] == "Ok"
    assert world.call("getSms", phone=stranger(10).e164)["retryAfter"] == TO_THE_HOUR
    for i in range(10):
        world.ip = addresses[i % 4]
        body = world.call("login", phone=PHONE.e164, code="123456")
        assert body["codeStr"] == "CodeHasExpired"
    assert world.call("login", phone=PHONE.e164, code="123456")["codeStr"] == "TooManyRequests"
    assert {line["client"] for line in printed()} == {"unknown"}
    assert counts(world)["ip:unknown hour"] == counts(world)["ip:unknown guesses"] == 10
    world.ip = IP
    assert world.call("getSms", phone=stranger(11).e164)["codeStr"] == "Ok"


def test_unknown_clients_share_ten_times_every_limit_of_a_client(make: Make) -> None:
    """The factor also applies to the limit of a day and to the sendings that SendSms refused."""
    world = make(ip="unknown", limits=Limits(ip_day=1, refused=1))
    for i in range(10):
        world.outbox.refuse = [InvalidPhone()]
        with pytest.raises(InvalidPhone):
            world.get_sms(phone=stranger(i))
    refused(world, TooManyRequests)
    world.wait(TO_THE_HOUR)
    for i in range(10):
        assert world.get_sms(phone=stranger(i)).request_id
    assert refused(world, TooManyRequests).retry_after == TO_MIDNIGHT - TO_THE_HOUR


def test_an_unknown_client_is_refunded(make: Make) -> None:
    """A login refunds the sendings of an unknown client like any other's."""
    world = make(ip="unknown")
    world.log_in(world.get_sms().session_id)
    assert counts(world) == totals()


def test_the_64_of_an_ipv6_address_is_one_client(make: Make, printed: Printed) -> None:
    """A customer can use any address of their /64."""
    world = make(limits=Limits(ip_hour=1))
    world.ip = "2001:db8:1:2::1"
    assert world.call("getSms", phone=stranger(0).e164)["codeStr"] == "Ok"
    world.ip = "2001:db8:1:2:ffff:ffff:ffff:ffff"
    assert world.call("getSms", phone=stranger(1).e164)["codeStr"] == "TooManyRequests"
    world.ip = "2001:db8:1:3::1"
    assert world.call("getSms", phone=stranger(1).e164)["codeStr"] == "Ok"
    assert [line["client"] for line in printed()] == ["2001:db8:1:2::/64"] * 2 + ["2001:db8:1:3::/64"]


def test_without_a_source_of_addresses_no_client_is_counted(make: Make) -> None:
    """With CLIENT_IP_SOURCE none, no window of a client counts, and the other windows do."""
    world = make(ip=None, limits=Limits(ip_hour=1, ip_day=1, guesses=1, refused=1, range_hour=4))
    world.outbox.refuse = [InvalidPhone(), InvalidPhone()]
    outcomes = [world.call("getSms", phone=neighbour(i).e164)["codeStr"] for i in range(7)]
    assert outcomes == ["InvalidPhone"] * 2 + ["Ok"] * 4 + ["TooManyRequests"]
    for _ in range(3):
        assert world.call("login", phone=PHONE.e164, code="123456")["codeStr"] == "CodeHasExpired"
    assert not [name for name in counts(world) if name.startswith("ip:")]
