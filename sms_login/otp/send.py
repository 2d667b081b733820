"""Asking for a code: the rules, in the order in which they apply."""

import math
import secrets

from msgspec import Struct
from msgspec.structs import replace

from sms_login import logs
from sms_login.errors import (
    InvalidPhone,
    Locked,
    SendFailed,
    SendUnknown,
    ServiceUnavailable,
    TooManyRequests,
)
from sms_login.limits.guard import Caller, Guard
from sms_login.limits.policy import Toll
from sms_login.otp.codes import CodeMaker
from sms_login.otp.rules import Rules
from sms_login.otp.store import Ask, Codes, Look, May
from sms_login.otp.test_numbers import FixedCodes
from sms_login.periods import Calendar, Seconds, seconds
from sms_login.phone import Phone
from sms_login.sms import Receipt, Sms


class CodeSent(Struct, frozen=True, rename="camel"):
    """A code is on its way. SendSms's own `request_id` and `serial_no` are null in the answer to a repeat."""

    session_id: str
    expires_in: Seconds
    resend_after: Seconds
    request_id: str | None = None
    serial_no: str | None = None


class Sender:
    """Sends codes. Any number of threads may use one at once."""

    def __init__(
        self,
        *,
        codes: Codes,
        sms: Sms,
        guard: Guard,
        maker: CodeMaker,
        fixed: FixedCodes,
        rules: Rules,
        calendar: Calendar,
    ) -> None:
        self._codes = codes
        self._sms = sms
        self._guard = guard
        self._maker = maker
        self._fixed = fixed
        self._rules = rules
        self._calendar = calendar

    def get_sms(self, phone: Phone, session: str | None, key: str | None, caller: Caller) -> CodeSent:
        """Send a code: the one of `session` again, or a new one. `key` is the caller's Idempotency-Key.

        Raises Locked, TooManyRequests, SendingPaused, CountryNotAllowed, CaptchaRequired, InvalidPhone, SendFailed,
        SendUnknown (with the sessionId in which the code will work, should it arrive) and ServiceUnavailable.
        """
        if self._fixed.has(phone):
            return self._sent(secrets.token_urlsafe(16))
        day = self._calendar.day()
        ask = Ask(phone, day.name, day.left_ms, session=session, key=key)
        look = self._codes.look(ask)
        if look.may is May.REPEAT:
            if answer := self._repeated(phone, look):
                return answer
            ask = replace(ask, stale=look.session)
            look = self._codes.look(ask)
        _refuse(look)
        toll = self._guard.admit(phone, caller, look.today)
        return self._send(replace(ask, toll=str(toll)), look, caller, toll)

    def _send(self, ask: Ask, look: Look, caller: Caller, toll: Toll) -> CodeSent:
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
            self._undo(ask, new.session, mark, toll, issued=False)
            raise
        if isinstance(sending, Look):  # somebody was faster than us since we looked
            self._guard.cancel(phone, toll, verified=False)
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
        except (InvalidPhone, TooManyRequests, SendFailed) as refusal:
            self._undo(ask, sending.session, mark, toll, issued=True)
            if not isinstance(refusal, SendFailed):  # which is the operator's or Tencent's, and hits everybody
                self._guard.refused(caller.address)
            raise
        logs.note(serial_no=receipt.serial_no, fee=receipt.fee)
        return self._sent(sending.session, receipt)

    def _sent(self, session: str, receipt: Receipt | None = None) -> CodeSent:
        return CodeSent(
            session_id=session,
            request_id=receipt.request_id if receipt else None,
            serial_no=receipt.serial_no if receipt else None,
            expires_in=self._rules.life,
            resend_after=self._rules.cooldown + 1,
        )

    def _undo(self, ask: Ask, session: str, mark: str, toll: Toll, *, issued: bool) -> None:
        try:
            verified = self._codes.undo(ask, session, mark, issued=issued)
        except ServiceUnavailable as error:
            logs.alert("undo_failed", cause=logs.redact(error.detail))  # what failed before is still the answer
        else:
            self._guard.cancel(ask.phone, toll, verified=verified)

    def _repeated(self, phone: Phone, look: Look) -> CodeSent | None:
        """Return the answer to a getSms that was answered before; None if its session is over."""
        life = self._codes.life_ms(phone, look.session, shared=False) // 1000
        if not life:
            return None
        cooldown = math.ceil(max(look.wait_ms, 0) / 1000)
        return CodeSent(session_id=look.session, expires_in=life, resend_after=cooldown + 1)


def _refuse(look: Look) -> None:
    """Raise what a look says no with."""
    if look.may is May.LOCKED:
        raise Locked(retry_after=seconds(look.wait_ms))
    if look.may in {May.COOLDOWN, May.DAILY}:
        raise TooManyRequests(retry_after=seconds(look.wait_ms))
