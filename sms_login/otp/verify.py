"""login and deleteAccount: verifies a code, under the rules in the order in which they apply."""

import contextlib
import secrets
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import asdict

from sms_login import logs
from sms_login.errors import (
    CodeHasExpired,
    CodeHasValid,
    CodeIsError,
    Locked,
    Refusal,
    ServiceUnavailable,
    SessionMismatch,
    TooManyRequests,
    UserStoreFailed,
    missing,
)
from sms_login.limits.client import Client
from sms_login.limits.guard import Guard
from sms_login.limits.store import WindowNames
from sms_login.otp.codes import CodeMaker
from sms_login.otp.rules import Rules
from sms_login.otp.store import Attempt, ChallengeStore, GuessOutcome, Redemption
from sms_login.otp.test_numbers import FixedCodes
from sms_login.periods import Calendar, retry_after
from sms_login.phone import Phone
from sms_login.sessions.service import Sessions, SignedIn
from sms_login.users import Users

T = TypeVar("T")

_NO_CHALLENGE = "-"  # a lock is told also if there is no code to compare a guess with


class LoggedIn(SignedIn, frozen=True, rename="camel"):
    """The code was right."""

    is_new_user: bool


class Guess(Struct, frozen=True):
    """A code to verify. Without a `challenge_id` it is compared with the number's latest code."""

    phone: Phone
    code: str
    challenge_id: str | None
    idempotency_key: str | None
    client: Client


class Used(Struct, Generic[T], frozen=True):
    """A code that `login_id` redeemed, with the `result` of its use; `challenge_id` is None for a test number."""

    result: T
    login_id: str
    challenge_id: str | None


