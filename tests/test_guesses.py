"""The budget of guesses of a client, and the refund of its guesses, on every kind of Redis."""

from collections import Counter

import pytest

from sms_login.errors import (
    CodeHasExpired,
    CodeHasValid,
    CodeIsError,
    Locked,
    Refusal,
    SessionMismatch,
    TooManyRequests,
)
from sms_login.limits.policy import Limits
from sms_login.phone import Phone
from tests.testkit.limits import (
    FORGED,
    IP,
    KEY,
    OTHER_IP,
    TO_THE_HOUR,
    Make,
    Printed,
    alerts,
    counts,
    stranger,
    totals,
    unverified,
)
from tests.testkit.world import OTHER_PHONE, PHONE, World


def guess(
    world: World, refusal: type[Refusal], session: str | None, code: str | None = None, *, phone: Phone = PHONE
) -> Refusal:
    """Log in without success, and return the refusal."""
    with pytest.raises(refusal) as error:
        world.log_in(session, code, phone=phone)
    assert type(error.value) is refusal
    return error.value


def test_a_login_refunds_its_own_guess(make: Make) -> None:
    """The wrong guesses before it still count, and a repeat of the login refunds its own guess as well."""
    world = make()
    session = world.get_sms().session_id
    guess(world, CodeIsError, session, world.wrong)
    for _ in range(2):
        world.log_in(session, key=KEY)
        assert counts(world) == totals() + Counter([f"ip:{IP} guesses"])


def test_a_guess_without_success_counts(make: Make) -> None:
    """A guess counts if its code is wrong, spent or expired, or belongs to no challenge of the number."""
    world = make()
    guess(world, CodeHasExpired, None, "123456")
    session = world.get_sms().session_id
    world.spend_guesses(session)
    guess(world, CodeHasValid, session)
    guess(world, SessionMismatch, FORGED)
    world.wait(301)
    guess(world, CodeHasExpired, session)
    assert counts(world)[f"ip:{IP} guesses"] == world.rules.guesses + 4


def test_a_locked_number_refunds_the_guess(make: Make) -> None:
    """A locked number refuses a guess before it is compared with a code."""
    world = make()
    session = world.get_sms().session_id
    world.lock()
    for asked in (session, None, FORGED):
        guess(world, Locked, asked)
    assert counts(world) == unverified() + totals()


def test_a_lock_refunds_nothing_if_no_limit_counts_clients(make: Make, printed: Printed) -> None:
    """Without a client's budget, the refused login makes a single call to Redis."""
    world = make(ip=None)
    session = world.get_sms().session_id
    guess(world, CodeIsError, session, world.wrong)
    world.lock()
    assert world.call("login", phone=PHONE.e164, code="123456", sessionId=session)["codeStr"] == "Locked"
    (line,) = printed()
    assert line["redis_calls"] == 1


def test_the_50th_and_the_100th_failure_in_a_row_raise_an_alert(make: Make, printed: Printed) -> None:
    """Failures count across codes; neither the failures between the two nor the guesses that the lock refuses alert."""
    world = make()
    for before, outcomes in ((48, ["CodeIsError"] * 3), (98, ["CodeIsError", "CodeIsError", "Locked"])):
        login = {"phone": PHONE.e164, "sessionId": world.get_sms().session_id, "code": world.wrong}
        world.set_failures(before)
        assert [world.call("login", **login)["codeStr"] for _ in range(3)] == outcomes
        assert alerts(printed()) == [{"alert": "failures_in_a_row", "failures": before + 2}]
        world.cool_down()


@pytest.fixture
def spent(make: Make) -> World:
    """Build a service on which a client has used up its guesses, on numbers without a code."""
    world = make(limits=Limits(guesses=2))
    for i in range(2):
        guess(world, CodeHasExpired, None, "123456", phone=stranger(i))
    return world


def test_a_client_without_guesses_can_still_log_in_with_a_sessionid(spent: World) -> None:
    """A wrong code is answered with the guesses left; a right one signs in, can be repeated and refunds its sending."""
    session = spent.get_sms().session_id
    assert guess(spent, CodeIsError, session, spent.wrong).data == {"attemptsLeft": spent.rules.guesses - 1}
    for _ in range(2):
        assert spent.log_in(session, key=KEY).token
    assert counts(spent) == totals() + Counter({f"ip:{IP} guesses": 2})


def test_a_client_without_guesses_is_refused_without_a_sessionid(spent: World) -> None:
    """Even the right code is refused until the hour ends, and stays valid; another client can use it."""
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


def test_a_client_without_guesses_is_refused_with_a_sessionid_that_no_longer_works(spent: World) -> None:
    """A forged, spent, used or expired sessionId and that of another number get the same refusal and Retry-After."""
    spent.ip = OTHER_IP
    guessed = spent.get_sms().session_id
    spent.ip = None  # so that the next guesses are not counted
    spent.spend_guesses(guessed)
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
