"""The rules of a code, one by one, on fakeredis, a real Redis, what stands in for 4.0, and a cluster."""

import re
from collections.abc import Callable

import pytest
import time_machine
from msgspec.structs import replace

from sms_login.adapters.redis.codes import otp_key
from sms_login.errors import (
    CodeHasExpired,
    CodeHasValid,
    CodeIsError,
    InvalidParam,
    InvalidPhone,
    Locked,
    NotRegistered,
    SendFailed,
    SendUnknown,
    ServiceUnavailable,
    SessionMismatch,
    TokenInvalid,
    TooManyRequests,
    UserStoreFailed,
)
from sms_login.phone import Phone
from sms_login.sessions.store import LONGEST_SESSION
from sms_login.users import User
from tests.testkit.backends import fake_backend
from tests.testkit.limits import Printed
from tests.testkit.world import OLD_SECRET, OTHER_PHONE, PHONE, SECRET, Backend, World

KEY, OTHER_KEY = "idempotency-key-1", "idempotency-key-2"
FORGED = "A" * 22


# Rule 1: six digits that Redis does not hold.


def test_a_code_is_six_digits_and_redis_holds_neither_it_nor_the_secret(world: World) -> None:
    """Redis holds a nonce and a keyed digest, from which the code cannot be read."""
    world.get_sms()
    assert re.fullmatch("[0-9]{6}", world.outbox.code)
    assert world.outbox.code not in repr(world.backend.dump())


def test_an_answer_tells_session_waits_and_sendsms_own_ids(world: World) -> None:
    """GetSms answers what the contract lists."""
    sent = world.get_sms()
    assert re.fullmatch("[A-Za-z0-9_-]{22}", sent.session_id)
    assert (sent.expires_in, sent.resend_after) == (world.rules.life, world.rules.cooldown + 1)
    assert (sent.request_id, sent.serial_no) == ("request-1", "serial-1")


def test_a_sending_is_logged_with_sendsms_number_and_fee(world: World, printed: Printed) -> None:
    """By the number the SMS console finds it."""
    world.call("getSms", phone=PHONE.e164)
    (line,) = printed()
    assert (line["serial_no"], line["fee"]) == ("serial-1", 1)


# Rule 2: five minutes, never past ten.


@pytest.mark.parametrize("with_session", [True, False])
def test_a_code_works_for_five_minutes_and_no_longer(world: World, *, with_session: bool) -> None:
    """A code works at 4:59 and not at 5:01."""
    opened = world.get_sms().session_id
    session = opened if with_session else None
    world.wait(299)
    with pytest.raises(CodeIsError):
        world.log_in(session, world.wrong)
    world.wait(2)
    with pytest.raises(CodeHasExpired):
        world.log_in(session)


def test_a_code_that_is_sent_again_and_again_works_for_ten_minutes_and_no_longer(world: World) -> None:
    """Sending again restarts the five minutes, up to ten after the first sending."""
    session = world.get_sms().session_id
    for _ in range(3):
        world.wait(99)
        assert world.get_sms(session).session_id == session
    assert len({code for _, code in world.outbox.sent}) == 1
    world.wait(298)
    with pytest.raises(CodeIsError):
        world.log_in(session, world.wrong)
    world.wait(3)
    with pytest.raises(CodeHasExpired):
        world.log_in(session)


def test_a_guess_does_not_lengthen_a_life(world: World) -> None:
    """Wrong guesses leave every expiry where it was, that of the count of failures aside."""
    session = world.get_sms().session_id
    before = world.backend.expiries()
    with pytest.raises(CodeIsError):
        world.log_in(session, world.wrong)
    after = world.backend.expiries()
    assert all(after[key] <= before[key] for key in before)
    assert after.keys() - before.keys() == {otp_key(PHONE, "failures")}


# Rule 3: once.


@pytest.mark.parametrize("with_session", [True, False])
def test_a_code_logs_in_once(world: World, *, with_session: bool) -> None:
    """A code that was used is spent, with and without its session."""
    session = world.get_sms().session_id
    world.log_in(session if with_session else None)
    for again in (session, None):
        with pytest.raises(CodeHasValid):
            world.log_in(again)


