"""Logging in with a code: the rules, in the order in which they apply."""

import secrets

from sms_login import logs
from sms_login.address import Address
from sms_login.budgets import Windows
from sms_login.codes import CodeMaker
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
)
from sms_login.fixed_codes import FixedCodes
from sms_login.guard import Guard
from sms_login.messages import LoggedIn, missing
from sms_login.periods import seconds
from sms_login.phone import Phone
from sms_login.ports import Codes, Guess, Redeemed, User, Users
from sms_login.rules import Rules
from sms_login.tokens import AccessTokens


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
        tokens: AccessTokens,
        rules: Rules,
        require_session: bool = False,
    ) -> None:
        self._codes = codes
        self._users = users
        self._guard = guard
        self._maker = maker
        self._fixed = fixed
        self._tokens = tokens
        self._rules = rules
        self._require_session = require_session

    def log_in(self, phone: Phone, code: str, session: str | None, key: str | None, address: Address) -> LoggedIn:
        """Log in with a code. `key` is the caller's Idempotency-Key.

        Raises CodeIsError, CodeHasExpired, CodeHasValid, SessionMismatch, Locked, TooManyRequests, InvalidParam (no
        sessionId where one is required), UserStoreFailed (the code is still good) and ServiceUnavailable.
        """
        if session is None and self._require_session:
            raise missing("sessionId")
        login = secrets.token_hex(16)
        if self._fixed.has(phone):
            if not self._fixed.right(phone, code):
                raise CodeIsError(data={"attemptsLeft": self._rules.guesses})
            return self._logged_in(self._users.sign_in(phone, login), login)
        guess: Windows = {}
        over = None
        try:
            guess = self._guard.guess(address)
        except TooManyRequests as refusal:
            # Who holds a live session still passes: it may have been somebody else behind the same address.
            if session is None:
                raise
            over = refusal
        redeemed, session = self._redeem(phone, code, session, login, key)
        if over and redeemed.guess in {Guess.UNKNOWN, Guess.EXPIRED, Guess.SPENT}:
            raise over
        if redeemed.guess is Guess.LOCKED:
            self._guard.not_evaluated(guess)
        if redeemed.guess not in {Guess.RIGHT, Guess.REPEAT}:
            raise self._refusal(phone, redeemed)
        try:
            user = self._sign_in(phone, session, redeemed)
        except UserStoreFailed:
            self._guard.not_evaluated(guess)
            raise
        self._guard.verified(phone, redeemed.tolls, guess)
        return self._logged_in(user, redeemed.login)

    def _redeem(
        self, phone: Phone, code: str, session: str | None, login: str, key: str | None
    ) -> tuple[Redeemed, str]:
        """Hold the guess against the session's code, or against the number's latest; return also whose it was."""
        shared = session is None
        session = session or self._codes.latest(phone)
        if session is None:
            raise CodeHasExpired
        digests = self._maker.digests(phone, session, code)
        return self._codes.redeem(phone, session, digests, shared=shared, login=login, key=key), session

    def _logged_in(self, user: User, login: str) -> LoggedIn:
        return LoggedIn(
            user_id=user.id,
            phone=user.phone.e164,
            name=user.name,
            avatar=user.avatar,
            # A user is named after the login that signed them up, so a repeat of it says the same as the first answer.
            is_new_user=user.id == login,
            token=self._tokens.issue(user),
            expires_in=self._tokens.ttl,
        )

    def _sign_in(self, phone: Phone, session: str, redeemed: Redeemed) -> User:
        try:
            return self._users.sign_in(phone, redeemed.login)
        except ServiceUnavailable as error:
            # Of a login that was repeated nothing is given back: one of the two may have its token.
            if self._codes.unredeem(phone, session, redeemed.login):
                raise UserStoreFailed(error.detail) from error
            raise

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
