"""Test numbers, for reviewers of the app: a fixed code, no SMS, no limits, and no trace but a user."""

from typing import Any

import pytest
import time_machine

from sms_login.errors import CodeHasExpired, CodeIsError, InvalidParam, InvalidPhone, SessionMismatch
from sms_login.limits.policy import Limits
from sms_login.otp.rules import Rules
from sms_login.otp.test_numbers import FixedCodes
from sms_login.periods import Calendar
from sms_login.phone import Phone
from sms_login.secret import Secret
from tests.testkit.backends import NOON, Backend, fake_backend
from tests.testkit.limits import Printed
from tests.testkit.races import race
from tests.testkit.world import ENVIRON, PHONE, REVIEW_CODE, REVIEW_PHONE, World

IP = "203.0.113.7"
LAST_MOMENT = NOON.replace(month=12, day=31, hour=23, minute=59, second=59)
USER = f"user:{{{REVIEW_PHONE.e164}}}"


@pytest.fixture
def strict(any_backend: Backend, clock: time_machine.Traveller) -> World:
    """A service that refuses all other numbers: no country, no sending, captchas always, and limits of one."""
    limits = Limits(*[1] * len(Limits.__struct_fields__))
    closed: dict[str, Any] = {"sending": False, "countries": frozenset(), "captcha_mode": "always"}
    return World(any_backend, clock, rules=Rules(daily=1), limits=limits, ip=IP, **closed)


def test_a_reviewer_logs_in_like_an_ordinary_user(strict: World) -> None:
    """The answers have the same form as an ordinary user's, and the token works."""
    sent = strict.call("getSms", phone=REVIEW_PHONE.e164)
    ordinary = World(strict.backend, strict.clock).call("getSms", phone=PHONE.e164)
    assert (sent["codeStr"], sent["data"].keys()) == ("Ok", ordinary["data"].keys())
    waits = {name: ordinary["data"][name] for name in ("expiresIn", "resendAfter")}
    assert {**sent["data"], "sessionId": ""} == {"sessionId": "", **waits, "requestId": None, "serialNo": None}
    login = {"phone": "86 138-0000-0000", "code": REVIEW_CODE, "sessionId": sent["data"]["sessionId"]}
    first, second = (strict.call("login", **login)["data"] for _ in range(2))
    assert (first["phone"], first["isNewUser"], second["isNewUser"]) == (REVIEW_PHONE.e164, True, False)
    assert first["userId"] == second["userId"]
    info = strict.call("setNickname", token=first["token"], name="reviewer")["data"]
    assert (info["userId"], info["phone"], info["name"]) == (first["userId"], REVIEW_PHONE.e164, "reviewer")
    assert strict.call("login", phone=REVIEW_PHONE.e164, token=second["token"])["data"]["name"] == "reviewer"


