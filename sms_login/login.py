"""Asking for a code and logging in with it: the rules, in the order in which they apply."""

import math
import secrets
import time
from datetime import datetime, timedelta, timezone

from msgspec.structs import replace

from sms_login import logs
from sms_login.codes import CodeMaker
from sms_login.errors import (
    CodeHasExpired,
    CodeHasValid,
    CodeIsError,
    InvalidPhone,
    Locked,
    Refusal,
    SendFailed,
    SendUnknown,
    ServiceUnavailable,
    SessionMismatch,
    TooManyRequests,
    UserStoreFailed,
)
from sms_login.guard import Guard
from sms_login.messages import CodeSent, LoggedIn, missing
from sms_login.phone import Phone
from sms_login.ports import Ask, Codes, Guess, Look, May, Redeemed, Rules, Sms, User, Users
from sms_login.tokens import AccessTokens


class LoginService:
    """Sends codes and takes them. Any number of threads may use one at once."""

    def __init__(
        self,
        *,
        codes: Codes,
        users: Users,
        sms: Sms,
        guard: Guard,
        maker: CodeMaker,
        tokens: AccessTokens,
        rules: Rules,
        tz_offset: float = 8,  # hours; whose midnight ends a number's day
        require_session: bool = False,
    ) -> None:
        self._codes = codes
        self._users = users
        self._sms = sms
        self._guard = guard
        self._maker = maker
        self._tokens = tokens
        self._rules = rules
        self._zone = timezone(timedelta(hours=tz_offset))
        self._require_session = require_session

    def get_sms(self, phone: Phone, session: str | None, key: str | None) -> CodeSent:
        """Send a code: the one of `session` again, or a new one. `key` is the caller's Idempotency-Key.

        Raises Locked, TooManyRequests, CountryNotAllowed, InvalidPhone, SendFailed, SendUnknown (with the sessionId in
        which the code will work, should it arrive) and ServiceUnavailable.
        """
        ask = Ask(phone, *self._today(), session=session, key=key)
        look = self._codes.look(ask)
        if look.may is May.REPEAT:
            if answer := self._repeated(phone, look):
                return answer
            ask = replace(ask, stale=look.session)
            look = self._codes.look(ask)
        _refuse(look)
        self._guard.check(phone)
        return self._send(ask, look)

    def _send(self, ask: Ask, look: Look) -> CodeSent:
        phone = ask.phone
        again = self._maker.again(phone, look.code) if look.code else None
        if again is None:  # a new session, also where the secret of an old code is no longer known
            ask = replace(ask, session=None)
        new, digits = self._maker.new(phone)
        mark = secrets.token_urlsafe(6)
        try:
            sending = self._codes.issue(ask, new, mark)
        except ServiceUnavailable:
            # It may be on record, and a repeat under its key would be told of an SMS that nobody sends.
            self._undo(ask, new.session, mark)
            raise
        if isinstance(sending, Look):  # somebody was faster than us since we looked
            if sending.may is May.REPEAT and (answer := self._repeated(phone, sending)):
                return answer
            _refuse(sending)
            raise TooManyRequests(retry_after=1)  # a repeat of a sending that is just being refused
        try:
            receipt = self._sms.send(phone, again if again and sending.same else digits)
        except SendUnknown as unknown:
            # It may have been sent: it counts, and its code works.
            unknown.data = {
                "sessionId": sending.session,
                "expiresIn": self._rules.life,
                "resendAfter": self._rules.cooldown + 1,
            }
            raise
        except (InvalidPhone, TooManyRequests, SendFailed):
            self._undo(replace(ask, session=None), sending.session, mark)
            raise
        return CodeSent(
            session_id=sending.session,
            request_id=receipt.request_id,
            serial_no=receipt.serial_no,
            expires_in=self._rules.life,
            resend_after=self._rules.cooldown + 1,
        )

    def _undo(self, ask: Ask, session: str, mark: str) -> None:
        try:
            self._codes.undo(ask, session, mark)
        except ServiceUnavailable as error:
            logs.alert("undo_failed", cause=logs.redact(error.detail))  # what failed before is still the answer

    def _repeated(self, phone: Phone, look: Look) -> CodeSent | None:
        """Return the answer to a getSms that was answered before; None if its session is over."""
        life = self._codes.life_ms(phone, look.session, shared=False) // 1000
        if not life:
            return None
        cooldown = math.ceil(max(look.wait_ms, 0) / 1000)
        return CodeSent(session_id=look.session, expires_in=life, resend_after=cooldown + 1)

    def _today(self) -> tuple[str, int]:
        """Return the name of the number's calendar day, and the milliseconds that are left of it."""
        now = datetime.fromtimestamp(time.time(), self._zone)
        midnight = datetime(now.year, now.month, now.day, tzinfo=self._zone) + timedelta(days=1)
        return f"{now:%Y%m%d}", max(1, int((midnight - now).total_seconds() * 1000))

    def log_in(self, phone: Phone, code: str, session: str | None, key: str | None) -> LoggedIn:
        """Log in with a code. `key` is the caller's Idempotency-Key.

        Raises CodeIsError, CodeHasExpired, CodeHasValid, SessionMismatch, Locked, InvalidParam (no sessionId where one
        is required), UserStoreFailed (the code is still good) and ServiceUnavailable.
        """
        shared = session is None
        if session is None:
            if self._require_session:
                raise missing("sessionId")
            session = self._codes.latest(phone)
            if session is None:
                raise CodeHasExpired
        login = secrets.token_hex(16)
        digests = self._maker.digests(phone, session, code)
        redeemed = self._codes.redeem(phone, session, digests, shared=shared, login=login, key=key)
        if redeemed.guess not in {Guess.RIGHT, Guess.REPEAT}:
            raise self._refusal(phone, redeemed)
        user = self._sign_in(phone, session, redeemed)
        return LoggedIn(
            user_id=user.id,
            phone=user.phone.e164,
            name=user.name,
            avatar=user.avatar,
            # A user is named after the login that signed them up, so a repeat of it says the same as the first answer.
            is_new_user=user.id == redeemed.login,
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
                return Locked(retry_after=_seconds(redeemed.wait_ms))
            case Guess.UNKNOWN:
                latest = self._codes.latest(phone)
                if latest and self._codes.life_ms(phone, latest, shared=True):
                    return SessionMismatch()
        return CodeHasExpired()


def _refuse(look: Look) -> None:
    """Raise what a look says no with."""
    if look.may is May.LOCKED:
        raise Locked(retry_after=_seconds(look.wait_ms))
    if look.may in {May.COOLDOWN, May.DAILY}:
        raise TooManyRequests(retry_after=_seconds(look.wait_ms))


def _seconds(ms: int) -> int:
    return max(1, math.ceil(ms / 1000))
