"""The rules of codes, one by one, on fakeredis, a stand-in for Redis 4.0, and a cluster."""

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
from tests.testkit.backends import Backend, fake_backend
from tests.testkit.devices import Device
from tests.testkit.limits import Printed
from tests.testkit.world import OLD_SECRET, OTHER_PHONE, PHONE, SECRET, World

KEY, OTHER_KEY = "idempotency-key-1", "idempotency-key-2"
FORGED = "A" * 22


# Rule 1: a code has six digits, and Redis does not hold it.


def test_a_code_has_six_digits_and_redis_holds_neither_it_nor_the_secret(world: World) -> None:
    """Redis holds a nonce and a keyed digest, from which the code cannot be read."""
    world.get_sms()
    assert re.fullmatch("[0-9]{6}", world.outbox.code)
    assert world.outbox.code not in re.findall("[0-9]+", repr(world.backend.dump()))  # of which the number is longer


def test_the_answer_has_session_id_waits_and_the_ids_of_sendsms(world: World) -> None:
    """The answer of getSms has the fields that the contract lists."""
    sent = world.get_sms()
    assert re.fullmatch("[A-Za-z0-9_-]{22}", sent.session_id)
    assert (sent.expires_in, sent.resend_after) == (world.rules.life, world.rules.cooldown + 1)
    assert (sent.request_id, sent.serial_no) == ("request-1", "serial-1")


def test_a_sending_is_logged_with_the_serial_number_and_fee_of_sendsms(world: World, printed: Printed) -> None:
    """The SMS console finds the sending by the serial number in the log."""
    world.call("getSms", phone=PHONE.e164)
    (line,) = printed()
    assert (line["serial_no"], line["fee"]) == ("serial-1", 1)


# Rule 2: a code works for five minutes, and never for more than ten.


@pytest.mark.parametrize("with_session_id", [True, False])
def test_a_code_works_for_five_minutes_and_no_longer(world: World, *, with_session_id: bool) -> None:
    """A code works at 4:59 and not at 5:01."""
    opened = world.get_sms().session_id
    session_id = opened if with_session_id else None
    world.wait(299)
    with pytest.raises(CodeIsError):
        world.log_in(session_id, world.wrong)
    world.wait(2)
    with pytest.raises(CodeHasExpired):
        world.log_in(session_id)


def test_a_code_that_is_resent_again_and_again_works_for_ten_minutes_and_no_longer(world: World) -> None:
    """Each resend restarts the five minutes, up to ten minutes after the first sending."""
    session_id = world.get_sms().session_id
    for _ in range(3):
        world.wait(99)
        assert world.get_sms(session_id).session_id == session_id
    assert len({code for _, code in world.outbox.sent}) == 1
    world.wait(298)
    with pytest.raises(CodeIsError):
        world.log_in(session_id, world.wrong)
    world.wait(3)
    with pytest.raises(CodeHasExpired):
        world.log_in(session_id)


def test_a_guess_does_not_extend_the_life_of_a_code(world: World) -> None:
    """A wrong guess extends no expiry except that of the count of failures."""
    session_id = world.get_sms().session_id
    before = world.backend.expiries()
    with pytest.raises(CodeIsError):
        world.log_in(session_id, world.wrong)
    after = world.backend.expiries()
    assert all(after[key] <= before[key] for key in before)
    assert after.keys() - before.keys() == {otp_key(PHONE, "failures")}


# Rule 3: a code logs in once.


@pytest.mark.parametrize("with_session_id", [True, False])
def test_a_code_logs_in_once(world: World, *, with_session_id: bool) -> None:
    """A redeemed code is spent, with and without the id of its challenge."""
    session_id = world.get_sms().session_id
    world.log_in(session_id if with_session_id else None)
    for again in (session_id, None):
        with pytest.raises(CodeHasValid):
            world.log_in(again)


