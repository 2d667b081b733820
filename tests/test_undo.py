"""Taking back a refused sending, while other sendings, guesses and losses come between, on every kind of Redis."""

from typing import Any

import pytest

from sms_login.adapters.redis.codes import otp_key
from sms_login.errors import (
    CodeHasExpired,
    CodeHasValid,
    CodeIsError,
    SendFailed,
    ServiceUnavailable,
    SessionMismatch,
    TooManyRequests,
)
from sms_login.limits.policy import Reservation
from sms_login.otp.rules import Rules
from sms_login.otp.store import Challenge, SendRequest
from sms_login.periods import Period
from sms_login.phone import Phone
from sms_login.users import User
from tests.testkit.limits import Printed, alerts
from tests.testkit.world import PHONE, Backend, World

KEY, OTHER_KEY = "idempotency-key-1", "idempotency-key-2"
NO_RESERVATION = Reservation("494400", "20261121", None)


@pytest.fixture
def quick(world: World) -> World:
    """A service whose sendings can overlap: its cooldown is shorter than SendSms may take."""
    return World(world.backend, world.clock, rules=Rules(cooldown=1))


def meanwhile(world: World, *happenings: object) -> None:
    """Let things happen while the next SendSms is under way, which is then refused."""

    def happen() -> None:
        world.outbox.meanwhile = lambda: None
        for happening in happenings:
            assert callable(happening)
            happening()
        world.outbox.refuse = [SendFailed()]

    world.outbox.meanwhile = happen


def refused(world: World, session: str | None = None, key: str | None = None) -> None:
    """Ask for a code whose sending is refused."""
    world.outbox.refuse = world.outbox.refuse or []
    with pytest.raises(SendFailed):
        world.get_sms(session, key=key)


def refused_at_once(world: World, session: str | None = None, key: str | None = None) -> None:
    """Ask for a code; SendSms refuses."""
    world.outbox.refuse = [SendFailed()]
    refused(world, session, key)


def days(backend: Backend) -> list[str]:
    """Return the keys that count a day."""
    return [key for key in backend.expiries() if ":day:" in key]


def test_a_later_sending_in_the_session_keeps_all_but_the_quota(quick: World) -> None:
    """The refused one gives back its own part of the day; cooldown, life and place are the later one's."""
    session = quick.get_sms().session_id
    quick.wait(2)
    meanwhile(quick, lambda: quick.wait(2), lambda: quick.get_sms(session))
    refused(quick, session)
    assert quick.sent_today() == 2
    with pytest.raises(TooManyRequests):
        quick.get_sms(session)
    assert quick.log_in(session).token


def test_a_later_sending_in_another_session_keeps_everything(quick: World) -> None:
    """Its cooldown, its place as the latest and its key are not the refused one's to give back."""
    meanwhile(quick, lambda: quick.wait(2), lambda: quick.get_sms(key=OTHER_KEY))
    refused(quick, key=KEY)
    assert quick.sent_today() == 1
    assert otp_key(PHONE, f"sent:{KEY}") not in quick.backend.expiries()
    assert otp_key(PHONE, f"sent:{OTHER_KEY}") in quick.backend.expiries()
    with pytest.raises(TooManyRequests):
        quick.get_sms()
    assert quick.log_in(None).token


@pytest.mark.parametrize("first_wins", [True, False])
def test_of_two_refused_sendings_in_one_session_nothing_stays(quick: World, *, first_wins: bool) -> None:
    """Whichever is refused first."""

    def resend() -> None:
        session = quick.challenges.latest(PHONE)
        if not first_wins:
            refused_at_once(quick, session, OTHER_KEY)
            return
        ask = SendRequest(PHONE, Period("20261121", 1000), session, OTHER_KEY)
        quick.challenges.issue(ask, Challenge("B" * 22, "nonce", "digest"), NO_RESERVATION, "later")

    meanwhile(quick, lambda: quick.wait(2), resend)
    refused(quick, key=KEY)
    if first_wins:
        session = quick.challenges.latest(PHONE)
        assert session is not None
        quick.challenges.undo(
            SendRequest(PHONE, Period("20261121", 1000), idempotency_key=OTHER_KEY), session, "later", issued=True
        )
    assert quick.sent_today() == 0
    assert [key for key in quick.backend.expiries() if ":day:" not in key] == []