def test_a_login_is_repeated_under_its_key_for_a_minute(world: World) -> None:
    """A lost answer costs no second SMS: the same key gets tokens of the same user, still said to be new."""
    session = world.get_sms().session_id
    first = world.log_in(session, key=KEY)
    world.wait(59)
    repeat = world.log_in(session, key=KEY)
    assert (repeat.user_id, repeat.is_new_user) == (first.user_id, True)
    assert repeat.token != first.token
    for key in (OTHER_KEY, None):
        with pytest.raises(CodeHasValid):
            world.log_in(session, key=key)
    world.wait(2)
    with pytest.raises(CodeHasValid):
        world.log_in(session, key=KEY)


def test_a_login_at_the_last_moment_is_repeated_for_a_minute_too(world: World) -> None:
    """The record of a spent code outlives its code by the minute in which the login may be repeated."""
    session = world.get_sms().session_id
    world.wait(99)
    world.get_sms(session)
    world.wait(199)
    world.get_sms(session)
    world.wait(298)
    first = world.log_in(session, key=KEY)
    world.wait(58)
    assert world.log_in(session, key=KEY).user_id == first.user_id
    assert world.log_in(None, key=KEY).user_id == first.user_id


def test_a_repeat_needs_the_right_code_and_its_guesses_count(world: World) -> None:
    """Whoever knows the key of a login has as many guesses as anybody, not as many as they like."""
    session = world.get_sms().session_id
    world.log_in(session, key=KEY)
    world.spend_guesses(session, key=KEY)
    with pytest.raises(CodeHasValid):
        world.log_in(session, key=KEY)


# Rule 4: bound to its session, with few guesses each.


def test_a_session_has_a_few_wrong_guesses(world: World) -> None:
    """Once they are spent, the right code is refused too."""
    session = world.get_sms().session_id
    world.spend_guesses(session)
    with pytest.raises(CodeHasValid):
        world.log_in(session)


def test_guesses_without_a_session_share_a_budget_of_their_own(world: World) -> None:
    """Wrong guesses without the session spend nothing of the session's."""
    session = world.get_sms().session_id
    world.spend_guesses(None)
    with pytest.raises(CodeHasValid):
        world.log_in(None)
    assert world.log_in(session).token


def test_a_login_without_a_session_is_held_against_the_latest_code(world: World) -> None:
    """The 2024 demo's login has no sessionId."""
    world.get_sms()
    world.cool_down()
    world.get_sms()
    with pytest.raises(CodeIsError):
        world.log_in(None, world.outbox.sent[0][1])
    assert world.log_in(None).token


def test_a_session_of_somebody_else_does_not_touch_a_code(world: World) -> None:
    """A sending without the session, and guesses in it, leave the first code and its guesses alone."""
    session = world.get_sms().session_id
    code = world.outbox.code
    world.cool_down()
    attacker = world.get_sms().session_id
    assert attacker != session
    world.spend_guesses(attacker, code)
    assert world.log_in(session, code).token


def test_a_forged_session_is_told_from_an_expired_code(world: World) -> None:
    """A session that the number does not have is a mismatch while it has a live code, and no failure."""
    with pytest.raises(CodeHasExpired):
        world.log_in(FORGED, "123456")
    session = world.get_sms().session_id
    with pytest.raises(SessionMismatch):
        world.log_in(FORGED)
    assert world.failures() is None
    world.log_in(session)
    with pytest.raises(CodeHasExpired):
        world.log_in(FORGED)


def test_a_session_of_another_number_is_a_mismatch(world: World) -> None:
    """A session counts for its own number only."""
    session = world.get_sms().session_id
    code = world.outbox.code
    world.get_sms(phone=OTHER_PHONE)
    with pytest.raises(SessionMismatch):
        world.log_in(session, code, phone=OTHER_PHONE)


def test_a_login_without_a_session_can_be_switched_off(any_backend: Backend, clock: time_machine.Traveller) -> None:
    """REQUIRE_SESSION refuses it by naming what is missing."""
    world = World(any_backend, clock, require_session=True)
    world.get_sms()
    with pytest.raises(InvalidParam, match=r"^sessionId is missing"):
        world.log_in(None)


def test_no_code_was_asked_for(world: World) -> None:
    """A number without a code has none that could be wrong."""
    with pytest.raises(CodeHasExpired):
        world.log_in(None, "123456")


# Rule 5: the same code again.