def test_a_login_is_repeated_under_its_key_for_a_minute(world: World) -> None:
    """The same key gets new tokens of the same user, still reported as new, so a lost answer costs no second SMS."""
    session_id = world.get_sms().session_id
    first = world.log_in(session_id, key=KEY)
    world.wait(59)
    repeat = world.log_in(session_id, key=KEY)
    assert (repeat.user_id, repeat.is_new_user) == (first.user_id, True)
    assert repeat.token != first.token
    for key in (OTHER_KEY, None):
        with pytest.raises(CodeHasValid):
            world.log_in(session_id, key=key)
    world.wait(2)
    with pytest.raises(CodeHasValid):
        world.log_in(session_id, key=KEY)


def test_a_login_at_the_last_moment_is_repeated_for_a_minute_too(world: World) -> None:
    """The record of a spent code outlives the code by the minute in which its login may be repeated."""
    session_id = world.get_sms().session_id
    world.wait(99)
    world.get_sms(session_id)
    world.wait(199)
    world.get_sms(session_id)
    world.wait(298)
    first = world.log_in(session_id, key=KEY)
    world.wait(58)
    assert world.log_in(session_id, key=KEY).user_id == first.user_id
    assert world.log_in(None, key=KEY).user_id == first.user_id


def test_a_repeat_needs_the_right_code_and_its_guesses_count(world: World) -> None:
    """A caller who knows the key of a login has no more guesses than any other caller."""
    session_id = world.get_sms().session_id
    world.log_in(session_id, key=KEY)
    world.spend_guesses(session_id, key=KEY)
    with pytest.raises(CodeHasValid):
        world.log_in(session_id, key=KEY)


# Rule 4: a code is bound to its challenge, and each challenge has few guesses.


def test_a_challenge_has_a_few_wrong_guesses(world: World) -> None:
    """Once the guesses are spent, the right code is refused too."""
    session_id = world.get_sms().session_id
    world.spend_guesses(session_id)
    with pytest.raises(CodeHasValid):
        world.log_in(session_id)


def test_guesses_without_a_session_id_have_a_limit_of_their_own(world: World) -> None:
    """Wrong guesses without a sessionId spend none of the challenge's own guesses."""
    session_id = world.get_sms().session_id
    world.spend_guesses(None)
    with pytest.raises(CodeHasValid):
        world.log_in(None)
    assert world.log_in(session_id).token


def test_a_login_without_a_session_id_is_checked_against_the_latest_code(world: World) -> None:
    """A login without a sessionId, as in the 2024 demo, is checked against the latest code."""
    world.get_sms()
    world.cool_down()
    world.get_sms()
    with pytest.raises(CodeIsError):
        world.log_in(None, world.outbox.sent[0][1])
    assert world.log_in(None).token


def test_another_challenge_of_the_number_leaves_a_code_alone(world: World) -> None:
    """A second challenge for the number, and guesses in it, leave the first code and its guesses alone."""
    session_id = world.get_sms().session_id
    code = world.outbox.code
    world.cool_down()
    attacker = world.get_sms().session_id
    assert attacker != session_id
    world.spend_guesses(attacker, code)
    assert world.log_in(session_id, code).token


def test_a_forged_session_id_is_distinguished_from_an_expired_code(world: World) -> None:
    """An unknown sessionId is a mismatch if the number has a live code, else an expired code, and never a failure."""
    with pytest.raises(CodeHasExpired):
        world.log_in(FORGED, "123456")
    session_id = world.get_sms().session_id
    with pytest.raises(SessionMismatch):
        world.log_in(FORGED)
    assert world.failures() is None
    world.log_in(session_id)
    with pytest.raises(CodeHasExpired):
        world.log_in(FORGED)


def test_a_forged_session_id_is_a_mismatch_while_any_code_of_the_number_is_live(world: World) -> None:
    """The latest code is spent, and an older one still works."""
    older, code = world.get_sms().session_id, world.outbox.code
    world.cool_down()
    world.log_in(world.get_sms().session_id)
    with pytest.raises(SessionMismatch):
        world.log_in("A" * 22)
    assert world.log_in(older, code).token
    with pytest.raises(CodeHasExpired):
        world.log_in("A" * 22)


def test_a_session_id_of_another_number_is_a_mismatch(world: World) -> None:
    """A sessionId is valid for its own number only."""
    session_id = world.get_sms().session_id
    code = world.outbox.code
    world.get_sms(phone=OTHER_PHONE)
    with pytest.raises(SessionMismatch):
        world.log_in(session_id, code, phone=OTHER_PHONE)


