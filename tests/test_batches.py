"""What becomes of a code, a message and the budgets if a batch is cut, lost, refused in part, or never read.

docs/how-it-works.md has the same cases as a table. The cuts are made on a real Redis, at any byte.
"""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import time_machine
from msgspec.structs import replace

from sms_login.adapters.redis.client import connect
from sms_login.adapters.redis.codes import otp_key
from sms_login.errors import (
    CodeHasValid,
    CodeIsError,
    Refusal,
    ServiceUnavailable,
    SessionMismatch,
    TooManyRequests,
    UserStoreFailed,
)
from sms_login.limits.policy import Limits
from sms_login.otp.rules import Rules
from tests.testkit.backends import Backend, patient
from tests.testkit.limits import FORGED, IP, KEY, Make, Printed, alerts, counts, range_of, stranger, totals, unverified
from tests.testkit.races import outcomes, race
from tests.testkit.relay import Direction, Relay
from tests.testkit.seams import Killed
from tests.testkit.servers import RedisServer
from tests.testkit.world import OTHER_PHONE, PHONE, UNLIMITED, World

PARTS = 12  # cuts in each direction of a batch, at equal distances


@pytest.fixture
def relayed(redis_server: RedisServer, clock: time_machine.Traveller) -> Iterator[tuple[Relay, World]]:
    """A service whose Redis is behind a relay that can cut."""
    relay = Relay(redis_server.port)
    client = patient(connect("127.0.0.1", relay.port))
    yield relay, World(Backend(client), clock, ip=IP)
    client.close()
    relay.close()


