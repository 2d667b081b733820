"""getSms: sends a code, under the rules in the order in which they apply."""

import math
import secrets

from msgspec.structs import replace

from sms_login import errors, logs
from sms_login.errors import InvalidPhone, Locked, Refusal, SendFailed, SendUnknown, ServiceUnavailable, TooManyRequests
from sms_login.limits.budgets import Budgets
from sms_login.limits.guard import Caller
from sms_login.otp.parts import OtpParts
from sms_login.otp.purposes import LOGIN, Purpose
from sms_login.otp.store import Challenge, SendDecision, SendOutcome, SendRequest
from sms_login.periods import Now, Seconds, retry_after
from sms_login.phone import Phone
from sms_login.secret import Masked
from sms_login.sms import MAINLAND, Sms, Voice


class CodeSent(Masked, frozen=True, rename="camel"):
    """A code is on its way. SendSms's own `request_id` and `serial_no` are null in the answer to a repeat."""

    session_id: str
    expires_in: Seconds
    resend_after: Seconds
    request_id: str | None = None
    serial_no: str | None = None


class _Sending(Masked, frozen=True):
    """A sending that is reserved and recorded under its `id`, in the requested challenge or in the `new` one."""

    id: str
    request: SendRequest
    new: Challenge
    budgets: Budgets


_ALLOWED = {SendOutcome.NEW, SendOutcome.RESEND}


