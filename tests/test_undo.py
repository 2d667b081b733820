"""The undo of a refused sending, while other sendings, guesses and losses intervene, on every kind of Redis."""

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
from sms_login.otp.codes import CodeMaker
from sms_login.otp.rules import Rules
from sms_login.otp.store import Challenge, SendRequest
from sms_login.periods import Period
from sms_login.users import User
from tests.testkit.backends import Backend
from tests.testkit.limits import Printed, alerts
from tests.testkit.world import PHONE, SECRET, World

KEY, OTHER_KEY = "idempotency-key-1", "idempotency-key-2"
MAKER = CodeMaker(SECRET)
NO_RESERVATION = Reservation("494400", "20261121", None)


@pytest.fixture
def quick(world: World) -> World:
    """A service whose sendings can overlap: its cooldown is shorter than the time that SendSms may need."""
    return World(world.backend, world.clock, rules=Rules(cooldown=1))


def meanwhile(world: World, *happenings: object) -> None:
    """Call functions while the next SendSms is under way, which is then refused."""

    def happen() -> None:
        world.outbox.meanwhile = lambda: None
        for happening in happenings:
            assert callable(happening)
            happening()
        world.outbox.refuse = [SendFailed()]

    world.outbox.meanwhile = happen


def refused(world: World, session_id: str | None = None, key: str | None = None) -> None:
    """Ask for a code, and expect SendFailed."""
    world.outbox.refuse = world.outbox.refuse or []
    with pytest.raises(SendFailed):
        world.get_sms(session_id, key=key)


def refused_at_once(world: World, session_id: str | None = None, key: str | None = None) -> None:
    """Ask for a code whose sending SendSms refuses."""
    world.outbox.refuse = [SendFailed()]
    refused(world, session_id, key)


def days(backend: Backend) -> list[str]:
    """Return the keys of daily counts."""
    return [key for key in backend.expiries() if ":day:" in key]


def test_a_later_sending_in_the_challenge_loses_only_the_daily_count_of_the_refused_one(quick: World) -> None:
    """The undo lowers the day's count; cooldown, life and rank stay those of the later sending."""
    session_id = quick.get_sms().session_id
    quick.wait(2)
    meanwhile(quick, lambda: quick.wait(2), lambda: quick.get_sms(session_id))
    refused(quick, session_id)
    assert quick.sent_today() == 2
    with pytest.raises(TooManyRequests):
        quick.get_sms(session_id)
    assert quick.log_in(session_id).token


def test_a_later_sending_in_another_challenge_keeps_everything(quick: World) -> None:
    """The undo leaves the later sending's cooldown, its rank as the latest and its idempotency key alone."""
    meanwhile(quick, lambda: quick.wait(2), lambda: quick.get_sms(key=OTHER_KEY))
    refused(quick, key=KEY)
    assert quick.sent_today() == 1
    assert otp_key(PHONE, f"sent:{KEY}") not in quick.backend.expiries()
    assert otp_key(PHONE, f"sent:{OTHER_KEY}") in quick.backend.expiries()
    with pytest.raises(TooManyRequests):
        quick.get_sms()
    assert quick.log_in(None).token


@pytest.mark.parametrize("first_wins", [True, False])
def test_two_refused_sendings_in_one_challenge_leave_nothing(quick: World, *, first_wins: bool) -> None:
    """The order of the two refusals does not matter."""

    def resend() -> None:
        session_id = quick.latest()
        if not first_wins:
            refused_at_once(quick, session_id, OTHER_KEY)
            return
        request = SendRequest(PHONE, Period("20261121", 1000), session_id, OTHER_KEY)
        quick.challenges.issue(request, Challenge("B" * 22, "nonce", "digest"), NO_RESERVATION, "later").answer()

    meanwhile(quick, lambda: quick.wait(2), resend)
    refused(quick, key=KEY)
    if first_wins:
        session_id = quick.latest()
        assert session_id is not None
        quick.challenges.undo(
            SendRequest(PHONE, Period("20261121", 1000), idempotency_key=OTHER_KEY), session_id, "later", issued=True
        ).answer()
    assert quick.sent_today() == 0
    assert [key for key in quick.backend.expiries() if ":day:" not in key] == []


