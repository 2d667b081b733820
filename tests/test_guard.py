"""What may be sent: what a sending takes, each limit, the stop switch, and the countries, on every kind of Redis."""

from collections.abc import Sequence

import pytest

from sms_login.errors import CountryNotAllowed, InvalidPhone, Locked, SendingPaused, TooManyRequests
from sms_login.limits.policy import Limits
from sms_login.limits.store import Reserved, Subject
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

# What a sending takes, and what a limit says.


@pytest.mark.parametrize("phone", [PHONE, ABROAD], ids=["home", "abroad"])
def test_a_sending_is_counted_for_client_range_country_and_everything(make: Make, phone: Phone) -> None:
    """The home country has no limits of its own, so nothing is counted for it."""
    world = make()
    world.get_sms(phone=phone)
    assert counts(world) == unverified(phone) + totals(phone)


@each_limit
def test_a_spent_limit_refuses_changes_nothing_and_ends_when_it_says(make: Make, limit: Limit) -> None:
    """Hours are full hours and days end at midnight in China, to the second."""
    world = make(limits=limit.limits(2))
    for i in range(2):
        world.get_sms(phone=limit.number(i))
    for _ in range(2):
        assert refused(world, limit.refusal, limit.number(2)).retry_after == limit.wait
    world.wait(limit.wait - 5)  # s that a busy machine may take until the next line: a real Redis counts them too
    assert refused(world, limit.refusal, limit.number(2)).retry_after == 5
    world.wait(5)
    assert world.get_sms(phone=limit.number(2)).request_id


def test_a_client_for_whom_sendsms_refused_too_much_is_refused(make: Make) -> None:
    """Until the hour ends; trying numbers out is not for nothing."""
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


def test_a_limit_of_one_client_range_or_country_is_not_anothers(make: Make) -> None:
    """Whoever shares nothing with what is spent is served."""
    world = make(limits=Limits(ip_hour=2, range_hour=1, country_hour=1))
    world.get_sms(phone=neighbour(0))
    refused(world, TooManyRequests, neighbour(1))
    world.get_sms(phone=stranger(0))
    refused(world, TooManyRequests, stranger(1))
    world.ip = OTHER_IP
    world.get_sms(phone=abroad(0))
    refused(world, TooManyRequests, abroad(1))
    assert world.get_sms(phone=stranger(1)).request_id


def test_of_several_spent_limits_the_last_to_end_counts(make: Make) -> None:
    """Whoever waits as long as they are told gets through; the log names the budgets, and no number."""
    world = make(limits=Limits(range_hour=1, country_total=1))
    world.get_sms(phone=ABROAD)
    refusal = refused(world, TooManyRequests, Phone.parse("+447400123457", "CN"))
    assert (refusal.retry_after, refusal.detail) == (TO_MIDNIGHT, "budget: range, country")
    world = make(limits=Limits(range_hour=1, total=1))
    refusal = refused(world, SendingPaused, Phone.parse("+447400123457", "CN"))
    assert (refusal.retry_after, refusal.detail) == (TO_MIDNIGHT, "budget: range, all")


