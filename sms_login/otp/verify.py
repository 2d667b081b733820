"""Verifies a code, under the rules in the order in which they apply."""

import secrets
from collections.abc import Callable, Collection, Sequence
from typing import Generic, TypeVar

from sms_login import errors, logs
from sms_login.calls import Call
from sms_login.limits.client import Client
from sms_login.limits.store import WindowNames
from sms_login.otp.parts import OtpParts
from sms_login.otp.purposes import LOGIN, Purpose
from sms_login.otp.store import Attempt, GuessOutcome, Redemption
from sms_login.periods import retry_after
from sms_login.phone import Phone
from sms_login.secret import Masked
from sms_login.statistics import Statistics, seconds

T = TypeVar("T")

_NO_CHALLENGE = "-"  # a lock is told also if there is no code to compare a guess with
_RIGHT = {GuessOutcome.RIGHT, GuessOutcome.REPEAT}


class Guess(Masked, frozen=True):
    """A code for a `purpose`. Without a `challenge_id` it is compared with the number's latest code for the purpose."""

    phone: Phone
    code: str
    challenge_id: str | None
    idempotency_key: str | None
    client: Client
    purpose: Purpose = LOGIN


class Used(Masked, Generic[T], frozen=True):
    """A code that `login_id` redeemed, with the `result` of its use; `challenge_id` is None for a test number."""

    result: T
    login_id: str
    challenge_id: str | None