def test_a_login_without_a_session_id_can_be_switched_off(any_backend: Backend, clock: time_machine.Traveller) -> None:
    """With REQUIRE_SESSION, the refusal says that sessionId is missing."""
    world = World(any_backend, clock, require_session=True)
    world.get_sms()
    with pytest.raises(InvalidParam, match=r"^sessionId is missing"):
        world.log_in(None)


def test_a_login_to_a_number_without_a_code_is_refused(world: World) -> None:
    """A login to a number without a code is refused as an expired code."""
    with pytest.raises(CodeHasExpired):
        world.log_in(None, "123456")


# Rule 5: a resend sends the same code.


def test_a_resend_sends_the_same_code_and_refills_no_guesses(world: World) -> None:
    """A resend leaves the guesses of a challenge as they were."""
    session_id = world.get_sms().session_id
    for _ in range(world.rules.guesses - 1):
        with pytest.raises(CodeIsError):
            world.log_in(session_id, world.wrong)
    world.cool_down()
    assert world.get_sms(session_id).session_id == session_id
    assert world.outbox.sent[0] == world.outbox.sent[1]
    with pytest.raises(CodeIsError) as wrong:
        world.log_in(session_id, world.wrong)
    assert wrong.value.data == {"attemptsLeft": 0}


@pytest.mark.parametrize("end", ["used", "guessed", "expired", "too old", "unknown", "another number's"])
def test_asking_again_in_a_challenge_that_is_over_opens_a_new_one(world: World, end: str) -> None:
    """If a challenge cannot be used for five more minutes, getSms sends a new code in a new challenge."""
    session_id = world.get_sms(phone=OTHER_PHONE if end == "another number's" else PHONE).session_id
    world.cool_down()
    if end == "used":
        world.log_in(session_id)
    elif end == "guessed":
        world.spend_guesses(session_id)
    elif end == "expired":
        world.wait(world.rules.life)
    elif end == "too old":
        world.get_sms(session_id)
        world.wait(world.rules.life - 20)
    elif end == "unknown":
        session_id = FORGED
    again = world.get_sms(session_id)
    assert again.session_id != session_id
    assert world.log_in(again.session_id).token


def test_a_code_outlives_a_rotation_of_the_secret(any_backend: Backend, clock: time_machine.Traveller) -> None:
    """A code of the previous secret logs in and is resent unchanged; without that secret a new code replaces it."""
    old = World(any_backend, clock, secrets=(OLD_SECRET,))
    session_id = old.get_sms().session_id
    new = World(any_backend, clock, secrets=(SECRET, OLD_SECRET))
    new.cool_down()
    assert new.get_sms(session_id).session_id == session_id
    assert new.outbox.code == old.outbox.code
    forgot = World(any_backend, clock, secrets=(SECRET,))
    forgot.cool_down()
    assert forgot.get_sms(session_id).session_id != session_id
    assert new.log_in(session_id).token


# Rule 6: failures in a row lock the number.


def fail(world: World, times: int) -> None:
    """Make wrong guesses that count as failures, over as many codes and days as needed."""
    for i in range(times):
        if i % world.rules.guesses == 0:
            world.wait(3 * 3600)
            session_id = world.get_sms().session_id
        with pytest.raises(CodeIsError):
            world.log_in(session_id, world.wrong)


def test_a_hundred_failures_in_a_row_lock_the_number_for_a_day(world: World) -> None:
    """Failures count across challenges and expiry; guesses at a locked number do not; a quiet day ends the lock."""
    fail(world, 100)
    world.cool_down()
    with pytest.raises(Locked) as locked:
        world.get_sms()
    assert 86300 < (locked.value.retry_after or 0) < 86400
    with pytest.raises(Locked):
        world.log_in(FORGED, "123456")
    world.wait(86_401)
    assert world.log_in(world.get_sms().session_id).token


