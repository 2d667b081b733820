"""What a login gives back, and what is given back for a sending that fails, on every kind of Redis."""

from collections import Counter
from typing import Any

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

# What a login gives back.


@pytest.mark.parametrize("phone", [PHONE, ABROAD], ids=["home", "abroad"])
def test_a_login_gives_back_to_whom_the_sending_was_counted_for(make: Make, phone: Phone) -> None:
    """From wherever somebody logs in; the totals stay, and so does what others have taken."""
    world = make()
    world.get_sms(phone=neighbour(1))
    others = counts(world)
    for ip in (IP, OTHER_IP, None):
        world.ip = IP
        session = world.get_sms(phone=phone).session_id
        world.ip = ip
        world.log_in(session, phone=phone)
        others += totals(phone)
        assert counts(world) == others
        world.cool_down()


def test_what_counts_the_home_country_is_left_alone(make: Make) -> None:
    """It has no limits, so what another DEFAULT_COUNTRY has left there is nobody's to give back."""
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


def test_a_login_without_a_session_gives_back_too(make: Make) -> None:
    """It is the number's latest session that it logs in to."""
    world = make()
    world.get_sms()
    world.log_in(None)
    assert counts(world) == totals()


def test_a_login_gives_back_once(make: Make) -> None:
    """A repeat under its key gives back nothing of what others have taken since then."""
    world = make()
    session = world.get_sms().session_id
    code = world.outbox.code
    world.get_sms(phone=neighbour(0))
    world.get_sms(phone=neighbour(1))
    others = unverified(neighbour(0)) + unverified(neighbour(1)) + totals(neighbour(0)) + totals(neighbour(1))
    for _ in range(3):
        world.log_in(session, code, key=KEY)
        assert counts(world) == others + totals()
    with pytest.raises(CodeHasValid):
        world.log_in(session, code)
    assert counts(world) == others + totals() + Counter([f"ip:{IP} guesses"])


@pytest.mark.parametrize(("end", "day"), [(TO_THE_HOUR, totals()), (TO_MIDNIGHT, Counter())], ids=["hour", "day"])
def test_a_login_gives_nothing_back_of_a_window_that_has_ended(make: Make, end: int, day: Counter[str]) -> None:
    """A sending before the hour's end still counts in the day's total, one before midnight nowhere."""
    world = make()
    world.wait(end - 60)
    session = world.get_sms().session_id
    code = world.outbox.code
    world.wait(120)
    world.get_sms(phone=OTHER_PHONE)
    world.log_in(session, code)
    assert counts(world) == unverified() + totals() + day


def test_a_sending_in_each_of_two_hours_is_given_back_to_its_own(make: Make) -> None:
    """One session, sent before and after the full hour."""
    world = make()
    world.wait(TO_THE_HOUR - 20)
    session = world.get_sms().session_id
    world.cool_down()
    world.get_sms(session)
    world.log_in(session)
    assert counts(world) == totals() + totals()


def test_every_sending_of_a_session_is_given_back_to_its_own_client(make: Make) -> None:
    """A phone that changes from Wi-Fi to mobile while it waits costs neither network anything."""
    world = make()
    session = world.get_sms().session_id
    for ip in (OTHER_IP, OTHER_IP):
        world.cool_down()
        world.ip = ip
        assert world.get_sms(session).session_id == session
    assert counts(world)[f"ip:{OTHER_IP} hour"] == 2
    world.log_in(session)
    assert counts(world) == totals() + totals() + totals()


def test_a_sending_of_another_session_is_not_given_back(make: Make) -> None:
    """Of the same number, and from the same client: nobody has shown that it was wanted."""
    world = make()
    other = world.get_sms().session_id
    other_code = world.outbox.code
    world.cool_down()
    world.ip = OTHER_IP
    world.log_in(world.get_sms().session_id)
    assert counts(world) == unverified() + totals() + totals()
    world.log_in(other, other_code)
    assert counts(world) == totals() + totals()


