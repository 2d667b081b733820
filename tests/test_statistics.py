"""The hourly counts in Redis: what each request counts, with which batch it travels, and what is lost."""

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import pytest
import time_machine

from benchmarks.wire import Wire
from sms_login import statistics
from sms_login.adapters.redis import statistics as redis_statistics
from sms_login.adapters.redis.client import RedisCall, connect
from sms_login.adapters.redis.statistics import stats_key
from sms_login.errors import SendFailed, SendUnknown, ServiceUnavailable, UserStoreFailed
from sms_login.statistics import OTHER, Statistics
from tests.test_round_trips import TRIPS
from tests.testkit.backends import Backend
from tests.testkit.devices import Device
from tests.testkit.limits import KEY, Make
from tests.testkit.relay import Relay
from tests.testkit.servers import RedisServer
from tests.testkit.world import OTHER_PHONE, PHONE, REVIEW_CODE, REVIEW_PHONE, World

ABROAD = "+447400123456"


@pytest.fixture
def counted(make: Make) -> World:
    """A login service that counts, for mainland China and with captchas."""
    return make(statistics=True, countries=frozenset({"CN"}), captcha_mode="always")


def get_sms(world: World, phone: str = PHONE.e164, **params: str) -> str:
    """Ask for a code with a good captcha ticket; return the outcome."""
    world.captchas.good.add("ticket")
    return str(world.call("getSms", phone=phone, captchaTicket="ticket", captchaRandstr="r", **params)["codeStr"])


def test_each_outcome_of_a_sending_is_counted(counted: World) -> None:
    """Requests, refusals by reason, captchas, messages and repeats are counted by country; test numbers are not."""
    assert counted.call("getSms", phone=PHONE.e164)["codeStr"] == "CaptchaRequired"
    assert get_sms(counted) == "Ok"
    assert get_sms(counted) == "TooManyRequests"
    counted.cool_down()
    counted.captchas.good.add("ticket")
    captcha = {"captchaTicket": "ticket", "captchaRandstr": "r"}
    for _ in range(2):
        answer = counted.call("getSms", {"Idempotency-Key": KEY}, phone=PHONE.e164, **captcha)
        assert answer["codeStr"] == "Ok"
    counted.cool_down()
    counted.outbox.refuse += [SendFailed("reason"), SendUnknown("timeout")]
    assert [get_sms(counted) for _ in range(2)] == ["SendFailed", "SendUnknown"]
    assert get_sms(counted, ABROAD) == "CountryNotAllowed"
    assert get_sms(counted, "123") == "InvalidPhone"
    assert counted.call("getSms", phone=REVIEW_PHONE.e164)["codeStr"] == "Ok"
    assert counted.call("login", phone=REVIEW_PHONE.e164, code=REVIEW_CODE)["codeStr"] == "Success"
    assert counted.statistics_of() == {
        "asked": 7,
        "captcha": 4,  # at the second request of a key, no captcha is asked for
        "sent": 2,
        "fee": 2,
        "repeated": 1,
        "refused:CaptchaRequired": 1,
        "refused:TooManyRequests": 1,
        "refused:SendFailed": 1,
        "refused:SendUnknown": 1,
    }
    assert counted.statistics_of(OTHER) == {"asked": 2, "refused:CountryNotAllowed": 1, "refused:InvalidPhone": 1}


def test_codes_are_counted_by_their_use_and_time(make: Make) -> None:
    """Wrong codes, logins, sign-ups and deletions are counted, with the seconds since the sending; repeats once."""
    world = make(statistics=True)
    session = world.get_sms().session_id
    world.wait(11)
    assert world.call("login", phone=PHONE.e164, code=world.wrong, sessionId=session)["codeStr"] == "CodeIsError"
    for _ in range(2):
        login = {"phone": PHONE.e164, "code": world.outbox.code, "sessionId": session}
        token = world.call("login", {"Idempotency-Key": KEY}, **login)["data"]["token"]
    world.cool_down()
    session = world.get_sms().session_id
    world.cool_down()
    world.get_sms(session)  # the code is sent again
    world.wait(3)
    spends = {"token": token, "code": world.outbox.code, "sessionId": session}
    assert world.call("deleteAccount", **spends)["codeStr"] == "Success"
    expected = {"wrong": 1, "signed_up": 1, "verified:login": 1, "seconds:20": 1}
    assert world.statistics_of() == {**expected, "verified:deleteAccount": 1, "seconds:5": 1}


