"""A resend that is refused while others log in: nothing is given back twice, on every kind of Redis."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from sms_login.errors import InvalidPhone, ServiceUnavailable, UserStoreFailed
from sms_login.otp.rules import Rules
from sms_login.phone import Phone
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
    issue = quick.challenges.issue

    def loses_the_answer(*args: Any) -> None:
        issue(*args)
        monkeypatch.setattr(quick.challenges, "issue", issue)
        quick.wait(2)
        quick.get_sms(session)
        raise ServiceUnavailable

    monkeypatch.setattr(quick.challenges, "issue", loses_the_answer)
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
