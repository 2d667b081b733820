"""The one Redis client: nothing is sent twice, and no dead socket costs a request."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from sms_login.adapters.redis.client import RedisClient, connect
from sms_login.errors import ServiceUnavailable
from tests.testkit.relay import Relay
from tests.testkit.servers import RedisCluster, RedisServer, until


@contextmanager
def client_of(port: int) -> Iterator[tuple[RedisClient, list[Any]]]:
    """Give a client, and those of redis-py that it makes, the latest last."""
    made: list[Any] = []

    def make() -> Any:
        made.append(connect("127.0.0.1", port))
        return made[-1]

    yield RedisClient(make), made
    for each in made:
        each.close()


@contextmanager
def through_a_relay(server: RedisServer) -> Iterator[tuple[Relay, RedisClient]]:
    """Give a relay to the server, and a client behind it."""
    relay = Relay(server.port)
    with client_of(relay.port) as (client, _):
        yield relay, client
    relay.close()


def test_a_command_whose_answer_is_lost_was_sent_once(redis_server: RedisServer) -> None:
    """redis-py's own retries would have moved the counter again."""
    with redis.Redis(redis_server.host, redis_server.port) as admin, through_a_relay(redis_server) as (relay, client):
        admin.flushall()
        client.ping()
        client.run("remaining", ["warm"], [1, 3])
        relay.mute = True
        with pytest.raises(ServiceUnavailable, match="Timeout"):
            client.command("incr", "counter")
        with pytest.raises(ServiceUnavailable, match="Timeout"):
            client.run("sign_in", ["user"], ["id", 1])
        until(lambda: admin.get("counter") == b"1", 20)  # Redis may be slower than the timeout
        relay.mute = False
        assert client.command("incr", "counter") == 2


def test_a_new_connection_begins_with_the_command_itself(redis_server: RedisServer) -> None:
    """No HELLO, which TencentDB does not have, no CLIENT SETINFO and no PING: a cold start pays for each."""
    with through_a_relay(redis_server) as (relay, client):
        client.command("get", "key")
        assert relay.first_words == [b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"]


def test_connections_are_made_anew_after_a_pause(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen instance's sockets may be dead without a sign; asking them would cost a request."""
    now = 1000.0
    monkeypatch.setattr("sms_login.adapters.redis.client.time.monotonic", lambda: now)
    with through_a_relay(redis_server) as (relay, client):
        client.ping()
        now += 30
        client.ping()
        assert len(relay.first_words) == 1
        now += 31
        client.ping()
        assert len(relay.first_words) == 2


def test_no_connection_of_an_earlier_burst_is_used_after_a_pause(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls one by one keep one connection in use, and the others of the burst lie below it in the pool."""
    now = 1000.0
    monkeypatch.setattr("sms_login.adapters.redis.client.time.monotonic", lambda: now)

    def burst() -> set[int]:
        """Use two connections at once, and return the server's names of both."""
        client.ping()
        pool = made[-1].connection_pool
        names = set()
        for connection in [pool.get_connection() for _ in range(2)]:
            connection.send_command("CLIENT", "ID")
            names.add(connection.read_response())
            pool.release(connection)
        return names

    with client_of(redis_server.port) as (client, made):
        before = burst()
        for _ in range(3):
            now += 20
            client.ping()
        assert not before & burst()


def test_whoever_comes_second_after_a_pause_gets_no_old_connection_either(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first is still at it."""
    now = 1000.0
    monkeypatch.setattr("sms_login.adapters.redis.client.time.monotonic", lambda: now)
    made, second = list[Any](), list[Any]()

    def slowly() -> Any:
        if made:
            second.append(threads.submit(client.command, "client_id"))
            wait(second, timeout=0.1)  # a second thread that does not wait for us is through by then
        made.append(connect(redis_server.host, redis_server.port))
        return made[-1]

    client = RedisClient(slowly)
    old = client.command("client_id")
    with ThreadPoolExecutor(1) as threads:
        now += 31
        first = client.command("client_id")
        assert old not in {first, second[0].result()}
    for each in made:
        each.close()


def test_a_pause_holds_up_nobody_at_the_lock_of_the_pool(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once all threads of a busy web function wait for one lock, they go on so: a tenth of the requests for seconds."""
    now = 1000.0
    monkeypatch.setattr("sms_login.adapters.redis.client.time.monotonic", lambda: now)
    with client_of(redis_server.port) as (client, made), ThreadPoolExecutor(1) as threads:
        client.ping()
        now += 31
        with made[0].connection_pool._lock:  # noqa: SLF001 - as whoever gives a connection back
            threads.submit(client.ping).result(timeout=10)


def test_given_up_connections_are_closed(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the last request that uses them."""
    now = 1000.0
    monkeypatch.setattr("sms_login.adapters.redis.client.time.monotonic", lambda: now)
    client = RedisClient(lambda: connect(redis_server.host, redis_server.port))
    old = client.command("client_id")
    now += 31
    new = client.command("client_id")

    def names() -> set[int]:
        return {int(each["id"]) for each in client.command("client_list")}

    until(lambda: old not in names(), 5)
    assert new in names()
    client.command("close")


def test_connections_to_a_cluster_are_made_anew_after_a_pause(
    redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those to each of its nodes."""
    now = 1000.0
    monkeypatch.setattr("sms_login.adapters.redis.client.time.monotonic", lambda: now)
    client = RedisClient(lambda: cluster)
    cluster = connect("127.0.0.1", redis_cluster.port, cluster=True)

    def connections() -> int:
        ids = 0
        for node in redis_cluster.nodes:
            with redis.Redis(node.host, node.port, protocol=2) as admin:
                ids += int(admin.info("clients")["connected_clients"]) - 1
        return ids

    for key in "abcdef":
        client.command("get", key)
    before = connections()
    now += 31
    client.command("get", "a")
    assert connections() < before
    cluster.close()


def test_a_cluster_that_is_away_at_first_is_found_later(redis_cluster: RedisCluster) -> None:
    """Learning its slots is tried again with the next request."""
    ports = iter([1, redis_cluster.port])
    client = RedisClient(lambda: connect("127.0.0.1", next(ports), cluster=True))
    with pytest.raises(ServiceUnavailable):
        client.ping()
    client.ping()
    client.command("close")


def test_a_password_may_have_tencentdbs_form_and_is_never_in_an_error() -> None:
    """`instanceId:password` goes to AUTH as it is; a wrong one is an outage with its reason in the log."""
    password = "crs-12345678:a password"
    with RedisServer("--requirepass", password) as server:
        right = connect(server.host, server.port, password=password, db=3)
        RedisClient(lambda: right).ping()
        assert right.client_info()["db"] == 3
        right.close()
        for wrong in (connect(server.host, server.port, password=password + "x"), connect(server.host, server.port)):
            client = RedisClient(lambda wrong=wrong: wrong)  # type: ignore[misc] # this one, now
            with pytest.raises(ServiceUnavailable, match=r"redis: Authentication") as unavailable:
                client.ping()
            assert "password" not in unavailable.value.detail.replace("username-password pair", "")
            wrong.close()