def test_what_was_lost_meanwhile_is_not_made_anew(quick: World) -> None:
    """Where nothing is on record, nothing is taken back; a count is not taken below zero."""
    meanwhile(quick, quick.backend.client.flushall)
    refused(quick, key=KEY)
    assert quick.backend.expiries() == {}
    meanwhile(quick, lambda: quick.backend.client.delete(*days(quick.backend)))
    refused(quick, key=KEY)
    assert quick.backend.expiries() == {}


def test_undoing_twice_undoes_once(quick: World) -> None:
    """The second time there is nothing of this sending left."""
    quick.get_sms()
    quick.wait(2)
    ask = SendRequest(PHONE, Period("20261121", 3_600_000))
    quick.challenges.issue(ask, Challenge("B" * 22, "nonce", "digest"), NO_RESERVATION, "mark")
    quick.challenges.undo(ask, "B" * 22, "mark", issued=True)
    quick.challenges.undo(ask, "B" * 22, "mark", issued=True)
    assert quick.sent_today() == 1


def test_the_latest_session_gets_its_place_back_for_as_long_as_it_had_it(world: World) -> None:
    """With the life that its own record has left, not with the refused one's."""
    world.get_sms()
    world.wait(400)
    before = world.backend.expiries()[otp_key(PHONE, "latest")]
    refused_at_once(world)
    after = world.backend.expiries()[otp_key(PHONE, "latest")]
    assert before - 1000 < after <= before


def test_an_answer_that_was_lost_is_undone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis put the sending on record and we never heard of it: its repeat must send, not say that it was sent."""
    session = world.get_sms().session_id
    world.wait(200)
    before = {key: value for key, value in world.backend.dump().items() if ":latest" in key or ":day:" in key}
    issue = world.challenges.issue

    def loses_the_answer(*args: Any) -> None:
        issue(*args)
        raise ServiceUnavailable

    for asked in (None, session):
        with monkeypatch.context() as lost:
            lost.setattr(world.challenges, "issue", loses_the_answer)
            with pytest.raises(ServiceUnavailable):
                world.get_sms(asked, key=KEY)
        dump = world.backend.dump()
        assert {key: value for key, value in dump.items() if ":latest" in key or ":day:" in key} == before
        assert not {otp_key(PHONE, "cooldown"), otp_key(PHONE, f"sent:{KEY}")} & dump.keys()
    assert len(world.outbox.sent) == 1
    assert world.get_sms(key=KEY).request_id == "request-2"
    world.wait(101)
    with pytest.raises(CodeHasExpired):
        world.log_in(session, world.outbox.sent[0][1])


def test_an_issue_that_never_arrived_takes_nothing_from_the_session(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis was away for that call only: what it has on record of the session is of earlier sendings."""
    session = world.get_sms().session_id
    world.cool_down()
    before = world.backend.dump()

    def never_arrives(*_: object) -> None:
        raise ServiceUnavailable

    monkeypatch.setattr(world.challenges, "issue", never_arrives)
    for asked in (session, None):
        with pytest.raises(ServiceUnavailable):
            world.get_sms(asked, key=KEY)
    assert world.backend.dump() == before


def test_a_key_that_names_another_session_is_not_forgotten(world: World) -> None:
    """It is somebody else's by now."""
    meanwhile(world, lambda: world.backend.client.set(otp_key(PHONE, f"sent:{KEY}"), "B" * 22, px=1000))
    refused(world, key=KEY)
    assert world.backend.client.get(otp_key(PHONE, f"sent:{KEY}")) == "B" * 22


def test_a_place_that_an_earlier_sending_took_is_not_given_back_by_a_later_one(quick: World) -> None:
    """The older session became the latest when it was sent again; a refused third sending in it changes nothing."""
    older = quick.get_sms().session_id
    quick.wait(2)
    quick.get_sms()
    quick.wait(2)
    quick.get_sms(older)
    quick.wait(2)
    refused_at_once(quick, older)
    assert quick.challenges.latest(PHONE) == older


def test_a_place_that_a_later_sending_took_is_not_given_back_by_an_earlier_one(quick: World) -> None:
    """The refused one does not know what was the latest before the one that came after it."""
    older = quick.get_sms().session_id
    quick.wait(2)

    def another_and_then_the_older_again() -> None:
        quick.get_sms()
        quick.wait(2)
        quick.get_sms(older)

    meanwhile(quick, lambda: quick.wait(2), another_and_then_the_older_again)
    refused(quick, older)
    assert quick.challenges.latest(PHONE) == older


