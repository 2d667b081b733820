"""Many at once, released by a barrier, with exact counts: on fakeredis and on a real Redis."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from tests.world import PHONE, UNLIMITED, Backend, World

KEY = "idempotency-key-1"


@pytest.fixture(name="world")
def two_worlds(backend: Backend, clock: time_machine.Traveller) -> World:
    """A login service on fakeredis and on a real Redis."""
    return World(backend, clock, limits=UNLIMITED)


def race(runners: int, run: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the answers of so many threads that start together."""
    barrier = threading.Barrier(runners)
    answers: list[dict[str, Any]] = []

    def runner(i: int) -> None:
        barrier.wait()
        answers.append(run(i))

    threads = [threading.Thread(target=runner, args=[i]) for i in range(runners)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def outcomes(answers: list[dict[str, Any]]) -> Counter[str]:
    """Count the answers by name."""
    return Counter(answer["codeStr"] for answer in answers)


@pytest.mark.parametrize("with_session", [True, False])
def test_of_200_simultaneous_wrong_guesses_3_are_evaluated(world: World, *, with_session: bool) -> None:
    """The other 197 learn nothing, and are no failures."""
    opened = world.get_sms().session_id
    session = opened if with_session else None
    answers = race(200, lambda _: world.call("login", phone=PHONE.e164, code=world.wrong, sessionId=session))
    assert outcomes(answers) == {"CodeIsError": 3, "CodeHasValid": 197}
    assert sorted(answer["data"].get("attemptsLeft", -1) for answer in answers)[-3:] == [0, 1, 2]
    assert world.backend.client.get(f"otp:{{{PHONE.e164}}}:failures") == "3"


@pytest.mark.parametrize("with_session", [True, False])
def test_of_200_simultaneous_right_codes_1_gets_a_token(world: World, *, with_session: bool) -> None:
    """A code logs in once, however many come with it at once."""
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
    """A repeat is harmless, also while the first is on its way."""
    headers = {"Idempotency-Key": KEY}
    answers = race(100, lambda _: world.call("getSms", headers, phone=PHONE.e164))
    assert outcomes(answers) == {"Ok": 100}
    assert len({answer["data"]["sessionId"] for answer in answers}) == 1
    assert len(world.outbox.sent) == 1


def test_100_simultaneous_logins_under_one_key_are_one_login(world: World) -> None:
    """All get a token of the same new user; nobody without the key does."""
    session = world.get_sms().session_id
    right = {"phone": PHONE.e164, "code": world.outbox.code, "sessionId": session}
    answers = race(100, lambda _: world.call("login", {"Idempotency-Key": KEY}, **right))
    assert outcomes(answers) == {"Success": 100}
    assert len({(answer["data"]["userId"], answer["data"]["isNewUser"]) for answer in answers}) == 1
    assert world.call("login", **right)["codeStr"] == "CodeHasValid"


def test_the_right_code_among_two_wrong_ones_always_logs_in(world: World) -> None:
    """Guesses do not take the code away from under each other."""
    for _ in range(20):
        session = world.get_sms().session_id
        codes = [world.wrong, world.outbox.code, world.wrong]
        answers = race(3, lambda i, c=codes, s=session: world.call("login", phone=PHONE.e164, code=c[i], sessionId=s))  # type: ignore[misc]
        assert outcomes(answers)["Success"] == 1
        world.wait(86_400)


def test_50_simultaneous_first_logins_make_one_user(world: World) -> None:
    """Whichever comes first signs the number up, the rest find its user."""
    answers = race(50, lambda i: {"id": world.users.sign_in(PHONE, f"id-{i}").id})
    assert len({answer["id"] for answer in answers}) == 1