def test_a_completed_login_clears_the_count_of_failures(world: World) -> None:
    """Only failures in a row count."""
    fail(world, 99)
    world.cool_down()
    session_id = world.get_sms().session_id
    world.log_in(session_id)
    world.cool_down()
    session_id = world.get_sms().session_id
    with pytest.raises(CodeIsError):
        world.log_in(session_id, world.wrong)
    assert world.log_in(session_id).token


def test_a_locked_number_refuses_the_right_code(world: World) -> None:
    """The lock applies to every caller, since the product cannot tell the owner from an attacker."""
    session_id = world.get_sms().session_id
    world.lock()
    with pytest.raises(Locked) as locked:
        world.log_in(session_id)
    assert locked.value.retry_after == 5


@pytest.mark.parametrize("session_id", [None, "A" * 22])
def test_a_locked_number_without_a_code_is_locked(world: World, session_id: str | None) -> None:
    """There is no code to compare the guess with, and the answer is the same as if there was one."""
    world.lock()
    with pytest.raises(Locked) as locked:
        world.log_in(session_id, "123456")
    assert locked.value.retry_after


@pytest.mark.parametrize("poison", ["nan", "x", "inf", "-nan", ""])
def test_a_count_that_is_not_a_number_counts_as_full(world: World, poison: str) -> None:
    """A corrupt counter counts as full."""
    session_id = world.get_sms().session_id
    world.backend.client.hset(otp_key(PHONE, session_id), "guesses", poison)
    with pytest.raises(CodeHasValid):
        world.log_in(session_id)
    world.backend.client.set(otp_key(PHONE, "failures"), poison, px=5000)
    with pytest.raises(Locked):
        world.log_in(session_id)
    with pytest.raises(Locked):
        world.get_sms()


# Rule 7: a refused sending costs nothing.


@pytest.mark.parametrize("refusal", [SendFailed(), InvalidPhone(), TooManyRequests(retry_after=30)])
def test_a_refused_sending_leaves_nothing_behind(world: World, refusal: SendFailed) -> None:
    """The undo removes cooldown, daily count, challenge and idempotency key, and the next sending succeeds at once."""
    world.outbox.refuse = [refusal]
    with pytest.raises(type(refusal)):
        world.get_sms(key=KEY)
    assert {key for key in world.backend.expiries() if ":day:" not in key} == set()
    assert world.sent_today() == 0
    assert world.get_sms(key=KEY).request_id == "request-1"


def test_a_refused_sending_leaves_an_older_challenge_as_it_was(world: World) -> None:
    """A refused resend and a refused new challenge change neither the earlier code nor its life, guesses and rank."""
    session_id = world.get_sms().session_id
    with pytest.raises(CodeIsError):
        world.log_in(session_id, world.wrong)
    world.cool_down()
    before = on_record(world)
    for asked in (session_id, None, FORGED):
        world.outbox.refuse = [SendFailed()]
        with pytest.raises(SendFailed):
            world.get_sms(asked, key=KEY)
        assert on_record(world) == before
    assert world.log_in(None).token


def on_record(world: World) -> dict[str, object]:
    """Return the content of Redis without the ids of sendings."""
    dump = world.backend.dump()
    for value in dump.values():
        if isinstance(value, dict):
            value.pop("last", None)
    return dump


def test_a_refused_resend_does_not_extend_the_life_of_a_code(world: World) -> None:
    """A code that was not resent gets no five more minutes."""
    session_id = world.get_sms().session_id
    world.wait(200)
    world.outbox.refuse = [SendFailed()]
    with pytest.raises(SendFailed):
        world.get_sms(session_id)
    world.wait(101)
    with pytest.raises(CodeHasExpired):
        world.log_in(session_id)


def test_an_undo_makes_the_latest_challenge_the_latest_again(world: World) -> None:
    """If a resend in the older of two challenges is refused, the newer one is the latest again."""
    older = world.get_sms().session_id
    world.cool_down()
    world.get_sms()
    world.cool_down()
    world.outbox.refuse = [SendFailed()]
    with pytest.raises(SendFailed):
        world.get_sms(older)
    assert world.log_in(None).token


