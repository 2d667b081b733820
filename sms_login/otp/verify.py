"""Logging in with a code: the rules, in the order in which they apply."""

import contextlib
import secrets
from collections.abc import Callable, Iterator
from typing import TypeVar

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
from sms_login.limits.client import Address
from sms_login.limits.guard import Guard
from sms_login.limits.store import Windows
from sms_login.otp.codes import CodeMaker
from sms_login.otp.rules import Rules
from sms_login.otp.store import Codes, Guess, Redeemed
from sms_login.otp.test_numbers import FixedCodes
from sms_login.periods import seconds
from sms_login.phone import Phone
from sms_login.sessions.service import Refreshed, Sessions
from sms_login.users import Users

T = TypeVar("T")


class LoggedIn(Refreshed, frozen=True, rename="camel"):
    """The code was right."""

    is_new_user: bool


class Attempt(Struct, frozen=True):
    """A guess: the `code`, in a `session` or in none, under an Idempotency-`key` or none, from an `address`."""

    phone: Phone
    code: str
    session: str | None
    key: str | None
    address: Address


class LoginService:
    """Takes codes. Any number of threads may use one at once."""

    def __init__(
        self,
        *,
        codes: Codes,
        users: Users,
        guard: Guard,
        maker: CodeMaker,
        fixed: FixedCodes,
        sessions: Sessions,
        rules: Rules,
        require_session: bool,
    ) -> None:
        self._codes = codes
        self._users = users
        self._guard = guard
        self._maker = maker
        self._fixed = fixed
        self._sessions = sessions
        self._rules = rules
        self._require_session = require_session

    def log_in(self, phone: Phone, code: str, session: str | None, key: str | None, address: Address) -> LoggedIn:
        """Log in with a code. `key` is the caller's Idempotency-Key.

        Raises what `_spend` does.
        """
        attempt = Attempt(phone, code, session, key, address)
        user, login, _ = self._spend(attempt, lambda login: self._users.sign_in(phone, login))
        tokens = self._sessions.begin(user)
        # A user is named after the login that signed them up, so a repeat of it says the same as the first answer.
        return LoggedIn(**asdict(tokens), is_new_user=user.id == login)

    def delete_account(self, token: str, code: str, session: str | None, address: Address) -> None:
        """Forget the token's user, who shows with a fresh code that it is them, and all that is known of them.

        Raises what `_spend` does, TokenInvalid and TokenExpired.
        """
        claims = self._sessions.claims(token)
        attempt = Attempt(claims.phone, code, session, None, address)

        def forget(_login: str) -> None:  # cut off in between, it may be repeated with the same code
            self._users.delete(claims.phone, claims.user_id)
            self._sessions.end_all(claims.phone)

        _, _, spent = self._spend(attempt, forget)
        with contextlib.suppress(ServiceUnavailable):  # it is done; what is left of the code expires by itself
            if spent:
                self._codes.forget(claims.phone, spent)

    def _spend(self, attempt: Attempt, act: Callable[[str], T]) -> tuple[T, str, str | None]:
        """Spend a code to `act`, with the name of the login that spends it.

        Return what that gives, the name, and the session whose code it was. Raises CodeIsError, CodeHasExpired,
        CodeHasValid, SessionMismatch, Locked, TooManyRequests, InvalidParam where a sessionId is required and missing,
        UserStoreFailed (the code is still good) and ServiceUnavailable.
        """
        phone, session = attempt.phone, attempt.session
        if session is None and self._require_session:
            raise missing("sessionId")
        login = secrets.token_hex(16)
        if self._fixed.has(phone):
            if not self._fixed.right(phone, attempt.code):
                raise CodeIsError(data={"attemptsLeft": self._rules.guesses})
            return act(login), login, None
        guess: Windows = {}
        over = None
        try:
            guess = self._guard.guess(attempt.address)
        except TooManyRequests as refusal:
            # Who holds a live session still passes: it may have been somebody else behind the same address.
            if session is None:
                raise
            over = refusal
        redeemed, session = self._redeem(attempt, login)
        if over and redeemed.guess in {Guess.UNKNOWN, Guess.EXPIRED, Guess.SPENT}:
            raise over
        if redeemed.guess is Guess.LOCKED:
            self._guard.not_evaluated(guess)
        if redeemed.guess not in {Guess.RIGHT, Guess.REPEAT}:
            raise self._refusal(phone, redeemed)
        with self._or_good_again(phone, session, redeemed.login, guess):
            done = act(redeemed.login)
        self._guard.verified(phone, redeemed.tolls, guess)
        return done, redeemed.login, session

    @contextlib.contextmanager
    def _or_good_again(self, phone: Phone, session: str, login: str, guess: Windows) -> Iterator[None]:
        """Make the code good again where what it was spent for fails, be it for a bug of ours."""
        try:
            yield
        except Exception as error:
            # Of a login that was repeated nothing is given back: one of the two may have its token.
            if self._codes.unredeem(phone, session, login):
                self._guard.not_evaluated(guess)
                if isinstance(error, ServiceUnavailable):
                    raise UserStoreFailed(error.detail) from error
            raise

    def _redeem(self, attempt: Attempt, login: str) -> tuple[Redeemed, str]:
        """Hold the guess against the session's code, or against the number's latest; return also whose it was."""
        phone, shared = attempt.phone, attempt.session is None
        session = attempt.session or self._codes.latest(phone)
        if session is None:
            raise CodeHasExpired
        digests = self._maker.digests(phone, session, attempt.code)
        return self._codes.redeem(phone, session, digests, shared=shared, login=login, key=attempt.key), session

    def _refusal(self, phone: Phone, redeemed: Redeemed) -> Refusal:
        match redeemed.guess:
            case Guess.WRONG:
                if redeemed.failures in {self._rules.alert_at, self._rules.lock_at}:
                    logs.alert("failures_in_a_row", failures=redeemed.failures)
                return CodeIsError(data={"attemptsLeft": redeemed.left})
            case Guess.SPENT:
                return CodeHasValid()
            case Guess.LOCKED:
                return Locked(retry_after=seconds(redeemed.wait_ms))
            case Guess.UNKNOWN:
                latest = self._codes.latest(phone)
                if latest and self._codes.life_ms(phone, latest, shared=True):
                    return SessionMismatch()
        return CodeHasExpired()
