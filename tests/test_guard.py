"""What may be sent and guessed: each limit, what a login gives back, and the captcha, on every kind of Redis."""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import time_machine
from msgspec import Struct
from msgspec.structs import replace

from sms_login import logs
from sms_login.adapters.redis_client import connect
from sms_login.budgets import Take, Taken, Windows
from sms_login.errors import (
    CaptchaRequired,
    CodeHasExpired,
    CodeHasValid,
    CodeIsError,
    CountryNotAllowed,
    InvalidPhone,
    Locked,
    Refusal,
    SendFailed,
    SendingPaused,
    SendUnknown,
    ServiceUnavailable,
    SessionMismatch,
    TooManyRequests,
    UserStoreFailed,
)
from sms_login.periods import Calendar
from sms_login.phone import Phone
from sms_login.ports import Ask, Code, Sending, User
from sms_login.rules import Limits, Rules
from tests.conftest import NOON
from tests.servers import RedisServer, find_redis_server, require
from tests.world import OTHER_PHONE, PHONE, UNLIMITED, Backend, World

IP, OTHER_IP = "203.0.113.7", "203.0.113.8"
ABROAD = Phone.parse("+447400123456", "CN")
KEY = "idempotency-key-1"
FORGED = "A" * 22

NOW = NOON.replace(hour=15, minute=20, second=30)
TO_THE_HOUR, TO_MIDNIGHT = 39 * 60 + 30, 8 * 3600 + 39 * 60 + 30  # s from then

Make = Callable[..., World]


def neighbour(i: int) -> Phone:
    """Return a number of one and the same range."""
    return Phone.parse(f"+861381234{i:04}", "CN")


def stranger(i: int) -> Phone:
    """Return a number of a range of its own."""
    return Phone.parse(f"+86139{i:04}0000", "CN")


def abroad(i: int) -> Phone:
    """Return a foreign number of a range of its own."""
    return Phone.parse(f"+4474{i:02}123456", "CN")


@pytest.fixture
def make(any_backend: Backend, clock: time_machine.Traveller) -> Make:
    """Make services on one Redis of each kind, called from one address, at half past three or so."""
    clock.move_to(NOW, tick=False)

    def made(**options: Any) -> World:
        return World(any_backend, clock, **{"ip": IP, **options})

    return made


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """Give what the function has logged since the last look."""
    logs.set_up("INFO")
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def counts(world: World) -> Counter[str]:
    """Return what the budgets hold, as "ip:203.0.113.7 hour": 1; of another hour or day with its name behind."""
    calendar, found = Calendar(8), Counter[str]()
    present = {calendar.hour().name, calendar.day().name}
    for key, count in world.backend.dump().items():
        if match := re.fullmatch(r"budget:\{(.+)\}:(\w+):(\w+)", key):
            found[f"{match[1]} {match[2]}" + ("" if match[3] in present else f" {match[3]}")] = int(count)
    return found


def range_of(phone: Phone) -> str:
    """Return the subject of a number's range."""
    return f"range:{phone.e164[:-4]}"


def unverified(phone: Phone = PHONE, ip: str = IP) -> Counter[str]:
    """Return what a sending takes until a login gives it back."""
    names = [f"{subject} {kind}" for subject in (f"ip:{ip}", range_of(phone)) for kind in ("hour", "day")]
    return Counter([*names, *([f"country:{phone.region} hour"] if phone.region != "CN" else [])])


def totals(phone: Phone = PHONE) -> Counter[str]:
    """Return what a sending takes for good."""
    subjects = [range_of(phone), "all", *([f"country:{phone.region}"] if phone.region != "CN" else [])]
    return Counter(f"{subject} total" for subject in subjects)


