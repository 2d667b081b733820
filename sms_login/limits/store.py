"""Counters against abuse: what the guard needs of a store.

Every counter is a window that ends at a full hour or at midnight, and belongs to a subject: a client, a range of
numbers, a country, or everything.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

Windows = Mapping[str, Sequence[str]]  # names of windows by subject


class Window(Struct, frozen=True):
    """One counter of a subject: its name, how much it holds (None: no end), and the milliseconds until it ends.

    `asks_at` is how much makes a captcha necessary. One that does not `count` is only looked at.
    """

    name: str
    limit: int | None
    left_ms: int
    asks_at: int | None = None
    counts: bool = True


class Take(Struct, frozen=True):
    """A wish to take one from all windows of a subject, or from none."""

    subject: str
    windows: Sequence[Window]

    def taken(self) -> Windows:
        """Return the windows that it takes from."""
        return {self.subject: [window.name for window in self.windows if window.counts]}

    def looked_at(self) -> "Take":
        """Return the same without taking anything."""
        return Take(self.subject, [replace(window, counts=False) for window in self.windows])


class Verdict(Enum):
    """What the store says to a Take."""

    TAKEN = "taken"
    ASK = "ask"  # not without a captcha
    FULL = "full"
    LOST = "lost"  # no answer: it may have taken, or not


class Taken(Struct, frozen=True):
    """The verdict; `wait_ms` until full windows end; the `counts` of the windows that were counted, in their order.

    `detail` says why an answer is lost.
    """

    verdict: Verdict
    wait_ms: int = 0
    counts: Sequence[int] = ()
    detail: str = ""


class Budgets(Protocol):
    """Counters by subject. They expire with their window."""

    def take(self, takes: Sequence[Take]) -> Sequence[Taken]:
        """Do each Take by itself, in as few round trips as the server allows."""

    def give_back(self, *windows: Windows) -> None:
        """Count down each window, once for each time that it is named; never below zero, and never one that is over."""
