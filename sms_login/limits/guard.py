"""The guard: decides whether a sending or a guess is within the limits, and reserves and refunds it.

It fails closed: without an answer of the store, nothing is sent and no guess is evaluated.
"""

import math
from collections.abc import Sequence

from msgspec import Struct

from sms_login import logs
from sms_login.errors import (
    CaptchaRequired,
    CountryNotAllowed,
    Refusal,
    SendingPaused,
    ServiceUnavailable,
    TooManyRequests,
)
from sms_login.limits.captcha import CaptchaPolicy
from sms_login.limits.client import Client
from sms_login.limits.policy import ALL_SENDINGS, Policy, Reservation
from sms_login.limits.store import LimitStore, Reserved, Subject, Verdict, WindowNames
from sms_login.periods import Now, retry_after
from sms_login.phone import Phone

_WITHOUT_CAPTCHA = 2  # sendings a day to one number
_ALERTS = (80, 100)  # % of the day's budget


class Caller(Struct, frozen=True):
    """A client with the captcha ticket that it sent, "" without one."""

    client: Client
    captcha_ticket: str
    captcha_randstr: str


class Guard:
    """Holds requests against the limits.

    `countries` are the ISO codes of the countries that messages go to, None for all. `sending` False is the emergency
    stop.
    """

    def __init__(
        self,
        *,
        store: LimitStore,
        policy: Policy,
        countries: frozenset[str] | None,
        captcha: CaptchaPolicy | None,
        sending: bool,
    ) -> None:
        self._store = store
        self._policy = policy
        self._countries = countries
        self._captcha = captcha
        self._sending = sending

    def reserve(self, phone: Phone, caller: Caller, now: Now, *, sent_today: int) -> Reservation:
        """Reserve a sending in all budgets. `sent_today` counts the number's sendings of the day.

        The check comes first, as a dry run: a request that it refuses reserves nothing, not even for a moment. If
        others were faster since the check, the reserved budgets are refunded. Raises SendingPaused, CountryNotAllowed,
        CaptchaRequired, TooManyRequests and ServiceUnavailable.
        """
        self._admit(phone)
        client = caller.client.counted_as
        subjects = self._policy.sending(client, phone, now)
        captcha_needed = sent_today >= _WITHOUT_CAPTCHA
        checked = self._store.check(subjects)
        for answer in checked:
            if answer.verdict is Verdict.CAPTCHA:
                captcha_needed = True
            elif answer.verdict is not Verdict.FREE:
                raise self._refusal(subjects, checked)
        captcha_needed = self._captcha is not None and (captcha_needed or self._captcha.always)
        if captcha_needed:
            self._pass_captcha(caller)
        reserved = self._store.reserve(subjects, captcha_passed=captcha_needed)
        for answer in reserved:
            if answer.verdict is not Verdict.RESERVED:  # other requests were faster since the check
                raise self._refunded(subjects, reserved)
        for percent in _ALERTS:
            if reserved[-1].counts[-1] == math.ceil(self._policy.limits.total * percent / 100):
                logs.alert("daily_budget", percent=percent)
        return Reservation(now.hour.name, now.day.name, client)

    def _admit(self, phone: Phone) -> None:
        if not self._sending:
            raise SendingPaused
        if self._countries is not None and phone.region not in self._countries:
            raise CountryNotAllowed

    def cancel(self, phone: Phone, reservation: Reservation, *, verified: bool) -> None:
        """Refund a cancelled sending; if a login has `verified` it, only its totals."""
        unverified = {} if verified else self._policy.unverified(reservation, phone)
        self._refund(unverified, self._policy.totals(reservation, phone))

    def count_refused(self, client: Client, now: Now) -> None:
        """Count a sending that SendSms refused because of the number."""
        if client.counted_as:
            [answer] = self._store.reserve([self._policy.refused(client.counted_as, now)])
            if answer.verdict is not Verdict.RESERVED:
                logs.alert("budgets_not_corrected", cause=logs.redact(answer.detail))

    def reserve_guess(self, client: Client, now: Now) -> WindowNames:
        """Reserve a guess in the client's budget, and return the windows to refund. Raises TooManyRequests."""
        if not client.counted_as:
            return {}
        subject = self._policy.guess(client.counted_as, now)
        [answer] = self._store.reserve([subject])
        if answer.verdict is not Verdict.RESERVED:
            raise self._refunded([subject], [answer])
        return subject.counted()

    def refund_guess(self, reserved: WindowNames) -> None:
        """Refund a guess that was not evaluated, or whose code was made valid again."""
        self._refund(reserved)

    def refund_verified(self, phone: Phone, reservations: Sequence[Reservation], reserved: WindowNames) -> None:
        """Refund a verified login: its guess, and the sendings of its challenge."""
        self._refund(reserved, *(self._policy.unverified(reservation, phone) for reservation in reservations))

    def _refunded(self, subjects: Sequence[Subject], reserved: Sequence[Reserved]) -> Refusal:
        """Refund the subjects that were reserved, and return the refusal for the others."""
        outcome = zip(subjects, reserved, strict=True)
        self._refund(*(subject.counted() for subject, answer in outcome if answer.verdict is Verdict.RESERVED))
        if any(answer.verdict is Verdict.NO_ANSWER for answer in reserved):
            logs.alert("budgets_not_corrected")
        return self._refusal(subjects, reserved)

    def _refusal(self, subjects: Sequence[Subject], answers: Sequence[Reserved]) -> Refusal:
        """Return the refusal for a missing answer, a used-up budget, or a missing captcha, in this order."""
        outcome = list(zip(subjects, answers, strict=True))
        for _, answer in outcome:
            if answer.verdict is Verdict.NO_ANSWER:
                return ServiceUnavailable(answer.detail)
        waits = {subject.name: answer.wait_ms for subject, answer in outcome if answer.verdict is Verdict.FULL}
        if not waits:
            return self._captcha_required()
        refusal = SendingPaused if ALL_SENDINGS in waits else TooManyRequests
        # Only the kind of a range: with the masked number beside it, the log would hold the whole number.
        kinds = ", ".join(name.partition(":")[0] for name in waits)
        return refusal(f"budget: {kinds}", retry_after=retry_after(max(waits.values())))

    def _pass_captcha(self, caller: Caller) -> None:
        """Use up the caller's ticket. Raises CaptchaRequired without a good one."""
        if self._captcha is None or not caller.captcha_ticket:
            raise self._captcha_required()
        try:
            refusal = self._captcha.captcha.refusal(caller.captcha_ticket, caller.captcha_randstr, caller.client.ip)
        except ServiceUnavailable as error:
            logs.alert("captcha_unavailable", cause=logs.redact(error.detail))
            raise self._captcha_required() from error  # fail closed, as for a bad ticket
        logs.note(captcha=refusal or "passed")
        if refusal:
            raise self._captcha_required()

    def _captcha_required(self) -> CaptchaRequired:
        return CaptchaRequired(data={"captchaAppId": self._captcha.app_id if self._captcha else ""})

    def _refund(self, *windows: WindowNames) -> None:
        """Refund windows after the answer is decided: without Redis they stay wrong until they end."""
        try:
            if any(windows):
                self._store.refund(*windows)
        except ServiceUnavailable as error:
            logs.alert("budgets_not_corrected", cause=logs.redact(error.detail))