def cuts(relay: Relay, world: World, name: str, act: Callable[[], object]) -> Iterator[Direction]:
    """Arm a cut of the next batch with this call, at one place after the other, and yield its direction.

    `act` sends such a batch. It acts before each cut, so that the connection has sent all scripts in full.
    """
    sizes: dict[Direction, int] = {"requests": 0, "answers": 0}

    def note(sign: int) -> None:
        for direction, passed in relay.passed.items():
            sizes[direction] += sign * passed

    act()
    world.redis.before(name, lambda: note(-1))
    world.redis.after(name, lambda: note(1))
    act()
    for direction, size in sizes.items():
        for part in range(PARTS):
            act()
            world.redis.before(name, lambda d=direction, cut=part * size // PARTS: relay.cut_after(d, cut))  # type: ignore[misc] # mypy infers no lambda with defaults
            yield direction
            assert relay.cut.is_set()


def refusal(act: Callable[[], object]) -> str:
    """Return the name of the refusal, "" if there is none."""
    try:
        act()
    except Refusal as refused:
        return refused.name
    return ""


@pytest.mark.parametrize("name", ["check issue", "issue"])
def test_a_getsms_that_is_cut_sends_nothing_and_can_be_repeated(relayed: tuple[Relay, World], name: str) -> None:
    """Cut at any byte: 503, nothing sent, the number neither waits nor loses a sending, and its key answers nothing."""
    relay, world = relayed
    left = Counter[int]()

    def anew() -> None:
        world.backend.client.flushall()
        world.log_in(world.get_sms().session_id)
        world.backend.client.flushall()
        world.outbox.sent.clear()

    for _ in cuts(relay, world, name, anew):
        assert refusal(lambda: world.get_sms(key=KEY)) == "ServiceUnavailable"
        assert world.outbox.sent == []
        assert (world.sent_today(), world.backend.client.exists(otp_key(PHONE, "cooldown"))) == (0, 0)
        lost = counts(world)
        assert lost <= unverified() + totals()
        left[len(lost)] += 1
        session = world.get_sms(key=KEY).session_id
        assert len(world.outbox.sent) == 1
        assert world.log_in(session).token
        assert counts(world) == lost + totals()
    # A subject whose answer is lost may have been counted: it stays one too high until its windows end.
    assert ({*left} == {0}) == (name == "check issue")


def test_a_guess_that_is_cut_spends_no_code(relayed: tuple[Relay, World]) -> None:
    """Cut at any byte: the code logs in once more, without any key, and the guess may stay counted."""
    relay, world = relayed
    guess = Counter([f"ip:{IP} guesses"])
    sessions: list[str] = []

    def anew() -> None:
        world.backend.client.flushall()
        world.log_in(world.get_sms().session_id)
        world.backend.client.flushall()
        sessions.append(world.get_sms().session_id)

    for _ in cuts(relay, world, "redeem", anew):
        assert refusal(lambda: world.log_in(sessions[-1])) == "ServiceUnavailable"
        assert counts(world) - guess == unverified() + totals()
        assert world.log_in(sessions[-1]).token
        assert counts(world) - guess == totals()
        with pytest.raises(CodeHasValid):
            world.log_in(sessions[-1])


def test_a_sign_in_that_is_cut_leaves_the_code_valid_and_refunds_once_at_most(relayed: tuple[Relay, World]) -> None:
    """Cut at any byte: one user, one login that counts, and no refund of what others took."""
    relay, world = relayed
    sessions: list[str] = []
    seen = Counter[str]()

    def anew() -> None:
        world.backend.client.flushall()
        world.log_in(world.get_sms().session_id)
        world.backend.client.flushall()
        world.get_sms(phone=OTHER_PHONE)
        sessions.append(world.get_sms().session_id)

    for _ in cuts(relay, world, "begin_session", anew):
        others = unverified(OTHER_PHONE) + totals(OTHER_PHONE)
        outcome = refusal(lambda: world.log_in(sessions[-1]))
        seen[outcome] += 1
        if outcome:
            assert world.log_in(sessions[-1]).token
        assert others <= counts(world) <= others + unverified() + totals() + Counter({f"ip:{IP} guesses": 1})
        with pytest.raises(CodeHasValid):
            world.log_in(sessions[-1])
    # Cut after the first answer, the login succeeds without its refunds.
    assert {*seen} == {"", "UserStoreFailed"}


def test_a_refresh_that_is_cut_can_be_repeated(relayed: tuple[Relay, World]) -> None:
    """Cut at any byte: the same token is answered again, and ends no session."""
    relay, world = relayed
    world.backend.client.flushall()
    user = world.log_in(world.get_sms().session_id)
    token = user.refresh_token

    def refresh() -> None:
        nonlocal token
        token = world.sessions.refresh(token).refresh_token

    for _ in cuts(relay, world, "rotate_session", refresh):
        assert refusal(refresh) == "ServiceUnavailable"
        assert refusal(refresh) == ""
    assert world.sessions.user_info(user.token).user_id == user.user_id


# One call of a batch is refused or lost.


@pytest.mark.parametrize("arrives", [True, False])
def test_a_sending_whose_budgets_have_no_answer_is_undone(make: Make, printed: Printed, *, arrives: bool) -> None:
    """The number's part is taken back, nothing is sent, and the log says that the budgets may be wrong."""
    world = make()
    with world.redis.losing("reserve", arrives=arrives):
        assert world.call("getSms", {"Idempotency-Key": KEY}, phone=PHONE.e164)["codeStr"] == "ServiceUnavailable"
    assert [alert["alert"] for alert in alerts(printed())] == ["budgets_not_corrected"]
    assert counts(world) == (unverified() + totals() if arrives else Counter())
    assert (world.sent_today(), world.outbox.sent) == (0, [])
    assert world.call("getSms", {"Idempotency-Key": KEY}, phone=PHONE.e164)["codeStr"] == "Ok"


def test_a_resend_that_a_budget_refuses_leaves_the_code_as_it_was(make: Make) -> None:
    """Another request took the last place after the check: the code works until then, and for no longer."""
    world = make(limits=Limits(range_hour=2), rules=Rules(cooldown=1))
    session = world.get_sms().session_id
    world.wait(2)
    before = {key: value for key, value in world.backend.dump().items() if key.startswith("otp:")}
    world.between_check_and_reserve(lambda: world.get_sms(phone=OTHER_PHONE))
    with pytest.raises(TooManyRequests):
        world.get_sms(session)
    after = {key: value for key, value in world.backend.dump().items() if key.startswith(f"otp:{{{PHONE.e164}}}")}
    assert after[otp_key(PHONE, session)] == before[otp_key(PHONE, session)]
    assert world.sent_today() == 1
    assert world.log_in(session, world.outbox.sent[0][1]).token


def test_a_login_between_a_resend_and_its_undo_keeps_its_refund(make: Make) -> None:
    """The login refunds the resend as well, and the undo refunds only its totals."""
    world = make(rules=Rules(cooldown=1))
    session = world.get_sms().session_id
    code = world.outbox.code
    world.wait(2)
    world.redis.after("issue", lambda: world.log_in(session, code))
    with world.redis.losing("issue"), pytest.raises(ServiceUnavailable):
        world.get_sms(session)
    assert counts(world) == totals()


@pytest.mark.parametrize("arrives", [True, False])
def test_a_right_code_without_an_answer_of_the_budget_stays_valid(make: Make, *, arrives: bool) -> None:
    """Fail closed: the guess may not be counted, so nobody is signed in; the code works when the budget answers."""
    world = make()
    session = world.get_sms().session_id
    with world.redis.losing("reserve", arrives=arrives), pytest.raises(ServiceUnavailable):
        world.log_in(session)
    assert world.log_in(session).token


def test_a_guess_without_an_answer_of_the_budget_is_judged_if_it_is_wrong(make: Make) -> None:
    """It has cost one of the three; a forged sessionId is an outage, as long as the budget has no answer."""
    world = make()
    session = world.get_sms().session_id
    with world.redis.losing("reserve"):
        with pytest.raises(CodeIsError) as wrong:
            world.log_in(session, world.wrong)
        assert wrong.value.data == {"attemptsLeft": 2}
        with pytest.raises(ServiceUnavailable):
            world.log_in(FORGED)
    with pytest.raises(SessionMismatch):
        world.log_in(FORGED)


def test_a_guess_without_a_session_id_is_not_evaluated_without_the_budget(make: Make) -> None:
    """Neither without an answer nor with a refusal: the shared guesses of the code stay."""
    world = make(limits=Limits(guesses=1))
    world.get_sms()
    with world.redis.losing("reserve"), pytest.raises(ServiceUnavailable):
        world.log_in(None, world.wrong)
    with pytest.raises(TooManyRequests):
        world.log_in(None, world.wrong)
    assert world.failures() is None


@pytest.mark.parametrize("refunds", [True, False])
def test_a_sign_in_whose_answer_is_lost_refunds_once(make: Make, *, refunds: bool) -> None:
    """Its refunds may have been made, so the next login of this code makes none; too high a count is the safe side."""
    world = make()
    world.get_sms(phone=OTHER_PHONE)
    others = counts(world)
    session = world.get_sms().session_id
    with world.redis.losing("refund", arrives=refunds), world.redis.losing("begin_session"):
        for _ in range(2):
            with pytest.raises(UserStoreFailed):
                world.log_in(session)
    assert world.log_in(session).token
    guesses = Counter() if refunds else Counter({f"ip:{IP} guesses": 2})
    assert counts(world) == others + totals() + (Counter() if refunds else unverified()) + guesses


def test_a_resend_of_a_challenge_that_deleted_the_account_meanwhile_is_refunded_once(make: Make) -> None:
    """The deletion has refunded the resend as well, and has forgotten the challenge."""
    world = make(rules=Rules(cooldown=1))
    world.get_sms(phone=OTHER_PHONE)
    others = counts(world)
    token = world.log_in(world.get_sms().session_id).token
    world.wait(2)
    session, code = world.get_sms().session_id, world.outbox.code
    world.wait(2)
    delete = {"token": token, "code": code, "sessionId": session}
    world.redis.after("issue", lambda: world.call("deleteAccount", **delete))
    with world.redis.losing("issue"), pytest.raises(ServiceUnavailable):
        world.get_sms(session)
    assert counts(world) == others + totals() + totals()


def test_a_repeat_is_answered_although_the_budget_has_no_place_for_it(make: Make) -> None:
    """Two requests under one key pass the check; the first takes the last place, and the other one is its repeat."""
    world = make(limits=Limits(range_hour=1))
    first: list[str] = []
    world.between_check_and_reserve(lambda: first.append(world.get_sms(key=KEY).session_id))
    assert world.get_sms(key=KEY).session_id == first[0]
    assert counts(world) == unverified() + totals()
    assert len(world.outbox.sent) == 1


# The process dies: what is in Redis is all that is left.


def dies(world: World, name: str, act: Callable[[], object]) -> None:
    """Act, and die after the batch with this call."""

    def die() -> None:
        raise Killed

    world.redis.after(name, die)
    with pytest.raises(Killed):
        act()


def test_a_process_that_dies_before_sendsms_has_taken_one_sending(make: Make) -> None:
    """The number waits out its cooldown, its key answers the challenge that no SMS brought, and a resend brings it."""
    world = make()
    dies(world, "issue", lambda: world.get_sms(key=KEY))
    assert counts(world) == unverified() + totals()
    session = world.get_sms(key=KEY).session_id
    assert world.outbox.sent == []
    world.cool_down()
    assert world.get_sms(session).session_id == session
    assert world.log_in(session).token
    assert counts(world) == totals() + totals()


def test_a_process_that_dies_after_the_check_has_taken_nothing(make: Make) -> None:
    """The check is a dry run."""
    world = make()
    dies(world, "check issue", world.get_sms)
    assert world.backend.expiries() == {}


def test_a_process_that_dies_with_a_spent_code_leaves_it_spent_but_for_a_repeat(make: Make) -> None:
    """Never usable twice: only the same login under its key goes on, with the user who was signed up by then."""
    world = make()
    for name in ("redeem", "begin_session"):
        world.cool_down()
        session = world.get_sms().session_id
        dies(world, name, lambda session=session: world.log_in(session, key=KEY))  # type: ignore[misc] # mypy infers no lambda with defaults
        with pytest.raises(CodeHasValid):
            world.log_in(session)
        user = world.users.find(PHONE).answer()
        again = world.log_in(session, key=KEY)
        assert user is None or user.id == again.user_id


def test_simultaneous_sendings_that_race_for_the_last_places_take_exactly_those(make: Make) -> None:
    """All have passed the check, so the losers are recorded and undone: each of them leaves nothing behind."""
    world = make(limits=replace(UNLIMITED, total=7))
    answers = race(40, lambda i: world.call("getSms", phone=stranger(i).e164))
    assert outcomes(answers) == {"Ok": 7, "SendingPaused": 33}
    sent = {phone.e164 for phone, _ in world.outbox.sent}
    assert len(world.outbox.sent) == len(sent) == 7
    assert counts(world)["all total"] == 7
    numbers = {stranger(i).e164 for i in range(40)} - sent
    assert not [key for key in world.backend.expiries() if any(number in key for number in numbers)]
    assert {name for name in counts(world) if name.startswith("range")} == {
        f"{range_of(phone)} {kind}" for phone, _ in world.outbox.sent for kind in ("hour", "day", "total")
    }