class Sender(OtpParts, frozen=True, kw_only=True, eq=False):
    """Sends codes. Thread-safe."""

    sms: Sms
    voice: Voice | None  # None: no calls

    def get_sms(
        self,
        phone: Phone,
        challenge_id: str | None,
        idempotency_key: str | None,
        caller: Caller,
        purpose: Purpose = LOGIN,
        *,
        call: bool = False,
    ) -> CodeSent:
        """Send the code of a challenge of this purpose again, or a new code; or `call`, and read a sent code aloud.

        A call needs a live challenge: else it raises InvalidParam or CodeHasExpired. Both ways it raises Locked,
        TooManyRequests, SendingPaused, CountryNotAllowed, CaptchaRequired, InvalidPhone, SendFailed, SendUnknown (with
        the sessionId in which the code works if it arrives) and ServiceUnavailable.
        """
        if phone.e164 in self.fixed.codes:
            self.fixed.use(phone)
            return self._sent(secrets.token_urlsafe(16))
        if call:
            self._check_call(phone, challenge_id)
        now = self.calendar.now()
        request = SendRequest(phone, now.day, challenge_id, idempotency_key, purpose=purpose, call=call)
        budgets = self.guard.budgets(phone, caller.client, now, call=call)
        checking = self.challenges.check(request)
        self.send(checking, *budgets.check())
        check = checking.answer()
        if check.outcome is SendOutcome.REPEAT:
            if answer := self._repeated(phone, check):
                return answer
            request = replace(request, stale_id=check.challenge_id)
            check = self.challenges.check(request).answer()
        if check.outcome not in _ALLOWED:
            raise _refusal(check)
        if call and check.challenge is None:
            raise errors.CodeHasExpired
        captcha_passed = self.guard.admit(phone, caller, budgets, sent_today=check.sent_today)
        old_code = self.maker.again(phone, check.challenge, purpose) if check.challenge else None
        if old_code is None:  # a new challenge, also for another detail, or if an old code's secret is no longer known
            request = replace(request, challenge_id=None)
        new, new_code = self.maker.new(phone, purpose)
        sending = _Sending(secrets.token_urlsafe(6), request, new, budgets)
        issued = self._issue(sending, captcha_passed=captcha_passed)
        if issued.outcome is SendOutcome.REPEAT:  # another request was faster since the check
            if answer := self._repeated(phone, issued):
                return answer
            raise _refusal(issued)
        code = old_code if issued.outcome is SendOutcome.RESEND else None
        return self._deliver(sending, issued.challenge_id, code or new_code, caller, now)

    def _issue(self, sending: _Sending, *, captcha_passed: bool) -> SendDecision:
        """Reserve the budgets and record the sending, in one round trip; return the decision NEW, RESEND or REPEAT.

        If one of the two is refused, or has no answer, the other one is undone. Raises the refusal.
        """
        budgets, request = sending.budgets, sending.request
        issuing = self.challenges.issue(request, sending.new, budgets.reservation, sending.id)
        self.send(*budgets.reserve(captcha_passed=captcha_passed), issuing)
        refusal = self.guard.refusal(budgets)
        try:
            issued = issuing.answer()
        except ServiceUnavailable as lost:
            # It may be recorded: a repeat under its key would then be told of an SMS that was never sent.
            self._undo(sending, sending.new.id, issued=False)
            raise refusal or lost from None
        if issued.outcome not in _ALLOWED:
            self.guard.cancel(budgets, verified=False)
            if issued.outcome is SendOutcome.REPEAT:
                return issued
            raise refusal or _refusal(issued)
        if sending.request.call and issued.outcome is SendOutcome.NEW:  # there is no sent code to read aloud any more
            refusal = refusal or errors.CodeHasExpired()
        if refusal:
            self._undo(sending, issued.challenge_id, issued=True)
            raise refusal
        return issued

    def _deliver(self, sending: _Sending, challenge_id: str, code: str, caller: Caller, now: Now) -> CodeSent:
        try:
            if sending.request.call and self.voice:
                logs.note(channel="voice")
                receipt = self.voice.send(sending.request.phone, code)
            else:
                receipt = self.sms.send(sending.request.phone, code, sending.request.purpose.name)
        except SendUnknown as unknown:
            # The SMS may have been sent: the sending counts, and its code works.
            life, resend_after = self.rules.life, _resend_after(self.rules.cooldown)
            unknown.data = {"sessionId": challenge_id, "expiresIn": life, "resendAfter": resend_after}
            raise
        except (InvalidPhone, TooManyRequests, SendFailed) as refusal:
            self._undo(sending, challenge_id, issued=True)
            if not isinstance(refusal, SendFailed):  # SendFailed has an operator's reason, and hits every client
                self.guard.count_refused(caller.client, now)
            raise
        logs.note(serial_no=receipt.serial_no, fee=receipt.fee)
        if self.conversions.on and not sending.request.call:
            self.challenges.note_serial(sending.request.phone, challenge_id, receipt.serial_no)
        return self._sent(challenge_id, receipt.request_id, receipt.serial_no)

    def _check_call(self, phone: Phone, challenge_id: str | None) -> None:
        if self.voice is None:
            raise errors.InvalidParam(
                "channel cannot be voice: calls are not set up", "channel 不能为 voice：未开通语音验证码"
            )
        if phone.region != MAINLAND:
            raise errors.InvalidParam("channel can be voice for +86 only", "channel 为 voice 时只支持 +86 号码")
        if challenge_id is None:
            raise errors.missing("sessionId")

    def _sent(self, challenge_id: str, request_id: str | None = None, serial_no: str | None = None) -> CodeSent:
        return CodeSent(challenge_id, self.rules.life, _resend_after(self.rules.cooldown), request_id, serial_no)

    def _undo(self, sending: _Sending, challenge_id: str, *, issued: bool) -> None:
        """Take back a recorded sending and its budgets; `issued` False: it may not be recorded."""
        try:
            verified = self.challenges.undo(sending.request, challenge_id, sending.id, issued=issued).answer()
        except ServiceUnavailable as error:
            logs.alert("undo_failed", cause=logs.redact(error.detail))  # the answer stays the earlier failure
        else:
            self.guard.cancel(sending.budgets, verified=verified)

    def _repeated(self, phone: Phone, decision: SendDecision) -> CodeSent | None:
        """Return the answer to a repeated getSms; None if its challenge is over.

        It is not over once a login has spent the code: the repeat may be a duplicate that the network has delayed.
        """
        life = self.challenges.remaining_ms(phone, decision.challenge_id, shared=False, spent=True).answer() // 1000
        if not life:
            return None
        return CodeSent(decision.challenge_id, life, _resend_after(max(decision.wait_ms, 0) / 1000))


def _resend_after(cooldown: float) -> int:
    """Return the seconds that an app waits: one more than the cooldown, for the way to the app."""
    return math.ceil(cooldown) + 1


def _refusal(decision: SendDecision) -> Refusal:
    """Return the refusal for a decision against a sending."""
    match decision.outcome:
        case SendOutcome.LOCKED:
            return Locked(retry_after=retry_after(decision.wait_ms))
        case SendOutcome.COOLDOWN | SendOutcome.DAILY_LIMIT:
            return TooManyRequests(retry_after=retry_after(decision.wait_ms))
    return TooManyRequests(retry_after=1)  # a repeat of a sending that is being undone at this moment
