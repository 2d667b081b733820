"""A Redis inside the process of the tests, and the time at which their clock starts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import fakeredis

PATIENCE = 20.0  # s
NOON = datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=8)))

# The command that reads a key of each type, by the name that TYPE has for it.
_READS: dict[str, Callable[[str], tuple[Any, ...]]] = {
    "hash": lambda key: ("hgetall", key),
    "string": lambda key: ("get", key),
    "list": lambda key: ("lrange", key, 0, -1),
}


@dataclass
class Backend:
    """One Redis. `client` is redis-py's; `ages_by_itself` where its clock is Python's, which time-machine moves."""

    client: Any
    ages_by_itself: bool = False

    def age(self, seconds: float) -> None:
        """Let `seconds` pass for every key that expires, which is all the time that the scripts know."""
        left = {key: ms - int(seconds * 1000) for key, ms in self.expiries().items() if ms != -1}
        self._at_once(("pexpire", *key_and_ms) for key_and_ms in left.items())

    def expiries(self) -> dict[str, int]:
        """Return the keys with the milliseconds that they have left, -1 for ever."""
        keys = self._keys()
        expiries = zip(keys, self._at_once(("pttl", key) for key in keys), strict=True)
        return {key: ms for key, ms in expiries if ms != -2}

    def dump(self) -> dict[str, Any]:
        """Return all that Redis holds."""
        keys = self._keys()
        kinds = zip(keys, self._at_once(("type", key) for key in keys), strict=True)
        reads = {key: _READS[kind](key) for key, kind in kinds if kind != "none"}  # of a key that has just expired
        found = zip(reads, self._at_once(reads.values()), strict=True)
        return {key: value for key, value in found if value is not None}  # as before

    def _keys(self) -> list[str]:
        return [*dict.fromkeys(self.client.scan_iter(count=1000))]

    def _at_once(self, calls: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Send commands with their arguments in one round trip, on a cluster in one for each node."""
        pipeline = self.client.pipeline(transaction=False)
        for command, *args in calls:
            getattr(pipeline, command)(*args)
        answers: list[Any] = pipeline.execute()
        return answers


def patient(client: Any) -> Any:
    """Let a client wait for as long as a busy machine may need, where the function waits a second; return it."""
    if hasattr(client, "nodes_manager"):  # a cluster's
        nodes = [node.redis_connection for node in client.get_nodes()]
        options = [client.nodes_manager.connection_kwargs, *(node.connection_pool.connection_kwargs for node in nodes)]
    else:
        options = [client.connection_pool.connection_kwargs]
    for each in options:
        each.update(socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
    return client


def fake_backend() -> Backend:
    """Return an empty fakeredis with the options of the real client."""
    client = fakeredis.FakeRedis(
        server=fakeredis.FakeServer(), decode_responses=True, encoding_errors="replace", max_connections=1024
    )
    client.ping()  # The first connection creates the database without a lock: two at once would create one each.
    return Backend(client, ages_by_itself=True)