def test_a_number_that_nobody_can_have_logs_in_like_any_test_number(
    clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The documented number of an unassigned range is read in each spelling; its neighbour is no number."""
    monkeypatch.setitem(ENVIRON, "TEST_NUMBERS", f"+8615400000000={REVIEW_CODE}")
    world = World(fake_backend(), clock)
    for spelling in ("+8615400000000", "154 0000 0000", "8615400000000"):
        assert world.call("getSms", phone=spelling)["codeStr"] == "Ok"
        login = world.call("login", phone=spelling, code=REVIEW_CODE)["data"]
        assert (login["phone"], world.outbox.sent) == ("+8615400000000", [])
        assert world.call("login", phone=spelling, token=login["token"])["codeStr"] == "Success"
    assert world.call("refresh", refreshToken=login["refreshToken"])["codeStr"] == "Success"
    for method in ("getSms", "login"):
        assert world.call(method, phone="15400000001", code=REVIEW_CODE)["codeStr"] == "InvalidPhone"


def test_nothing_is_sent_and_only_the_user_is_kept(strict: World) -> None:
    """A test number uses no SMS and no captcha, and leaves no code, counter or failure in Redis."""
    for _ in range(3):
        strict.get_sms(phone=REVIEW_PHONE, ticket="ticket", key="idempotency-key-1")
        with pytest.raises(CodeIsError):
            strict.log_in(None, "000000", phone=REVIEW_PHONE)
    assert strict.backend.expiries() == {}
    strict.log_in(None, REVIEW_CODE, phone=REVIEW_PHONE, key="idempotency-key-1")
    assert not strict.outbox.sent
    assert not strict.captchas.seen
    kept = strict.backend.expiries()
    assert {key for key in kept if not key.startswith("session:")} == {USER}


def test_no_limit_applies_to_a_test_number(strict: World) -> None:
    """Its own limits, the client's and a lock are ignored, for repeated and for simultaneous use."""
    strict.lock(REVIEW_PHONE, seconds=60)
    for _ in range(12):
        assert strict.get_sms(phone=REVIEW_PHONE).session_id
    for _ in range(12):
        with pytest.raises(CodeIsError) as wrong:
            strict.log_in("A" * 22, "654321", phone=REVIEW_PHONE)
        assert wrong.value.data == {"attemptsLeft": strict.rules.guesses}
    logins = race(12, lambda _: strict.call("login", phone=REVIEW_PHONE.e164, code=REVIEW_CODE))
    assert {login["codeStr"] for login in logins} == {"Success"}
    assert len({login["data"]["userId"] for login in logins}) == 1


@pytest.mark.parametrize("code", ["000000", "123457", "654321"])
def test_another_code_is_wrong(strict: World, code: str) -> None:
    """Any code but the fixed one is wrong, with and without a sessionId."""
    for session in (None, strict.get_sms(phone=REVIEW_PHONE).session_id):
        with pytest.raises(CodeIsError):
            strict.log_in(session, code, phone=REVIEW_PHONE)
    assert strict.backend.expiries() == {}


def test_a_reviewer_needs_a_session_id_if_one_is_required(any_backend: Backend, clock: time_machine.Traveller) -> None:
    """The app sends the sessionId, as always."""
    world = World(any_backend, clock, require_session=True)
    with pytest.raises(InvalidParam):
        world.log_in(None, REVIEW_CODE, phone=REVIEW_PHONE)
    assert world.log_in(world.get_sms(phone=REVIEW_PHONE).session_id, REVIEW_CODE, phone=REVIEW_PHONE).token


def test_the_fixed_code_and_its_challenge_work_for_no_other_number(world: World) -> None:
    """Both are refused for any other number, with a live code of its own or without; so is the token."""
    session = world.get_sms(phone=REVIEW_PHONE).session_id
    token = world.log_in(session, REVIEW_CODE, phone=REVIEW_PHONE).token
    for asked in (session, None):
        with pytest.raises(CodeHasExpired):
            world.log_in(asked, REVIEW_CODE)
    world.get_sms()
    with pytest.raises(SessionMismatch):
        world.log_in(session, REVIEW_CODE)
    other = world.call("login", phone=PHONE.e164, token=token)
    assert other["codeStr"] == "TokenMismatch"
    assert world.users.find(PHONE).answer() is None


def test_a_code_that_was_sent_does_not_work_for_a_test_number(world: World) -> None:
    """A test number accepts its fixed code only."""
    session = world.get_sms().session_id
    code = world.outbox.code if world.outbox.code != REVIEW_CODE else world.wrong
    for asked in (session, None):
        with pytest.raises(CodeIsError):
            world.log_in(asked, code, phone=REVIEW_PHONE)


def test_each_test_number_has_its_own_code(clock: time_machine.Traveller) -> None:
    """The code of one test number is wrong for another."""
    clock.move_to(NOON)
    other = Phone.parse("+8613800000001", "CN")
    codes = FixedCodes({REVIEW_PHONE.e164: Secret("000001"), other.e164: Secret("999999")}, "20261231", Calendar(8))
    assert codes.codes.keys() == {REVIEW_PHONE.e164, other.e164}
    assert (codes.right(REVIEW_PHONE, "000001"), codes.right(REVIEW_PHONE, "999999")) == (True, False)
    assert (codes.right(other, "999999"), codes.right(other, "000001")) == (True, False)


def test_the_last_day_ends_at_midnight_of_the_offset(world: World) -> None:
    """A test number works until then; afterwards getSms and login answer that it cannot receive SMS."""
    world.clock.move_to(LAST_MOMENT, tick=False)
    assert world.get_sms(phone=REVIEW_PHONE).session_id
    signed_in = world.log_in(None, REVIEW_CODE, phone=REVIEW_PHONE)
    assert world.call("login", phone=REVIEW_PHONE.e164, token=signed_in.token)["codeStr"] == "Success"
    world.clock.shift(1)
    before = world.backend.dump()
    with pytest.raises(InvalidPhone):
        world.get_sms(phone=REVIEW_PHONE)
    for code in (REVIEW_CODE, "000000"):
        with pytest.raises(InvalidPhone):
            world.log_in(None, code, phone=REVIEW_PHONE)
    assert world.call("login", phone=REVIEW_PHONE.e164, code=REVIEW_CODE)["errorCode"] == -1002
    assert world.outbox.sent == []
    token = {"token": signed_in.token}
    assert world.call("login", phone=REVIEW_PHONE.e164, **token)["codeStr"] == "TokenInvalid"
    assert world.call("getUserInfo", **token)["codeStr"] == "TokenInvalid"
    assert world.call("refresh", refreshToken=signed_in.refresh_token)["codeStr"] == "TokenInvalid"
    assert world.backend.dump() == before


@pytest.mark.parametrize(("offset", "works"), [(8, False), (7.5, True), (0, True), (14, False)])
def test_the_last_day_is_in_the_zone_of_the_offset(
    clock: time_machine.Traveller, offset: float, *, works: bool
) -> None:
    """Midnight in China is still the last day further west."""
    clock.move_to(LAST_MOMENT, tick=False)
    clock.shift(1)
    codes = FixedCodes({REVIEW_PHONE.e164: Secret(REVIEW_CODE)}, "20261231", Calendar(offset))
    if works:
        codes.use(REVIEW_PHONE)
        return
    with pytest.raises(InvalidPhone):
        codes.use(REVIEW_PHONE)
    assert not codes.ended(PHONE)


def test_each_use_is_logged_and_the_code_is_not(world: World, printed: Printed) -> None:
    """A wrong code, and a use after the last day with its reason, are logged too; only test numbers have the mark."""
    review = {"phone": REVIEW_PHONE.e164}
    world.call("getSms", **review)
    world.call("login", **review, code=REVIEW_CODE)
    world.call("login", **review, code="654321")
    world.call("getSms", phone=PHONE.e164)
    world.clock.move_to(LAST_MOMENT, tick=False)
    world.clock.shift(1)
    world.call("getSms", **review)
    lines = printed()
    assert [(line["outcome"], line.get("test_number")) for line in lines] == [
        ("Ok", True),
        ("Success", True),
        ("CodeIsError", True),
        ("Ok", None),
        ("InvalidPhone", True),
    ]
    assert lines[-1]["detail"] == "a test number, after TEST_NUMBERS_UNTIL"
    for line in lines:
        del line["request_id"]  # random, so it may hold anything
    assert not any(secret in str(lines) for secret in (REVIEW_CODE, "654321", REVIEW_PHONE.e164[1:]))
