"""The guard: decides whether a sending or a guess is within the limits, and reserves and refunds it.

It fails closed: without an answer of the store, nothing is sent and no guess is evaluated.
"""

import math
from collections.abc import Sequence

from msgspec import Struct

from sms_login import errors, logs
from sms_login.calls import Call, Joint, Send
from sms_login.limits.budgets import Budgets
from sms_login.limits.captcha import CaptchaPolicy
from sms_login.limits.client import Client
from sms_login.limits.policy import ALL_SENDINGS, CALLS, Policy, Reservation
from sms_login.limits.store import LimitStore, Reserved, Subject, Verdict, WindowNames, verdict
from sms_login.periods import Now, retry_after
from sms_login.phone import Phone
from sms_login.secret import Masked

_WITHOUT_CAPTCHA = 2  # sendings a day to one number
_ALERTS = (80, 100)  # % of the day's budget


class Caller(Masked, frozen=True):
    """A client with the captcha ticket that it sent, "" without one."""

    client: Client
    captcha_ticket: str
    captcha_randstr: str


class Guard(Struct, frozen=True, kw_only=True, eq=False):
    """Holds requests against the limits.

    `countries` are the ISO codes of the countries that messages go to, None for all. `sending` False is the emergency
    stop.
    """

    store: LimitStore
    policy: Policy
    countries: frozenset[str] | None
    captcha: CaptchaPolicy | None
    sending: bool
    send: Send

    def budgets(self, phone: Phone, client: Client, now: Now, *, call: bool = False) -> Budgets:
        """Return the budgets of a sending, or of one by a voice `call`, neither checked nor reserved yet."""
        return Budgets(self.store, self.policy, client.counted_as, phone, now, call=call)

    def admit(self, phone: Phone, caller: Caller, budgets: Budgets, *, sent_today: int) -> bool:
        """Hold a sending against the checked budgets; return whether its captcha was passed.

        A request that the check refuses reserves nothing, not even for a moment. `sent_today` counts the number's
        sendings of the day. Raises SendingPaused, CountryNotAllowed, CaptchaRequired, TooManyRequests and
        ServiceUnavailable.
        """
        if not self.sending:
            raise errors.SendingPaused("SENDING is not on")
        if self.countries is not None and phone.region not in self.countries:
            raise errors.CountryNotAllowed
        checked = budgets.checked()
        verdicts = {answer.verdict for answer in checked}
        if not verdicts <= {Verdict.FREE, Verdict.CAPTCHA}:
            raise self._refusal(budgets.subjects, checked)
        captcha_needed = Verdict.CAPTCHA in verdicts or sent_today >= _WITHOUT_CAPTCHA
        if self.captcha is None or not (captcha_needed or self.captcha.always):
            return False
        self._pass_captcha(caller)
        return True

    def refusal(self, budgets: Budgets) -> errors.Refusal | None:
        """Return None if all budgets were reserved, else why not: other requests were faster since the check."""
        reserved = budgets.reserved()
        if any(answer.verdict is not Verdict.RESERVED for answer in reserved):
            return self._refusal(budgets.subjects, reserved)
        for percent in _ALERTS:
            if reserved[-1].counts[-1] == math.ceil(self.policy.limits.total * percent / 100):
                logs.alert("daily_budget", percent=percent)
        return None

    def cancel(self, budgets: Budgets, *, verified: bool) -> None:
        """Refund a cancelled sending; if a login has `verified` it, only its totals."""
        if any(answer.verdict is Verdict.NO_ANSWER for answer in budgets.reserved()):
            logs.alert("budgets_not_corrected")
        self.refund(*budgets.taken(verified=verified))

    def count_refused(self, client: Client, now: Now) -> None:
        """Count a sending that SendSms refused because of the number."""
        if client.counted_as:
            answer = verdict(self.store.reserve(self.policy.refused(client.counted_as, now)))
            if answer.verdict is not Verdict.RESERVED:
                logs.alert("budgets_not_corrected", cause=logs.redact(answer.detail))

    def reserve_guess(self, client: Client, now: Now) -> Call[WindowNames]:
        """Reserve a guess in the client's budget, and answer the windows to refund.

        Raises TooManyRequests, and ServiceUnavailable if it may have been counted or not.
        """
        if not client.counted_as:
            return Joint([], dict)
        subject = self.policy.guess(client.counted_as, now)
        reserving = self.store.reserve(subject)

        def windows() -> WindowNames:
            reserved = verdict(reserving)
            if reserved.verdict is Verdict.NO_ANSWER:
                logs.alert("budgets_not_corrected", cause=logs.redact(reserved.detail))
            if reserved.verdict is not Verdict.RESERVED:
                raise self._refusal([subject], [reserved])
            return subject.counted()

        return Joint([reserving], windows)

    def refund(self, *windows: WindowNames) -> None:
        """Count each of these windows down by one."""
        refunds = self.store.refund(*windows)
        self.send(*refunds)
        self.settle(refunds)

    def refunds(self, phone: Phone, reservations: Sequence[Reservation], reserved: WindowNames) -> Sequence[Call[None]]:
        """Return the calls that refund a verified login: its guess, and the sendings of its challenge."""
        unverified = (self.policy.unverified(reservation, phone) for reservation in reservations)
        return self.store.refund(reserved, *unverified)

    def settle(self, refunds: Sequence[Call[None]]) -> None:
        """Log a refund that failed after the answer was decided: its windows stay wrong until they end."""
        try:
            for refund in refunds:
                refund.answer()
        except errors.ServiceUnavailable as error:
            logs.alert("budgets_not_corrected", cause=logs.redact(error.detail))

    def _refusal(self, subjects: Sequence[Subject], answers: Sequence[Reserved]) -> errors.Refusal:
        """Return the refusal for a missing answer, a used-up budget, or a missing captcha, in this order."""
        outcome = list(zip(subjects, answers, strict=True))
        for _, answer in outcome:
            if answer.verdict is Verdict.NO_ANSWER:
                return errors.ServiceUnavailable(answer.detail)
        waits = {subject.name: answer.wait_ms for subject, answer in outcome if answer.verdict is Verdict.FULL}
        if not waits:
            return self._captcha_required()
        refusal = errors.SendingPaused if waits.keys() & {CALLS, ALL_SENDINGS} else errors.TooManyRequests
        # Only the kind of a range: with the masked number beside it, the log would hold the whole number.
        kinds = ", ".join(name.partition(":")[0] for name in waits)
        return refusal(f"budget: {kinds}", retry_after=retry_after(max(waits.values())))

    def _pass_captcha(self, caller: Caller) -> None:
        """Use up the caller's ticket. Raises CaptchaRequired without a good one."""
        if self.captcha is None or not caller.captcha_ticket:
            raise self._captcha_required()
        try:
            refusal = self.captcha.captcha.refusal(caller.captcha_ticket, caller.captcha_randstr, caller.client.ip)
        except errors.ServiceUnavailable as error:
            logs.alert("captcha_unavailable", cause=logs.redact(error.detail))
            raise self._captcha_required() from error  # fail closed, as for a bad ticket
        logs.note(captcha=refusal or "passed")
        if refusal:
            raise self._captcha_required()

    def _captcha_required(self) -> errors.CaptchaRequired:
        return errors.CaptchaRequired(data={"captchaAppId": self.captcha.app_id if self.captcha else ""})