def test_an_hour_is_a_key_that_is_kept_for_90_days(make: Make) -> None:
    """Each hour has one key, which expires; without the setting there is none."""
    for on, keys in ((False, 0), (True, 2)):
        world = make(statistics=on)
        for phone in (PHONE, OTHER_PHONE):
            world.call("getSms", phone=phone.e164)
            world.wait(3600)
        world.statistics_of()
        kept = [ms for key, ms in world.backend.expiries().items() if key.startswith("stats:")]
        assert len(kept) == keys
        assert all(0 < ms <= 90 * 86_400_000 for ms in kept)
        world.wait(86_400)


def test_counts_travel_with_batches_that_go_anyway(
    redis_server: RedisServer, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request makes a round trip more, even if counts wait at each; a login's own count travels with its session."""
    monkeypatch.setattr(redis_statistics, "_IN", 0.0)
    with Wire(redis_server.port) as wire, closing(connect("127.0.0.1", wire.port)) as client:
        world = World(Backend(client), clock, statistics=True)
        client.flushall()
        device = Device(world)
        world.cool_down()
        session: str | None = None

        def log_in() -> None:
            world.call("login", phone=PHONE.e164, code=world.outbox.code, sessionId=session)
            # It has travelled with the session: an instance that ends now takes no login along.
            assert world.backend.client.hget(stats_key(hour(world)), "CN:verified:login") == "2"

        calls: dict[str, Callable[[], object]] = {
            "getSms": lambda: world.call("getSms", phone=PHONE.e164),
            "login": log_in,
            "getUserInfo": lambda: world.call("getUserInfo", token=device.token),
            "health": lambda: world.call("health"),
        }
        for method, call in calls.items():
            session = world.latest()
            world.counts.count("CN", {"asked": 1})
            wire.count()
            call()
            assert wire.count() - (method == "login") == TRIPS[method], method


def hour(world: World) -> str:
    """Return the present hour of a world."""
    return world.sender.calendar.now().hour.name


def test_a_busy_instance_writes_its_counts_together(make: Make) -> None:
    """An instance adds at most two calls to its batches in a second, and none if nothing waits."""
    world, ridden = make(statistics=True), list[int]()
    riders = world.redis.riders

    def counted() -> Sequence[RedisCall[Any]]:
        ridden.append(len(found := riders()))
        return found

    world.redis.riders = counted
    for _ in range(50):
        world.counts.count("CN", {"asked": 1})
        world.redis.check()
    assert sum(ridden) == 2
    assert world.statistics_of() == {"asked": 50}
    ridden.clear()
    world.redis.check()
    assert ridden == [0]


def test_a_login_that_fails_is_taken_back(make: Make) -> None:
    """A right code counts once, also if the user could not be signed in at the first try."""
    world = make(statistics=True)
    session = world.get_sms().session_id
    for arrives in (True, False):
        with world.redis.losing("begin_session", arrives=arrives), pytest.raises(UserStoreFailed):
            world.log_in(session)
    assert world.statistics_of() == {}
    world.log_in(session)
    assert world.statistics_of() == {"verified:login": 1, "seconds:5": 1}


def test_a_lost_write_makes_no_sum_too_high(
    redis_server: RedisServer, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts whose write has no answer are not written again, but corrections are: a sum may be too low."""
    monkeypatch.setattr(redis_statistics, "_IN", 0.0)
    relay = Relay(redis_server.port)
    with closing(relay), closing(connect("127.0.0.1", relay.port)) as client:
        world = World(Backend(client), clock, statistics=True)
        client.flushall()
        world.counts.count("CN", {"sent": 5, "asked": 5})
        assert world.statistics_of() == {"sent": 5, "asked": 5}

        world.counts.count("CN", {"asked": 1, "sent": -1})
        relay.cut_after("requests", 0)
        with pytest.raises(ServiceUnavailable):
            world.redis.check()
        assert world.statistics_of() == {"sent": 4, "asked": 5}


def test_corrupt_counts_fail_no_request(make: Make) -> None:
    """Where the key of the hour is of another type, requests are answered all the same."""
    world = make(statistics=True)
    world.backend.client.set(stats_key(hour(world)), "x")
    for phone in (PHONE, OTHER_PHONE):
        assert world.call("getSms", phone=phone.e164)["codeStr"] == "Ok"
    login = {"phone": OTHER_PHONE.e164, "code": world.outbox.code}
    assert world.call("login", **login)["codeStr"] == "Success"


def test_countries_are_bounded() -> None:
    """Only countries that are allowed have counts of their own."""
    for countries, expected in ((frozenset({"CN", "GB"}), {"CN", "GB", OTHER}), (None, {"CN", "GB", "US", OTHER})):
        counts = Statistics(countries, on=True)
        for country in ("CN", "GB", "US", ""):
            counts.count(country, {"asked": 1})
        [taken] = counts.take().values()
        assert {name.partition(":")[0] for name in taken} == expected
    assert statistics.seconds(10_001) == "seconds:20"
