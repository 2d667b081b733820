"""Refunds of reservations, after a login and after a sending that fails, on every kind of Redis."""

from collections import Counter

import pytest

from sms_login.errors import (
    CodeHasValid,
    InvalidPhone,
    SendFailed,
    SendUnknown,
    ServiceUnavailable,
    TooManyRequests,
    UserStoreFailed,
)
from sms_login.limits.policy import Limits
from sms_login.periods import Calendar
from sms_login.phone import Phone
from tests.testkit.limits import (
    ABROAD,
    IP,
    KEY,
    OTHER_IP,
    TO_MIDNIGHT,
    TO_THE_HOUR,
    Make,
    counts,
    down,
    neighbour,
    totals,
    unverified,
)
from tests.testkit.world import OTHER_PHONE, PHONE

# Refunds after a login.


@pytest.mark.parametrize("phone", [PHONE, ABROAD], ids=["home", "abroad"])
def test_a_login_refunds_the_client_of_the_sending(make: Make, phone: Phone) -> None:
    """A login from any client refunds the sending's own client; the totals and the reservations of others stay."""
    world = make()
    world.get_sms(phone=neighbour(1))
    others = counts(world)
    for ip in (IP, OTHER_IP, None):
        world.ip = IP
        session_id = world.get_sms(phone=phone).session_id
        world.ip = ip
        world.log_in(session_id, phone=phone)
        others += totals(phone)
        assert counts(world) == others
        world.cool_down()


def test_a_count_of_the_home_country_is_left_alone(make: Make) -> None:
    """The home country has no limits, so counts that another DEFAULT_COUNTRY left there are not refunded."""
    world = make()
    for window in (f"hour:{Calendar(8).now().hour.name}", f"total:{Calendar(8).now().day.name}"):
        world.backend.client.set(f"budget:{{country:CN}}:{window}", 5, px=60_000)
    left = Counter({"country:CN hour": 5, "country:CN total": 5})
    world.outbox.refuse = [InvalidPhone()]
    with pytest.raises(InvalidPhone):
        world.get_sms()
    assert counts(world) - left == Counter([f"ip:{IP} refused"])
    world.log_in(world.get_sms().session_id)
    assert counts(world) == left + totals() + Counter([f"ip:{IP} refused"])


def test_a_login_without_a_session_id_refunds_too(make: Make) -> None:
    """Such a login redeems the number's latest challenge."""
    world = make()
    world.get_sms()
    world.log_in(None)
    assert counts(world) == totals()


def test_a_login_refunds_once(make: Make) -> None:
    """A repeat of the login under its key refunds none of the reservations that others have made since."""
    world = make()
    session_id = world.get_sms().session_id
    code = world.outbox.code
    world.get_sms(phone=neighbour(0))
    world.get_sms(phone=neighbour(1))
    others = unverified(neighbour(0)) + unverified(neighbour(1)) + totals(neighbour(0)) + totals(neighbour(1))
    for _ in range(3):
        world.log_in(session_id, code, key=KEY)
        assert counts(world) == others + totals()
    with pytest.raises(CodeHasValid):
        world.log_in(session_id, code)
    assert counts(world) == others + totals() + Counter([f"ip:{IP} guesses"])


@pytest.mark.parametrize(("end", "day"), [(TO_THE_HOUR, totals()), (TO_MIDNIGHT, Counter())], ids=["hour", "day"])
def test_a_login_refunds_nothing_in_a_window_that_has_ended(make: Make, end: int, day: Counter[str]) -> None:
    """A sending before the full hour still counts in the day's total; a sending before midnight no longer counts."""
    world = make()
    world.wait(end - 60)
    session_id = world.get_sms().session_id
    code = world.outbox.code
    world.wait(120)
    world.get_sms(phone=OTHER_PHONE)
    world.log_in(session_id, code)
    assert counts(world) == unverified() + totals() + day


def test_sendings_in_two_hours_are_refunded_in_their_own_hours(make: Make) -> None:
    """One challenge is sent before and resent after the full hour."""
    world = make()
    world.wait(TO_THE_HOUR - 20)
    session_id = world.get_sms().session_id
    world.cool_down()
    world.get_sms(session_id)
    world.log_in(session_id)
    assert counts(world) == totals() + totals()


def test_every_sending_of_a_challenge_is_refunded_to_its_own_client(make: Make) -> None:
    """If a phone changes from Wi-Fi to mobile data while its user waits, the login refunds both addresses."""
    world = make()
    session_id = world.get_sms().session_id
    for ip in (OTHER_IP, OTHER_IP):
        world.cool_down()
        world.ip = ip
        assert world.get_sms(session_id).session_id == session_id
    assert counts(world)[f"ip:{OTHER_IP} hour"] == 2
    world.log_in(session_id)
    assert counts(world) == totals() + totals() + totals()


