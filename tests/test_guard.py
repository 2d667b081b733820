"""The guard's decisions on every kind of Redis: budgets, limits, the stop switch and the countries."""

import pytest

from sms_login.errors import CountryNotAllowed, InvalidPhone, Locked, SendingPaused, TooManyRequests
from sms_login.limits.policy import Limits
from sms_login.otp.rules import Rules
from sms_login.phone import Phone
from tests.testkit.limits import (
    ABROAD,
    IP,
    KEY,
    OTHER_IP,
    TO_MIDNIGHT,
    TO_THE_HOUR,
    Limit,
    Make,
    Printed,
    abroad,
    alerts,
    counts,
    each_limit,
    neighbour,
    refused,
    stranger,
    totals,
    unverified,
)
from tests.testkit.world import OTHER_PHONE, PHONE

# Budgets and limits.


@pytest.mark.parametrize("phone", [PHONE, ABROAD], ids=["home", "abroad"])
def test_a_sending_counts_for_its_client_its_range_its_country_and_in_total(make: Make, phone: Phone) -> None:
    """A sending reserves one in each budget of its client, its range and its country; the home country has none."""
    world = make()
    world.get_sms(phone=phone)
    assert counts(world) == unverified(phone) + totals(phone)


@each_limit
def test_a_used_up_budget_refuses_until_its_window_ends(make_anew: Make, limit: Limit) -> None:
    """A refusal changes nothing, and its Retry-After ends at the full hour or at midnight in China, to the second."""
    world = make_anew(limits=limit.limits(2))
    for i in range(2):
        world.get_sms(phone=limit.number(i))
    for _ in range(2):
        assert refused(world, limit.refusal, limit.number(2)).retry_after == limit.wait
    world.wait(limit.wait - 5)  # s of slack: a real Redis also counts the test's own running time
    assert refused(world, limit.refusal, limit.number(2)).retry_after == 5
    world.wait(5)
    assert world.get_sms(phone=limit.number(2)).request_id


def test_a_client_with_too_many_numbers_that_sendsms_refused_is_refused(make: Make) -> None:
    """A client that tries numbers out is refused until the hour ends, and other clients are served."""
    world = make(limits=Limits(refused=2))
    for refusal in (InvalidPhone(), TooManyRequests()):
        world.outbox.refuse = [refusal]
        with pytest.raises(type(refusal)):
            world.get_sms()
    assert refused(world, TooManyRequests).retry_after == TO_THE_HOUR
    world.ip = OTHER_IP
    assert world.get_sms().request_id
    world.ip = IP
    world.wait(TO_THE_HOUR)
    assert world.get_sms(phone=OTHER_PHONE).request_id


def test_a_used_up_budget_refuses_no_other_client_range_or_country(make: Make) -> None:
    """A sending goes out if none of its own budgets is used up."""
    world = make(limits=Limits(ip_hour=2, range_hour=1, country_hour=1))
    world.get_sms(phone=neighbour(0))
    refused(world, TooManyRequests, neighbour(1))
    world.get_sms(phone=stranger(0))
    refused(world, TooManyRequests, stranger(1))
    world.ip = OTHER_IP
    world.get_sms(phone=abroad(0))
    refused(world, TooManyRequests, abroad(1))
    assert world.get_sms(phone=stranger(1)).request_id


def test_of_several_used_up_budgets_the_last_to_end_sets_retry_after(make: Make) -> None:
    """A caller that waits for Retry-After is served; the log names the kinds of the budgets, and no number."""
    world = make(limits=Limits(range_hour=1, country_total=1))
    world.get_sms(phone=ABROAD)
    refusal = refused(world, TooManyRequests, Phone.parse("+447400123457", "CN"))
    assert (refusal.retry_after, refusal.detail) == (TO_MIDNIGHT, "budget: range, country")
    world = make(limits=Limits(range_hour=1, total=1))
    refusal = refused(world, SendingPaused, Phone.parse("+447400123457", "CN"))
    assert (refusal.retry_after, refusal.detail) == (TO_MIDNIGHT, "budget: range, all")


def test_a_request_that_one_budget_refuses_reserves_nothing_in_the_others(
    make: Make,
) -> None:
    """A refused request reserves nothing, not even for a moment, so a flood of refused requests uses up no budget."""
    world = make(limits=Limits(ip_hour=1))
    world.get_sms(phone=stranger(0))
    batches = world.redis.batches
    batches.clear()
    refused(world, TooManyRequests, stranger(1))
    assert batches == [["check issue", *["check reserve"] * 3]]
    world.ip = OTHER_IP
    world.get_sms(phone=abroad(1))
    assert batches[-1] == [*["reserve"] * 4, "issue"]


@each_limit
def test_a_request_that_loses_the_last_place_between_check_and_reserve_refunds_the_rest(
    make_anew: Make, printed: Printed, limit: Limit
) -> None:
    """If another request reaches a limit after the check, the slower one is refused and refunds its other budgets."""
    world = make_anew(limits=limit.limits(1))
    world.between_check_and_reserve(lambda: world.get_sms(phone=limit.number(0)))
    body = world.call("getSms", phone=limit.number(1).e164)
    assert (body["codeStr"], body["retryAfter"]) == (limit.refusal.name, limit.wait)
    assert counts(world) == unverified(limit.number(0)) + totals(limit.number(0))
    assert len(world.outbox.sent) == 1
    assert "budgets_not_corrected" not in {alert["alert"] for alert in alerts(printed())}