class Verifier(OtpParts, frozen=True, kw_only=True, eq=False):
    """Verifies codes, and spends them for a use. Thread-safe."""

    require_session: bool
    statistics: Statistics
    purposes: Collection[str]

    def redeem(
        self, guess: Guess, use: Callable[[Redemption], Call[T]], *, login_id: str = "", counted_as: str = ""
    ) -> Used[T]:
        """Redeem a code for the call of `use(redemption)`, under this id or, without one, under a random id.

        A repeat under its Idempotency-Key is given the id of the login that spent the code. Statistics count the code
        by its purpose, unless another use is named.

        Raises CodeIsError, CodeHasExpired, CodeHasValid, SessionMismatch, Locked, TooManyRequests, InvalidParam if a
        required sessionId is missing, UserStoreFailed (the code stays valid) and ServiceUnavailable.
        """
        phone = guess.phone
        if guess.challenge_id is None and self.require_session:
            raise errors.missing("sessionId")
        login_id = login_id or secrets.token_hex(16)
        if phone.e164 in self.fixed.codes:
            self.fixed.use(phone)
            if not self.fixed.right(phone, guess.code):
                raise errors.CodeIsError(data={"attemptsLeft": self.rules.guesses})
            using = use(Redemption(GuessOutcome.RIGHT, login_id=login_id))
            self.send(using)
            return Used(using.answer(), login_id, None)
        challenge_id, redemption, reserved = self._evaluate(guess, login_id)
        if redemption.outcome is GuessOutcome.LOCKED:
            self.guard.refund(reserved)  # the guess was not evaluated
        if redemption.outcome not in _RIGHT:
            raise self._refusal(guess, redemption)
        refunds: Sequence[Call[None]] = ()
        counts = self._counts(counted_as or guess.purpose.name, redemption)
        self.statistics.count(phone.region, counts)  # now, to travel with the use
        try:
            using = use(redemption)
            refunds = self.guard.refunds(phone, redemption.reservations, reserved)
            self.send(using, *refunds)
            result = using.answer()
        except Exception as error:
            self.statistics.count(phone.region, counts, times=-1)
            # Even through a bug of ours. If a login was repeated, the code is valid again once both have failed.
            if self._unredeem(phone, challenge_id, login_id, refunded=bool(refunds)):
                if not refunds:
                    self.guard.refund(reserved)
                if isinstance(error, errors.ServiceUnavailable):
                    raise errors.UserStoreFailed(error.detail) from error
            raise
        self.guard.settle(refunds)
        self.conversions.add(phone, redemption.serial_no)
        return Used(result, redemption.login_id, challenge_id)

    def _evaluate(self, guess: Guess, login_id: str) -> tuple[str, Redemption, WindowNames]:
        """Count a guess and evaluate it; return its challenge, the result, and the windows to refund.

        With a sessionId both travel together, since the guess goes on if the client's budget is used up: others behind
        the same address may have used it. Without one, the budget is asked first, and the latest challenge with it.
        Raises TooManyRequests and ServiceUnavailable.
        """
        phone, challenge_id = guess.phone, guess.challenge_id
        reserving = self.guard.reserve_guess(guess.client, self.calendar.now())
        if challenge_id is None:
            finding = self.challenges.recent(phone, guess.purpose.name)
            self.send(reserving, finding)
            reserving.answer()
            challenge_id = next(iter(finding.answer()), _NO_CHALLENGE)
        digests = self.maker.digests(phone, challenge_id, guess.code, guess.purpose)
        attempt = Attempt(login_id, digests, guess.challenge_id is None, guess.idempotency_key, guess.purpose)
        redeeming = self.challenges.redeem(phone, challenge_id, attempt)
        self.send(reserving, redeeming)
        try:
            redemption = redeeming.answer()
        except errors.ServiceUnavailable:
            self._unredeem(phone, challenge_id, login_id)  # the code may be spent, and the login is not answered
            raise
        try:
            return challenge_id, redemption, reserving.answer()
        except (errors.TooManyRequests, errors.ServiceUnavailable) as refusal:
            if redemption.outcome in {GuessOutcome.UNKNOWN, GuessOutcome.EXPIRED, GuessOutcome.SPENT}:
                raise
            if isinstance(refusal, errors.ServiceUnavailable) and redemption.outcome in _RIGHT:
                self._unredeem(phone, challenge_id, login_id)
                raise
            return challenge_id, redemption, {}

    def _unredeem(self, phone: Phone, challenge_id: str, login_id: str, *, refunded: bool = False) -> bool:
        try:
            return self.challenges.unredeem(phone, challenge_id, login_id, refunded=refunded).answer()
        except errors.ServiceUnavailable:  # the answer stays the earlier failure, and the code stays spent
            return False

    def _counts(self, use: str, redemption: Redemption) -> dict[str, int]:
        if redemption.outcome is GuessOutcome.REPEAT:  # counted when the code was spent
            logs.note(repeated=True)
            return {}
        return {f"verified:{use}": 1, seconds(self.rules.life * 1000 - redemption.left_ms): 1}

    def _refusal(self, guess: Guess, redemption: Redemption) -> errors.Refusal:
        match redemption.outcome:
            case GuessOutcome.WRONG:
                if redemption.failures in {self.rules.alert_at, self.rules.lock_at}:
                    logs.alert("failures_in_a_row", failures=redemption.failures)
                return errors.CodeIsError(data={"attemptsLeft": redemption.attempts_left})
            case GuessOutcome.SPENT:
                return errors.CodeHasValid()
            case GuessOutcome.LOCKED:
                return errors.Locked(retry_after=retry_after(redemption.wait_ms))
            case GuessOutcome.UNKNOWN if guess.challenge_id and self._has_live_code(guess.phone):
                return errors.SessionMismatch()
        return errors.CodeHasExpired()

    def _has_live_code(self, phone: Phone) -> bool:
        """Return whether a code of any purpose can be redeemed."""
        finding = {name: self.challenges.recent(phone, name) for name in self.purposes}
        self.send(*finding.values())
        latest = finding[LOGIN.name].answer()[:1]  # the one that logins without a sessionId guess
        recent = [each for found in finding.values() for each in found.answer()]
        lives = [self.challenges.remaining_ms(phone, each, shared=each in latest) for each in recent]
        self.send(*lives)
        return any(life.answer() for life in lives)
