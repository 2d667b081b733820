"""The captcha on every kind of Redis: the requests that need one, and the limits that a good ticket lifts."""

import pytest

from sms_login.errors import CaptchaRequired, CountryNotAllowed, InvalidPhone, Locked, SendingPaused, TooManyRequests
from sms_login.limits.policy import Limits
from sms_login.otp.rules import Rules
from tests.testkit.cases import each_case
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
def test_a_captcha_is_required_once_half_of_an_unverified_budget_is_used(make_anew: Make, limit: Limit) -> None:
    """From half of the budget on, a request without a ticket changes nothing, and one with a good ticket is sent."""
    world = make_anew(limits=limit.limits(5), captcha_mode="adaptive")
    half = 3
    for i in range(half):
        assert world.get_sms(phone=limit.number(i)).request_id
    refusal = refused(world, CaptchaRequired, limit.number(half))
    assert (refusal.data, refusal.retry_after) == ({"captchaAppId": "190000"}, None)
    refused(world, CaptchaRequired, limit.number(half), ticket="bad")
    world.captchas.good = {"good"}
    assert world.get_sms(phone=limit.number(half), ticket="good").request_id
    refused(world, CaptchaRequired, limit.number(half + 1))


def test_with_the_default_limits_a_clients_eleventh_sending_of_an_hour_requires_a_captcha(make: Make) -> None:
    """A client may make 20 sendings an hour by default, and after half of them needs a captcha."""
    world = make(captcha_mode="adaptive")
    for i in range(10):
        assert world.get_sms(phone=stranger(i)).request_id
    refused(world, CaptchaRequired, stranger(10))


@each_case("limit", TOTAL, ids=lambda limit: limit.name)
def test_a_total_never_requires_a_captcha(make_anew: Make, limit: Limit) -> None:
    """A total lets every sending pass until it is full, and then refuses."""
    world = make_anew(limits=limit.limits(4), captcha_mode="adaptive")
    for i in range(4):
        assert world.get_sms(phone=limit.number(i)).request_id
    refused(world, limit.refusal, limit.number(4))


def test_with_captchas_off_no_captcha_is_required(make: Make) -> None:
    """With captchas off, a ticket is ignored, and the budgets can be used up."""
    world = make(limits=Limits(ip_hour=4, range_hour=4))
    for i in range(4):
        assert world.get_sms(phone=neighbour(i), ticket="any").request_id
    refused(world, TooManyRequests, neighbour(4), ticket="any")
    assert world.captchas.seen == []


def test_a_client_whose_sendings_are_verified_needs_no_captcha(make: Make) -> None:
    """A login refunds its sending, so the budgets of a client that verifies its sendings stay below half."""
    world = make(limits=Limits(ip_hour=2, range_hour=2), captcha_mode="adaptive")
    for i in range(5):
        world.log_in(world.get_sms(phone=neighbour(i)).session_id, phone=neighbour(i))
    assert world.captchas.seen == []


@each_case("limit", [UNVERIFIED[0], UNVERIFIED[2]], ids=lambda limit: limit.name)
def test_a_good_ticket_lifts_the_hourly_limit_of_client_and_range(make_anew: Make, limit: Limit) -> None:
    """Each request with a good ticket is sent, however far the hourly limit is exceeded."""
    world = make_anew(limits=limit.limits(2), captcha_mode="adaptive")
    for i in range(6):
        world.captchas.good = {f"ticket-{i}"}
        assert world.get_sms(phone=limit.number(i), ticket=f"ticket-{i}").request_id
    refused(world, CaptchaRequired, limit.number(6))


@each_case("limit", [UNVERIFIED[1], *UNVERIFIED[3:], *TOTAL], ids=lambda limit: limit.name)
def test_a_good_ticket_lifts_no_other_limit(make_anew: Make, limit: Limit) -> None:
    """A country's limit, those of a day and the totals refuse a good ticket, and never require a captcha."""
    world = make_anew(limits=limit.limits(2), captcha_mode="adaptive")
    world.captchas.good = {"1", "2", "3"}
    for i in range(2):
        world.get_sms(phone=limit.number(i), ticket=str(i + 1))
    assert refused(world, limit.refusal, limit.number(2), ticket="3").retry_after == limit.wait
    assert refused(world, limit.refusal, limit.number(2)).retry_after == limit.wait  # no captcha would help


def test_a_good_ticket_does_not_lift_the_numbers_own_limits(make: Make) -> None:
    """A number's cooldown and daily limit refuse a request with a good ticket."""
    world = make(rules=Rules(daily=1), captcha_mode="adaptive")
    world.captchas.good = {"1", "2"}
    world.get_sms(ticket="1")
    refused(world, TooManyRequests, ticket="2")
    world.cool_down()
    refused(world, TooManyRequests, ticket="2")


def test_a_client_with_too_many_numbers_that_sendsms_refused_needs_a_captcha(make: Make) -> None:
    """A captcha keeps one client with bad numbers from locking out everyone behind the same address."""
    world = make(limits=Limits(refused=1), captcha_mode="adaptive")
    world.captchas.good = {"good"}
    world.outbox.refuse = [InvalidPhone()]
    with pytest.raises(InvalidPhone):
        world.get_sms(phone=OTHER_PHONE)
    refused(world, CaptchaRequired)
    assert world.get_sms(ticket="good").request_id