def test_an_undo_restores_nothing_that_redis_has_lost(quick: World) -> None:
    """The undo creates no key, and lowers no count below zero."""
    meanwhile(quick, quick.backend.client.flushall)
    refused(quick, key=KEY)
    assert quick.backend.expiries() == {}
    meanwhile(quick, lambda: quick.backend.client.delete(*days(quick.backend)))
    refused(quick, key=KEY)
    assert quick.backend.expiries() == {}


def test_a_second_undo_changes_nothing(quick: World) -> None:
    """The second undo finds nothing of this sending."""
    quick.get_sms()
    quick.wait(2)
    request = SendRequest(PHONE, Period("20261121", 3_600_000))
    quick.challenges.issue(request, Challenge("B" * 22, "nonce", "digest"), NO_RESERVATION, "sending").answer()
    quick.challenges.undo(request, "B" * 22, "sending", issued=True).answer()
    quick.challenges.undo(request, "B" * 22, "sending", issued=True).answer()
    assert quick.sent_today() == 1


def test_an_undo_restores_the_latest_challenge_for_its_own_life(world: World) -> None:
    """The rank lasts as long as the earlier challenge, not as long as the refused one."""
    earlier = world.get_sms().session_id
    world.wait(200)
    refused_at_once(world)
    with pytest.raises(CodeIsError):
        world.log_in(None, world.wrong)
    assert world.latest() == earlier
    world.wait(101)
    with pytest.raises(CodeHasExpired):
        world.log_in(None)
    world.wait(660)
    assert otp_key(PHONE, "latest") not in world.backend.expiries()


@pytest.mark.parametrize("opened_first", [True, False])
def test_two_refused_sendings_that_overlap_leave_the_earlier_challenge_the_latest(
    quick: World, *, opened_first: bool
) -> None:
    """If either of the two is refused first, a login without a sessionId is held against the earlier code again."""
    earlier = quick.get_sms().session_id
    code = quick.outbox.code
    quick.wait(2)
    first, second = (Challenge(letter * 22, "nonce", "digest") for letter in "BC")
    request = SendRequest(PHONE, Period("20261121", 3_600_000))
    for challenge in (first, second):
        quick.challenges.issue(request, challenge, NO_RESERVATION, challenge.id[:8])
        quick.wait(2)
    for challenge in (first, second) if opened_first else (second, first):
        quick.challenges.undo(request, challenge.id, challenge.id[:8], issued=True)
    assert quick.latest() == earlier
    assert quick.log_in(None, code).token


@pytest.mark.parametrize("earlier_first", [True, False])
def test_two_refused_resends_that_overlap_lengthen_no_life(quick: World, *, earlier_first: bool) -> None:
    """The code works for as long as its only sending that was not refused allows."""
    session_id = quick.get_sms().session_id
    request = SendRequest(PHONE, Period("20261121", 3_600_000), session_id)
    for name in ("earlier", "later"):
        quick.wait(100)
        issued = quick.challenges.issue(request, Challenge("B" * 22, "nonce", "digest"), NO_RESERVATION, name).answer()
        assert issued.challenge_id == session_id
    for name in ("earlier", "later") if earlier_first else ("later", "earlier"):
        quick.challenges.undo(request, session_id, name, issued=True).answer()
    quick.wait(95)
    with pytest.raises(CodeIsError):
        quick.log_in(session_id, quick.wrong)
    quick.wait(6)
    with pytest.raises(CodeHasExpired):
        quick.log_in(session_id)