def test_what_one_budget_refuses_does_not_touch_the_others(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even for the moment until it is given back: a flood of refused requests must not close what it meets."""
    world = make(limits=Limits(ip_hour=1))
    world.get_sms(phone=stranger(0))
    reserved: list[Sequence[Subject]] = []
    reserve = world.limit_store.reserve

    def seen(subjects: Sequence[Subject], *, captcha_passed: bool = False) -> Sequence[Reserved]:
        reserved.append(subjects)
        return reserve(subjects, captcha_passed=captcha_passed)

    monkeypatch.setattr(world.limit_store, "reserve", seen)
    refused(world, TooManyRequests, stranger(1))
    assert reserved == []
    world.ip = OTHER_IP
    world.get_sms(phone=abroad(1))
    assert len(reserved) == 1


@each_limit
def test_a_limit_that_others_reach_after_the_look_refuses_and_keeps_nothing(
    make: Make, printed: Printed, limit: Limit
) -> None:
    """Two look at once, and both see room: what the second has taken from other budgets it gives back."""
    world = make(limits=limit.limits(1))
    world.between_check_and_reserve(lambda: world.get_sms(phone=limit.number(0)))
    body = world.call("getSms", phone=limit.number(1).e164)
    assert (body["codeStr"], body["retryAfter"]) == (limit.refusal.name, limit.wait)
    assert counts(world) == unverified(limit.number(0)) + totals(limit.number(0))
    assert len(world.outbox.sent) == 1
    assert "budgets_not_corrected" not in {alert["alert"] for alert in alerts(printed())}


def test_a_repeat_takes_nothing(make: Make) -> None:
    """It sends nothing, also where every budget is spent."""
    world = make(limits=Limits(*[1] * len(Limits.__struct_fields__)))
    session = world.get_sms(key=KEY).session_id
    before = counts(world)
    assert world.get_sms(key=KEY).session_id == session
    assert counts(world) == before == unverified() + totals()


def test_a_cooldown_takes_nothing(make: Make) -> None:
    """Neither does what the number's own day or lock refuses."""
    world = make(rules=Rules(daily=1))
    world.get_sms()
    refused(world, TooManyRequests)
    world.cool_down()
    refused(world, TooManyRequests)
    world.lock(OTHER_PHONE)
    refused(world, Locked, OTHER_PHONE)


def test_somebody_who_is_faster_costs_nothing(make: Make) -> None:
    """Two ask at once, and the second is stopped by the number's cooldown with its budgets already taken."""
    world = make()
    world.between_check_and_reserve(world.get_sms)
    with pytest.raises(TooManyRequests) as cooldown:
        world.get_sms()
    assert cooldown.value.retry_after == world.rules.cooldown
    assert counts(world) == unverified() + totals()
    assert len(world.outbox.sent) == 1


def test_a_repeat_whose_first_is_faster_is_one_all_the_same(make: Make) -> None:
    """Two ask at once under one key: both are told of the one SMS, which is counted once."""
    world = make()
    sessions: list[str] = []
    world.between_check_and_reserve(lambda: sessions.append(world.get_sms(key=KEY).session_id))
    assert [world.get_sms(key=KEY).session_id] == sessions
    assert counts(world) == unverified() + totals()
    assert len(world.outbox.sent) == 1


# Stop switch and countries.


def test_the_stop_switch_sends_nothing_and_counts_nothing(make: Make) -> None:
    """Nobody can tell when it ends; codes on their way still work, and a repeat is still answered."""
    session = make().get_sms(key=KEY)
    code = make().outbox
    world = make(sending=False)
    assert refused(world, SendingPaused, OTHER_PHONE).retry_after is None
    assert world.get_sms(key=KEY).session_id == session.session_id
    assert code.sent == []


def test_a_code_that_is_on_its_way_works_while_sending_is_off(make: Make) -> None:
    """The login gives back what its sending took."""
    on = make()
    session = on.get_sms().session_id
    off = make(sending=False)
    assert off.log_in(session, on.outbox.code).token
    assert counts(off) == totals()


def test_a_country_that_is_not_allowed_is_refused(make: Make) -> None:
    """By the number, and nothing is counted for it."""
    world = make(countries=frozenset({"CN"}))
    refused(world, CountryNotAllowed, ABROAD)
    assert world.get_sms().request_id
    assert make(countries=frozenset({"CN", "GB"})).get_sms(phone=ABROAD).request_id


@pytest.mark.parametrize("countries", [None, frozenset({"CN", "GB"})], ids=["all", "listed"])
def test_a_country_without_a_template_is_refused(make: Make, countries: frozenset[str] | None) -> None:
    """Without an international template only the mainland gets messages, whatever countries are allowed."""
    world = make(countries=countries, abroad=False)
    refused(world, CountryNotAllowed, ABROAD)
    refused(world, CountryNotAllowed, Phone.parse("+85261234567", "CN"))  # Hong Kong has no mainland template
    assert world.get_sms().request_id


# The day's budget.


def test_the_days_budget_is_alerted_at_80_and_at_100_percent_once_each(make: Make, printed: Printed) -> None:
    """Then sending pauses until midnight, which is no further alert."""
    world = make(limits=Limits(total=10))
    when = []
    for i in range(12):
        outcome = world.call("getSms", phone=stranger(i).e164)["codeStr"]
        when += [(i + 1, alert["alert"], alert["percent"]) for alert in alerts(printed())]
        assert outcome == ("Ok" if i < 10 else "SendingPaused")
    assert when == [(8, "daily_budget", 80), (10, "daily_budget", 100)]


@pytest.mark.parametrize(("total", "when"), [(1, [1, 1]), (2, [2, 2]), (5, [4, 5]), (7, [6, 7])], ids=str)
def test_a_small_budget_has_both_alerts_too(make: Make, printed: Printed, total: int, when: list[int]) -> None:
    """At the first sending with which the share is reached."""
    world = make(limits=Limits(total=total))
    seen = []
    for i in range(total):
        world.call("getSms", phone=stranger(i).e164)
        seen += [i + 1 for _ in alerts(printed())]
    assert seen == when


def test_a_large_budget_has_its_alerts_to_the_sending(make: Make, printed: Printed) -> None:
    """The 800th and the 1,000th of a thousand, and none that is near."""
    world = make(limits=Limits(total=1000))
    when = []
    for i, sent in enumerate((792, 798, 799, 800, 990, 999)):
        world.backend.client.set("budget:{all}:total:20261121", sent, px=60_000)
        assert world.call("getSms", phone=stranger(i).e164)["codeStr"] == "Ok"
        when += [(sent + 1, alert["percent"]) for alert in alerts(printed())]
    assert when == [(800, 80), (1000, 100)]
