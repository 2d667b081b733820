"""The one Redis client: nothing is sent twice, and no dead socket costs a request."""

import contextlib
import gc
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import redis

from benchmarks.wire import Wire
from sms_login.adapters.redis.client import NOT_SENT, RedisCall, RedisClient, connect
from sms_login.adapters.redis.connections import Server
from sms_login.calls import Joint, Later
from sms_login.errors import ServiceUnavailable
from tests.testkit.cases import each_case
from tests.testkit.devices import Device
from tests.testkit.garbage import collect_socket_first
from tests.testkit.relay import Relay
from tests.testkit.servers import (
    RedisCluster,
    RedisServer,
    end_connection,
    find_redis_6,
    find_redis_server,
    require,
    until,
)
from tests.testkit.world import World


@contextmanager
def client_of(port: int) -> Iterator[RedisClient]:
    """Give a client of the Redis at a port."""
    client = RedisClient(lambda: connect("127.0.0.1", port))
    yield client
    client.close()


@contextmanager
def through_a_relay(server: RedisServer) -> Iterator[tuple[Relay, RedisClient]]:
    """Give a relay to the server, and a client behind it."""
    relay = Relay(server.port)
    with client_of(relay.port) as client:
        yield relay, client
    relay.close()


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time by which a connection is idle, to be moved."""
    now = [1000.0]
    monkeypatch.setattr("sms_login.adapters.redis.connections.time.monotonic", lambda: now[0])
    return now


def incr(client: RedisClient, key: str) -> RedisCall[int]:
    """Return a call that counts."""
    return client.command("INCR", key, read=int)


def sign_in(client: RedisClient, key: str, user_id: str) -> RedisCall[list[str]]:
    """Return a call of a script that answers the id of the first one."""
    return client.script("sign_in", [key], [user_id, 1, 0], lambda record: record[:4])


def id_of(client: RedisClient) -> int:
    """Return the server's number for the connection that is used next."""
    call = RedisCall(client, "CLIENT", None, [], ["ID"], int)
    return call.answer()


# Batches.


def test_a_batch_is_one_round_trip_with_an_answer_for_each_call(redis_server: RedisServer) -> None:
    """The calls are made in their order; a call that was sent is not sent again."""
    with redis.Redis(redis_server.host, redis_server.port) as admin, Wire(redis_server.port) as wire:
        admin.flushall()
        with client_of(wire.port) as client:
            for round_ in (1, 2):
                calls: list[RedisCall[Any]] = [
                    incr(client, "a"),
                    sign_in(client, "user", f"id-{round_}"),
                    incr(client, "a"),
                ]
                client.send(*calls)
                client.send(*calls)
                assert [call.answer() for call in calls] == [2 * round_ - 1, ["id-1", "", "", "1"], 2 * round_]
            assert wire.count() == 2


def test_an_error_in_a_batch_is_the_answer_of_its_call_alone(world: World) -> None:
    """Redis makes the calls around it, and the connection goes on."""
    world.backend.client.flushall()
    world.backend.client.set("text", "text")
    client = world.redis
    calls: list[RedisCall[Any]] = [
        incr(client, "a"),
        incr(client, "text"),
        sign_in(client, "text", "id"),
        incr(client, "b"),
    ]
    client.send(*calls)
    assert [calls[0].answer(), calls[3].answer()] == [1, 1]
    for call in calls[1:3]:
        with pytest.raises(ServiceUnavailable, match="redis: ResponseError"):
            call.answer()
    assert incr(client, "a").answer() == 2


def test_a_joint_travels_with_its_calls_and_a_later_call_is_made_first(world: World) -> None:
    """If the call of another outside party fails, nothing of the batch is sent."""
    world.backend.client.flushall()
    client = world.redis
    count = incr(client, "a")
    client.send(Joint([count], count.answer), Later(lambda: world.backend.client.incr("a")))
    assert count.answer() == 2
    fails = Later(down)
    count = incr(client, "a")
    client.send(count, fails)
    assert count.reply is NOT_SENT
    for _ in range(2):
        with pytest.raises(ServiceUnavailable):
            fails.answer()
    assert world.backend.client.get("a") == "2"


