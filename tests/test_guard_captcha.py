"""When a captcha is asked for, and what a good ticket lifts, on every kind of Redis."""

import pytest

from sms_login.errors import CaptchaRequired, CountryNotAllowed, InvalidPhone, Locked, SendingPaused, TooManyRequests
from sms_login.limits.policy import Limits
from sms_login.otp.rules import Rules
from tests.testkit.limits import (
    ABROAD,
    IP,
    KEY,
    TO_MIDNIGHT,
    TOTAL,
    UNVERIFIED,
    Limit,
    Make,
    Printed,
    alerts,
    counts,
    each_unverified,
    neighbour,
    refused,
    stranger,
    totals,
    unverified,
)
from tests.testkit.world import OTHER_PHONE, PHONE, UNLIMITED


@each_unverified
def test_a_captcha_is_asked_for_once_half_of_an_unverified_budget_is_used(make: Make, limit: Limit) -> None:
    """Not before; without a ticket nothing changes, with a good one the SMS goes out."""
    world = make(limits=limit.limits(5), captcha_mode="adaptive")
    half = 3
    for i in range(half):
        assert world.get_sms(phone=limit.number(i)).request_id
    refusal = refused(world, CaptchaRequired, limit.number(half))
    assert (refusal.data, refusal.retry_after) == ({"captchaAppId": "190000"}, None)
    refused(world, CaptchaRequired, limit.number(half), ticket="bad")
    world.captchas.good = {"good"}
    assert world.get_sms(phone=limit.number(half), ticket="good").request_id
    refused(world, CaptchaRequired, limit.number(half + 1))


def test_with_the_default_limits_a_clients_eleventh_sending_of_an_hour_asks(make: Make) -> None:
    """Ten of twenty are half."""
    world = make(captcha_mode="adaptive")
    for i in range(10):
        assert world.get_sms(phone=stranger(i)).request_id
    refused(world, CaptchaRequired, stranger(10))


@pytest.mark.parametrize("limit", TOTAL, ids=lambda limit: limit.name)
def test_no_captcha_is_asked_for_because_of_a_total(make: Make, limit: Limit) -> None:
    """A total is full or it is not."""
    world = make(limits=limit.limits(4), captcha_mode="adaptive")
    for i in range(4):
        assert world.get_sms(phone=limit.number(i)).request_id
    refused(world, limit.refusal, limit.number(4))


def test_without_a_captcha_none_is_asked_for(make: Make) -> None:
    """A ticket is not looked at, and the budgets can be used to their end."""
    world = make(limits=Limits(ip_hour=4, range_hour=4))
    for i in range(4):
        assert world.get_sms(phone=neighbour(i), ticket="any").request_id
    refused(world, TooManyRequests, neighbour(4), ticket="any")
    assert world.captchas.seen == []


def test_where_logins_give_back_no_captcha_is_asked_for(make: Make) -> None:
    """It is for those who verify nothing."""
    world = make(limits=Limits(ip_hour=2, range_hour=2), captcha_mode="adaptive")
    for i in range(5):
        world.log_in(world.get_sms(phone=neighbour(i)).session_id, phone=neighbour(i))
    assert world.captchas.seen == []


@pytest.mark.parametrize("limit", [UNVERIFIED[0], UNVERIFIED[2]], ids=lambda limit: limit.name)
def test_a_good_ticket_lifts_the_hourly_limit_of_client_and_range(make: Make, limit: Limit) -> None:
    """However often."""
    world = make(limits=limit.limits(2), captcha_mode="adaptive")
    for i in range(6):
        world.captchas.good = {f"ticket-{i}"}
        assert world.get_sms(phone=limit.number(i), ticket=f"ticket-{i}").request_id
    refused(world, CaptchaRequired, limit.number(6))