def test_a_repeat_reserves_nothing(make: Make) -> None:
    """A repeat under one Idempotency-Key reserves nothing, and is answered even if every budget is used up."""
    world = make(limits=Limits(*[1] * len(Limits.__struct_fields__)))
    session = world.get_sms(key=KEY).session_id
    before = counts(world)
    assert world.get_sms(key=KEY).session_id == session
    assert counts(world) == before == unverified() + totals()


def test_a_cooldown_a_daily_limit_and_a_lock_reserve_nothing(make: Make) -> None:
    """A request that its number's cooldown, daily limit or lock refuses leaves the budgets as they were."""
    world = make(rules=Rules(daily=1))
    world.get_sms()
    refused(world, TooManyRequests)
    world.cool_down()
    refused(world, TooManyRequests)
    world.lock(OTHER_PHONE)
    refused(world, Locked, OTHER_PHONE)


def test_a_request_that_another_overtakes_refunds_its_reservation(make: Make) -> None:
    """Of two requests for a number at once, the cooldown refuses the slower one after it has reserved its budgets."""
    world = make()
    world.between_check_and_reserve(world.get_sms)
    with pytest.raises(TooManyRequests) as cooldown:
        world.get_sms()
    assert cooldown.value.retry_after == world.rules.cooldown
    assert counts(world) == unverified() + totals()
    assert len(world.outbox.sent) == 1


def test_two_requests_at_once_under_one_key_send_one_sms(make: Make) -> None:
    """Two simultaneous requests with one Idempotency-Key get the sessionId of one SMS, which is counted once."""
    world = make()
    sessions: list[str] = []
    world.between_check_and_reserve(lambda: sessions.append(world.get_sms(key=KEY).session_id))
    assert [world.get_sms(key=KEY).session_id] == sessions
    assert counts(world) == unverified() + totals()
    assert len(world.outbox.sent) == 1


# Stop switch and countries.


def test_the_stop_switch_sends_nothing_and_counts_nothing(make: Make) -> None:
    """With sending off, getSms is refused without a Retry-After, and a repeat of an earlier one is still answered."""
    session = make().get_sms(key=KEY)
    code = make().outbox
    world = make(sending=False)
    assert refused(world, SendingPaused, OTHER_PHONE).retry_after is None
    assert world.get_sms(key=KEY).session_id == session.session_id
    assert code.sent == []


def test_a_code_that_was_sent_works_while_sending_is_off(make: Make) -> None:
    """With sending off, a code that was sent before signs its user in, and the login refunds its sending."""
    on = make()
    session = on.get_sms().session_id
    off = make(sending=False)
    assert off.log_in(session, on.outbox.code).token
    assert counts(off) == totals()


def test_a_country_that_is_not_allowed_is_refused(make: Make) -> None:
    """A number of a country that is not listed is refused, and nothing is counted for it."""
    world = make(countries=frozenset({"CN"}))
    refused(world, CountryNotAllowed, ABROAD)
    assert world.get_sms().request_id
    assert make(countries=frozenset({"CN", "GB"})).get_sms(phone=ABROAD).request_id


@pytest.mark.parametrize("countries", [None, frozenset({"CN", "GB"})], ids=["all", "listed"])
def test_a_country_without_a_template_is_refused(make: Make, countries: frozenset[str] | None) -> None:
    """Without an international template, only mainland China gets messages, with any countries allowed."""
    world = make(countries=countries, abroad=False)
    refused(world, CountryNotAllowed, ABROAD)
    refused(world, CountryNotAllowed, Phone.parse("+85261234567", "CN"))  # Hong Kong has no mainland template
    assert world.get_sms().request_id


# The daily budget.


def test_the_daily_budget_raises_one_alert_at_80_and_one_at_100_percent(make: Make, printed: Printed) -> None:
    """The daily budget alerts once at 80 % and once at 100 %; then sending pauses without further alerts."""
    world = make(limits=Limits(total=10))
    when = []
    for i in range(12):
        outcome = world.call("getSms", phone=stranger(i).e164)["codeStr"]
        when += [(i + 1, alert["alert"], alert["percent"]) for alert in alerts(printed())]
        assert outcome == ("Ok" if i < 10 else "SendingPaused")
    assert when == [(8, "daily_budget", 80), (10, "daily_budget", 100)]


@pytest.mark.parametrize(("total", "when"), [(1, [1, 1]), (2, [2, 2]), (5, [4, 5]), (7, [6, 7])], ids=str)
def test_a_small_daily_budget_raises_both_alerts(make: Make, printed: Printed, total: int, when: list[int]) -> None:
    """The first sending that reaches 80 % or 100 % of the daily budget raises the alert, or both alerts."""
    world = make(limits=Limits(total=total))
    seen = []
    for i in range(total):
        world.call("getSms", phone=stranger(i).e164)
        seen += [i + 1 for _ in alerts(printed())]
    assert seen == when


def test_a_large_daily_budget_raises_its_alerts_at_the_exact_sending(make: Make, printed: Printed) -> None:
    """Of 1,000 sendings, the 800th and the 1,000th raise an alert, and the sendings around them do not."""
    world = make(limits=Limits(total=1000))
    when = []
    for i, sent in enumerate((792, 798, 799, 800, 990, 999)):
        world.backend.client.set("budget:{all}:total:20261121", sent, px=60_000)
        assert world.call("getSms", phone=stranger(i).e164)["codeStr"] == "Ok"
        when += [(sent + 1, alert["percent"]) for alert in alerts(printed())]
    assert when == [(800, 80), (1000, 100)]