def test_a_sending_of_another_challenge_is_not_refunded(make: Make) -> None:
    """A sending to the same number from the same client stays counted until a login redeems its own challenge."""
    world = make()
    other = world.get_sms().session_id
    other_code = world.outbox.code
    world.cool_down()
    world.ip = OTHER_IP
    world.log_in(world.get_sms().session_id)
    assert counts(world) == unverified() + totals() + totals()
    world.log_in(other, other_code)
    assert counts(world) == totals() + totals()


def test_a_client_that_was_not_counted_is_not_refunded(make: Make) -> None:
    """CLIENT_IP_SOURCE is none at the sending and another at the login."""
    world = make(ip=None)
    session_id = world.get_sms().session_id
    world.ip = IP
    world.get_sms(phone=neighbour(0))
    world.log_in(session_id, world.outbox.sent[0][1])
    assert counts(world) == unverified(neighbour(0)) + totals(neighbour(0)) + totals()


def test_honest_users_behind_one_address_never_reach_a_limit(make: Make) -> None:
    """A client makes ten times as many sendings as a limit allows, and a login follows each of them."""
    limits = Limits(ip_hour=2, ip_day=2, range_hour=2, range_day=2, country_hour=2, guesses=1)
    world = make(limits=limits)
    for i in range(20):
        phone = neighbour(i) if i % 2 else Phone.parse(f"+447400{i:06}", "CN")
        world.log_in(world.get_sms(phone=phone).session_id, phone=phone)
    assert len(world.outbox.sent) == 20


# Refunds after a sending that fails.


@pytest.mark.parametrize("phone", [PHONE, ABROAD], ids=["home", "abroad"])
def test_a_refused_sending_is_refunded_and_counts_as_refused(make: Make, phone: Phone) -> None:
    """No SMS, no cost, for every refusal of SendSms; the refused sendings have a limit of their own."""
    world = make()
    refusals = [InvalidPhone(), TooManyRequests()]
    for i, refusal in enumerate(refusals):
        world.outbox.refuse = [refusal]
        with pytest.raises(type(refusal)):
            world.get_sms(phone=phone)
        assert counts(world) == Counter({f"ip:{IP} refused": i + 1})


def test_a_failure_that_the_operator_must_fix_does_not_count_as_refused(make: Make) -> None:
    """An account without messages refuses every sending: once it is topped up, no client has to wait."""
    world = make()
    world.outbox.refuse = [SendFailed()]
    with pytest.raises(SendFailed):
        world.get_sms()
    assert counts(world) == Counter()


def test_a_refused_resend_refunds_only_its_own_reservation(make: Make) -> None:
    """Only the login refunds the first sending of the challenge."""
    world = make()
    session_id = world.get_sms().session_id
    world.cool_down()
    world.ip = OTHER_IP
    world.outbox.refuse = [InvalidPhone()]
    with pytest.raises(InvalidPhone):
        world.get_sms(session_id)
    one_refused = Counter([f"ip:{OTHER_IP} refused"])
    assert counts(world) == unverified() + totals() + one_refused
    world.log_in(session_id)
    assert counts(world) == totals() + one_refused


def test_a_sending_without_a_clear_answer_stays_counted(make: Make) -> None:
    """The sending counts until a login shows that the SMS arrived."""
    world = make()
    world.outbox.refuse = [SendUnknown()]
    with pytest.raises(SendUnknown) as unknown:
        world.get_sms()
    assert counts(world) == unverified() + totals()
    world.cool_down()
    session_id = unknown.value.data["sessionId"]
    world.get_sms(session_id)
    world.log_in(session_id)
    assert counts(world) == totals() + totals()


@pytest.mark.parametrize("arrives", [True, False])
def test_a_sending_is_refunded_if_the_answer_of_issue_is_lost(make: Make, *, arrives: bool) -> None:
    """Nothing is sent, and everything is refunded, whether or not Redis has recorded the sending."""
    world = make()
    with world.redis.losing("issue", arrives=arrives), pytest.raises(ServiceUnavailable):
        world.get_sms()
    assert counts(world) == Counter()
    assert world.outbox.sent == []


def test_a_failed_sign_in_refunds_the_guess_and_the_next_login_the_sending(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sending is refunded once, at the login that finally succeeds."""
    world = make()
    world.get_sms(phone=OTHER_PHONE)
    others = counts(world)
    session_id = world.get_sms().session_id
    with monkeypatch.context() as broken:
        broken.setattr(world.users, "sign_in", down)
        for _ in range(2):
            with pytest.raises(UserStoreFailed):
                world.log_in(session_id)
            assert counts(world) == others + unverified() + totals()
    world.log_in(session_id, key=KEY)
    assert counts(world) == others + totals()
    world.log_in(session_id, key=KEY)
    assert counts(world) == others + totals()