def test_a_later_call_may_ask_for_the_answer_of_another_one(world: World) -> None:
    """As a rename in SQL asks for the owner of the session; that call is made once all the same."""
    world.backend.client.flushall()
    count = incr(world.redis, "a")
    rename = Later(count.answer)
    world.redis.send(count, rename)
    assert (rename.answer(), count.answer(), world.backend.client.get("a")) == (1, 1, "1")


def down() -> None:
    """Fail as a user table that is away."""
    raise ServiceUnavailable("sql: away")


def test_a_server_that_has_forgotten_its_scripts_runs_each_call_once_and_in_order(world: World) -> None:
    """It may be another server behind the same connection. A script that sees no user yet is sent again, too."""
    world.backend.client.flushall()
    for count in (1, 2, 3):
        device = Device(world)
        world.cool_down()
        assert device.is_in
        world.backend.client.script_flush()
        client = world.redis
        calls: list[RedisCall[Any]] = [
            incr(client, "a"),
            sign_in(client, "user", "id"),
            sign_in(client, "user", "other"),
            incr(client, "a"),
        ]
        client.send(*calls)
        assert [call.answer() for call in calls] == [2 * count - 1, ["id", "", "", "1"], ["id", "", "", "1"], 2 * count]
        world.backend.client.script_flush()


# Nothing is sent twice.


def test_a_call_whose_answer_is_lost_was_sent_once(redis_server: RedisServer) -> None:
    """redis-py's own retries would have moved the counter again."""
    with redis.Redis(redis_server.host, redis_server.port) as admin, through_a_relay(redis_server) as (relay, client):
        admin.flushall()
        client.check()
        relay.mute = True
        calls: list[RedisCall[Any]] = [incr(client, "counter"), sign_in(client, "user", "id")]
        client.send(*calls)
        for call in calls:
            with pytest.raises(ServiceUnavailable, match="Timeout"):
                call.answer()
        until(lambda: admin.get("counter") == b"1", 20)  # Redis may be slower than the timeout
        relay.mute = False
        assert incr(client, "counter").answer() == 2


def test_a_batch_that_is_cut_is_answered_up_to_there_and_made_as_far_as_it_arrived() -> None:
    """Cut at any byte, of the requests or of the answers: no call is made twice, and the next one works."""
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer())  # of its own, since it counts clients
        admin = stack.enter_context(redis.Redis(server.host, server.port))
        relay, client = stack.enter_context(through_a_relay(server))

        def clients() -> int:
            return int(admin.info("clients")["connected_clients"])

        def batch() -> tuple[list[int], int]:
            """Send a batch; return its answers, and how many of its calls were made."""
            admin.flushall()
            calls: list[RedisCall[Any]] = [incr(client, "counter") for _ in range(3)]
            client.send(*calls)
            if relay.cut.is_set():
                relay.cut.clear()
                until(lambda: clients() == others, 30)  # the server has read all that arrived
            answers = [call.reply for call in calls]
            return [answer for answer in answers if isinstance(answer, int)], int(admin.get("counter") or 0)

        others = clients()
        client.check()
        before = dict(relay.passed)
        assert batch() == ([1, 2, 3], 3)
        sizes = {direction: relay.passed[direction] - before[direction] for direction in relay.passed}
        for direction, size in sizes.items():
            for cut in range(size):
                relay.cut_after(direction, cut)
                answers, made = batch()
                part = cut * 3 // size
                assert answers == [*range(1, len(answers) + 1)]
                assert (len(answers), made) == (part, 3) if direction == "answers" else len(answers) <= made == part
                assert batch() == ([1, 2, 3], 3)