def test_a_sending_without_a_clear_answer_counts_and_its_code_works(world: World) -> None:
    """The sending is neither retried nor undone, and the refusal has the sessionId of its challenge."""
    world.get_sms()
    world.cool_down()
    code: list[str] = []
    send = world.outbox.send

    def arrives_without_an_answer(phone: Phone, digits: str, _purpose: str) -> None:
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


# Rule 8: a login that fails after its code was redeemed unredeems the code.


def test_a_failed_sign_in_unredeems_the_code(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the user table is down once, the code still works, earlier failures still count, and the log has the cause."""
    session_id = world.get_sms().session_id
    with pytest.raises(CodeIsError):
        world.log_in(session_id, world.wrong)
    with monkeypatch.context() as down:
        down.setattr(world.users, "sign_in", unavailable)
        with pytest.raises(UserStoreFailed) as failed:
            world.log_in(session_id)
    assert failed.value.detail == "sql: away"
    assert world.failures() == "1"
    assert 86_000_000 < world.backend.client.pttl(otp_key(PHONE, "failures")) <= 86_400_000
    assert world.log_in(session_id).token
    with pytest.raises(CodeHasValid):
        world.log_in(session_id)


def test_a_crash_at_sign_in_unredeems_the_code_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The crash is still answered and logged as a crash."""
    session_id = world.get_sms().session_id
    with monkeypatch.context() as broken:
        broken.setattr(world.users, "sign_in", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            world.log_in(session_id)
    assert world.log_in(session_id).token


def test_failures_during_a_failed_sign_in_are_added_to_the_earlier_ones(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unredeeming a code restores the count of failures and keeps the newer ones."""
    session_id = world.get_sms().session_id
    with pytest.raises(CodeIsError):
        world.log_in(session_id, world.wrong)

    def fails_after_a_failure(*_: object) -> User:
        world.set_failures(1)
        raise ServiceUnavailable

    monkeypatch.setattr(world.users, "sign_in", fails_after_a_failure)
    with pytest.raises(UserStoreFailed):
        world.log_in(session_id)
    assert world.failures() == "2"


def test_unredeeming_a_code_whose_record_is_gone_creates_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unredeeming a code creates no key."""
    session_id = world.get_sms().session_id

    def loses_everything(*_: object) -> User:
        world.backend.client.flushall()
        raise ServiceUnavailable

    monkeypatch.setattr(world.users, "sign_in", loses_everything)
    with pytest.raises(ServiceUnavailable):
        world.log_in(session_id)
    assert world.backend.expiries() == {}


def test_a_code_whose_login_was_repeated_is_not_unredeemed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first request waits for the user table, its repeat gets a token, so the code stays spent."""
    session_id = world.get_sms().session_id
    sign_in = world.users.sign_in

    def fails_after_a_repeat(*_: object) -> User:
        monkeypatch.setattr(world.users, "sign_in", sign_in)
        assert world.log_in(session_id, key=KEY).token
        raise ServiceUnavailable

    monkeypatch.setattr(world.users, "sign_in", fails_after_a_repeat)
    with pytest.raises(ServiceUnavailable):
        world.log_in(session_id, key=KEY)
    with pytest.raises(CodeHasValid):
        world.log_in(session_id)
    assert world.log_in(session_id, key=KEY).token


def test_a_login_and_its_repeat_that_both_fail_leave_the_code_valid(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the later failure makes the code valid again, since until then the other login may succeed."""
    session_id = world.get_sms().session_id

    def fails_after_its_repeat(*_: object) -> User:
        down.setattr(world.users, "sign_in", unavailable)
        with pytest.raises(ServiceUnavailable) as repeat:
            world.log_in(session_id, key=KEY)
        assert type(repeat.value) is ServiceUnavailable
        with pytest.raises(CodeHasValid):
            world.log_in(session_id)
        raise ServiceUnavailable

    with monkeypatch.context() as down:
        down.setattr(world.users, "sign_in", fails_after_its_repeat)
        with pytest.raises(UserStoreFailed):
            world.log_in(session_id, key=KEY)
    assert world.log_in(session_id, key=OTHER_KEY).token
    with pytest.raises(CodeHasValid):
        world.log_in(session_id)


def test_a_repeat_whose_redemption_is_not_answered_does_not_hold_the_code(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeat has failed like its login, so the code is valid again."""
    session_id = world.get_sms().session_id

    def fails_after_its_repeat(*_: object) -> User:
        with world.redis.losing("redeem"), pytest.raises(ServiceUnavailable):
            world.log_in(session_id, key=KEY)
        raise ServiceUnavailable

    with monkeypatch.context() as down:
        down.setattr(world.users, "sign_in", fails_after_its_repeat)
        with pytest.raises(UserStoreFailed):
            world.log_in(session_id, key=KEY)
    assert world.log_in(session_id).token


def unavailable(*_: object) -> User:
    """Stand for a user table that is down."""
    raise ServiceUnavailable("sql: away")


# The limits of a number.


def test_two_sendings_to_a_number_are_at_least_a_cooldown_apart(world: World) -> None:
    """The cooldown belongs to the number, with any sessionId, and Retry-After gives the rest of it."""
    session_id = world.get_sms().session_id
    world.wait(10)
    for asked in (session_id, None):
        with pytest.raises(TooManyRequests) as wait:
            world.get_sms(asked)
        assert wait.value.retry_after == world.rules.cooldown - 10
    world.wait(world.rules.cooldown - 9)
    assert world.get_sms(session_id)
    assert world.sent_today() == 2


def test_a_number_gets_ten_codes_per_calendar_day_in_china(world: World) -> None:
    """The day ends at midnight at TZ_OFFSET, and Retry-After gives the time until then."""
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


# The Idempotency-Key of getSms.


def test_a_repeated_getsms_has_the_same_session_id_and_sends_nothing(world: World) -> None:
    """The repeat is answered before cooldown and daily limit are checked, with the rest of the waits."""
    first = world.get_sms(key=KEY)
    world.wait(10)
    repeat = world.get_sms(key=KEY)
    assert repeat.session_id == first.session_id
    assert repeat.expires_in in {289, 290}
    assert repeat.resend_after == world.rules.cooldown - 9
    assert (repeat.request_id, repeat.serial_no) == (None, None)
    assert len(world.outbox.sent) == 1


def test_a_repeat_gives_whole_seconds_and_promises_never_too_much(clock: time_machine.Traveller) -> None:
    """The answer rounds expiresIn down, and resendAfter up to the next whole second after the wait."""
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


def test_a_repeat_during_the_first_sendsms_sends_nothing(world: World) -> None:
    """A double tap sends one SMS."""
    repeats: list[str] = []

    def double_tap() -> None:
        world.outbox.meanwhile = lambda: None
        repeats.append(world.get_sms(key=KEY).session_id)

    world.outbox.meanwhile = double_tap
    assert [world.get_sms(key=KEY).session_id] == repeats
    assert len(world.outbox.sent) == 1


def test_an_idempotency_key_belongs_to_one_number(world: World) -> None:
    """The same key for another number is another request."""
    first = world.get_sms(key=KEY)
    assert world.get_sms(key=KEY, phone=OTHER_PHONE).session_id != first.session_id


def test_an_idempotency_key_lives_as_long_as_its_challenge(world: World) -> None:
    """A resend extends the life of the key with that of its challenge, and the key ends with the challenge."""
    session_id = world.get_sms(key=KEY).session_id
    world.wait(200)
    world.get_sms(session_id, key=OTHER_KEY)
    world.wait(200)
    assert world.get_sms(key=KEY).session_id == session_id
    assert len(world.outbox.sent) == 2
    world.wait(101)
    assert world.get_sms(key=KEY).session_id != session_id
    assert len(world.outbox.sent) == 3


def test_an_idempotency_key_of_a_redeemed_challenge_sends_nothing(world: World) -> None:
    """A duplicate that arrives after the login is answered like the others, until the code would have expired."""
    session_id = world.get_sms(key=KEY).session_id
    world.log_in(session_id)
    for _ in range(2):
        repeat = world.get_sms(key=KEY)
        assert (repeat.session_id, repeat.request_id) == (session_id, None)
        world.cool_down()
    assert len(world.outbox.sent) == 1
    world.wait(world.rules.life)
    assert world.get_sms(key=KEY).session_id != session_id


# Keys and users.


def test_every_redis_key_except_the_users_expires(world: World) -> None:
    """Every key except the user's has a TTL, on every path."""
    session_id = world.get_sms(key=KEY).session_id
    with pytest.raises(CodeIsError):
        world.log_in(session_id, world.wrong)
    world.cool_down()
    world.outbox.refuse = [SendFailed()]
    with pytest.raises(SendFailed):
        world.get_sms(session_id, key=OTHER_KEY)
    world.get_sms(session_id)
    world.log_in(session_id, key=KEY)
    expiries = world.backend.expiries()
    assert {key for key, ms in expiries.items() if ms == -1} == {f"user:{{{PHONE.e164}}}"}
    world.wait(LONGEST_SESSION + 86400 + 1)
    assert set(world.backend.expiries()) == {f"user:{{{PHONE.e164}}}"}


def test_a_user_is_signed_up_once_and_found_afterwards(world: World) -> None:
    """The first login creates the user under 128 random bits; the second finds the user as changed since."""
    first = world.log_in(world.get_sms().session_id)
    assert re.fullmatch("[0-9a-f]{32}", first.user_id)
    assert (first.is_new_user, first.name, first.avatar, first.phone) == (True, "", "", PHONE.e164)
    assert world.sessions.set_nickname(first.token, "小明 😀").name == "小明 😀"
    world.cool_down()
    second = world.log_in(world.get_sms().session_id)
    user = replace(world.users.sign_in(PHONE, "x").answer(), created=0, last_login=0)
    assert user == User(first.user_id, PHONE, "小明 😀", "", 0)
    assert (second.user_id, second.is_new_user, second.name) == (first.user_id, False, "小明 😀")
    assert world.users.find(OTHER_PHONE).answer() is None


def test_a_user_record_has_the_time_of_sign_up(world: World) -> None:
    """The time is in epoch milliseconds, as in the 2020 demo."""
    world.log_in(world.get_sms().session_id)
    user = world.users.find(PHONE).answer()
    assert user is not None
    assert user.created == 1_795_233_600_000


def test_a_token_of_an_earlier_user_of_the_number_is_invalid(world: World) -> None:
    """A method answers TokenInvalid if the token's user was replaced, and NotRegistered if the user is gone."""
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


def test_only_the_current_user_of_a_number_is_renamed(world: World) -> None:
    """A deleted user, and one whose number has signed up again, cannot be renamed."""
    device = Device(world)
    owner = world.session_store.owner(PHONE, device.key.rpartition(":")[2])
    assert world.users.rename(PHONE, "nobody", "x", only_if=owner).answer() is None
    world.users.delete(PHONE, device.user_id).answer()
    assert world.users.rename(PHONE, device.user_id, "x", only_if=owner).answer() is None
    world.users.sign_in(PHONE, "b" * 32).answer()
    assert world.users.rename(PHONE, device.user_id, "x", only_if=owner).answer() is None


@pytest.mark.parametrize("begun", [True, False])
def test_a_login_whose_session_cannot_begin_leaves_the_code_valid(world: World, *, begun: bool) -> None:
    """The user may exist by then; nothing is delivered, so the same code logs in once more, without any key."""
    session_id = world.get_sms().session_id
    with world.redis.losing("begin_session", arrives=begun), pytest.raises(UserStoreFailed):
        world.log_in(session_id)
    assert world.log_in(session_id).token
    with pytest.raises(CodeHasValid):
        world.log_in(session_id)


@pytest.mark.parametrize("spent", [True, False])
def test_a_redemption_whose_answer_is_lost_leaves_the_code_valid(world: World, *, spent: bool) -> None:
    """Whether Redis spent the code or never heard of the guess, the same code logs in once more, without any key."""
    session_id = world.get_sms().session_id
    with world.redis.losing("redeem", arrives=spent), pytest.raises(ServiceUnavailable):
        world.log_in(session_id)
    assert world.log_in(session_id).token
    with pytest.raises(CodeHasValid):
        world.log_in(session_id)