def test_asking_again_with_the_session_sends_the_same_code_and_refills_nothing(world: World) -> None:
    """The guesses of a code are what they were after it is sent again."""
    session = world.get_sms().session_id
    for _ in range(world.rules.guesses - 1):
        with pytest.raises(CodeIsError):
            world.log_in(session, world.wrong)
    world.cool_down()
    assert world.get_sms(session).session_id == session
    assert world.outbox.sent[0] == world.outbox.sent[1]
    with pytest.raises(CodeIsError) as wrong:
        world.log_in(session, world.wrong)
    assert wrong.value.data == {"attemptsLeft": 0}


@pytest.mark.parametrize("end", ["used", "guessed", "expired", "too old", "unknown", "another number's"])
def test_asking_again_in_a_session_that_is_over_opens_a_new_one(world: World, end: str) -> None:
    """Where the session cannot be used for five more minutes, a new code is sent in a new session."""
    session = world.get_sms(phone=OTHER_PHONE if end == "another number's" else PHONE).session_id
    world.cool_down()
    if end == "used":
        world.log_in(session)
    elif end == "guessed":
        world.spend_guesses(session)
    elif end == "expired":
        world.wait(world.rules.life)
    elif end == "too old":
        world.get_sms(session)
        world.wait(world.rules.life - 20)
    elif end == "unknown":
        session = FORGED
    again = world.get_sms(session)
    assert again.session_id != session
    assert world.log_in(again.session_id).token


def test_a_code_outlives_a_rotation_of_the_secret(any_backend: Backend, clock: time_machine.Traveller) -> None:
    """A code of the previous secret logs in, is sent again as it was, and is replaced once its secret is unknown."""
    old = World(any_backend, clock, secrets=(OLD_SECRET,))
    session = old.get_sms().session_id
    new = World(any_backend, clock, secrets=(SECRET, OLD_SECRET))
    new.cool_down()
    assert new.get_sms(session).session_id == session
    assert new.outbox.code == old.outbox.code
    forgot = World(any_backend, clock, secrets=(SECRET,))
    forgot.cool_down()
    assert forgot.get_sms(session).session_id != session
    assert new.log_in(session).token


# Rule 6: failures in a row.


def fail(world: World, times: int) -> None:
    """Make evaluated wrong guesses, over as many codes and days as it takes."""
    for i in range(times):
        if i % world.rules.guesses == 0:
            world.wait(3 * 3600)
            session = world.get_sms().session_id
        with pytest.raises(CodeIsError):
            world.log_in(session, world.wrong)


def test_a_hundred_failures_in_a_row_lock_the_number_for_a_day(world: World) -> None:
    """Failures are counted across codes, sessions and expiry; a locked try is none; a quiet day ends the lock."""
    fail(world, 100)
    world.cool_down()
    with pytest.raises(Locked) as locked:
        world.get_sms()
    assert 86300 < (locked.value.retry_after or 0) < 86400
    with pytest.raises(Locked):
        world.log_in(FORGED, "123456")
    world.wait(86_401)
    assert world.log_in(world.get_sms().session_id).token


def test_a_completed_login_clears_the_failures(world: World) -> None:
    """Only failures in a row count."""
    fail(world, 99)
    world.cool_down()
    session = world.get_sms().session_id
    world.log_in(session)
    world.cool_down()
    session = world.get_sms().session_id
    with pytest.raises(CodeIsError):
        world.log_in(session, world.wrong)
    assert world.log_in(session).token


def test_a_locked_number_refuses_the_right_code(world: World) -> None:
    """The lock is for everybody, since nobody can be told apart."""
    session = world.get_sms().session_id
    world.lock()
    with pytest.raises(Locked) as locked:
        world.log_in(session)
    assert locked.value.retry_after == 5


@pytest.mark.parametrize("poison", ["nan", "x", "inf", "-nan", ""])
def test_a_count_that_is_not_a_number_is_full(world: World, poison: str) -> None:
    """Whatever broke a counter, it does not open the gate."""
    session = world.get_sms().session_id
    world.backend.client.hset(otp_key(PHONE, session), "guesses", poison)
    with pytest.raises(CodeHasValid):
        world.log_in(session)
    world.backend.client.set(otp_key(PHONE, "failures"), poison, px=5000)
    with pytest.raises(Locked):
        world.log_in(session)
    with pytest.raises(Locked):
        world.get_sms()


# Rule 7: a refused sending costs nothing.


