"""Many simultaneous requests, released by a barrier, with exact counts, on fakeredis and on a real Redis."""

from copy import copy
from typing import Any

import pytest
import time_machine

from tests.testkit.backends import Backend
from tests.testkit.devices import Device, alerts
from tests.testkit.limits import down
from tests.testkit.races import outcomes, race
from tests.testkit.world import PHONE, REVIEW_CODE, REVIEW_PHONE, UNLIMITED, World

KEY = "idempotency-key-1"


@pytest.fixture(name="world")
def two_worlds(backend: Backend, clock: time_machine.Traveller) -> World:
    """Build a login service on fakeredis and on a real Redis."""
    return World(backend, clock, limits=UNLIMITED)


@pytest.mark.parametrize("with_session", [True, False])
def test_of_200_simultaneous_wrong_guesses_few_are_evaluated(world: World, *, with_session: bool) -> None:
    """All but the allowed guesses are told that the code is spent, and do not count as failures."""
    opened = world.get_sms().session_id
    session = opened if with_session else None
    answers = race(200, lambda _: world.call("login", phone=PHONE.e164, code=world.wrong, sessionId=session))
    guesses = world.rules.guesses
    assert outcomes(answers) == {"CodeIsError": guesses, "CodeHasValid": 200 - guesses}
    lefts = sorted(answer["data"].get("attemptsLeft", -1) for answer in answers)
    assert lefts[-guesses:] == list(range(guesses))
    assert world.failures() == str(guesses)


@pytest.mark.parametrize("with_session", [True, False])
def test_of_200_simultaneous_right_codes_1_gets_a_token(world: World, *, with_session: bool) -> None:
    """A code signs in once, however many requests bring it at once."""
    opened = world.get_sms().session_id
    session = opened if with_session else None
    answers = race(200, lambda _: world.call("login", phone=PHONE.e164, code=world.outbox.code, sessionId=session))
    assert outcomes(answers) == {"Success": 1, "CodeHasValid": 199}


def test_100_simultaneous_getsms_in_five_spellings_send_1_sms(world: World) -> None:
    """Every spelling of a number is the same number."""
    spellings = ["13800138000", "8613800138000", "+8613800138000", "+86 138-0013-8000", "008613800138000"]
    answers = race(100, lambda i: world.call("getSms", phone=spellings[i % 5]))
    assert outcomes(answers) == {"Ok": 1, "TooManyRequests": 99}
    assert len(world.outbox.sent) == 1
    assert world.sent_today() == 1


def test_100_simultaneous_getsms_under_one_key_are_answered_alike_and_send_1_sms(world: World) -> None:
    """Every repeat gets the same sessionId, even before the first request is answered."""
    headers = {"Idempotency-Key": KEY}
    answers = race(100, lambda _: world.call("getSms", headers, phone=PHONE.e164))
    assert outcomes(answers) == {"Ok": 100}
    assert len({answer["data"]["sessionId"] for answer in answers}) == 1
    assert len(world.outbox.sent) == 1


def test_100_simultaneous_logins_under_one_key_are_one_login(world: World) -> None:
    """All logins get a token of the same new user, and a later login without the key gets none."""
    session = world.get_sms().session_id
    right = {"phone": PHONE.e164, "code": world.outbox.code, "sessionId": session}
    answers = race(100, lambda _: world.call("login", {"Idempotency-Key": KEY}, **right))
    assert outcomes(answers) == {"Success": 100}
    assert len({(answer["data"]["userId"], answer["data"]["isNewUser"]) for answer in answers}) == 1
    assert world.call("login", **right)["codeStr"] == "CodeHasValid"


