"""The day: a clock that jumps from event to event, and people who act when their time has come."""

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone

from sms_login.errors import Refusal

MIDNIGHT = datetime(2026, 11, 21, tzinfo=timezone(timedelta(hours=8))).timestamp()
HOUR, DAY = 3600, 86400

Person = Iterator[float]  # does something, and yields the seconds until the next


class Day:
    """`now` counts seconds from midnight; what is below zero is the evening before. `clocks` are set along with it."""

    def __init__(self, clocks: Sequence[Callable[[float], None]]) -> None:
        self.now = -math.inf
        self._clocks = clocks
        self._queue: list[tuple[float, int, Person]] = []
        self._order = itertools.count()  # of those who act in the same second

    def add(self, at: float, person: Person) -> None:
        """Let somebody act from `at` on."""
        heapq.heappush(self._queue, (at, next(self._order), person))

    def run(self, end: float) -> None:
        """Let everybody act, each at their time, until `end`."""
        while self._queue and self._queue[0][0] < end:
            at, _, person = heapq.heappop(self._queue)
            if at != self.now:
                self.now = at
                for move_to in self._clocks:
                    move_to(MIDNIGHT + at)
            wait = next(person, None)
            if wait is not None:
                self.add(at + wait, person)

    @property
    def hour(self) -> int:
        """The present hour."""
        return int(self.now // HOUR)

    def wait(self, refusal: Refusal) -> float:
        """Return for how long to wait after a refusal: until it says, or until the next full hour."""
        return refusal.retry_after or HOUR - self.now % HOUR


def dice(seed: str) -> random.Random:
    """Return a source of numbers that look random, and are the same in every run."""
    return random.Random(seed)  # noqa: S311 - a simulation that shall be repeatable; no secret comes from here
