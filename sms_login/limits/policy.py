"""What a sending takes from the budgets, and what a login gives back.

Most windows count *unverified* sendings: the login that follows gives them back. So honest traffic never runs out of
them, and SMS pumping does. Totals are not given back.
"""

import math
import re

from msgspec import Struct

from sms_login.limits.client import UNKNOWN
from sms_login.limits.store import Take, Window, Windows
from sms_login.periods import Period
from sms_login.phone import Phone

EVERYTHING = "all"  # the subject of all sendings
_SHARED = 10  # times a client's limits are what all clients of unknown address share
_HALF = 0.5  # of an unverified budget, from which on a captcha is asked for
_TOLL = re.compile(r"([0-9]+) ([0-9]{8}) ([0-9a-z.:/-]+)")
_RANGE = 4  # last digits of a number that its range does not have: ten thousand numbers, as carriers hand them out


class Limits(Struct, frozen=True):
    """How many of what; a client is what `address` counts as one."""

    ip_hour: int = 20  # unverified sendings for one client
    ip_day: int = 50
    range_hour: int = 30  # unverified sendings to numbers that differ in their last four digits only
    range_day: int = 100
    range_total: int = 300  # all sendings to them in a day
    country_hour: int = 100  # unverified sendings to one country that is not the default one
    country_total: int = 1000  # all sendings to it in a day
    total: int = 10_000  # all sendings in a day, to cap the spend: OWASP API4:2023
    guesses: int = 60  # of one client in an hour
    refused: int = 30  # sendings for one client that SendSms refused because of their numbers, in an hour


class Terms(Struct, frozen=True):
    """On which a sending is taken: the present `hour` and `day`, the `home` country, which has no limits of its own.

    Where captchas are `asked`, one is asked for once half of an unverified budget is used, unless it is `passed`. A
    passed one lifts the budgets of a client and a range per hour, and nothing else.
    """

    limits: Limits
    hour: Period
    day: Period
    home: str
    asked: bool
    passed: bool

    def takes(self, client: str | None, phone: Phone) -> list[Take]:
        """Return what is asked of the budgets of client, range, foreign country and everything, in this order."""
        limits = self.limits
        takes = [self._of_client(client)] if client else []
        windows = [
            self._unverified("hour", self.hour, limits.range_hour, lifted=self.asked),
            self._unverified("day", self.day, limits.range_day),
            self._total(limits.range_total),
        ]
        takes.append(Take(of_range(phone), windows))
        if phone.region != self.home:
            windows = [self._unverified("hour", self.hour, limits.country_hour), self._total(limits.country_total)]
            takes.append(Take(of_country(phone), windows))
        return [*takes, Take(EVERYTHING, [self._total(limits.total)])]

    def _of_client(self, client: str) -> Take:
        share, limits, hour = share_of(client), self.limits, self.hour
        refused = limits.refused * share
        asks_at = refused if self.asked and not self.passed else None
        windows = [
            self._unverified("hour", hour, limits.ip_hour * share, lifted=self.asked),
            self._unverified("day", self.day, limits.ip_day * share),
            # Whether SendSms has refused too many is only looked at.
            Window(f"refused:{hour.name}", None if self.asked else refused, hour.left_ms, asks_at, counts=False),
        ]
        return Take(of_client(client), windows)

    def _unverified(self, kind: str, period: Period, limit: int, *, lifted: bool = False) -> Window:
        asks_at = math.ceil(limit * _HALF) if self.asked and not self.passed else None
        return Window(f"{kind}:{period.name}", None if lifted else limit, period.left_ms, asks_at)

    def _total(self, limit: int) -> Window:
        return Window(f"total:{self.day.name}", limit, self.day.left_ms)


class Toll(Struct, frozen=True):
    """What one sending took, as its session remembers it: of which hour, day and client (None: of no client)."""

    hour: str
    day: str
    client: str | None

    def __str__(self) -> str:
        return f"{self.hour} {self.day} {self.client or '-'}"

    @classmethod
    def parse(cls, text: str) -> "Toll | None":
        """Return the toll that prints as `text`; None for what Redis should not hold."""
        match = _TOLL.fullmatch(text)
        return match and cls(match[1], match[2], None if match[3] == "-" else match[3])

    def unverified(self, phone: Phone, home: str) -> Windows:
        """Return the windows that a login gives back."""
        hour, day = f"hour:{self.hour}", f"day:{self.day}"
        windows = {of_range(phone): [hour, day]}
        if self.client:
            windows[of_client(self.client)] = [hour, day]
        if phone.region != home:
            windows[of_country(phone)] = [hour]
        return windows

    def totals(self, phone: Phone, home: str) -> Windows:
        """Return the windows that only a sending that is not made gives back."""
        subjects = [of_range(phone), EVERYTHING, *([of_country(phone)] if phone.region != home else [])]
        return {subject: [f"total:{self.day}"] for subject in subjects}


def share_of(client: str) -> int:
    """Return how many clients' limits a client has."""
    return _SHARED if client == UNKNOWN else 1


def of_client(client: str) -> str:
    """Return the subject for a client."""
    return f"ip:{client}"


def of_range(phone: Phone) -> str:
    """Return the subject for the numbers around one."""
    return f"range:{phone.e164[:-_RANGE]}"


def of_country(phone: Phone) -> str:
    """Return the subject for a number's country."""
    return f"country:{phone.region}"