def test_a_numbers_third_sending_of_the_day_requires_a_captcha(make: Make) -> None:
    """Resends count, and a login changes nothing; the next day begins anew."""
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


def test_a_sending_that_sendsms_refused_is_not_one_of_the_two_without_a_captcha(make: Make) -> None:
    """A sending that is undone does not count in the number's day."""
    world = make(limits=UNLIMITED, captcha_mode="adaptive")
    for _ in range(3):
        world.outbox.refuse = [InvalidPhone()]
        with pytest.raises(InvalidPhone):
            world.get_sms()
    assert world.get_sms().request_id


def test_a_ticket_is_not_verified_if_no_captcha_is_required(make: Make) -> None:
    """The SMS is sent with a bad ticket too, and a good ticket is not used up."""
    world = make(captcha_mode="adaptive")
    world.captchas.good = {"good"}
    assert world.get_sms(ticket="bad").request_id
    assert world.get_sms(phone=OTHER_PHONE, ticket="good").request_id
    assert world.captchas.seen == []


@each_unverified
def test_a_request_that_another_pushes_past_half_after_the_check_needs_a_captcha(make_anew: Make, limit: Limit) -> None:
    """If another request uses half of a budget after the check, the slower one is refused and its budgets refunded."""
    world = make_anew(limits=limit.limits(2), captcha_mode="adaptive")
    world.between_check_and_reserve(lambda: world.get_sms(phone=limit.number(0)))
    with pytest.raises(CaptchaRequired) as refusal:
        world.get_sms(phone=limit.number(1))
    assert refusal.value.data == {"captchaAppId": "190000"}
    assert counts(world) == unverified(limit.number(0)) + totals(limit.number(0))
    assert len(world.outbox.sent) == 1


def test_a_ticket_passes_once(make: Make) -> None:
    """One solved captcha allows one SMS."""
    world = make(captcha_mode="always")
    world.captchas.good = {"good"}
    assert world.get_sms(ticket="good").request_id
    refused(world, CaptchaRequired, OTHER_PHONE, ticket="good")


def test_mode_always_requires_a_captcha_for_every_sending(make: Make) -> None:
    """With CAPTCHA_MODE=always, the first sending needs a ticket, and so does each resend."""
    world = make(captcha_mode="always")
    world.captchas.good = {"1", "2"}
    refused(world, CaptchaRequired)
    assert world.captchas.seen == []
    session = world.get_sms(ticket="1").session_id
    assert world.captchas.seen == [("1", "randstr", IP)]
    world.cool_down()
    refused(world, CaptchaRequired, session=session)
    assert world.get_sms(session, ticket="2").session_id == session


def test_the_log_has_the_verdict_on_a_ticket(make: Make, printed: Printed) -> None:
    """The log has `captcha`: "passed", or the reason of the refusal; without a ticket, the field is missing."""
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


def test_a_captcha_service_that_fails_counts_as_a_bad_ticket_and_raises_an_alert(make: Make, printed: Printed) -> None:
    """If the captcha service fails, a request is refused if it needs a captcha, and sent if it does not."""
    world = make(limits=Limits(ip_hour=2), captcha_mode="adaptive")
    world.captchas.good, world.captchas.away = {"good"}, True
    solved = {"captchaTicket": "good", "captchaRandstr": "randstr"}
    assert world.call("getSms", phone=stranger(0).e164, **solved)["codeStr"] == "Ok"
    body = world.call("getSms", phone=stranger(1).e164, **solved)
    assert (body["errorCode"], body["codeStr"], body["data"]) == (-1302, "CaptchaRequired", {"captchaAppId": "190000"})
    assert len(world.outbox.sent) == 1
    expected = {"alert": "captcha_unavailable", "cause": "captcha: timeout, SecretKey=****"}
    assert alerts(printed()) == [expected]


def test_a_request_that_is_refused_for_another_reason_does_not_use_its_ticket_up(make: Make) -> None:
    """Repeat, cooldown, daily limit, lock, stop switch and country are decided before the ticket is verified."""
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
    session = used.get_sms(key=KEY, phone=stranger(1), ticket="first").session_id
    used.log_in(session, phone=stranger(1))
    used.captchas.seen.clear()
    assert used.get_sms(key=KEY, phone=stranger(1), ticket="t").session_id == session
    refused(used, TooManyRequests, stranger(1), ticket="t")
    assert used.captchas.seen == []
    off = make(captcha_mode="always", sending=False)
    refused(off, SendingPaused, OTHER_PHONE, ticket="t")
    refused(off, SendingPaused, OTHER_PHONE)
    at_home = make(captcha_mode="always", countries=frozenset({"CN"}))
    refused(at_home, CountryNotAllowed, ABROAD, ticket="t")
    refused(at_home, CountryNotAllowed, ABROAD)
    assert solved.captchas.seen == off.captchas.seen == at_home.captchas.seen == []