def test_100_simultaneous_logins_under_one_key_that_fail_leave_the_code_valid(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user table is down for all of them; afterwards the code signs in once."""
    session = world.get_sms().session_id
    right = {"phone": PHONE.e164, "code": world.outbox.code, "sessionId": session}
    with monkeypatch.context() as table:
        table.setattr(world.users, "sign_in", down)
        answers = race(100, lambda _: world.call("login", {"Idempotency-Key": KEY}, **right))
    assert outcomes(answers).keys() <= {"UserStoreFailed", "ServiceUnavailable"}
    assert outcomes(answers)["UserStoreFailed"] >= 1
    assert [world.call("login", **right)["codeStr"] for _ in range(2)] == ["Success", "CodeHasValid"]


def test_the_right_code_among_two_wrong_ones_always_logs_in(world: World) -> None:
    """Wrong guesses at the same moment do not spend the code."""
    for _ in range(20):
        session = world.get_sms().session_id
        codes = [world.wrong, world.outbox.code, world.wrong]
        answers = race(3, lambda i, c=codes, s=session: world.call("login", phone=PHONE.e164, code=c[i], sessionId=s))  # type: ignore[misc] # mypy infers no lambda with defaults
        assert outcomes(answers)["Success"] == 1
        world.wait(86_400)


def test_50_simultaneous_first_logins_make_one_user(world: World) -> None:
    """The first login signs the number up, and the others find its user."""
    answers = race(50, lambda i: {"id": world.users.sign_in(PHONE, f"id-{i}").answer().id})
    assert len({answer["id"] for answer in answers}) == 1


# Sessions.


def count_of(device: Device) -> str:
    """Return the count of a session's present refresh token, which begins with 1."""
    return str(device.world.backend.client.hget(device.key, "count"))


def test_50_simultaneous_refreshes_of_one_token_are_one_rotation(world: World) -> None:
    """All refreshes get the same refresh token and an access token of their own, and each token is valid."""
    device = Device(world)
    token = device.refresh_token
    answers = race(50, lambda _: world.call("refresh", refreshToken=token))
    assert outcomes(answers) == {"Success": 50}
    assert len({answer["data"]["refreshToken"] for answer in answers}) == 1
    assert len({answer["data"]["token"] for answer in answers}) == 50
    assert count_of(device) == "2"
    assert {device.call("getUserInfo", token=answer["data"]["token"]) for answer in answers} == {"Success"}
    assert device.refresh(answers[0]["data"]["refreshToken"]) == "Success"


@pytest.mark.parametrize("everywhere", [True, False])
def test_after_a_logout_among_50_refreshes_no_token_is_valid(world: World, *, everywhere: bool) -> None:
    """A logout also ends the tokens of a refresh at the same moment."""
    device = Device(world)
    token, access = device.refresh_token, device.token

    def run(i: int) -> dict[str, Any]:
        if i == 25:
            return world.call("logout", token=access, everywhere=everywhere)
        return world.call("refresh", refreshToken=token)

    answers = race(51, run)
    assert outcomes(answers).keys() <= {"Success", "TokenInvalid"}
    given = [answer["data"] for answer in answers if answer["data"]]
    assert {device.call("getUserInfo", token=data["token"]) for data in given} <= {"TokenInvalid"}
    assert {device.refresh(data["refreshToken"]) for data in given} <= {"TokenInvalid"}
    assert device.tries() == {"TokenInvalid"}
    assert device.key not in world.backend.expiries()


def test_20_refreshes_with_an_old_token_and_one_with_the_present_end_the_session_once(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before, between or after the thieves, the owner loses the session too, with a single alert."""
    for _ in range(5):
        owner = Device(world)
        thief = copy(owner)
        owner.refresh()
        world.wait(11)
        old, present = thief.refresh_token, owner.refresh_token
        answers = race(21, lambda i, o=old, p=present: world.call("refresh", refreshToken=p if i == 10 else o))  # type: ignore[misc] # mypy infers no lambda with defaults
        assert [alert["alert"] for alert in alerts(capsys)] == ["refresh_token_reused"]
        given = [answer["data"] for answer in answers if answer["codeStr"] == "Success"]
        assert len(given) <= 1  # the owner's, if that refresh was the first
        for data in given:
            owner.keep(data)
        assert owner.tries() == thief.tries() == {"TokenInvalid"}
        assert alerts(capsys) == []
        world.wait(3600)


def test_20_simultaneous_logouts_end_the_session_once(world: World) -> None:
    """A logout that comes too late finds the session ended."""
    device = Device(world)
    shown = [{"token": device.token}, {"refreshToken": device.refresh_token}]
    answers = race(20, lambda i: world.call("logout", **shown[i % 2]))
    assert outcomes(answers).keys() <= {"Success", "TokenInvalid"}
    assert outcomes(answers)["Success"] >= 1
    assert device.tries() == {"TokenInvalid"}


def test_after_a_deletion_among_20_refreshes_no_token_is_valid(world: World) -> None:
    """After the deletion the user is gone, and so is every session."""
    device = Device(world)
    world.cool_down()
    deletes = {"sessionId": world.get_sms().session_id, "code": world.outbox.code, "token": device.token}
    token = device.refresh_token
    answers = race(
        21,
        lambda i: world.call("deleteAccount", **deletes) if i == 10 else world.call("refresh", refreshToken=token),
    )
    assert outcomes(answers).keys() <= {"Success", "TokenInvalid", "NotRegistered"}
    for data in [answer["data"] for answer in answers if answer["data"]]:
        device.keep(data)
        assert device.tries() == {"TokenInvalid"}
    assert device.tries() == {"TokenInvalid"}
    assert world.users.find(PHONE).answer() is None
    assert device.key not in world.backend.expiries()


def test_of_20_simultaneous_deletions_with_one_code_1_deletes(world: World) -> None:
    """One deletion succeeds, and the others find the code spent or their session ended."""
    device = Device(world)
    world.cool_down()
    deletes = {"sessionId": world.get_sms().session_id, "code": world.outbox.code, "token": device.token}
    answers = race(20, lambda _: world.call("deleteAccount", **deletes))
    assert outcomes(answers)["Success"] == 1
    assert outcomes(answers).keys() <= {"Success", "CodeHasValid", "CodeHasExpired", "TokenInvalid"}
    assert device.tries() == {"TokenInvalid"}


def test_a_deletion_among_logins_leaves_no_valid_token_of_the_deleted_user(world: World) -> None:
    """A simultaneous login joins the account that is deleted, or begins a new one after it."""
    login = {"phone": REVIEW_PHONE.e164, "code": REVIEW_CODE}
    for _ in range(5):
        old = world.call("login", **login)["data"]
        deletes = {"token": old["token"], "code": REVIEW_CODE}
        answers = race(
            11,
            lambda i, d=deletes: world.call("deleteAccount", **d) if i == 5 else world.call("login", **login),  # type: ignore[misc] # mypy infers no lambda with defaults
        )
        assert outcomes(answers) == {"Success": 11}
        user = world.users.find(REVIEW_PHONE).answer()
        assert user is None or user.id != old["userId"]
        for data in [answer["data"] for answer in answers if answer["data"]]:
            outcome = world.call("getUserInfo", token=data["token"])["codeStr"]
            renewed = world.call("refresh", refreshToken=data["refreshToken"])["codeStr"]
            if user is None or data["userId"] != user.id:
                assert {outcome, renewed} <= {"TokenInvalid", "NotRegistered"}
        assert world.call("login", **login)["codeStr"] == "Success"