def alerts(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the alerts in some lines of the log."""
    return [alert for line in lines for alert in line.get("alerts", [])]


def down(_phone: Phone, _id: str) -> User:
    """Be a user table that is away."""
    raise ServiceUnavailable


# What a sending takes, and what a limit says.


@pytest.mark.parametrize("phone", [PHONE, ABROAD], ids=["home", "abroad"])
def test_a_sending_is_counted_for_client_range_country_and_everything(make: Make, phone: Phone) -> None:
    """The home country has no limits of its own, so nothing is counted for it."""
    world = make()
    world.get_sms(phone=phone)
    assert counts(world) == unverified(phone) + totals(phone)


class Limit(Struct, frozen=True):
    """One limit: numbers that share it, what is answered when it is spent, and when it ends."""

    name: str
    number: Callable[[int], Phone]
    wait: int
    refusal: type[Refusal] = TooManyRequests

    def limits(self, most: int) -> Limits:
        """Return limits of which only this one can be reached."""
        return replace(UNLIMITED, **{self.name: most})


UNVERIFIED = [
    Limit("ip_hour", stranger, TO_THE_HOUR),
    Limit("ip_day", stranger, TO_MIDNIGHT),
    Limit("range_hour", neighbour, TO_THE_HOUR),
    Limit("range_day", neighbour, TO_MIDNIGHT),
    Limit("country_hour", abroad, TO_THE_HOUR),
]
TOTAL = [
    Limit("range_total", neighbour, TO_MIDNIGHT),
    Limit("country_total", abroad, TO_MIDNIGHT),
    Limit("total", stranger, TO_MIDNIGHT, SendingPaused),
]
each_limit = pytest.mark.parametrize("limit", [*UNVERIFIED, *TOTAL], ids=lambda limit: limit.name)
each_unverified = pytest.mark.parametrize("limit", UNVERIFIED, ids=lambda limit: limit.name)


def refused(world: World, refusal: type[Refusal], phone: Phone = PHONE, **options: Any) -> Refusal:
    """Ask for a code that is not sent, and leaves Redis as it was; return why."""
    before, sent = world.backend.dump(), len(world.outbox.sent)
    with pytest.raises(refusal) as error:
        world.get_sms(phone=phone, **options)
    assert type(error.value) is refusal
    assert world.backend.dump() == before
    assert len(world.outbox.sent) == sent
    return error.value


@each_limit
def test_a_spent_limit_refuses_changes_nothing_and_ends_when_it_says(make: Make, limit: Limit) -> None:
    """Hours are full hours and days end at midnight in China, to the second."""
    world = make(limits=limit.limits(2))
    for i in range(2):
        world.get_sms(phone=limit.number(i))
    for _ in range(2):
        assert refused(world, limit.refusal, limit.number(2)).retry_after == limit.wait
    world.wait(limit.wait - 1)
    assert refused(world, limit.refusal, limit.number(2)).retry_after == 1
    world.wait(1)
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
    taking: list[bool] = []
    take = world.budgets.take

    def seen(takes: Sequence[Take]) -> Sequence[Taken]:
        taking.append(any(window.counts for wish in takes for window in wish.windows))
        return take(takes)

    monkeypatch.setattr(world.budgets, "take", seen)
    refused(world, TooManyRequests, stranger(1))
    assert taking == [False]
    world.ip = OTHER_IP
    world.get_sms(phone=abroad(1))
    assert taking == [False, False, True]


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
    world.wait(31)
    refused(world, TooManyRequests)
    world.backend.client.set(f"otp:{{{OTHER_PHONE.e164}}}:failures", 100, px=5000)
    refused(world, Locked, OTHER_PHONE)


def test_somebody_who_is_faster_costs_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ask at once, and the second is stopped by the number's cooldown with its budgets already taken."""
    world = make()
    reaches = world.outbox.reaches

    def another_is_faster(phone: Phone) -> bool:
        monkeypatch.setattr(world.outbox, "reaches", reaches)
        world.get_sms()
        return reaches(phone)

    monkeypatch.setattr(world.outbox, "reaches", another_is_faster)  # what the guard asks, after the look
    with pytest.raises(TooManyRequests):
        world.get_sms()
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


def test_a_country_without_a_template_is_refused(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it is allowed."""
    world = make()
    monkeypatch.setattr(world.outbox, "reaches", lambda phone: phone.region == "CN")
    refused(world, CountryNotAllowed, ABROAD)
    assert world.get_sms().request_id


# The day's budget.


def test_the_days_budget_is_alerted_at_80_and_at_100_percent_once_each(
    make: Make, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    """Then sending pauses until midnight, which is no further alert."""
    world = make(limits=Limits(total=10))
    when = []
    for i in range(12):
        outcome = world.call("getSms", phone=stranger(i).e164)["codeStr"]
        when += [(i + 1, alert["alert"], alert["percent"]) for alert in alerts(printed())]
        assert outcome == ("Ok" if i < 10 else "SendingPaused")
    assert when == [(8, "daily_budget", 80), (10, "daily_budget", 100)]


@pytest.mark.parametrize(("total", "when"), [(1, [1, 1]), (2, [2, 2]), (5, [4, 5]), (7, [6, 7])], ids=str)
def test_a_small_budget_has_both_alerts_too(
    make: Make, printed: Callable[[], list[dict[str, Any]]], total: int, when: list[int]
) -> None:
    """At the first sending with which the share is reached."""
    world = make(limits=Limits(total=total))
    seen = []
    for i in range(total):
        world.call("getSms", phone=stranger(i).e164)
        seen += [i + 1 for _ in alerts(printed())]
    assert seen == when


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
        world.wait(31)


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


def test_another_hour_is_not_given_back(make: Make) -> None:
    """What was sent before the hour's end is given back to the day only."""
    world = make()
    world.wait(TO_THE_HOUR - 60)
    session = world.get_sms().session_id
    code = world.outbox.code
    world.wait(120)
    world.get_sms(phone=OTHER_PHONE)
    world.log_in(session, code)
    assert counts(world) == unverified() + totals() + totals()


def test_another_day_is_not_given_back(make: Make) -> None:
    """What was sent before midnight is over with the day."""
    world = make()
    world.wait(TO_MIDNIGHT - 60)
    session = world.get_sms().session_id
    code = world.outbox.code
    world.wait(120)
    world.get_sms(phone=OTHER_PHONE)
    world.log_in(session, code)
    assert counts(world) == unverified() + totals()


def test_a_sending_in_each_of_two_hours_is_given_back_to_its_own(make: Make) -> None:
    """One session, sent before and after the full hour."""
    world = make()
    world.wait(TO_THE_HOUR - 20)
    session = world.get_sms().session_id
    world.wait(40)
    world.get_sms(session)
    world.log_in(session)
    assert counts(world) == totals() + totals()


def test_every_sending_of_a_session_is_given_back_to_its_own_client(make: Make) -> None:
    """A phone that changes from Wi-Fi to mobile while it waits costs neither network anything."""
    world = make()
    session = world.get_sms().session_id
    for ip in (OTHER_IP, OTHER_IP):
        world.wait(31)
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
    world.wait(31)
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
    world.wait(31)
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
    world.wait(31)
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
    issue = world.codes.issue

    def loses_the_answer(ask: Ask, new: Code, mark: str) -> Sending:
        if arrives:
            issue(ask, new, mark)
        raise ServiceUnavailable

    monkeypatch.setattr(world.codes, "issue", loses_the_answer)
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


# A resend that is refused while others log in.


@pytest.fixture
def quick(make: Make) -> World:
    """A service whose sendings can overlap, on which another number of the range has had a code."""
    world = make(rules=Rules(cooldown=1))
    world.get_sms(phone=OTHER_PHONE)
    return world


OTHERS = unverified() + totals() + Counter([f"ip:{IP} refused"])


def refused_resend(world: World, session: str, meanwhile: Callable[[], object]) -> None:
    """Ask again, and let something happen while SendSms is under way, which then refuses."""

    def happen() -> None:
        world.outbox.meanwhile = lambda: None
        meanwhile()
        world.outbox.refuse = [InvalidPhone()]

    world.outbox.meanwhile = happen
    with pytest.raises(InvalidPhone):
        world.get_sms(session)


def test_a_login_while_a_resend_is_refused_gives_back_both_once(quick: World) -> None:
    """The login has been given the resend's toll, so its undoing gives back only the totals."""
    session = quick.get_sms().session_id
    quick.wait(2)
    refused_resend(quick, session, lambda: quick.log_in(session))
    assert counts(quick) == OTHERS + totals()


def test_a_failed_login_while_a_resend_is_refused_leaves_the_toll_to_the_undoing(
    quick: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code is good again before SendSms refuses; the login after that gives back the first sending."""
    session = quick.get_sms().session_id
    quick.wait(2)

    def fails() -> None:
        with monkeypatch.context() as broken:
            broken.setattr(quick.users, "sign_in", down)
            with pytest.raises(UserStoreFailed):
                quick.log_in(session)

    refused_resend(quick, session, fails)
    assert counts(quick) == OTHERS + unverified() + totals()
    quick.log_in(session)
    assert counts(quick) == OTHERS + totals()


def test_a_resend_that_is_refused_while_a_login_fails_is_given_back_all_the_same(
    quick: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is undone between the spending of the code and its being made good again."""
    session = quick.get_sms().session_id
    code = quick.outbox.code
    quick.wait(2)
    at_sendsms, spent = threading.Event(), threading.Event()

    def waits() -> None:
        at_sendsms.set()
        assert spent.wait(10)

    resend = threading.Thread(target=lambda: refused_resend(quick, session, waits))
    resend.start()
    assert at_sendsms.wait(10)

    def undone_meanwhile(_phone: Phone, _id: str) -> User:
        spent.set()
        resend.join()
        raise ServiceUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(quick.users, "sign_in", undone_meanwhile)
        with pytest.raises(UserStoreFailed):
            quick.log_in(session, code)
    quick.log_in(session, code)
    assert counts(quick) == OTHERS + totals()


def test_a_lost_record_that_a_later_sending_has_overtaken_is_given_back_once(
    quick: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session goes on with the later one, and the login gives back what is left: nothing twice."""
    session = quick.get_sms().session_id
    quick.wait(2)
    issue = quick.codes.issue

    def loses_the_answer(ask: Ask, new: Code, mark: str) -> Sending:
        issue(ask, new, mark)
        monkeypatch.setattr(quick.codes, "issue", issue)
        quick.wait(2)
        quick.get_sms(session)
        raise ServiceUnavailable

    monkeypatch.setattr(quick.codes, "issue", loses_the_answer)
    with pytest.raises(ServiceUnavailable):
        quick.get_sms(session)
    quick.log_in(session)
    assert counts(quick) == unverified() + totals() + totals() + totals()


def test_a_login_after_a_refused_resend_gives_back_the_first_sending(quick: World) -> None:
    """And not the resend a second time."""
    session = quick.get_sms().session_id
    quick.wait(2)
    refused_resend(quick, session, lambda: None)
    assert counts(quick) == OTHERS + unverified() + totals()
    quick.log_in(session)
    assert counts(quick) == OTHERS + totals()


# Guesses.


def guess(
    world: World, refusal: type[Refusal], session: str | None, code: str | None = None, *, phone: Phone = PHONE
) -> Refusal:
    """Log in in vain; return why."""
    with pytest.raises(refusal) as error:
        world.log_in(session, code, phone=phone)
    assert type(error.value) is refusal
    return error.value


def test_a_login_gives_back_its_own_guess(make: Make) -> None:
    """And not those before it; a repeat gives back its own as well."""
    world = make()
    session = world.get_sms().session_id
    guess(world, CodeIsError, session, world.wrong)
    for _ in range(2):
        world.log_in(session, key=KEY)
        assert counts(world) == totals() + Counter([f"ip:{IP} guesses"])


def test_a_guess_that_learns_something_counts(make: Make) -> None:
    """Wrong, spent, expired, forged, or of a number that has no code."""
    world = make()
    guess(world, CodeHasExpired, None, "123456")
    session = world.get_sms().session_id
    for _ in range(3):
        guess(world, CodeIsError, session, world.wrong)
    guess(world, CodeHasValid, session)
    guess(world, SessionMismatch, FORGED)
    world.wait(301)
    guess(world, CodeHasExpired, session)
    assert counts(world)[f"ip:{IP} guesses"] == 7


def test_a_locked_number_gives_the_guess_back(make: Make) -> None:
    """It was not held against a code."""
    world = make()
    session = world.get_sms().session_id
    world.backend.client.set(f"otp:{{{PHONE.e164}}}:failures", 100, px=5000)
    for asked in (session, None, FORGED):
        guess(world, Locked, asked)
    assert counts(world) == unverified() + totals()


@pytest.fixture
def spent(make: Make) -> World:
    """A service on which a client has used its guesses up, on numbers that have no code."""
    world = make(limits=Limits(guesses=2))
    for i in range(2):
        guess(world, CodeHasExpired, None, "123456", phone=stranger(i))
    return world


def test_without_guesses_a_live_session_still_passes(spent: World) -> None:
    """A wrong guess in it is told so, and a right one logs in, is repeated, and gives back what was sent."""
    session = spent.get_sms().session_id
    assert guess(spent, CodeIsError, session, spent.wrong).data == {"attemptsLeft": 2}
    for _ in range(2):
        assert spent.log_in(session, key=KEY).token
    assert counts(spent) == totals() + Counter({f"ip:{IP} guesses": 2})


def test_without_guesses_a_login_without_a_session_is_refused(spent: World) -> None:
    """Also with the right code, which stays good, until the hour ends; from elsewhere it passes."""
    spent.get_sms()
    before = spent.backend.dump()
    for code in (spent.wrong, spent.outbox.code):
        assert guess(spent, TooManyRequests, None, code).retry_after == TO_THE_HOUR
    assert spent.backend.dump() == before
    spent.ip = OTHER_IP
    assert spent.log_in(None).token
    spent.ip = IP
    spent.wait(TO_THE_HOUR)
    spent.get_sms()
    assert spent.log_in(None).token


def test_without_guesses_a_session_that_is_not_live_is_refused(spent: World) -> None:
    """Forged, of another number, spent by guesses, used, expired: all are told the same, and when to come back."""
    spent.ip = OTHER_IP
    guessed = spent.get_sms().session_id
    for _ in range(3):
        spent.ip = None  # so that these are not counted
        guess(spent, CodeIsError, guessed, spent.wrong)
    used = spent.get_sms(phone=OTHER_PHONE).session_id
    spent.log_in(used, phone=OTHER_PHONE)
    alive = spent.get_sms(phone=stranger(7)).session_id
    spent.ip = IP
    for session, phone in ((guessed, PHONE), (used, OTHER_PHONE), (FORGED, PHONE), (alive, PHONE)):
        assert guess(spent, TooManyRequests, session, phone=phone).retry_after == TO_THE_HOUR
    spent.wait(301)
    assert guess(spent, TooManyRequests, alive, phone=stranger(7)).retry_after == TO_THE_HOUR - 301
    spent.wait(400)
    assert guess(spent, TooManyRequests, alive, phone=stranger(7)).retry_after == TO_THE_HOUR - 701
    assert counts(spent)[f"ip:{IP} guesses"] == 2


# Clients.


def test_clients_of_unknown_address_share_ten_times_the_limits(
    make: Make, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    """They are one client, and the log says so."""
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
    """The day's, and how often SendSms may refuse."""
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


def test_an_unknown_client_is_given_back_to(make: Make) -> None:
    """Like any other."""
    world = make(ip="unknown")
    world.log_in(world.get_sms().session_id)
    assert counts(world) == totals()


def test_the_64_of_an_ipv6_address_is_one_client(make: Make, printed: Callable[[], list[dict[str, Any]]]) -> None:
    """A customer has as many addresses in it as they like."""
    world = make(limits=Limits(ip_hour=1))
    world.ip = "2001:db8:1:2::1"
    assert world.call("getSms", phone=stranger(0).e164)["codeStr"] == "Ok"
    world.ip = "2001:db8:1:2:ffff:ffff:ffff:ffff"
    assert world.call("getSms", phone=stranger(1).e164)["codeStr"] == "TooManyRequests"
    world.ip = "2001:db8:1:3::1"
    assert world.call("getSms", phone=stranger(1).e164)["codeStr"] == "Ok"
    assert [line["client"] for line in printed()] == ["2001:db8:1:2::/64"] * 2 + ["2001:db8:1:3::/64"]


def test_with_no_source_of_addresses_no_client_is_counted(make: Make) -> None:
    """The other budgets are."""
    world = make(ip=None, limits=Limits(ip_hour=1, ip_day=1, guesses=1, refused=1, range_hour=4))
    world.outbox.refuse = [InvalidPhone(), InvalidPhone()]
    outcomes = [world.call("getSms", phone=neighbour(i).e164)["codeStr"] for i in range(7)]
    assert outcomes == ["InvalidPhone"] * 2 + ["Ok"] * 4 + ["TooManyRequests"]
    for _ in range(3):
        assert world.call("login", phone=PHONE.e164, code="123456")["codeStr"] == "CodeHasExpired"
    assert not [name for name in counts(world) if name.startswith("ip:")]


# The captcha.


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
    world.wait(31)
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
    world.wait(31)
    world.get_sms(session)
    world.wait(31)
    refused(world, CaptchaRequired, session=session)
    world.log_in(session)
    refused(world, CaptchaRequired)
    world.captchas.good = {"good"}
    assert world.get_sms(ticket="good").request_id
    world.wait(31)
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
    session = world.get_sms(ticket="1").session_id
    world.wait(31)
    refused(world, CaptchaRequired, session=session)
    assert world.get_sms(session, ticket="2").session_id == session


def test_a_captcha_service_that_is_away_is_a_bad_ticket_and_an_alert(
    make: Make, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    """Where a ticket is asked for nothing is sent, where none is the SMS goes out."""
    world = make(limits=Limits(ip_hour=2), captcha_mode="adaptive")
    world.captchas.good, world.captchas.away = {"good"}, True
    solved = {"captchaTicket": "good", "captchaRandstr": "randstr"}
    assert world.call("getSms", phone=stranger(0).e164, **solved)["codeStr"] == "Ok"
    body = world.call("getSms", phone=stranger(1).e164, **solved)
    assert (body["errorCode"], body["codeStr"], body["data"]) == (-1302, "CaptchaRequired", {"captchaAppId": "190000"})
    assert len(world.outbox.sent) == 1
    expected = {"alert": "captcha_unavailable", "cause": "captcha: timeout"}
    assert alerts(printed()) == [expected]


def test_what_is_refused_anyway_does_not_use_a_ticket_up(make: Make) -> None:
    """A repeat, a cooldown, the number's day and its lock, the stop switch and a country come before it."""
    solved = make(captcha_mode="always", rules=Rules(daily=1))
    solved.captchas.good = {"first"}
    session = solved.get_sms(key=KEY, ticket="first").session_id
    solved.captchas.seen.clear()
    assert solved.get_sms(key=KEY, ticket="t").session_id == session
    refused(solved, TooManyRequests, ticket="t")
    solved.wait(31)
    refused(solved, TooManyRequests, ticket="t")
    solved.backend.client.set(f"otp:{{{PHONE.e164}}}:failures", 100, px=5000)
    refused(solved, Locked, ticket="t")
    off = make(captcha_mode="always", sending=False)
    refused(off, SendingPaused, OTHER_PHONE, ticket="t")
    refused(off, SendingPaused, OTHER_PHONE)
    at_home = make(captcha_mode="always", countries=frozenset({"CN"}))
    refused(at_home, CountryNotAllowed, ABROAD, ticket="t")
    refused(at_home, CountryNotAllowed, ABROAD)
    assert solved.captchas.seen == off.captchas.seen == at_home.captchas.seen == []


# Redis fails in the middle.


def test_a_redis_that_dies_between_client_and_range_sends_nothing(clock: time_machine.Traveller) -> None:
    """An outage, whatever the client has been counted for by then."""
    require(find_redis_server() is not None, "redis-server")
    with RedisServer() as server:
        world = World(Backend(connect(server.host, server.port)), clock, ip=IP)
        take = world.budgets.take

        def dies_after_the_first(takes: Sequence[Take]) -> Sequence[Taken]:
            answers = take(takes)
            server.kill()
            return answers

        world.budgets.take = dies_after_the_first  # type: ignore[method-assign] # for this world
        body = world.call("getSms", phone=PHONE.e164)
        assert (body["errorCode"], body["codeStr"]) == (-1500, "ServiceUnavailable")
        assert world.outbox.sent == []
        world.backend.client.close()


def fails(*_windows: Windows) -> None:
    """Be a Redis that does not take anything back."""
    raise ServiceUnavailable("redis: ConnectionError: away")


def test_a_login_stands_where_giving_back_fails(
    make: Make, monkeypatch: pytest.MonkeyPatch, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    """The log has an alert; the counters are wrong until their window ends."""
    world = make()
    session = world.get_sms().session_id
    monkeypatch.setattr(world.budgets, "give_back", fails)
    body = world.call("login", phone=PHONE.e164, code=world.outbox.code, sessionId=session)
    assert body["codeStr"] == "Success"
    (line,) = printed()
    assert line["alerts"] == [{"alert": "budgets_not_corrected", "cause": "redis: ConnectionError: away"}]
    assert counts(world) == unverified() + totals() + Counter([f"ip:{IP} guesses"])


def test_a_refusal_stands_where_giving_back_fails(
    make: Make, monkeypatch: pytest.MonkeyPatch, printed: Callable[[], list[dict[str, Any]]]
) -> None:
    """A refused sending and a lock say what they say, each with an alert."""
    world = make()
    monkeypatch.setattr(world.budgets, "give_back", fails)
    world.outbox.refuse = [InvalidPhone()]
    assert world.call("getSms", phone=PHONE.e164)["codeStr"] == "InvalidPhone"
    world.backend.client.set(f"otp:{{{PHONE.e164}}}:failures", 100, px=5000)
    assert world.call("login", phone=PHONE.e164, code="123456", sessionId=FORGED)["codeStr"] == "Locked"
    assert [alert["alert"] for alert in alerts(printed())] == ["budgets_not_corrected"] * 2


def test_counters_that_are_broken_stop_what_they_count(make: Make) -> None:
    """A key of another type is an outage for its client, range, country or everything; nothing is sent or guessed."""
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