def test_a_client_that_was_not_counted_is_not_given_back_to(make: Make) -> None:
    """With CLIENT_IP_SOURCE none at the sending, and another at the login."""
    world = make(ip=None)
    session = world.get_sms().session_id
    world.ip = IP
    world.get_sms(phone=neighbour(0))
    world.log_in(session, world.outbox.sent[0][1])
    assert counts(world) == unverified(neighbour(0)) + totals(neighbour(0)) + totals()


def test_honest_people_behind_one_address_never_run_out(make: Make) -> None:
    """Ten times the limits, each of them followed by its login."""
    limits = Limits(ip_hour=2, ip_day=2, range_hour=2, range_day=2, country_hour=2, guesses=1)
    world = make(limits=limits)
    for i in range(20):
        phone = neighbour(i) if i % 2 else Phone.parse(f"+447400{i:06}", "CN")
        world.log_in(world.get_sms(phone=phone).session_id, phone=phone)
    assert len(world.outbox.sent) == 20


# Sendings that fail.


@pytest.mark.parametrize("phone", [PHONE, ABROAD], ids=["home", "abroad"])
def test_a_refused_sending_gives_everything_back_and_counts_one_refused(make: Make, phone: Phone) -> None:
    """No SMS, no cost, whatever SendSms says; but a client cannot try numbers out for ever."""
    world = make()
    refusals = [InvalidPhone(), TooManyRequests()]
    for i, refusal in enumerate(refusals):
        world.outbox.refuse = [refusal]
        with pytest.raises(type(refusal)):
            world.get_sms(phone=phone)
        assert counts(world) == Counter({f"ip:{IP} refused": i + 1})


def test_what_is_the_operators_to_mend_is_not_held_against_the_client(make: Make) -> None:
    """An account without messages refuses everybody: once it has some, nobody behind an address has to wait."""
    world = make()
    world.outbox.refuse = [SendFailed()]
    with pytest.raises(SendFailed):
        world.get_sms()
    assert counts(world) == Counter()


def test_a_refused_resend_gives_back_only_its_own(make: Make) -> None:
    """What the session's first sending took is for the login to give back."""
    world = make()
    session = world.get_sms().session_id
    world.cool_down()
    world.ip = OTHER_IP
    world.outbox.refuse = [InvalidPhone()]
    with pytest.raises(InvalidPhone):
        world.get_sms(session)
    marked = Counter([f"ip:{OTHER_IP} refused"])
    assert counts(world) == unverified() + totals() + marked
    world.log_in(session)
    assert counts(world) == totals() + marked


def test_a_sending_without_a_clear_answer_counts(make: Make) -> None:
    """Until the login that shows that it arrived."""
    world = make()
    world.outbox.refuse = [SendUnknown()]
    with pytest.raises(SendUnknown) as unknown:
        world.get_sms()
    assert counts(world) == unverified() + totals()
    world.cool_down()
    session = unknown.value.data["sessionId"]
    world.get_sms(session)
    world.log_in(session)
    assert counts(world) == totals() + totals()


@pytest.mark.parametrize("arrives", [True, False])
def test_a_record_whose_answer_is_lost_gives_everything_back(
    make: Make, monkeypatch: pytest.MonkeyPatch, *, arrives: bool
) -> None:
    """Whether Redis has put the sending on record or not: nothing is sent."""
    world = make()
    issue = world.challenges.issue

    def loses_the_answer(*args: Any) -> None:
        if arrives:
            issue(*args)
        raise ServiceUnavailable

    monkeypatch.setattr(world.challenges, "issue", loses_the_answer)
    with pytest.raises(ServiceUnavailable):
        world.get_sms()
    assert counts(world) == Counter()
    assert world.outbox.sent == []


def test_a_user_table_that_fails_gives_back_the_guess_and_the_next_login_the_sending(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, whichever login succeeds at last."""
    world = make()
    world.get_sms(phone=OTHER_PHONE)
    others = counts(world)
    session = world.get_sms().session_id
    with monkeypatch.context() as broken:
        broken.setattr(world.users, "sign_in", down)
        for _ in range(2):
            with pytest.raises(UserStoreFailed):
                world.log_in(session)
            assert counts(world) == others + unverified() + totals()
    world.log_in(session, key=KEY)
    assert counts(world) == others + totals()
    world.log_in(session, key=KEY)
    assert counts(world) == others + totals()