class LoginService:
    """Verifies codes. Thread-safe."""

    def __init__(
        self,
        *,
        challenges: ChallengeStore,
        users: Users,
        guard: Guard,
        maker: CodeMaker,
        fixed: FixedCodes,
        sessions: Sessions,
        rules: Rules,
        calendar: Calendar,
        require_session: bool,
    ) -> None:
        self._challenges = challenges
        self._users = users
        self._guard = guard
        self._maker = maker
        self._fixed = fixed
        self._sessions = sessions
        self._rules = rules
        self._calendar = calendar
        self._require_session = require_session

    def log_in(self, guess: Guess) -> LoggedIn:
        """Sign the number's user in or up, and begin a session. Raises the refusals of `_redeem_and_use`."""

        def sign_in(login_id: str) -> SignedIn:
            return self._sessions.begin(self._users.sign_in(guess.phone, login_id))

        login = self._redeem_and_use(guess, sign_in)
        # A user is named after the login that signed them up, so a repeated login gives the same answer.
        return LoggedIn(**asdict(login.result), is_new_user=login.result.user_id == login.login_id)

    def delete_account(self, token: str, code: str, challenge_id: str | None, client: Client) -> None:
        """Delete the token's user and all sessions, after a right code.

        Raises TokenInvalid, TokenExpired, and the refusals of `_redeem_and_use`.
        """
        claims = self._sessions.claims(token)

        def delete(_login_id: str) -> None:  # cut off in between, it can be repeated with the same code
            self._users.delete(claims.phone, claims.user_id)
            self._sessions.end_all(claims.phone)

        deletion = self._redeem_and_use(Guess(claims.phone, code, challenge_id, None, client), delete)
        with contextlib.suppress(ServiceUnavailable):  # the account is deleted; the challenge expires by itself
            if deletion.challenge_id:
                self._challenges.forget(claims.phone, deletion.challenge_id)

    def _redeem_and_use(self, guess: Guess, use: Callable[[str], T]) -> Used[T]:
        """Redeem a code for `use(login_id)`.

        Raises CodeIsError, CodeHasExpired, CodeHasValid, SessionMismatch, Locked, TooManyRequests, InvalidParam if a
        required sessionId is missing, UserStoreFailed (the code stays valid) and ServiceUnavailable.
        """
        phone = guess.phone
        if guess.challenge_id is None and self._require_session:
            raise missing("sessionId")
        login_id = secrets.token_hex(16)
        if phone.e164 in self._fixed.codes:
            self._fixed.use(phone)
            if not self._fixed.right(phone, guess.code):
                raise CodeIsError(data={"attemptsLeft": self._rules.guesses})
            return Used(use(login_id), login_id, None)
        reserved, over_limit = self._reserve(guess)
        challenge_id = guess.challenge_id or self._challenges.latest(phone) or _NO_CHALLENGE
        redemption = self._redeem(guess, challenge_id, login_id)
        if over_limit and redemption.outcome in {GuessOutcome.UNKNOWN, GuessOutcome.EXPIRED, GuessOutcome.SPENT}:
            raise over_limit
        if redemption.outcome is GuessOutcome.LOCKED:
            self._guard.refund_guess(reserved)
        if redemption.outcome not in {GuessOutcome.RIGHT, GuessOutcome.REPEAT}:
            raise self._refusal(guess, redemption)
        with self._unredeem_on_failure(phone, challenge_id, login_id, reserved):
            result = use(redemption.login_id)
        self._guard.refund_verified(phone, redemption.reservations, reserved)
        return Used(result, redemption.login_id, challenge_id)

    def _reserve(self, guess: Guess) -> tuple[WindowNames, TooManyRequests | None]:
        """Reserve the guess in the client's budget; return the windows to refund, and the refusal if there is no room.

        With a sessionId the guess goes on: the budget may have been used by others behind the same address. Raises
        TooManyRequests without one.
        """
        try:
            return self._guard.reserve_guess(guess.client, self._calendar.now()), None
        except TooManyRequests as refusal:
            if guess.challenge_id is None:
                raise
            return {}, refusal

    def _redeem(self, guess: Guess, challenge_id: str, login_id: str) -> Redemption:
        digests = self._maker.digests(guess.phone, challenge_id, guess.code)
        attempt = Attempt(login_id, digests, guess.challenge_id is None, guess.idempotency_key)
        try:
            return self._challenges.redeem(guess.phone, challenge_id, attempt)
        except ServiceUnavailable:
            self._unredeem(guess.phone, challenge_id, login_id)  # the code may be spent, and the login is not answered
            raise

    @contextlib.contextmanager
    def _unredeem_on_failure(
        self, phone: Phone, challenge_id: str, login_id: str, reserved: WindowNames
    ) -> Iterator[None]:
        """Make the code valid again if its use fails, even through a bug of ours."""
        try:
            yield
        except Exception as error:
            # A repeated login is unredeemed if both fail: either may have delivered its token.
            if self._unredeem(phone, challenge_id, login_id):
                self._guard.refund_guess(reserved)
                if isinstance(error, ServiceUnavailable):
                    raise UserStoreFailed(error.detail) from error
            raise

    def _unredeem(self, phone: Phone, challenge_id: str, login_id: str) -> bool:
        try:
            return self._challenges.unredeem(phone, challenge_id, login_id)
        except ServiceUnavailable:  # the answer stays the earlier failure, and the code stays spent
            return False

    def _refusal(self, guess: Guess, redemption: Redemption) -> Refusal:
        match redemption.outcome:
            case GuessOutcome.WRONG:
                if redemption.failures in {self._rules.alert_at, self._rules.lock_at}:
                    logs.alert("failures_in_a_row", failures=redemption.failures)
                return CodeIsError(data={"attemptsLeft": redemption.attempts_left})
            case GuessOutcome.SPENT:
                return CodeHasValid()
            case GuessOutcome.LOCKED:
                return Locked(retry_after=retry_after(redemption.wait_ms))
            case GuessOutcome.UNKNOWN if guess.challenge_id:
                for place, other in enumerate(self._challenges.recent(guess.phone)):
                    if self._challenges.remaining_ms(guess.phone, other, shared=place == 0):
                        return SessionMismatch()
        return CodeHasExpired()
