"""The guard: decides whether a sending or a guess is within the limits, and reserves and refunds it.

It fails closed: without an answer of the store, nothing is sent and no guess is evaluated.
"""

import math
from collections.abc import Callable, Sequence

from msgspec import Struct

from sms_login import logs
from sms_login.errors import CaptchaRequired, CountryNotAllowed, SendingPaused, ServiceUnavailable, TooManyRequests
from sms_login.limits.captcha import CaptchaPolicy
from sms_login.limits.client import Client
from sms_login.limits.policy import ALL_SENDINGS, Policy, Reservation
from sms_login.limits.store import LimitStore, Reserved, Subject, Verdict, WindowNames
from sms_login.periods import Now, retry_after
from sms_login.phone import Phone
from sms_login.sms import Sms

_WITHOUT_CAPTCHA = 2  # sendings a day to one number
_ALERTS = (80, 100)  # % of the day's budget


class Caller(Struct, frozen=True):
    """A client with the captcha ticket that it sent, "" without one."""

    client: Client
    captcha_ticket: str
    captcha_randstr: str


class Guard:
    """Holds requests against the limits.

    `countries` are ISO codes, None for all; a country must be listed and have a template that reaches it. `sending`
    False is the emergency stop.
    """

    def __init__(
        self,
        *,
        store: LimitStore,
        policy: Policy,
        sms: Sms,
        countries: frozenset[str] | None,
        captcha: CaptchaPolicy | None,
        sending: bool,
    ) -> None:
        self._store = store
        self._policy = policy
        self._sms = sms
        self._countries = countries
        self._captcha = captcha
        self._sending = sending

    def reserve(self, phone: Phone, caller: Caller, now: Now, *, sent_today: int) -> Reservation:
        """Reserve a sending in all budgets. `sent_today` counts the number's sendings of the day.

        The check comes first, as a dry run: a refused request holds no budget of others, not even for a moment. Raises
        SendingPaused, CountryNotAllowed, CaptchaRequired, TooManyRequests and ServiceUnavailable, and has then reserved
        nothing.
        """
        if not self._sending:
            raise SendingPaused
        allowed = self._countries is None or phone.region in self._countries
        if not allowed or not self._sms.reaches(phone):
            raise CountryNotAllowed
        client = caller.client.counted_as
        subjects = self._policy.sending(client, phone, now)
        captcha_needed = self._check(subjects) or sent_today >= _WITHOUT_CAPTCHA
        passed = self._captcha is not None and (captcha_needed or self._captcha.always)
        if passed:
            self._pass_captcha(caller)
        *_, budget = self._reserve(subjects, captcha_passed=passed)
        self._watch_spending(budget.counts[-1])
        return Reservation(now.hour.name, now.day.name, client)

    def cancel(self, phone: Phone, reservation: Reservation, *, verified: bool) -> None:
        """Refund a cancelled sending; if a login has `verified` it, only its totals."""
        unverified = {} if verified else self._policy.unverified(reservation, phone)
        self._refund(unverified, self._policy.totals(reservation, phone))

    def count_refused(self, client: Client, now: Now) -> None:
        """Count a sending that SendSms refused because of the number."""
        if client.counted_as:
            subject = self._policy.refused(client.counted_as, now)
            self._best_effort(lambda: self._reserve([subject]))

    def reserve_guess(self, client: Client, now: Now) -> WindowNames:
        """Reserve a guess in the client's budget, and return the windows to refund. Raises TooManyRequests."""
        if not client.counted_as:
            return {}
        subject = self._policy.guess(client.counted_as, now)
        self._reserve([subject])
        return subject.counted()

    def refund_guess(self, guess: WindowNames) -> None:
        """Refund a guess that was not evaluated."""
        self._refund(guess)

    def refund_verified(self, phone: Phone, reservations: Sequence[Reservation], guess: WindowNames) -> None:
        """Refund what a login has proven honest: its guess, and the sendings of its challenge."""
        self._refund(guess, *(self._policy.unverified(reservation, phone) for reservation in reservations))

    def _check(self, subjects: Sequence[Subject]) -> bool:
        """Return whether a captcha is required. Raises the refusal for a used-up budget."""
        verdicts = self._store.check(subjects)
        _refuse(subjects, verdicts)
        return any(answer.verdict is Verdict.CAPTCHA for answer in verdicts)

    def _reserve(self, subjects: Sequence[Subject], *, captcha_passed: bool = False) -> Sequence[Reserved]:
        """Reserve one in every subject, or refund them all and raise the refusal."""
        verdicts = self._store.reserve(subjects, captcha_passed=captcha_passed)
        if all(answer.verdict is Verdict.RESERVED for answer in verdicts):
            return verdicts
        # Other requests were faster since the check.
        outcome = zip(subjects, verdicts, strict=True)
        self._refund(*(subject.counted() for subject, answer in outcome if answer.verdict is Verdict.RESERVED))
        if any(answer.verdict is Verdict.NO_ANSWER for answer in verdicts):
            logs.alert("budgets_not_corrected")
        _refuse(subjects, verdicts)
        raise self._captcha_required()

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
        if any(windows):
            self._best_effort(lambda: self._store.refund(*windows))

    def _best_effort(self, change: Callable[[], object]) -> None:
        """Change counters after the answer is decided: without Redis they stay wrong until their window ends."""
        try:
            change()
        except ServiceUnavailable as error:
            logs.alert("budgets_not_corrected", cause=logs.redact(error.detail))

    def _watch_spending(self, sent: int) -> None:
        for percent in _ALERTS:
            if sent == math.ceil(self._policy.limits.total * percent / 100):
                logs.alert("daily_budget", percent=percent)


def _refuse(subjects: Sequence[Subject], verdicts: Sequence[Reserved]) -> None:
    """Raise the refusal for a missing answer or a used-up budget; return if there is neither."""
    outcome = list(zip(subjects, verdicts, strict=True))
    for _, answer in outcome:
        if answer.verdict is Verdict.NO_ANSWER:
            raise ServiceUnavailable(answer.detail)
    waits = {subject.name: answer.wait_ms for subject, answer in outcome if answer.verdict is Verdict.FULL}
    if waits:
        refusal = SendingPaused if ALL_SENDINGS in waits else TooManyRequests
        # Only the kind of a range: with the masked number beside it, the log would hold the whole number.
        kinds = ", ".join(name.partition(":")[0] for name in waits)
        raise refusal(f"budget: {kinds}", retry_after=retry_after(max(waits.values())))
