"""May this be sent, may this be guessed? What stands between the function and those who would abuse it.

All fails closed: where Redis gives no answer, nothing is sent and nothing is guessed.
"""

import math
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from sms_login import logs
from sms_login.errors import (
    CaptchaRequired,
    CountryNotAllowed,
    SendingPaused,
    ServiceUnavailable,
    TooManyRequests,
)
from sms_login.limits.captcha import Gate
from sms_login.limits.client import Address
from sms_login.limits.policy import EVERYTHING, Limits, Terms, Toll, of_client, share_of
from sms_login.limits.store import Budgets, Take, Taken, Verdict, Window, Windows
from sms_login.periods import Calendar, seconds
from sms_login.phone import Phone
from sms_login.sms import Sms

_UNASKED = 2  # sendings a day to one number that no captcha is asked for
_ALERTS = (80, 100)  # % of the day's budget


class Caller(Struct, frozen=True):
    """Who asks: the client's address, and the captcha ticket that came along, "" if none."""

    address: Address
    ticket: str
    randstr: str


class Guard:
    """Says no to what must not be sent, and counts what may.

    `countries` are ISO codes, None for all; a country must be listed and have a template that reaches it, and all but
    `home` have limits. `sending` False is the emergency stop.
    """

    def __init__(
        self,
        *,
        budgets: Budgets,
        limits: Limits,
        calendar: Calendar,
        sms: Sms,
        countries: frozenset[str] | None,
        home: str,
        gate: Gate | None,
        sending: bool,
    ) -> None:
        self._budgets = budgets
        self._limits = limits
        self._calendar = calendar
        self._sms = sms
        self._countries = countries
        self._home = home
        self._gate = gate
        self._sending = sending

    def admit(self, phone: Phone, caller: Caller, today: int) -> Toll:
        """Take a sending from all budgets, and return what it took; `today` is how many the number has had.

        Raises SendingPaused, CountryNotAllowed, CaptchaRequired and TooManyRequests, and has then taken nothing.
        """
        if not self._sending:
            raise SendingPaused
        allowed = self._countries is None or phone.region in self._countries
        if not allowed or not self._sms.reaches(phone):
            raise CountryNotAllowed
        hour, day, client = self._calendar.hour(), self._calendar.day(), caller.address.counted
        terms = Terms(self._limits, hour, day, self._home, asked=self._gate is not None, passed=False)
        # First a look, at all at once: what is refused must not hold others' budgets, not even for a moment.
        asks = self._look(terms.takes(client, phone))
        if self._gate and (asks or self._gate.always or today >= _UNASKED):
            self._pass(self._gate, caller)
            terms = replace(terms, passed=True)
        *_, everything = self._take(terms.takes(client, phone))
        self._watch_spending(everything.counts[-1])
        return Toll(hour.name, day.name, client)

    def cancel(self, phone: Phone, toll: Toll, *, verified: bool) -> None:
        """Give back all that a sending took which is not made; of one that a login has `verified` only the rest."""
        self._give_back({} if verified else toll.unverified(phone, self._home), toll.totals(phone, self._home))

    def refused(self, address: Address) -> None:
        """Count a sending that SendSms refused because of its number."""
        if client := address.counted:
            hour = self._calendar.hour()
            take = Take(of_client(client), [Window(f"refused:{hour.name}", None, hour.left_ms)])
            self._safely(lambda: self._take([take]))

    def guess(self, address: Address) -> Windows:
        """Take a guess from the client's budget, and return what it took. Raises TooManyRequests."""
        if not address.counted:
            return {}
        hour, limit = self._calendar.hour(), self._limits.guesses * share_of(address.counted)
        take = Take(of_client(address.counted), [Window(f"guesses:{hour.name}", limit, hour.left_ms)])
        self._take([take])
        return take.taken()

    def verified(self, phone: Phone, tolls: Sequence[str], guess: Windows) -> None:
        """Give back what a login has shown to be honest: its guess, and its session's sendings."""
        paid = filter(None, map(Toll.parse, tolls))
        self._give_back(guess, *(toll.unverified(phone, self._home) for toll in paid))

    def not_evaluated(self, guess: Windows) -> None:
        """Give back a guess that was not held against a code."""
        self._give_back(guess)

    def _look(self, takes: Sequence[Take]) -> bool:
        """Tell whether a captcha is to be asked for. Raises what is raised for a spent budget."""
        answers = self._budgets.take([take.looked_at() for take in takes])
        self._refuse(takes, answers)
        return any(answer.verdict is Verdict.ASK for answer in answers)

    def _take(self, takes: Sequence[Take]) -> Sequence[Taken]:
        """Take from every subject, or give all back and raise."""
        answers = self._budgets.take(takes)
        if any(answer.verdict is not Verdict.TAKEN for answer in answers):  # others were faster since we looked
            outcome = zip(takes, answers, strict=True)
            self._give_back(*(take.taken() for take, answer in outcome if answer.verdict is Verdict.TAKEN))
            if any(answer.verdict is Verdict.LOST for answer in answers):
                logs.alert("budgets_not_corrected")
            self._refuse(takes, answers)
            raise self._captcha_required()
        return answers

    def _refuse(self, takes: Sequence[Take], answers: Sequence[Taken]) -> None:
        """Raise what a lost answer or a spent budget is refused with."""
        outcome = list(zip(takes, answers, strict=True))
        for _, answer in outcome:
            if answer.verdict is Verdict.LOST:
                raise ServiceUnavailable(answer.detail)
        waits = {take.subject: answer.wait_ms for take, answer in outcome if answer.verdict is Verdict.FULL}
        if waits:
            kind = SendingPaused if EVERYTHING in waits else TooManyRequests
            # Of a range only its kind: with the masked number beside it, the log would hold the whole number.
            budgets = ", ".join(subject.partition(":")[0] for subject in waits)
            raise kind(f"budget: {budgets}", retry_after=seconds(max(waits.values())))

    def _pass(self, gate: Gate, caller: Caller) -> None:
        """Use up the caller's ticket. Raises CaptchaRequired without a good one."""
        if not caller.ticket:
            raise self._captcha_required()
        try:
            refusal = gate.captcha.refusal(caller.ticket, caller.randstr, caller.address.ip)
        except ServiceUnavailable as error:
            logs.alert("captcha_unavailable", cause=logs.redact(error.detail))
            raise self._captcha_required() from error  # fail closed: as if the ticket were bad
        logs.note(captcha=refusal or "passed")
        if refusal:
            raise self._captcha_required()

    def _captcha_required(self) -> CaptchaRequired:
        return CaptchaRequired(data={"captchaAppId": self._gate.app_id if self._gate else ""})

    def _give_back(self, *windows: Windows) -> None:
        if any(windows):
            self._safely(lambda: self._budgets.give_back(*windows))

    def _safely(self, change: Callable[[], object]) -> None:
        """Change counters when the answer stands already: without Redis they are wrong until their window ends."""
        try:
            change()
        except ServiceUnavailable as error:
            logs.alert("budgets_not_corrected", cause=logs.redact(error.detail))

    def _watch_spending(self, sent: int) -> None:
        for percent in _ALERTS:
            if sent == math.ceil(self._limits.total * percent / 100):
                logs.alert("daily_budget", percent=percent)