def test_the_undo_of_a_challenges_only_sending_spoils_no_repeat_of_its_login(world: World) -> None:
    """The SMS arrived although SendSms refused it, and the app repeats its login under the key."""
    session_id = ""

    def log_in() -> None:
        nonlocal session_id
        session_id = world.latest() or ""
        challenge = world.backend.client.hgetall(otp_key(PHONE, session_id))
        code = MAKER.again(PHONE, Challenge(session_id, challenge["nonce"], challenge["digest"]))
        world.outbox.sent.append((PHONE, code or ""))
        assert world.log_in(session_id, key=KEY).token

    meanwhile(world, log_in)
    refused(world)
    assert world.log_in(session_id, key=KEY).token
    assert world.log_in(None, key=KEY).token
    with pytest.raises(CodeHasValid):
        world.log_in(session_id)


def test_an_issue_whose_answer_is_lost_is_undone(world: World) -> None:
    """Redis recorded the sending but the answer was lost, so a repeat under its key must send."""
    session_id = world.get_sms().session_id
    world.wait(200)
    before = {key: value for key, value in world.backend.dump().items() if ":latest" in key or ":day:" in key}
    for asked in (None, session_id):
        with world.redis.losing("issue"), pytest.raises(ServiceUnavailable):
            world.get_sms(asked, key=KEY)
        dump = world.backend.dump()
        assert {key: value for key, value in dump.items() if ":latest" in key or ":day:" in key} == before
        assert not {otp_key(PHONE, "cooldown"), otp_key(PHONE, f"sent:{KEY}")} & dump.keys()
    assert len(world.outbox.sent) == 1
    assert world.get_sms(key=KEY).request_id == "request-2"
    world.wait(101)
    with pytest.raises(CodeHasExpired):
        world.log_in(session_id, world.outbox.sent[0][1])


def test_undoing_an_issue_that_never_arrived_changes_nothing(world: World) -> None:
    """Redis was away for that call only, so its record of the challenge belongs to earlier sendings."""
    session_id = world.get_sms().session_id
    world.cool_down()
    before = world.backend.dump()
    for asked in (session_id, None):
        with world.redis.losing("issue", arrives=False), pytest.raises(ServiceUnavailable):
            world.get_sms(asked, key=KEY)
    assert world.backend.dump() == before


def test_an_idempotency_key_of_another_challenge_survives_an_undo(world: World) -> None:
    """Such a key belongs to another sending by now."""
    meanwhile(world, lambda: world.backend.client.set(otp_key(PHONE, f"sent:{KEY}"), "B" * 22, px=1000))
    refused(world, key=KEY)
    assert world.backend.client.get(otp_key(PHONE, f"sent:{KEY}")) == "B" * 22


def test_a_rank_from_an_earlier_sending_survives_the_undo_of_a_later_one(quick: World) -> None:
    """A resend made the older challenge the latest, and a refused third sending in it does not change that."""
    older = quick.get_sms().session_id
    quick.wait(2)
    quick.get_sms()
    quick.wait(2)
    quick.get_sms(older)
    quick.wait(2)
    refused_at_once(quick, older)
    assert quick.latest() == older


def test_a_rank_from_a_later_sending_survives_the_undo_of_an_earlier_one(quick: World) -> None:
    """The refused sending does not know which challenge was the latest before a later sending."""
    older = quick.get_sms().session_id
    quick.wait(2)

    def another_and_then_the_older_again() -> None:
        quick.get_sms()
        quick.wait(2)
        quick.get_sms(older)

    meanwhile(quick, lambda: quick.wait(2), another_and_then_the_older_again)
    refused(quick, older)
    assert quick.latest() == older