@pytest.mark.parametrize("limit", [UNVERIFIED[1], *UNVERIFIED[3:], *TOTAL], ids=lambda limit: limit.name)
def test_a_good_ticket_lifts_no_other_limit(make: Make, limit: Limit) -> None:
    """Not those of a day, not a country's, and no total."""
    world = make(limits=limit.limits(2), captcha_mode="adaptive")
    world.captchas.good = {"1", "2", "3"}
    for i in range(2):
        world.get_sms(phone=limit.number(i), ticket=str(i + 1))
    assert refused(world, limit.refusal, limit.number(2), ticket="3").retry_after == limit.wait
    assert refused(world, limit.refusal, limit.number(2)).retry_after == limit.wait  # no captcha would help


def test_a_good_ticket_does_not_lift_the_numbers_own_limits(make: Make) -> None:
    """Cooldown, day and lock."""
    world = make(rules=Rules(daily=1), captcha_mode="adaptive")
    world.captchas.good = {"1", "2"}
    world.get_sms(ticket="1")
    refused(world, TooManyRequests, ticket="2")
    world.cool_down()
    refused(world, TooManyRequests, ticket="2")


def test_a_captcha_is_asked_for_where_sendsms_refused_too_much(make: Make) -> None:
    """Else one who asks for a number that cannot be sent to would shut out everybody behind their address."""
    world = make(limits=Limits(refused=1), captcha_mode="adaptive")
    world.captchas.good = {"good"}
    world.outbox.refuse = [InvalidPhone()]
    with pytest.raises(InvalidPhone):
        world.get_sms(phone=OTHER_PHONE)
    refused(world, CaptchaRequired)
    assert world.get_sms(ticket="good").request_id


def test_a_captcha_is_asked_for_from_a_numbers_third_sending_of_the_day(make: Make) -> None:
    """Also in its session, and after a login; the next day begins anew."""
    world = make(limits=UNLIMITED, captcha_mode="adaptive")
    session = world.get_sms().session_id
    world.cool_down()
    world.get_sms(session)
    world.cool_down()
    refused(world, CaptchaRequired, session=session)
    world.log_in(session)
    refused(world, CaptchaRequired)
    world.captchas.good = {"good"}
    assert world.get_sms(ticket="good").request_id
    world.cool_down()
    refused(world, CaptchaRequired)
    assert world.get_sms(phone=OTHER_PHONE).request_id
    world.wait(TO_MIDNIGHT)
    assert world.get_sms().request_id


def test_a_sending_that_was_refused_is_not_one_of_the_two(make: Make) -> None:
    """It cost the number nothing."""
    world = make(limits=UNLIMITED, captcha_mode="adaptive")
    for _ in range(3):
        world.outbox.refuse = [InvalidPhone()]
        with pytest.raises(InvalidPhone):
            world.get_sms()
    assert world.get_sms().request_id


def test_a_ticket_where_none_is_asked_for_is_not_looked_at(make: Make) -> None:
    """The SMS goes out all the same, and a good one is kept for when it is needed."""
    world = make(captcha_mode="adaptive")
    world.captchas.good = {"good"}
    assert world.get_sms(ticket="bad").request_id
    assert world.get_sms(phone=OTHER_PHONE, ticket="good").request_id
    assert world.captchas.seen == []


@each_unverified
def test_a_captcha_is_asked_for_where_others_use_the_half_after_the_look(make: Make, limit: Limit) -> None:
    """Two look at once, and both see room: the second to take gets no SMS, and keeps nothing."""
    world = make(limits=limit.limits(2), captcha_mode="adaptive")
    world.between_check_and_reserve(lambda: world.get_sms(phone=limit.number(0)))
    with pytest.raises(CaptchaRequired) as refusal:
        world.get_sms(phone=limit.number(1))
    assert refusal.value.data == {"captchaAppId": "190000"}
    assert counts(world) == unverified(limit.number(0)) + totals(limit.number(0))
    assert len(world.outbox.sent) == 1


