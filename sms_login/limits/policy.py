"""The windows that a sending and a guess are held against, and the windows that a login refunds.

Most windows count *unverified* sendings, which the login that follows refunds: honest traffic never uses them up, and
SMS pumping does. Totals are never refunded to a login.
"""

import math

from msgspec import Struct

from sms_login.limits.client import UNKNOWN
from sms_login.limits.store import Subject, Window, WindowNames
from sms_login.periods import Now, Period
from sms_login.phone import Phone

ALL_SENDINGS = "all"  # the subject of the day's budget
CALLS = "voice"  # and that of voice calls
_UNKNOWN_SHARE = 10  # times the limits of one client, for all clients of unknown address together
_CAPTCHA_FROM = 0.5  # of an unverified budget
_RANGE_DIGITS = 4  # last digits of a number that its range leaves out: carriers assign blocks of 10,000


class Limits(Struct, frozen=True):
    """The defaults of all limits; a client is one IP address, or one IPv6 /64."""

    ip_hour: int = 20  # unverified sendings for one client
    ip_day: int = 50
    range_hour: int = 30  # unverified sendings to numbers that share all but the last four digits
    range_day: int = 100
    range_total: int = 300  # all sendings to a range in a day
    country_hour: int = 100  # unverified sendings to one country other than the default one
    country_total: int = 1000  # all sendings to it in a day
    calls: int = 1000  # voice calls in a day
    total: int = 10_000  # all sendings in a day, to cap the spend: OWASP API4:2023
    guesses: int = 60  # of one client in an hour
    refused: int = 30  # sendings for one client that SendSms refused because of the number, in an hour


class Reservation(Struct, frozen=True):
    """What one sending took from the budgets: names of its hour and day, and its client (None: not counted)."""

    hour: str
    day: str
    client: str | None


class Policy(Struct, frozen=True, eq=False):
    """Names the windows of a request.

    `home` is the country without limits of its own. With `captcha`, hourly limits of clients and ranges are lifted, and
    a captcha is required from half of an unverified budget on.
    """

    limits: Limits
    home: str
    captcha: bool

    def sending(self, client: str | None, phone: Phone, now: Now, *, call: bool = False) -> list[Subject]:
        """Return the subjects of a sending: client, range, foreign country, calls and all sendings, in this order."""
        limits, hour, day = self.limits, now.hour, now.day
        subjects = [self._client(client, now)] if client else []
        windows = [
            self._unverified("hour", hour, limits.range_hour, lifted=self.captcha),
            self._unverified("day", day, limits.range_day),
            _total(day, limits.range_total),
        ]
        subjects.append(Subject(_range(phone), windows))
        if phone.region != self.home:
            windows = [self._unverified("hour", hour, limits.country_hour), _total(day, limits.country_total)]
            subjects.append(Subject(_country(phone), windows))
        if call:
            subjects.append(Subject(CALLS, [_total(day, limits.calls)]))
        return [*subjects, Subject(ALL_SENDINGS, [_total(day, limits.total)])]

    def guess(self, client: str, now: Now) -> Subject:
        """Return the subject of a guess."""
        limit = self.limits.guesses * _share(client)
        return Subject(_ip(client), [Window(f"guesses:{now.hour.name}", limit, now.hour.left_ms)])

    def refused(self, client: str, now: Now) -> Subject:
        """Return the subject of a sending that SendSms refused because of the number."""
        return Subject(_ip(client), [Window(f"refused:{now.hour.name}", None, now.hour.left_ms)])

    def unverified(self, reservation: Reservation, phone: Phone) -> WindowNames:
        """Return the windows of a reservation that a login refunds."""
        hour, day = f"hour:{reservation.hour}", f"day:{reservation.day}"
        windows = {_range(phone): [hour, day]}
        if reservation.client:
            windows[_ip(reservation.client)] = [hour, day]
        if phone.region != self.home:
            windows[_country(phone)] = [hour]
        return windows

    def totals(self, reservation: Reservation, phone: Phone) -> WindowNames:
        """Return the windows of a reservation that only a cancelled sending refunds."""
        subjects = [_range(phone), CALLS, ALL_SENDINGS, *([_country(phone)] if phone.region != self.home else [])]
        return {subject: [f"total:{reservation.day}"] for subject in subjects}

    def _client(self, client: str, now: Now) -> Subject:
        share, limits, hour = _share(client), self.limits, now.hour
        refused = limits.refused * share
        limit, captcha_at = (None, refused) if self.captcha else (refused, None)
        windows = [
            self._unverified("hour", hour, limits.ip_hour * share, lifted=self.captcha),
            self._unverified("day", now.day, limits.ip_day * share),
            # Compared only: a sending that SendSms refuses is counted when it is refused.
            Window(f"refused:{hour.name}", limit, hour.left_ms, captcha_at, counts=False),
        ]
        return Subject(_ip(client), windows)

    def _unverified(self, kind: str, period: Period, limit: int, *, lifted: bool = False) -> Window:
        captcha_at = math.ceil(limit * _CAPTCHA_FROM) if self.captcha else None
        return Window(f"{kind}:{period.name}", None if lifted else limit, period.left_ms, captcha_at)


def _total(day: Period, limit: int) -> Window:
    return Window(f"total:{day.name}", limit, day.left_ms)


def _share(client: str) -> int:
    return _UNKNOWN_SHARE if client == UNKNOWN else 1


def _ip(client: str) -> str:
    return f"ip:{client}"


def _range(phone: Phone) -> str:
    return f"range:{phone.e164[:-_RANGE_DIGITS]}"


def _country(phone: Phone) -> str:
    return f"country:{phone.region}"