def test_a_new_connection_begins_with_the_command_itself(redis_server: RedisServer) -> None:
    """No HELLO, which TencentDB does not have, no CLIENT SETINFO and no PING: a cold start pays for each."""
    with through_a_relay(redis_server) as (relay, client):
        client.command("GET", "key", read=str).answer()
        assert relay.first_words == [b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"]


def test_health_of_a_single_redis_is_one_command_from_the_first_time_on(redis_server: RedisServer) -> None:
    """Only a cluster is given several keys."""
    with through_a_relay(redis_server) as (relay, client):
        client.check()
        assert relay.first_words == [b"*5\r\n$3\r\nSET\r\n$6\r\nhealth\r\n$1\r\n1\r\n$2\r\nPX\r\n$1\r\n1\r\n"]


# Connections.


def test_connections_are_made_anew_after_a_pause(redis_server: RedisServer, now: list[float]) -> None:
    """A frozen instance's sockets may be dead without a sign; asking them would cost a request."""
    with through_a_relay(redis_server) as (relay, client):
        client.check()
        now[0] += 30
        client.check()
        assert len(relay.first_words) == 1
        now[0] += 31
        client.check()
        assert len(relay.first_words) == 2


def test_a_connection_that_the_server_has_closed_costs_no_request(redis_server: RedisServer) -> None:
    """A restart, CLIENT KILL or the server's own timeout closes it while nobody uses it."""
    with client_of(redis_server.port) as client, redis.Redis(redis_server.host, redis_server.port) as admin:
        for _ in range(20):
            number = id_of(client)
            end_connection(admin, number)
            assert id_of(client) != number


def test_a_client_that_is_forgotten_closes_its_connections(redis_server: RedisServer) -> None:
    """The garbage collector never meets an open socket, in whatever order it goes."""
    relay = Relay(redis_server.port)
    owner = [RedisClient(lambda: connect("127.0.0.1", relay.port))]
    owner[0].check()
    collect_socket_first(owner, relay.port)
    relay.close()


def test_garbage_waits_for_the_end_of_a_test() -> None:
    """Nothing is closed in the depth of a parser, where the stack does not suffice for it."""
    assert not gc.isenabled()


def test_connections_of_a_burst_are_closed_if_nobody_uses_them(redis_server: RedisServer, now: list[float]) -> None:
    """Calls one by one keep one connection in use; the others of an earlier burst are neither used nor kept."""
    both = threading.Barrier(2, timeout=10)

    class Together(RedisCall[int]):
        def words(self, known: set[str]) -> Any:
            both.wait()  # both have taken a connection by then
            return super().words(known)

    def burst(client: RedisClient) -> set[int]:
        """Use two connections at once, and return their numbers."""

        def use(_: int) -> int:
            return Together(client, "CLIENT", None, [], ["ID"], int).answer()

        with ThreadPoolExecutor(2) as threads:
            return set(threads.map(use, range(2)))

    with client_of(redis_server.port) as client, redis.Redis(redis_server.host, redis_server.port) as admin:
        before = burst(client)
        assert len(before) == 2
        for _ in range(3):
            now[0] += 20
            assert id_of(client) in before
        numbers = {int(each["id"]) for each in admin.client_list()}
        assert len(before & numbers) == 1
        now[0] += 31
        assert not before & burst(client)


def test_32_threads_share_no_connection_at_one_time(redis_server: RedisServer) -> None:
    """Every answer belongs to its call, and a burst keeps as many connections as it had calls at once."""
    with client_of(redis_server.port) as client, ThreadPoolExecutor(32) as threads:

        def echo(i: int) -> list[str]:
            calls: list[RedisCall[Any]] = [RedisCall(client, "ECHO", None, [], [f"{i}-{j}"], str) for j in range(5)]
            client.send(*calls)
            return [call.answer() for call in calls]

        assert [*threads.map(echo, range(1000))] == [[f"{i}-{j}" for j in range(5)] for i in range(1000)]


# Failovers.


@each_case("find", [find_redis_server, find_redis_6])
def test_connections_to_a_server_that_cannot_serve_are_given_up_at_once(find: Callable[[], str | None]) -> None:
    """The address leads to the new primary, but kept connections lead to the old one: one request fails, no more."""
    require(find() is not None, "redis-server 6 and a later one")
    with ExitStack() as stack:
        old, new = (stack.enter_context(RedisServer(binary=find())) for _ in range(2))
        relay, client = stack.enter_context(through_a_relay(old))
        admin = stack.enter_context(redis.Redis(old.host, old.port, protocol=2))
        for name, (happens, says) in FAULTS.items():
            relay.target = old.port
            client.close()
            with ThreadPoolExecutor(4) as threads:
                [*threads.map(lambda i: sign_in(client, "warm", str(i)).answer(), range(20))]
            happens(old, admin)
            relay.target = new.port
            with pytest.raises(ServiceUnavailable, match=says):
                sign_in(client, "user", "id").answer()
            assert [incr(client, name).answer() for _ in range(5)] == [1, 2, 3, 4, 5]
            old.resume()
            until(lambda: restored(admin), 30)


def busy(server: RedisServer, admin: Any) -> None:
    """Let a script run without end."""
    admin.config_set("lua-time-limit", 1)
    with socket.create_connection((server.host, server.port)) as other:
        other.sendall(b'EVAL "while true do end" 0\r\n')
        until(lambda: not answers(admin), 30)


def answers(admin: Any) -> bool:
    """Return whether no script runs."""
    try:
        return bool(admin.echo("1"))
    except redis.ResponseError:
        return False


def without_primary(_: RedisServer, admin: Any) -> None:
    """Make the server a replica that has lost its primary, and says so."""
    admin.config_set("replica-serve-stale-data", "no")
    admin.replicaof("127.0.0.1", 1)


# By the fault: how a server gets it, and its answer. Redis 6 and older wrap the answer to a command of a script.
FAULTS: dict[str, tuple[Callable[[RedisServer, Any], object], str]] = {
    "read-only": (lambda _, admin: admin.replicaof("127.0.0.1", 1), "read only|READONLY"),
    "without its primary": (without_primary, "MASTER is down"),
    "without replicas": (lambda _, admin: admin.config_set("min-replicas-to-write", 1), "NOREPLICAS"),
    "out of memory": (lambda _, admin: admin.config_set("maxmemory", 1), "OutOfMemory|OOM"),
    "fenced": (lambda _, admin: admin.execute_command("ACL SETUSER default -@write"), "can't run|ACL failure"),
    "busy": (busy, "BUSY"),
    "hanging": (lambda server, _: server.pause(), "Timeout"),
}


def restored(admin: Any) -> bool:
    """End the faults; return False if a script still runs."""
    with contextlib.suppress(redis.ResponseError):  # no script runs
        admin.script_kill()
    try:
        admin.execute_command("REPLICAOF", "NO", "ONE")
    except redis.ResponseError:
        return False
    admin.execute_command("ACL SETUSER default +@all")
    admin.config_set("replica-serve-stale-data", "yes")
    for name in ("min-replicas-to-write", "maxmemory"):
        admin.config_set(name, 0)
    return True


def query(client: RedisClient, happens: Callable[[], object]) -> str:
    """Return the answer to a GET; `happens` is called after it has taken a connection, and before it is sent."""

    class Get(RedisCall[str]):
        def words(self, known: set[str]) -> Any:
            happens()
            return super().words(known)

    return Get(client, "GET", None, ["key"], [], str).answer()


def test_a_connection_that_was_in_use_when_the_others_were_given_up_is_not_kept(redis_server: RedisServer) -> None:
    """A demoted server still answers a query, and the next request must not meet it again."""
    with RedisServer() as old, redis.Redis(old.host, old.port) as admin, through_a_relay(old) as (relay, client):

        def fail_over() -> None:
            client.check()
            admin.replicaof("127.0.0.1", 1)
            relay.target = redis_server.port
            with pytest.raises(ServiceUnavailable, match="read only"):
                client.check()

        client.check()
        assert query(client, fail_over) == "None"
        assert len(relay.first_words) == 2
        client.check()


def test_a_server_without_a_place_for_a_new_connection_keeps_the_others() -> None:
    """Giving them up would leave even fewer."""
    with RedisServer("--maxclients", "1") as server, client_of(server.port) as client:
        number = id_of(client)

        def refused() -> None:
            with pytest.raises(ServiceUnavailable, match="max number of clients"):
                client.check()

        for _ in range(2):
            assert query(client, refused) == "None"
        assert id_of(client) == number


def test_a_connection_is_replaced_in_the_end_although_it_is_in_use(redis_server: RedisServer, now: list[float]) -> None:
    """An old server that answers as if nothing had happened would be asked for ever."""
    with client_of(redis_server.port) as client:
        number = id_of(client)
        for _ in range(15):
            now[0] += 20
            assert id_of(client) == number
        now[0] += 20
        assert id_of(client) != number


# Clusters.


def test_a_batch_on_a_cluster_is_one_for_each_node(
    redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are sent before any is awaited, so that they cost one round trip in time."""
    events: list[tuple[str, int]] = []
    for name in ("send", "receive"):
        monkeypatch.setattr(Server, name, noting(events, name, getattr(Server, name)))
    client = RedisClient(lambda: connect("127.0.0.1", redis_cluster.port, cluster=True))
    for count in (1, 2):
        calls: list[RedisCall[Any]] = [sign_in(client, f"{{{key}}}user", f"{count}") for key in "abcdef"]
        calls += [incr(client, f"{key}-count") for key in "abcdef"]
        client.send(*calls)
        assert [call.answer()[0] for call in calls[:6]] == ["1"] * 6
        assert [call.answer() for call in calls[6:]] == [count] * 6
    names, sizes = zip(*events, strict=True)
    assert names == (*["send"] * 3, *["receive"] * 3) * 2
    assert sum(sizes) == 4 * len(calls)
    client.close()


def noting(events: list[tuple[str, int]], name: str, method: Any) -> Any:
    """Return a method of Server that notes its name and the size of its batch first."""

    def noted(self: Server, *args: Any) -> Any:
        events.append((name, len(args[-1])))
        return method(self, *args)

    return noted


def test_health_notices_each_primary_that_takes_no_write(redis_cluster: RedisCluster) -> None:
    """The other primaries take theirs; a new instance notices it at once."""
    for node in redis_cluster.nodes:
        cluster = RedisClient(lambda: connect("127.0.0.1", redis_cluster.port, cluster=True))
        with redis.Redis(node.host, node.port) as client:
            client.config_set("min-replicas-to-write", 1)
            try:
                for _ in range(2):
                    with pytest.raises(ServiceUnavailable, match="replicas"):
                        cluster.check()
            finally:
                client.config_set("min-replicas-to-write", 0)
        cluster.check()
        cluster.close()


def test_each_server_of_a_cluster_is_made_once(redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python never frees a function for forked children: one for each command would fill the memory."""
    registered: list[Any] = []
    monkeypatch.setattr(os, "register_at_fork", lambda **handler: registered.append(handler))
    client = RedisClient(lambda: connect("127.0.0.1", redis_cluster.port, cluster=True))
    for _ in range(2):
        client.check()
    assert len(registered) == len(redis_cluster.nodes)
    client.close()


def test_connections_to_a_cluster_are_made_anew_after_a_pause(redis_cluster: RedisCluster, now: list[float]) -> None:
    """Those to each of its nodes."""
    client = RedisClient(lambda: connect("127.0.0.1", redis_cluster.port, cluster=True))

    def numbers() -> set[str]:
        ids = set()
        for node in redis_cluster.nodes:
            with redis.Redis(node.host, node.port, protocol=2) as admin:
                ids |= {f"{node.port} {each['id']}" for each in admin.client_list()}
        return ids

    def use() -> None:
        calls: list[RedisCall[Any]] = [incr(client, key) for key in "abcdef"]
        client.send(*calls)
        for call in calls:
            call.answer()

    use()
    kept = numbers()
    use()
    kept &= numbers()
    assert len(kept) >= 3
    now[0] += 31
    use()
    assert len(kept & numbers()) <= len(kept) - 3
    client.close()


def test_a_cluster_that_is_away_at_first_is_found_later(redis_cluster: RedisCluster) -> None:
    """Learning its slots is tried again with the next request."""
    ports = iter([1, redis_cluster.port])
    client = RedisClient(lambda: connect("127.0.0.1", next(ports), cluster=True))
    with pytest.raises(ServiceUnavailable):
        client.check()
    client.check()
    client.close()


def test_a_password_may_have_tencentdbs_form_and_is_never_in_an_error() -> None:
    """`instanceId:password` goes to AUTH as it is; a wrong one is an outage with its reason in the log."""
    password = "crs-12345678:a password"
    with RedisServer("--requirepass", password) as server:
        right = RedisClient(lambda: connect(server.host, server.port, password=password, db=3))
        right.check()
        right.close()
        for wrong in (password + "x", None):
            client = RedisClient(lambda wrong=wrong: connect(server.host, server.port, password=wrong))  # type: ignore[misc] # this one, now
            with pytest.raises(ServiceUnavailable, match=r"redis: Authentication") as unavailable:
                client.check()
            assert "password" not in unavailable.value.detail.replace("username-password pair", "")
