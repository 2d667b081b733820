import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.testkit.cases import each_case
from tests.testkit.ports import reserved_port
from tests.testkit.servers import (
    RedisCluster,
    RedisServer,
    find_redis_6,
    find_redis_server,
    redis_4_server,
    require,
    until,
)

WRITE_AFTER_PTTL = "redis.call('PTTL', KEYS[1]) return redis.call('SET', KEYS[1], '1')"


@pytest.fixture(autouse=True)
def _redis_server() -> None:
    require(find_redis_server() is not None, "redis-server")


@pytest.fixture
def redis_4() -> Iterator[Any]:
    """Yield a client of the server that stands in for Redis 4.0."""
    require(find_redis_6() is not None, "redis-server 6.x, to stand in for 4.0,")
    with redis_4_server() as server, client_of(server) as client:
        yield client


def client_of(server: RedisServer) -> redis.Redis:
    """Return a client that does not retry."""
    return redis.Redis(server.host, server.port, protocol=2, retry=Retry(NoBackoff(), 0), decode_responses=True)


def answers(server: RedisServer) -> bool:
    """Return whether a server accepts connections."""
    with client_of(server) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def test_a_killed_server_comes_back_empty_on_its_port() -> None:
    """A server answers, is killed, and starts again on the same port without data."""
    with RedisServer() as server, client_of(server) as client:
        port = server.port
        client.set("key", "value")
        server.kill()
        assert not answers(server)
        server.start()
        assert server.port == port
        assert client.get("key") is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a port be reserved")
def test_nobody_else_gets_a_reserved_port_and_its_server_does() -> None:
    """Neither of two ports can be bound by another, before its server has started and after it has ended."""
    with reserved_port(bus_offset=1) as port:
        for _ in range(2):
            for mine in (port, port + 1):
                with pytest.raises(OSError, match="in use"), socket.socket() as other:
                    other.bind(("127.0.0.1", mine))
                with socket.create_server(("127.0.0.1", mine)), pytest.raises(OSError, match="in use"):
                    socket.create_server(("127.0.0.1", mine))


def test_a_server_that_refuses_its_options_is_an_error() -> None:
    """The error contains the output of the server."""
    with pytest.raises(RuntimeError, match="no-such-option"), RedisServer("--no-such-option", "1"):
        pass


def test_no_server_outlives_killed_tests(tmp_path: Path) -> None:
    """Killed tests cannot clean up, so their server must end on its own."""
    program = "s = RedisServer(); s.start(); print(s.port, flush=True); time.sleep(60)"
    command = [sys.executable, "-c", f"import time; from tests.testkit.servers import RedisServer; {program}"]
    path, env = Path(__file__).parent.parent, {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=path, env=env, stdout=subprocess.PIPE) as tests:  # noqa: S603 - our own program
        assert tests.stdout is not None
        server = RedisServer()
        server.port = int(tests.stdout.readline())
        assert answers(server)
        tests.kill()
    until(lambda: not answers(server), 30)


@each_case("command", ["HELLO 2", "GETDEL key", "COPY a b", "XLEN key"])
def test_4_0_lacks_newer_commands(redis_4: Any, command: str) -> None:
    """The stand-in refuses commands that 4.0 does not know."""
    with pytest.raises(redis.ResponseError, match="unknown command"):
        redis_4.execute_command(command)


def test_4_0_refuses_a_write_after_pttl_unless_it_replicates_commands(redis_4: Any) -> None:
    """The stand-in replicates scripts verbatim, so a script must not write after reading a clock."""
    with pytest.raises(redis.ResponseError, match="non deterministic"):
        redis_4.eval(WRITE_AFTER_PTTL, 1, "key")
    assert redis_4.get("key") is None
    redis_4.eval(f"redis.replicate_commands() {WRITE_AFTER_PTTL}", 1, "key")
    assert redis_4.get("key") == "1"


def test_a_cluster_answers_from_every_node_and_runs_scripts_in_one_slot(redis_cluster: RedisCluster) -> None:
    """A script runs with keys of one hash tag and is refused with keys of two slots."""
    with redis.RedisCluster("127.0.0.1", redis_cluster.port, protocol=2) as client:
        client.flushall()
        nodes = client.get_primaries()
        assert {node.port for node in nodes} == {node.port for node in redis_cluster.nodes}
        for n in range(30):
            client.eval("redis.call('SET', KEYS[1], 'a') redis.call('SET', KEYS[2], 'b')", 2, f"{{{n}}}a", f"{{{n}}}b")
            assert client.get(f"{{{n}}}b") == b"b"
        assert all(client.dbsize(target_nodes=node) for node in nodes)
        with pytest.raises(redis.RedisClusterException):
            client.eval("return 1", 2, "a", "b")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_server_fails_in_ci_only(monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[Exception]) -> None:
    """Outside CI the test is skipped instead."""
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="redis-server 9 is missing"):
        require(find_redis_server() is None, "redis-server 9")
