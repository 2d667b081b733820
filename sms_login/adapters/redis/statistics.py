"""Statistics in Redis: a hash for each hour, `stats:{494400}`, from "CN:sent" to a count. It is kept for 90 days.

Each hour has a slot of a cluster to itself, so no node counts for all hours.
"""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial

from sms_login.adapters.redis.client import RedisCall, RedisClient, nothing
from sms_login.statistics import Statistics

KEPT = 90 * 86_400  # s
_RIDES, _IN = 2, 1.0  # s: a busy instance writes its counts together


class RedisStatistics:
    """Writes the counts of an instance with the batches that go to Redis anyway. Thread-safe.

    A call without an answer may have been made, so its counts are lost: no sum is too high. Corrections, which are
    negative, are written again for the same reason.
    """

    def __init__(self, redis: RedisClient, statistics: Statistics) -> None:
        self._redis, self._statistics = redis, statistics
        self._rides = deque([0.0] * _RIDES, maxlen=_RIDES)

    def riders(self) -> Sequence[RedisCall[None]]:
        """Return the calls that write the waiting counts; none if enough were written lately."""
        now = time.time()
        if not self._statistics.waiting or abs(now - self._rides[0]) < _IN:  # the clock may be set back
            return ()
        self._rides.append(now)
        return [self._call(hour, counts) for hour, counts in self._statistics.take().items()]

    def _call(self, hour: str, counts: Mapping[str, int]) -> RedisCall[None]:
        pairs = [part for pair in counts.items() for part in pair]
        call = self._redis.script("count", [stats_key(hour)], [KEPT * 1000, *pairs], nothing)
        call.lost = partial(self._statistics.lost, hour, counts)
        return call


def stats_key(hour: str) -> str:
    """Return the key of an hour, in hours since 1970."""
    return f"stats:{{{hour}}}"