def test_a_ticket_passes_once(make: Make) -> None:
    """One captcha is one SMS."""
    world = make(captcha_mode="always")
    world.captchas.good = {"good"}
    assert world.get_sms(ticket="good").request_id
    refused(world, CaptchaRequired, OTHER_PHONE, ticket="good")


def test_always_asks_every_time(make: Make) -> None:
    """From the first sending on, and for a resend."""
    world = make(captcha_mode="always")
    world.captchas.good = {"1", "2"}
    refused(world, CaptchaRequired)
    assert world.captchas.seen == []
    session = world.get_sms(ticket="1").session_id
    assert world.captchas.seen == [("1", "randstr", IP)]
    world.cool_down()
    refused(world, CaptchaRequired, session=session)
    assert world.get_sms(session, ticket="2").session_id == session


def test_the_log_says_what_became_of_a_ticket(make: Make, printed: Printed) -> None:
    """That it passed, or why it did not; nothing where there was none."""
    world = make(captcha_mode="always")
    world.captchas.good = {"good"}
    for solved in (
        {"captchaTicket": "good", "captchaRandstr": "r"},
        {"captchaTicket": "bad", "captchaRandstr": "r"},
        {},
    ):
        world.call("getSms", phone=PHONE.e164, **solved)
        world.cool_down()
    assert [line.get("captcha") for line in printed()] == ["passed", "code 9", None]


def test_a_captcha_service_that_is_away_is_a_bad_ticket_and_an_alert(make: Make, printed: Printed) -> None:
    """Where a ticket is asked for nothing is sent, where none is the SMS goes out."""
    world = make(limits=Limits(ip_hour=2), captcha_mode="adaptive")
    world.captchas.good, world.captchas.away = {"good"}, True
    solved = {"captchaTicket": "good", "captchaRandstr": "randstr"}
    assert world.call("getSms", phone=stranger(0).e164, **solved)["codeStr"] == "Ok"
    body = world.call("getSms", phone=stranger(1).e164, **solved)
    assert (body["errorCode"], body["codeStr"], body["data"]) == (-1302, "CaptchaRequired", {"captchaAppId": "190000"})
    assert len(world.outbox.sent) == 1
    expected = {"alert": "captcha_unavailable", "cause": "captcha: timeout, SecretKey=****"}
    assert alerts(printed()) == [expected]


def test_what_is_refused_anyway_does_not_use_a_ticket_up(make: Make) -> None:
    """A repeat, a cooldown, the number's day and its lock, the stop switch and a country come before it."""
    solved = make(captcha_mode="always", rules=Rules(daily=1))
    solved.captchas.good = {"first"}
    session = solved.get_sms(key=KEY, ticket="first").session_id
    solved.captchas.seen.clear()
    assert solved.get_sms(key=KEY, ticket="t").session_id == session
    refused(solved, TooManyRequests, ticket="t")
    solved.cool_down()
    refused(solved, TooManyRequests, ticket="t")
    solved.lock()
    refused(solved, Locked, ticket="t")
    used = make(captcha_mode="always")
    used.captchas.good = {"first"}
    used.log_in(used.get_sms(key=KEY, phone=stranger(1), ticket="first").session_id, phone=stranger(1))
    used.captchas.seen.clear()
    refused(used, TooManyRequests, stranger(1), key=KEY, ticket="t")  # no repeat: its session is over
    assert used.captchas.seen == []
    off = make(captcha_mode="always", sending=False)
    refused(off, SendingPaused, OTHER_PHONE, ticket="t")
    refused(off, SendingPaused, OTHER_PHONE)
    at_home = make(captcha_mode="always", countries=frozenset({"CN"}))
    refused(at_home, CountryNotAllowed, ABROAD, ticket="t")
    refused(at_home, CountryNotAllowed, ABROAD)
    assert solved.captchas.seen == off.captchas.seen == at_home.captchas.seen == []
