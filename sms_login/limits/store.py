"""The counters behind the limits, as the guard needs them of a store.

A counter is a window: it ends at a full hour or at midnight, and belongs to a subject, which is a client, a range of
numbers, a country, or all sendings.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol

from msgspec import Struct

from sms_login.calls import Call
from sms_login.errors import ServiceUnavailable

WindowNames = Mapping[str, Sequence[str]]  # names of windows, by the name of their subject


class Window(Struct, frozen=True):
    """One counter of a subject.

    `limit` is the highest count (None: unlimited), `left_ms` the milliseconds until the window ends, `captcha_at` the
    count from which a captcha is required (None: never). A window with `counts` False is compared and never counted.
    """

    name: str
    limit: int | None
    left_ms: int
    captcha_at: int | None = None
    counts: bool = True


class Subject(Struct, frozen=True):
    """A subject with the windows that one sending or one guess is held against."""

    name: str
    windows: Sequence[Window]

    def counted(self) -> WindowNames:
        """Return the names of the windows that a reservation counts in."""
        return {self.name: [window.name for window in self.windows if window.counts]}


class Verdict(Enum):
    """The store's verdict on one subject."""

    RESERVED = "reserved"
    FREE = "free"  # a dry run that found room
    CAPTCHA = "captcha"  # only with a captcha
    FULL = "full"
    NO_ANSWER = "no answer"  # the reservation may have been made or not


class Reserved(Struct, frozen=True):
    """A verdict; `wait_ms` until the last full window ends; `counts` of the counted windows, in their order.

    `detail` is the failure behind NO_ANSWER.
    """

    verdict: Verdict
    wait_ms: int = 0
    counts: Sequence[int] = ()
    detail: str = ""


class LimitStore(Protocol):
    """Counters by subject; each expires with its window. A subject is one decision."""

    def check(self, subject: Subject) -> Call[Reserved]:
        """Return the verdict that `reserve` would give without a captcha, and count nothing (a dry run)."""

    def reserve(self, subject: Subject, *, captcha_passed: bool = False) -> Call[Reserved]:
        """Count one in all windows of the subject, or in none of them."""

    def refund(self, *windows: WindowNames) -> Sequence[Call[None]]:
        """Count each named window down by one, never below zero, and never a window that has ended."""


def verdict(call: Call[Reserved]) -> Reserved:
    """Return the answer to a check or a reservation, or the verdict that there is none."""
    try:
        return call.answer()
    except ServiceUnavailable as error:
        return Reserved(Verdict.NO_ANSWER, detail=error.detail)