def test_a_refusal_is_answered_if_its_undo_fails(
    world: World, monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    """The caller gets SendSms's refusal, and the log has an alert."""

    def unavailable(*_: object, **__: object) -> bool:
        raise ServiceUnavailable(f"redis: ResponseError: otp:{{{PHONE.e164}}}:latest")

    monkeypatch.setattr(world.challenges, "undo", unavailable)
    world.outbox.refuse = [SendFailed()]
    assert world.call("getSms", phone=PHONE.e164)["codeStr"] == "SendFailed"
    assert alerts(printed()) == [{"alert": "undo_failed", "cause": "redis: ResponseError: <otp key>"}]


def test_a_code_that_was_redeemed_since_the_check_is_not_resent(world: World) -> None:
    """The challenge ends between check and issue, so a new code goes out in a new challenge."""
    session_id = world.get_sms().session_id
    world.cool_down()
    world.between_check_and_reserve(lambda: world.log_in(session_id))
    again = world.get_sms(session_id).session_id
    assert again != session_id
    assert world.log_in(again).token


def test_a_code_that_was_unredeemed_since_the_check_is_not_mistaken_for_the_new_one(world: World) -> None:
    """The digits are unknown when SendSms is called, so a new code goes out in a new challenge."""
    session_id = world.get_sms().session_id
    login = world.log_in(session_id).user_id
    world.cool_down()
    world.between_check_and_reserve(
        lambda: world.challenges.unredeem(PHONE, session_id, login, refunded=False).answer()
    )
    again = world.get_sms(session_id).session_id
    assert again != session_id
    assert world.log_in(again).token


def test_a_repeat_of_a_sending_that_has_just_ended_is_told_to_retry(world: World) -> None:
    """The key appeared between check and issue, and its challenge is over."""
    world.between_check_and_reserve(lambda: world.backend.client.set(otp_key(PHONE, f"sent:{KEY}"), "B" * 22, px=1000))
    with pytest.raises(TooManyRequests) as wait:
        world.get_sms(key=KEY)
    assert wait.value.retry_after == 1


def test_only_the_login_that_redeemed_a_code_unredeems_it(world: World) -> None:
    """A redemption by another login, or an earlier one of the same code, cannot be unredeemed."""
    session_id = world.get_sms().session_id
    user_ids = [world.log_in(session_id).user_id]
    assert not world.challenges.unredeem(PHONE, session_id, "another", refunded=False).answer()
    assert world.challenges.unredeem(PHONE, session_id, user_ids[0], refunded=False).answer()
    world.log_in(session_id)
    assert not world.challenges.unredeem(PHONE, session_id, user_ids[0], refunded=False).answer()
    with pytest.raises(CodeHasValid):
        world.log_in(session_id)


def test_a_repeat_that_fails_does_not_unredeem_the_code(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The login that it repeats has its token."""
    session_id = world.get_sms().session_id
    world.log_in(session_id, key=KEY)

    def down(*_: object) -> User:
        raise ServiceUnavailable

    monkeypatch.setattr(world.users, "sign_in", down)
    with pytest.raises(ServiceUnavailable):
        world.log_in(session_id, key=KEY)
    monkeypatch.undo()
    with pytest.raises(CodeHasValid):
        world.log_in(session_id)


def test_a_code_without_guesses_left_is_not_live(world: World) -> None:
    """A forged sessionId is a mismatch while the latest code can still be redeemed, and an expired code afterwards."""
    session_id = world.get_sms().session_id
    for asked in (session_id, None):
        for _ in range(world.rules.guesses):
            with pytest.raises(SessionMismatch):
                world.log_in("A" * 22)
            with pytest.raises(CodeIsError):
                world.log_in(asked, world.wrong)
    with pytest.raises(CodeHasExpired):
        world.log_in("A" * 22)


def test_an_idempotency_key_of_a_challenge_without_guesses_gets_a_new_code(world: World) -> None:
    """The challenge is over for its holder, although callers without its id still have guesses."""
    session_id = world.get_sms(key=KEY).session_id
    world.spend_guesses(session_id)
    world.cool_down()
    assert world.get_sms(key=KEY).session_id != session_id


def test_the_daily_limit_is_reported_before_the_cooldown(world: World) -> None:
    """A caller who waits for Retry-After gets through."""
    world = World(world.backend, world.clock, rules=Rules(daily=1))
    world.get_sms()
    with pytest.raises(TooManyRequests) as wait:
        world.get_sms()
    assert (wait.value.retry_after or 0) > 43_000
