"""A state machine sends, resends and guesses, lets time pass, and fails or crashes between any two steps.

It compares the service with a plain model of the contract's rules, on fakeredis and on a real Redis.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import time_machine
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import force_setattr

from sms_login.adapters.redis.client import connect
from sms_login.errors import InvalidPhone, Refusal, SendUnknown, ServiceUnavailable
from sms_login.otp.purposes import Purpose
from sms_login.otp.rules import Rules
from sms_login.phone import Phone
from sms_login.sms import Receipt
from sms_login.users import User
from tests.testkit.backends import NOON, Backend, fake_backend, patient
from tests.testkit.outside import Outbox
from tests.testkit.servers import RedisServer
from tests.testkit.world import PHONE, UNLIMITED, World

IP = "203.0.113.7"
RANGE = f"range:{PHONE.e164[:-4]}"
RULES = Rules(daily=12, lock_at=6, alert_at=3)  # low enough to be reached
DAY, RECORD = 86_400, RULES.age + RULES.repeat_for
KEYS = ["idempotency-key-1", "idempotency-key-2"]


class CrashError(BaseException):
    """The process ends here, and no code of ours runs any more."""


class Wire(Outbox):
    """Delivers, refuses, gives no answer, or crashes, as `how` says; keeps every code that it is given."""

    how = "delivers"

    def send(self, phone: Phone, code: str, purpose: str = "login") -> Receipt:
        """Keep the code, and behave as `how` says."""
        self.sent.append((phone, code))
        self.purposes.append(purpose)
        if self.how == "crashes":
            raise CrashError
        if self.how == "refuses":
            raise InvalidPhone
        if self.how == "says nothing":
            raise SendUnknown
        return Receipt("request", "serial")


@dataclass
class Challenge:
    """A challenge as the model knows it. Times are seconds of the model."""

    code: str
    purpose: str
    born: float
    until: float
    wrong: int = 0
    shared: int = 0
    used: float | None = None
    key: str | None = None
    tokens: int = 0
    reservations: list[tuple[str, str]] = field(default_factory=list)  # hour and day of each sending


class Rulebook(RuleBasedStateMachine):
    """The contract's rules as a model, beside the service."""

    steps = 0

    @staticmethod
    def backend() -> Backend:
        """Return an empty Redis."""
        return fake_backend()

    @initialize()
    def begin(self) -> None:
        """Start at noon with an empty Redis."""
        self.travel = time_machine.travel(NOON, tick=False)
        self.world = World(self.backend(), self.travel.start(), rules=RULES, limits=UNLIMITED, ip=IP)
        self.wire = self.world.outbox = Wire()
        force_setattr(self.world.sender, "sms", self.wire)  # the outbox of this world
        self.now = 0.0
        self.challenges: dict[str, Challenge] = {}
        self.latest: dict[str, str] = {}  # by purpose
        # By purpose and key: id of the challenge, and the time at which the key expires.
        self.keys: dict[tuple[str, str | None], tuple[str, float]] = {}
        self.cooldown_end = 0.0
        self.days: dict[int, int] = {}
        self.failures, self.failures_end = 0, 0.0
        self.budgets: Counter[tuple[str, str]] = Counter()  # reserved counts, by subject and window

    def teardown(self) -> None:
        """Let the clock run again."""
        self.travel.stop()

    # The state of the model.

    @property
    def day(self) -> int:
        """The number's present day; the model begins at noon."""
        return int(self.now + DAY / 2) // DAY

    @property
    def windows(self) -> tuple[str, str]:
        """The names of the hour and the day in which a sending counts now."""
        now = NOON + timedelta(seconds=self.now)
        return f"{now.timestamp() // 3600:.0f}", f"{now:%Y%m%d}"

    @property
    def failed(self) -> int:
        """Failures in a row that still count."""
        return self.failures if self.now < self.failures_end else 0

    def exists(self, challenge_id: str | None) -> bool:
        """Tell whether Redis still has a challenge."""
        return challenge_id in self.challenges and self.now < self.challenges[challenge_id].born + RECORD

    def life(self, challenge_id: str | None, *, shared: bool = True, spent: bool = False) -> float:
        """Return for how long a challenge's code can be redeemed: with its id or, if `shared`, also without it.

        If `spent`, return for how long it could be redeemed if no login had spent it.
        """
        if challenge_id is None or not self.exists(challenge_id):
            return 0
        its = self.challenges[challenge_id]
        guessable = its.wrong < RULES.guesses or (shared and its.shared < RULES.guesses)
        open_ = spent if its.used is not None else guessable
        return max(0, its.until - self.now) if open_ else 0

    def resendable(self, challenge_id: str | None, purpose: str) -> bool:
        """Tell whether getSms with this challenge sends its code again."""
        if challenge_id is None or not self.exists(challenge_id):
            return False
        its = self.challenges[challenge_id]
        if its.purpose != purpose:
            return False
        alive = its.used is None and self.now < its.until and its.wrong < RULES.guesses
        return alive and self.now + RULES.life <= its.born + RULES.age

    def settle(self) -> None:
        """Step past every end that is near, since a real Redis is ahead of the model by the test's own running time."""
        ends = [self.cooldown_end, self.failures_end, (self.day + 1) * DAY - DAY / 2, (self.now // 3600 + 1) * 3600]
        for its in self.challenges.values():
            ends += [its.until, its.born + RECORD, its.born + RULES.age - RULES.life]
            ends += [its.used + RULES.repeat_for] if its.used is not None else []
        while any(0 <= end - self.now <= 3 for end in ends):
            self.wait(4)

    # The steps.

    @rule(seconds=st.sampled_from([5, 31, 31, 31, 70, 130, 190, 310, 30_000]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.world.wait(seconds)
        self.now += seconds

    @rule(
        pick=st.integers(0, 3),
        how=st.sampled_from(["delivers", "delivers", "refuses", "says nothing", "crashes"]),
        key=st.sampled_from([None, None, *KEYS]),
        purpose=st.sampled_from(["login", "login", "login", "pay", "pay", "changePhone"]),
    )
    def send(self, pick: int, how: str, key: str | None, purpose: str) -> None:
        """Request a code for a purpose, in one of the model's challenges or in none."""
        self.settle()
        asked = [*[*reversed(self.challenges)][:3], None, None, None, None][pick]
        self.wire.how = how
        before = len(self.wire.sent)
        outcome, challenge_id = "", None
        try:
            challenge_id = self.world.get_sms(asked, key=key, purpose=Purpose(purpose)).session_id
        except CrashError:
            outcome = "crashes"
        except Refusal as refusal:
            outcome, challenge_id = refusal.name, refusal.data.get("sessionId")
        sent = self.wire.sent[before:]

        repeated, key_end = self.keys.get((purpose, key), ("", 0.0))
        if self.now < key_end and self.life(repeated, shared=False, spent=True):
            assert (outcome, challenge_id, sent) == ("", repeated, [])
            return
        if self.failed >= RULES.lock_at:
            assert (outcome, sent) == ("Locked", [])
            return
        if self.now < self.cooldown_end or self.days.get(self.day, 0) >= RULES.daily:
            assert (outcome, sent) == ("TooManyRequests", [])
            return
        assert len(sent) == 1
        code = sent[0][1]
        assert outcome == {"delivers": "", "refuses": "InvalidPhone", "says nothing": "SendUnknown"}.get(how, "crashes")
        if how == "refuses":
            self.budgets[f"ip:{IP}", f"refused:{self.windows[0]}"] += 1
            self.keys.pop((purpose, key), None)
            return
        if challenge_id is None:  # crashed before the answer: only Redis knows the challenge
            challenge_id = self.world.latest(purpose=Purpose(purpose))
            assert challenge_id is not None
        self.keep(asked, challenge_id, code, key, purpose)

    def keep(self, asked: str | None, challenge_id: str, code: str, key: str | None, purpose: str) -> None:
        """Update the model after a sending that counts."""
        if self.resendable(asked, purpose):
            assert (challenge_id, code) == (asked, self.challenges[challenge_id].code)
            self.challenges[challenge_id].until = self.now + RULES.life
        else:
            assert challenge_id not in self.challenges
            self.challenges[challenge_id] = Challenge(code, purpose, self.now, self.now + RULES.life)
        self.challenges[challenge_id].reservations.append(self.windows)
        self.count_sending(*self.windows, 1)
        for subject in (RANGE, "all"):
            self.budgets[subject, f"total:{self.windows[1]}"] += 1
        self.latest[purpose] = challenge_id
        self.cooldown_end = self.now + RULES.cooldown
        self.days[self.day] = self.days.get(self.day, 0) + 1
        if key:
            self.keys[purpose, key] = (challenge_id, self.challenges[challenge_id].born + RECORD)

    def count_sending(self, hour: str, day: str, by: int) -> None:
        """Count the part of a sending that a login refunds."""
        for subject in (f"ip:{IP}", RANGE):
            self.budgets[subject, f"hour:{hour}"] += by
            self.budgets[subject, f"day:{day}"] += by

    @precondition(lambda self: self.challenges)
    @rule(
        pick=st.sampled_from([0, 0, 0, 0, 1, 2, 2, 3]),
        right=st.booleans(),
        key=st.sampled_from([None, *KEYS]),
        users=st.sampled_from(["up", "up", "up", "down", "down", "crash"]),
        use=st.sampled_from(["its own", "its own", "its own", "its own", "login", "pay", "changePhone"]),
    )
    def guess(self, pick: int, right: bool, key: str | None, users: str, use: str) -> None:  # noqa: FBT001 - drawn by name
        """Guess in one of the model's challenges, in a forged one or in none, while the user table works or fails.

        A code for another purpose than a login is proved, which needs no user; it is tried for each purpose.
        """
        self.settle()
        asked = [*[*reversed(self.challenges)][:2], None, "A" * 22, None][pick]
        latest = self.latest.get("login")
        target = asked or (latest if self.exists(latest) else None)
        code = self.challenges[target].code if target in self.challenges else "000000"
        fresh = target in self.challenges and self.challenges[target].used is None
        if asked is None:
            use = "login"  # only a login may come without a sessionId
        elif use == "its own":
            use = self.challenges[asked].purpose if asked in self.challenges else "login"
        users = users if use == "login" else "up"
        expected = self.judge(asked, target, right=right, key=key, users=users, use=use)
        outcome = self.attempt(asked, code if right else f"{(int(code) + 1) % 10**6:06}", key, users, use)
        assert outcome == expected
        if outcome not in {"token", "Locked", "UserStoreFailed"}:
            self.budgets[f"ip:{IP}", f"guesses:{self.windows[0]}"] += 1
        if outcome == "token" and target is not None and fresh:
            for hour, day in self.challenges[target].reservations:
                self.count_sending(hour, day, -1)
        if outcome == "token" and fresh and target is not None:
            self.challenges[target].tokens += 1  # and not a repeat of another login

    @precondition(lambda self: self.challenges)
    @rule(pick=st.sampled_from([0, 2]), times=st.integers(2, 4), right=st.booleans())
    def guess_on(self, pick: int, times: int, right: bool) -> None:  # noqa: FBT001 - drawn by name
        """Guess wrong several times in a row, and then perhaps right."""
        for last in range(times):
            self.guess(pick, right and last == times - 1, None, "up", "its own")

    @precondition(lambda self: self.challenges)
    @rule(seconds=st.sampled_from([110, 190, 280]))
    def send_on(self, seconds: float) -> None:
        """Resend the latest code for as long as that is allowed."""
        for _ in range(3):
            self.wait(seconds)
            asked = next(reversed(self.challenges))
            self.send(0, "delivers", None, self.challenges[asked].purpose)

    def attempt(self, asked: str | None, code: str, key: str | None, users: str, use: str) -> str:
        """Log in or prove, and return the outcome."""
        sign_in = self.world.users.sign_in

        def broken(*_: object) -> User:
            raise CrashError if users == "crash" else ServiceUnavailable

        if users != "up":
            self.world.users.sign_in = broken  # type: ignore[method-assign, assignment] # the table fails for this one call
        try:
            if use == "login":
                self.world.log_in(asked, code, key=key)
            elif asked:
                self.world.prove(asked, code, key=key, purpose=Purpose(use))
        except CrashError:
            return "crash"
        except Refusal as refusal:
            left = refusal.data.get("attemptsLeft")
            return refusal.name if left is None else f"{refusal.name} {left}"
        finally:
            self.world.users.sign_in = sign_in  # type: ignore[method-assign] # and works again
        return "token"

    def judge(  # noqa: PLR0911 - the contract's rules, in their order
        self, asked: str | None, target: str | None, *, right: bool, key: str | None, users: str, use: str
    ) -> str:
        """Return the outcome that the contract requires, and update the model."""
        if self.failed >= RULES.lock_at:
            return "Locked"
        if target is None:
            return "CodeHasExpired"
        if not self.exists(target) or self.challenges[target].purpose != use:
            latest = self.latest.get("login")
            live = any(self.life(other, shared=other == latest) for other in self.challenges)
            return "SessionMismatch" if live else "CodeHasExpired"
        its = self.challenges[target]
        again = its.used is not None and key is not None and its.key == key and self.now - its.used <= RULES.repeat_for
        if not again and self.now >= its.until:
            return "CodeHasExpired"
        if its.used is not None and not again:
            return "CodeHasValid"
        guesses = its.wrong if asked else its.shared
        if guesses >= RULES.guesses:
            return "CodeHasValid"
        if not right:
            its.wrong, its.shared = (its.wrong + 1, its.shared) if asked else (its.wrong, its.shared + 1)
            self.failures, self.failures_end = self.failed + 1, self.now + DAY
            return f"CodeIsError {RULES.guesses - guesses - 1}"
        if users == "down" and not again:
            return "UserStoreFailed"
        if not again:
            its.used, its.key = self.now, key
            self.failures = 0
        return {"up": "token", "down": "ServiceUnavailable", "crash": "crash"}[users]

    # The invariants.

    @invariant()
    def every_key_expires_and_budgets_count_exactly_the_unverified_sendings(self) -> None:
        """Every key but the user's expires; each sending is counted, and refunded at most once, even after a crash."""
        type(self).steps += 1
        if not hasattr(self, "world"):
            return
        expiries = self.world.backend.expiries()
        assert {key for key, ms in expiries.items() if ms == -1} <= {f"user:{{{PHONE.e164}}}"}
        if self.now % 3600 < 1:  # a window ends, in Redis and in the model at different moments
            return
        counters = [key for key in expiries if key.startswith("budget:")]
        counts = map(int, self.world.backend.client.mget(counters)) if counters else []
        hour, day = self.windows
        present = {f"hour:{hour}", f"guesses:{hour}", f"refused:{hour}", f"day:{day}", f"total:{day}"}
        expected = {(subject, window): count for (subject, window), count in self.budgets.items() if window in present}
        assert dict(zip(counters, counts, strict=True)) == {
            f"budget:{{{subject}}}:{window}": count for (subject, window), count in expected.items() if count
        }

    @invariant()
    def no_code_signs_in_twice(self) -> None:
        """A crash may leave a code spent, but never makes it usable twice."""
        assert all(its.tokens <= 1 for its in getattr(self, "challenges", {}).values())


class RulebookOnRealRedis(Rulebook):
    """The same rules on a real Redis."""

    port = 0

    @classmethod
    def backend(cls) -> Backend:
        """Empty the real Redis, and return it."""
        client = patient(connect(RedisServer.host, cls.port))
        client.flushall()
        return Backend(client)

    def teardown(self) -> None:
        """Close the connection."""
        self.world.backend.client.close()
        super().teardown()


STEPS = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))


def test_the_service_follows_the_rulebook_on_fakeredis() -> None:
    """In at least 400 steps, the service does exactly as the model says; fakeredis is slower than a real Redis."""
    Rulebook.steps = 0
    run_state_machine_as_test(Rulebook, settings=settings(STEPS, max_examples=16))
    assert Rulebook.steps >= 400


def test_the_service_follows_the_rulebook_on_a_real_redis(redis_server: RedisServer) -> None:
    """In at least 1,000 steps, the service does exactly as the model says."""
    RulebookOnRealRedis.steps, RulebookOnRealRedis.port = 0, redis_server.port
    run_state_machine_as_test(RulebookOnRealRedis, settings=STEPS)
    assert RulebookOnRealRedis.steps >= 1000
