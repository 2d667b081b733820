"""The day: a clock that jumps from event to event, and people who act at their times."""

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
    """`now` counts seconds from midnight, negative on the evening before. `clocks` are set along with it."""

    def __init__(self, clocks: Sequence[Callable[[float], None]]) -> None:
        self.now = -math.inf
        self._clocks = clocks
        self._queue: list[tuple[float, int, Person]] = []
        self._order = itertools.count()  # breaks ties within a second

    def add(self, at: float, person: Person) -> None:
        """Let a person act from `at` on."""
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
        """Return the seconds to wait after a refusal: its `retry_after`, or until the next full hour."""
        return refusal.retry_after or HOUR - self.now % HOUR


def dice(seed: str) -> random.Random:
    """Return a source of random numbers that are the same in every run."""
    return random.Random(seed)  # noqa: S311 - a repeatable simulation, without secrets