def test_a_refusal_is_answered_where_undoing_fails(
    world: World, monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    """The caller learns what SendSms said; the log has an alert."""

    def unavailable(*_: object, **__: object) -> bool:
        raise ServiceUnavailable(f"redis: ResponseError: otp:{{{PHONE.e164}}}:latest")

    monkeypatch.setattr(world.challenges, "undo", unavailable)
    world.outbox.refuse = [SendFailed()]
    assert world.call("getSms", phone=PHONE.e164)["codeStr"] == "SendFailed"
    assert alerts(printed()) == [{"alert": "undo_failed", "cause": "redis: ResponseError: <otp key>"}]


def test_a_code_that_was_spent_since_we_looked_is_not_sent_again(world: World) -> None:
    """Between look and issue the session ends: a new code goes out, in a new session, and works."""
    session = world.get_sms().session_id
    world.cool_down()
    world.between_check_and_reserve(lambda: world.log_in(session))
    again = world.get_sms(session).session_id
    assert again != session
    assert world.log_in(again).token


def test_a_code_that_is_good_again_since_we_looked_is_not_taken_for_the_new_one(world: World) -> None:
    """Nobody knows its digits any more when SendSms is called: a new code goes out, in a session of its own."""
    session = world.get_sms().session_id
    login = world.log_in(session).user_id
    world.cool_down()
    world.between_check_and_reserve(lambda: world.challenges.unredeem(PHONE, session, login))
    again = world.get_sms(session).session_id
    assert again != session
    assert world.log_in(again).token


def test_a_repeat_of_a_sending_that_is_just_gone_is_told_to_come_back(world: World) -> None:
    """Its key came between look and issue, and its session is over."""
    world.between_check_and_reserve(lambda: world.backend.client.set(otp_key(PHONE, f"sent:{KEY}"), "B" * 22, px=1000))
    with pytest.raises(TooManyRequests) as wait:
        world.get_sms(key=KEY)
    assert wait.value.retry_after == 1


def test_only_the_login_that_spent_a_code_gives_it_back(world: World) -> None:
    """Another's mark, or an earlier one of the same code, does nothing."""
    session = world.get_sms().session_id
    user_ids = [world.log_in(session).user_id]
    assert not world.challenges.unredeem(PHONE, session, "another")
    assert world.challenges.unredeem(PHONE, session, user_ids[0])
    world.log_in(session)
    assert not world.challenges.unredeem(PHONE, session, user_ids[0])
    with pytest.raises(CodeHasValid):
        world.log_in(session)


def test_a_repeat_that_fails_gives_nothing_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The login that it repeats has its token."""
    session = world.get_sms().session_id
    world.log_in(session, key=KEY)

    def down(_phone: Phone, _id: str) -> User:
        raise ServiceUnavailable

    monkeypatch.setattr(world.users, "sign_in", down)
    with pytest.raises(ServiceUnavailable):
        world.log_in(session, key=KEY)
    monkeypatch.undo()
    with pytest.raises(CodeHasValid):
        world.log_in(session)


def test_a_code_that_nobody_can_guess_any_more_is_not_live(world: World) -> None:
    """A forged session is a mismatch while anybody can still redeem the latest code, and finds none afterwards."""
    session = world.get_sms().session_id
    for asked in (session, None):
        for _ in range(world.rules.guesses):
            with pytest.raises(SessionMismatch):
                world.log_in("A" * 22)
            with pytest.raises(CodeIsError):
                world.log_in(asked, world.wrong)
    with pytest.raises(CodeHasExpired):
        world.log_in("A" * 22)


def test_a_key_whose_session_was_guessed_wrong_too_often_asks_for_a_new_code(world: World) -> None:
    """For its holder that session is over, though strangers without one have guesses left."""
    session = world.get_sms(key=KEY).session_id
    world.spend_guesses(session)
    world.cool_down()
    assert world.get_sms(key=KEY).session_id != session


def test_a_day_that_is_used_up_says_so_before_the_cooldown(world: World) -> None:
    """Whoever waits as long as they are told gets through."""
    world = World(world.backend, world.clock, rules=Rules(daily=1))
    world.get_sms()
    with pytest.raises(TooManyRequests) as wait:
        world.get_sms()
    assert (wait.value.retry_after or 0) > 43_000