@pytest.mark.parametrize("refusal", [SendFailed(), InvalidPhone(), TooManyRequests(retry_after=30)])
def test_a_refused_sending_leaves_nothing_behind(world: World, refusal: SendFailed) -> None:
    """Cooldown, quota, session and key are given back, and the next sending goes through at once."""
    world.outbox.refuse = [refusal]
    with pytest.raises(type(refusal)):
        world.get_sms(key=KEY)
    assert {key for key in world.backend.expiries() if ":day:" not in key} == set()
    assert world.sent_today() == 0
    assert world.get_sms(key=KEY).request_id == "request-1"


def test_a_refused_sending_leaves_an_older_session_as_it_was(world: World) -> None:
    """A refused resend and a refused new session leave the code in hand, its life, guesses and rank."""
    session = world.get_sms().session_id
    with pytest.raises(CodeIsError):
        world.log_in(session, world.wrong)
    world.cool_down()
    before = on_record(world)
    for asked in (session, None, FORGED):
        world.outbox.refuse = [SendFailed()]
        with pytest.raises(SendFailed):
            world.get_sms(asked, key=KEY)
        assert on_record(world) == before
    assert world.log_in(None).token


def on_record(world: World) -> dict[str, object]:
    """Return what Redis holds, but for the marks by which sendings know their own."""
    dump = world.backend.dump()
    for value in dump.values():
        if isinstance(value, dict):
            value.pop("last", None)
    return dump


def test_a_refused_resend_does_not_lengthen_a_life(world: World) -> None:
    """No SMS, no five more minutes."""
    session = world.get_sms().session_id
    world.wait(200)
    world.outbox.refuse = [SendFailed()]
    with pytest.raises(SendFailed):
        world.get_sms(session)
    world.wait(101)
    with pytest.raises(CodeHasExpired):
        world.log_in(session)


def test_a_refusal_gives_the_latest_session_its_place_back(world: World) -> None:
    """Of two sessions the newer is the latest again after a resend in the older was refused."""
    older = world.get_sms().session_id
    world.cool_down()
    world.get_sms()
    world.cool_down()
    world.outbox.refuse = [SendFailed()]
    with pytest.raises(SendFailed):
        world.get_sms(older)
    assert world.log_in(None).token


def test_a_sending_without_a_clear_answer_counts_and_its_code_works(world: World) -> None:
    """It is not retried, not undone, and tells the session in which its code works."""
    world.get_sms()
    world.cool_down()
    code: list[str] = []
    send = world.outbox.send

    def arrives_without_an_answer(phone: Phone, digits: str) -> None:
        send(phone, digits)
        code.append(digits)
        raise SendUnknown

    world.outbox.send = arrives_without_an_answer  # type: ignore[method-assign, assignment] # a failing line
    with pytest.raises(SendUnknown) as unknown:
        world.get_sms()
    assert {
        "expiresIn": world.rules.life,
        "resendAfter": world.rules.cooldown + 1,
    }.items() <= unknown.value.data.items()
    assert world.sent_today() == 2
    assert len(code) == 1
    assert world.log_in(unknown.value.data["sessionId"]).token


# Rule 8: un-redeeming.


