"""A Redis inside the process of the tests, and the time at which their clock starts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import fakeredis

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=8)))


@dataclass
class Backend:
    """One Redis. `client` is redis-py's; `ages_by_itself` where its clock is Python's, which time-machine moves."""

    client: Any
    ages_by_itself: bool = False

    def age(self, seconds: float) -> None:
        """Let `seconds` pass for every key that expires, which is all the time that the scripts know."""
        left = {key: ms - int(seconds * 1000) for key, ms in self.expiries().items() if ms != -1}
        self._at_once("pexpire", left.items())

    def expiries(self) -> dict[str, int]:
        """Return the keys with the milliseconds that they have left, -1 for ever."""
        keys = [*dict.fromkeys(self.client.scan_iter(count=1000))]
        expiries = zip(keys, self._at_once("pttl", [(key,) for key in keys]), strict=True)
        return {key: ms for key, ms in expiries if ms != -2}

    def dump(self) -> dict[str, Any]:
        """Return all that Redis holds."""
        read = {
            "hash": self.client.hgetall,
            "string": self.client.get,
            "list": lambda key: self.client.lrange(key, 0, -1),
        }
        return {key: read[self.client.type(key)](key) for key in self.expiries()}

    def _at_once(self, command: str, calls: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Send a command for each of the arguments in one round trip, on a cluster in one for each node."""
        pipeline = self.client.pipeline(transaction=False)
        for args in calls:
            getattr(pipeline, command)(*args)
        answers: list[Any] = pipeline.execute()
        return answers


def fake_backend() -> Backend:
    """Return an empty fakeredis with the options of the real client."""
    client = fakeredis.FakeRedis(
        server=fakeredis.FakeServer(), decode_responses=True, encoding_errors="replace", max_connections=1024
    )
    client.ping()  # The first connection creates the database without a lock: two at once would create one each.
    return Backend(client, ages_by_itself=True)
