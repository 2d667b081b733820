"""Round trips to Redis, counted on the wire, on one Redis and on a cluster."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import redis

from benchmarks.cloud import Cloud, Event, call, event
from benchmarks.tables import Table
from benchmarks.wire import Wire
from tests.testkit.servers import RedisCluster, until

DELAY = 0.02  # s, so that requests to several nodes are all on their way before the first is answered
COOLDOWN = 1  # s
WALKS = 30  # enough of them that each script has met each node

HOW = """\
Counted by a relay in front of Redis, not timed. All that the function sends until an answer begins is one round trip;
on a cluster it may consist of one batch for each node: "at once" is the largest number of batches in one round trip to
one node. The scripts are known to Redis, the connections are open; a new connection without password or database
number is counted apart."""

# The most round trips, on one Redis as on a cluster; None only informs.
MOST = {
    "getSms": 2,
    "login with sessionId": 2,
    "login without": 3,
    "refresh": 1,
    "getUserInfo": 1,
    "setNickname": 1,
    "logout": None,
    "deleteAccount": None,
    "health": 1,
}


def measure(cloud: Cloud) -> Table:
    """Count the round trips of each method."""
    table = Table("Round trips to Redis", HOW, ("", "one Redis", "cluster", "its batches", "at once"))
    with Wire(cloud.redis.port, delay=DELAY) as wire:
        one = _count(cloud, cloud.redis.port, wire)
        connecting = _connecting(cloud, wire)
    with RedisCluster() as cluster, _announced(cluster) as wire:
        three = _count(cloud, cluster.port, wire, REDIS_CLUSTER="1")
    for name, most in MOST.items():
        trips, batches = len(three[name]), sum(map(len, three[name]))
        at_once = max(trip.count(node) for trip in three[name] for node in trip)
        met = most is None or (len(one[name]) <= most and trips <= most and at_once == 1)
        target = f"<= {most}, 1 at once" if most else ""
        table.add(name, str(len(one[name])), str(trips), str(batches), str(at_once), target=target, met=met)
    table.add("a new connection, besides", str(connecting), "", "", "")
    return table


def _count(cloud: Cloud, redis_port: int, wire: Wire, **environ: str) -> dict[str, list[list[int]]]:
    """Return the round trips of each method, as `Wire.round_trips` does."""
    environ |= {"RESEND_COOLDOWN": str(COOLDOWN)}
    direct, app = (cloud.app(REDIS_PORT=str(port), **environ) for port in (redis_port, wire.port))
    with ThreadPoolExecutor(WALKS) as threads:
        for _ in threads.map(lambda _: _walk(cloud, lambda _, request: call(direct, request)), range(WALKS)):
            pass  # afterwards every node knows every script
    trips = {}

    def ask(name: str, request: Event) -> Any:
        wire.round_trips()
        data = call(app, request)
        trips[name] = wire.round_trips()
        return data

    for _ in range(3):  # the last one counts: with connections to every node
        _walk(cloud, ask)
    return trips


def _walk(cloud: Cloud, ask: Callable[[str, Event], Any]) -> None:
    """Call each method; `ask` gets its name and a request."""
    phone, other = cloud.new_phone(), cloud.new_phone()
    session = ask("getSms", event("getSms", phone))["sessionId"]
    user = ask("login with sessionId", cloud.login(phone, session))
    ask("getSms", event("getSms", other))
    token = ask("login without", cloud.login(other, None))["token"]
    ask("logout", event("logout", other, token=token))
    token = ask("refresh", event("refresh", phone, refreshToken=user["refreshToken"]))["token"]
    ask("getUserInfo", event("getUserInfo", phone, token=token))
    ask("setNickname", event("setNickname", phone, token=token, name="x"))
    ask("health", event("health", phone))
    time.sleep(COOLDOWN + 1)
    session = ask("getSms", event("getSms", phone))["sessionId"]
    ask("deleteAccount", event("deleteAccount", phone, token=token, code=cloud.code(phone), sessionId=session))


@contextmanager
def _announced(cluster: RedisCluster) -> Iterator[Wire]:
    """Give a wire whose ports the nodes announce to clients instead of their own."""
    ports = [node.port for node in cluster.nodes]
    with Wire(*ports, delay=DELAY) as wire:
        for node, announced in zip(cluster.nodes, wire.ports, strict=True):
            with closing(redis.Redis(node.host, node.port, protocol=2)) as client:
                client.config_set("cluster-announce-bus-port", node.port + 10_000)  # of the other nodes, as before
                client.config_set("cluster-announce-port", announced)
        until(lambda: all(_known(port) == set(wire.ports) for port in ports), 20)
        yield wire


def _known(port: int) -> set[int]:
    """Return the ports that a node announces."""
    with closing(redis.Redis(port=port, protocol=2)) as client:
        slots: Any = client.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call] # redis-py gives it none
        return {node[1] for _, _, node in slots}


def _connecting(cloud: Cloud, wire: Wire) -> int:
    """Return the round trips of a first call beyond those of a second."""
    app, counts = cloud.app(REDIS_PORT=str(wire.port)), []
    for _ in range(2):
        wire.round_trips()
        call(app, event("health", cloud.new_phone()))
        counts.append(len(wire.round_trips()))
    return counts[0] - counts[1]