def test_a_failed_sign_in_makes_the_code_good_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user table is down once, the log says why: the code still works, and failures before it still count."""
    session = world.get_sms().session_id
    with pytest.raises(CodeIsError):
        world.log_in(session, world.wrong)
    with monkeypatch.context() as down:
        down.setattr(world.users, "sign_in", unavailable)
        with pytest.raises(UserStoreFailed) as failed:
            world.log_in(session)
    assert failed.value.detail == "sql: away"
    assert world.failures() == "1"
    assert 86_000_000 < world.backend.client.pttl(otp_key(PHONE, "failures")) <= 86_400_000
    assert world.log_in(session).token
    with pytest.raises(CodeHasValid):
        world.log_in(session)


def test_a_bug_of_ours_makes_the_code_good_again_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is still answered, and logged, as a bug."""
    session = world.get_sms().session_id
    with monkeypatch.context() as broken:
        broken.setattr(world.users, "sign_in", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            world.log_in(session)
    assert world.log_in(session).token


def test_failures_while_the_user_table_was_asked_are_added_to_those_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Un-redeeming restores the count of failures without losing newer ones."""
    session = world.get_sms().session_id
    with pytest.raises(CodeIsError):
        world.log_in(session, world.wrong)

    def fails_after_a_failure(_phone: Phone, _id: str) -> User:
        world.set_failures(1)
        raise ServiceUnavailable

    monkeypatch.setattr(world.users, "sign_in", fails_after_a_failure)
    with pytest.raises(UserStoreFailed):
        world.log_in(session)
    assert world.failures() == "2"


def test_a_code_whose_record_is_gone_is_not_made_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Un-redeeming creates no key."""
    session = world.get_sms().session_id

    def loses_everything(_phone: Phone, _id: str) -> User:
        world.backend.client.flushall()
        raise ServiceUnavailable

    monkeypatch.setattr(world.users, "sign_in", loses_everything)
    with pytest.raises(ServiceUnavailable):
        world.log_in(session)
    assert world.backend.expiries() == {}


def test_a_login_that_was_repeated_is_not_given_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first request waits for the user table, its repeat gets a token: the code stays spent."""
    session = world.get_sms().session_id
    sign_in = world.users.sign_in

    def fails_after_a_repeat(_phone: Phone, _id: str) -> User:
        monkeypatch.setattr(world.users, "sign_in", sign_in)
        assert world.log_in(session, key=KEY).token
        raise ServiceUnavailable

    monkeypatch.setattr(world.users, "sign_in", fails_after_a_repeat)
    with pytest.raises(ServiceUnavailable):
        world.log_in(session, key=KEY)
    with pytest.raises(CodeHasValid):
        world.log_in(session)
    assert world.log_in(session, key=KEY).token


def unavailable(_phone: Phone, _id: str) -> User:
    """Stand for a user table that is down."""
    raise ServiceUnavailable("sql: away")


# The number's limits.


def test_two_sendings_to_a_number_are_a_cooldown_apart(world: World) -> None:
    """The cooldown is the number's, whatever the session, and says truly how long it lasts."""
    session = world.get_sms().session_id
    world.wait(10)
    for asked in (session, None):
        with pytest.raises(TooManyRequests) as wait:
            world.get_sms(asked)
        assert wait.value.retry_after == world.rules.cooldown - 10
    world.wait(world.rules.cooldown - 9)
    assert world.get_sms(session)
    assert world.sent_today() == 2


def test_a_number_gets_ten_codes_per_calendar_day_in_china(world: World) -> None:
    """The day ends at midnight at TZ_OFFSET, and the answer says how far that is."""
    for _ in range(10):
        world.get_sms()
        world.wait(3600)
    with pytest.raises(TooManyRequests) as wait:
        world.get_sms()
    assert wait.value.retry_after == 2 * 3600
    assert otp_key(PHONE, "day:20261121") in world.backend.expiries()
    assert world.get_sms(phone=OTHER_PHONE)
    world.wait(2 * 3600)
    assert world.get_sms()


# Idempotency-Key of getSms.


def test_a_repeated_getsms_answers_the_same_session_and_sends_nothing(world: World) -> None:
    """The repeat comes before cooldown and quota, and tells what is left of the waits."""
    first = world.get_sms(key=KEY)
    world.wait(10)
    repeat = world.get_sms(key=KEY)
    assert repeat.session_id == first.session_id
    assert repeat.expires_in in {289, 290}
    assert repeat.resend_after == world.rules.cooldown - 9
    assert (repeat.request_id, repeat.serial_no) == (None, None)
    assert len(world.outbox.sent) == 1


def test_a_repeat_tells_whole_seconds_that_are_never_too_good(clock: time_machine.Traveller) -> None:
    """Of the code's life those that are left in full; of the wait one more than are begun."""
    world = World(fake_backend(), clock)
    world.get_sms(key=KEY)
    told = []
    for wait in (0, 0.001, 0.998, world.rules.cooldown):
        world.wait(wait)
        repeat = world.get_sms(key=KEY)
        told.append((repeat.expires_in, repeat.resend_after))
    life, resend = world.rules.life, world.rules.cooldown + 1
    assert told == [(life, resend), (life - 1, resend), (life - 1, resend), (life - resend, 1)]
    assert {type(seconds) for pair in told for seconds in pair} == {int}


def test_a_repeat_while_the_first_is_at_sendsms_sends_nothing(world: World) -> None:
    """A double tap makes one SMS."""
    repeats: list[str] = []

    def double_tap() -> None:
        world.outbox.meanwhile = lambda: None
        repeats.append(world.get_sms(key=KEY).session_id)

    world.outbox.meanwhile = double_tap
    assert [world.get_sms(key=KEY).session_id] == repeats
    assert len(world.outbox.sent) == 1


def test_a_key_is_the_numbers_own(world: World) -> None:
    """The same key for another number is another request."""
    first = world.get_sms(key=KEY)
    assert world.get_sms(key=KEY, phone=OTHER_PHONE).session_id != first.session_id


def test_a_key_lives_as_long_as_its_session(world: World) -> None:
    """It lives on where the session is sent again, and ends with it."""
    session = world.get_sms(key=KEY).session_id
    world.wait(200)
    world.get_sms(session, key=OTHER_KEY)
    world.wait(200)
    assert world.get_sms(key=KEY).session_id == session
    assert len(world.outbox.sent) == 2
    world.wait(101)
    assert world.get_sms(key=KEY).session_id != session
    assert len(world.outbox.sent) == 3


def test_a_key_whose_session_was_used_asks_for_a_new_code(world: World) -> None:
    """A spent session is over, and so is its key; the number's limits hold all the same."""
    session = world.get_sms(key=KEY).session_id
    world.log_in(session)
    with pytest.raises(TooManyRequests):
        world.get_sms(key=KEY)
    world.cool_down()
    assert world.get_sms(key=KEY).session_id != session
    assert world.get_sms(key=KEY).request_id is None


# Keys and users.


def test_every_key_but_the_users_expires(world: World) -> None:
    """Nothing that is written stays for ever, on any path."""
    session = world.get_sms(key=KEY).session_id
    with pytest.raises(CodeIsError):
        world.log_in(session, world.wrong)
    world.cool_down()
    world.outbox.refuse = [SendFailed()]
    with pytest.raises(SendFailed):
        world.get_sms(session, key=OTHER_KEY)
    world.get_sms(session)
    world.log_in(session, key=KEY)
    expiries = world.backend.expiries()
    assert {key for key, ms in expiries.items() if ms == -1} == {f"user:{{{PHONE.e164}}}"}
    world.wait(LONGEST_SESSION + 86400 + 1)
    assert set(world.backend.expiries()) == {f"user:{{{PHONE.e164}}}"}


def test_a_user_is_signed_up_once_and_found_afterwards(world: World) -> None:
    """The first login makes the user, under 128 random bits; the second finds them as they are now."""
    first = world.log_in(world.get_sms().session_id)
    assert re.fullmatch("[0-9a-f]{32}", first.user_id)
    assert (first.is_new_user, first.name, first.avatar, first.phone) == (True, "", "", PHONE.e164)
    assert world.sessions.set_nickname(first.token, "小明 😀").name == "小明 😀"
    world.cool_down()
    second = world.log_in(world.get_sms().session_id)
    assert replace(world.users.sign_in(PHONE, "x"), created=0) == User(first.user_id, PHONE, "小明 😀", "", 0)
    assert (second.user_id, second.is_new_user, second.name) == (first.user_id, False, "小明 😀")
    assert world.users.find(OTHER_PHONE) is None


def test_a_user_record_knows_when_it_was_made(world: World) -> None:
    """In epoch milliseconds, as the 2020 demo has it."""
    world.log_in(world.get_sms().session_id)
    user = world.users.find(PHONE)
    assert user is not None
    assert user.created == 1_795_233_600_000


def test_a_token_of_an_earlier_user_of_the_number_is_invalid(world: World) -> None:
    """For whatever it is shown; one whose user is gone, and not followed by another, is not registered."""
    token = world.log_in(world.get_sms().session_id).token
    uses: list[Callable[[], object]] = [
        lambda: world.sessions.user_info(token),
        lambda: world.sessions.set_nickname(token, "x"),
        lambda: world.sessions.still_logged_in(PHONE, token),
    ]
    world.backend.client.delete(f"user:{{{PHONE.e164}}}")
    for use in uses:
        with pytest.raises(NotRegistered):
            use()
    world.cool_down()
    world.log_in(world.get_sms().session_id)
    for use in uses:
        with pytest.raises(TokenInvalid):
            use()


def test_a_name_is_given_only_to_its_owner(world: World) -> None:
    """A user who is gone, or whose number has signed up anew, is not renamed."""
    assert world.users.rename(PHONE, "nobody", "x") is None
    world.log_in(world.get_sms().session_id)
    assert world.users.rename(PHONE, "nobody", "x") is None
