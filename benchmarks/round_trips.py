"""Round trips to Redis, counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from redis.connection import Connection

from benchmarks.cloud import Cloud, Event, call, event
from benchmarks.tables import Table
from benchmarks.wire import Wire
from sms_login import wiring
from tests.testkit.servers import RedisCluster

HOW = """\
Counted, not timed: what redis-py sends until the reply begins is one, several commands may share it. In brackets those
of them that are the guard's. On Redis Cluster each subject of the guard (client, range, everything) is one of its own.
The scripts are known to Redis, the connections are open; a new connection without password or database number is
counted apart."""

# The most on one Redis: in all, and for the guard.
MOST = {
    "getSms": (4, 2),
    "login with sessionId": (5, 2),
    "login without": (6, 2),
    "refresh": (2, 0),
    "getUserInfo": (2, 0),
}


def measure(cloud: Cloud) -> Table:
    """Count the round trips of each method."""
    table = Table("Round trips to Redis", HOW, ("", "one Redis", "cluster"))
    one = _count(cloud, cloud.environ)
    with RedisCluster() as cluster:
        on_cluster = _count(cloud, cloud.environ | {"REDIS_PORT": str(cluster.port), "REDIS_CLUSTER": "1"})
    for name, most in MOST.items():
        met = all(trips <= limit for trips, limit in zip(one[name], most, strict=True))
        table.add(name, _both(one[name]), _both(on_cluster[name]), target=f"<= {_both(most)}", met=met)
    table.add("a new connection, besides", str(_connecting(cloud)), "")
    return table


def _both(trips: tuple[int, int]) -> str:
    return f"{trips[0]} ({trips[1]})"


def _count(cloud: Cloud, environ: dict[str, str]) -> dict[str, tuple[int, int]]:
    """Return the round trips of each method, and how many of them are the guard's."""
    app = wiring.build(environ)
    for _ in range(30):  # afterwards every node of a cluster knows every script
        phone = cloud.new_phone()
        tokens = call(app, cloud.send(app, phone))
        tokens = call(app, event("refresh", phone, refreshToken=tokens["refreshToken"]))
        call(app, event("getUserInfo", phone, token=tokens["token"]))
    known = [cloud.new_phone() for _ in range(2)]
    events: dict[str, Event] = {
        "getSms": event("getSms", cloud.new_phone()),
        "login with sessionId": cloud.send(app, known[0]),
        "login without": cloud.send(app, known[1]) | cloud.login(known[1], None),
        "refresh": event("refresh", phone, refreshToken=tokens["refreshToken"]),
        "getUserInfo": event("getUserInfo", phone, token=tokens["token"]),
    }
    trips = {}
    with _sent() as sent:
        for name, request in events.items():
            sent.clear()
            call(app, request)
            trips[name] = len(sent), sum(b"budget:" in data for data in sent)
    return trips


@contextmanager
def _sent() -> Iterator[list[bytes]]:
    """Give a list that collects each request of redis-py from now on."""
    requests: list[bytes] = []
    send: Any = Connection.send_packed_command

    def keep(self: Connection, command: Any, **options: Any) -> None:
        requests.append(command if isinstance(command, bytes) else b"".join(command))
        send(self, command, **options)

    with mock.patch.object(Connection, "send_packed_command", keep):
        yield requests


def _connecting(cloud: Cloud) -> int:
    """Return the round trips of a first call beyond those of a second."""
    phone = cloud.new_phone()
    token = call(cloud.app(), cloud.send(cloud.app(), phone))["token"]
    with Wire(cloud.redis.port) as wire:
        app = cloud.app(REDIS_PORT=str(wire.port))
        counts = []
        for _ in range(2):
            call(app, event("getUserInfo", phone, token=token))
            counts.append(len(wire.take()))
    return counts[0] - counts[1]
