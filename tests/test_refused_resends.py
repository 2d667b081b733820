"""SendSms refuses a resend while logins happen: every window is refunded exactly once, on every kind of Redis."""

import threading
from collections import Counter
from collections.abc import Callable

import pytest

from sms_login.errors import InvalidPhone, ServiceUnavailable, UserStoreFailed
from sms_login.otp.rules import Rules
from sms_login.users import User
from tests.testkit.limits import IP, Make, counts, down, totals, unverified
from tests.testkit.world import OTHER_PHONE, World


@pytest.fixture
def quick(make: Make) -> World:
    """A service whose sendings can overlap, on which another number of the range has had a code."""
    world = make(rules=Rules(cooldown=1))
    world.get_sms(phone=OTHER_PHONE)
    return world


OTHERS = unverified() + totals() + Counter([f"ip:{IP} refused"])


def refused_resend(world: World, session_id: str, meanwhile: Callable[[], object]) -> None:
    """Ask for the code again; during SendSms, call `meanwhile`, then let SendSms refuse."""

    def happen() -> None:
        world.outbox.meanwhile = lambda: None
        meanwhile()
        world.outbox.refuse = [InvalidPhone()]

    world.outbox.meanwhile = happen
    with pytest.raises(InvalidPhone):
        world.get_sms(session_id)


def test_a_login_while_a_resend_is_refused_refunds_both_once(quick: World) -> None:
    """The login refunds the resend's unverified windows, so the undo refunds only its totals."""
    session_id = quick.get_sms().session_id
    quick.wait(2)
    refused_resend(quick, session_id, lambda: quick.log_in(session_id))
    assert counts(quick) == OTHERS + totals()


def test_a_failed_login_while_a_resend_is_refused_leaves_the_refund_to_the_undo(
    quick: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failed login unredeems the code before SendSms refuses; the next login refunds the first sending."""
    session_id = quick.get_sms().session_id
    quick.wait(2)

    def fails() -> None:
        with monkeypatch.context() as broken:
            broken.setattr(quick.users, "sign_in", down)
            with pytest.raises(UserStoreFailed):
                quick.log_in(session_id)

    refused_resend(quick, session_id, fails)
    assert counts(quick) == OTHERS + unverified() + totals()
    quick.log_in(session_id)
    assert counts(quick) == OTHERS + totals()


def test_a_resend_that_is_refused_while_a_login_fails_is_refunded(
    quick: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The undo happens after the login redeemed the code and before it unredeems it."""
    session_id = quick.get_sms().session_id
    code = quick.outbox.code
    quick.wait(2)
    at_sendsms, spent = threading.Event(), threading.Event()

    def waits() -> None:
        at_sendsms.set()
        assert spent.wait(10)

    resend = threading.Thread(target=lambda: refused_resend(quick, session_id, waits))
    resend.start()
    assert at_sendsms.wait(10)

    def undone_meanwhile(*_: object) -> User:
        spent.set()
        resend.join()
        raise ServiceUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(quick.users, "sign_in", undone_meanwhile)
        with pytest.raises(UserStoreFailed):
            quick.log_in(session_id, code)
    quick.log_in(session_id, code)
    assert counts(quick) == OTHERS + totals()


def test_an_issue_with_a_lost_answer_and_a_later_sending_is_refunded_once(quick: World) -> None:
    """The challenge lives on with the later sending, and the login refunds only the reservations that are left."""
    session_id = quick.get_sms().session_id
    quick.wait(2)

    def another() -> None:
        quick.wait(2)
        with quick.redis.losing():
            quick.get_sms(session_id)

    quick.redis.after("issue", another)
    with quick.redis.losing("issue"), pytest.raises(ServiceUnavailable):
        quick.get_sms(session_id)
    quick.log_in(session_id)
    assert counts(quick) == unverified() + totals() + totals() + totals()


def test_a_login_after_a_refused_resend_refunds_the_first_sending(quick: World) -> None:
    """The login does not refund the resend a second time."""
    session_id = quick.get_sms().session_id
    quick.wait(2)
    refused_resend(quick, session_id, lambda: None)
    assert counts(quick) == OTHERS + unverified() + totals()
    quick.log_in(session_id)
    assert counts(quick) == OTHERS + totals()
