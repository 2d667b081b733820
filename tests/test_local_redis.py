import gc
import hashlib
import json
import pickle
import shutil
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from fakeredis import FakeServer
from redis.backoff import NoBackoff
from redis.retry import Retry

from local.cloud import local_cloud
from local.redis_server import redis_server
from sms_login import wiring
from tests.testkit.backends import fake_backend
from tests.testkit.servers import require


@pytest.fixture(params=["redis-server", "embedded"], autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run each test on a redis-server process, and on the embedded server, as if no redis-server were installed."""
    if request.param == "embedded":
        monkeypatch.setattr("shutil.which", lambda _: None)
    else:
        require(shutil.which("redis-server") is not None, "redis-server")
    return str(request.param)


def client(host: str, port: int, password: str | None) -> redis.Redis:
    """Build a client as the function does: RESP2, no handshake, no retries."""
    retry = Retry(NoBackoff(), 0)
    return redis.Redis(
        host=host, port=port, password=password, protocol=2, driver_info=None, retry=retry, decode_responses=True
    )


def test_a_script_is_atomic_for_twenty_connections_at_once() -> None:
    """EVALSHA works over TCP, counts exactly, and its TTL stays."""
    barrier = threading.Barrier(20)
    with redis_server() as place, client(*place) as shared:
        count = shared.register_script(
            "local n = redis.call('INCR', KEYS[1]) redis.call('PEXPIRE', KEYS[1], ARGV[1]) return n"
        )

        def work(_: int) -> list[int]:
            with client(*place) as own:
                barrier.wait(timeout=30)
                return [count(keys=["n"], args=[60_000], client=own) for _ in range(50)]

        with ThreadPoolExecutor(20) as threads:
            answers = [number for numbers in threads.map(work, range(20)) for number in numbers]
        assert sorted(answers) == list(range(1, 1001))
        assert 0 < shared.pttl("n") <= 60_000


@pytest.fixture
def _held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make two threads of fakeredis meet while each creates a database."""
    own, two, init = threading.current_thread(), threading.Barrier(2, timeout=5), FakeServer.__init__

    def held(server: Any, *args: Any, **options: Any) -> None:
        init(server, *args, **options)
        make = server.dbs.default_factory

        def made() -> Any:
            if threading.current_thread() is not own:
                two.wait()
            return make()

        server.dbs.default_factory = made

    monkeypatch.setattr(FakeServer, "__init__", held)


def race(*clients: redis.Redis) -> set[bool | None]:
    """Let clients set one key at once, each if it does not exist; return their answers."""
    with ThreadPoolExecutor(len(clients)) as threads:
        return set(threads.map(lambda client: client.set("key", "value", nx=True), clients))


@pytest.mark.usefixtures("_held")
def test_the_first_two_connections_at_once_share_a_database() -> None:
    """A getSms and its repeat, at once on a new server, find one Idempotency-Key, and do not both send an SMS."""
    with redis_server() as place, client(*place) as one, client(*place) as other:
        assert race(one, other) == {True, None}


@pytest.mark.usefixtures("_held")
def test_the_first_two_connections_at_once_to_the_tests_fakeredis_share_a_database() -> None:
    """A race on the tests' fakeredis never has two winners."""
    fake = fake_backend().client
    assert race(fake, fake) == {True, None}


def test_a_connection_stays_usable_after_an_error() -> None:
    """After NOSCRIPT and other errors, the same connection runs the next command."""
    with redis_server() as place, client(*place) as one:
        name = one.client_id()
        with pytest.raises(redis.exceptions.NoScriptError):
            one.evalsha("0" * 40, 0)
        with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
            one.execute_command("GET")
        with pytest.raises(redis.ResponseError):
            one.eval("return redis.call('INCR')", 0)
        assert one.client_id() == name


class Touch:
    """An object that touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self._path,)


def restored(value: object) -> bytes:
    """Return a value in the form that RESTORE takes."""
    pickled = pickle.dumps(value)
    return hashlib.sha1(pickled, usedforsecurity=False).digest() + pickled


@pytest.mark.parametrize("password", [None, "", "0" * 32])
def test_no_command_runs_code_on_this_machine_without_the_password(tmp_path: Path, password: str | None) -> None:
    """Without the password, no client can use fakeredis's ways to Python, the shell, pickled objects and files."""
    touched = tmp_path / "touched"
    escapes: list[tuple[Any, ...]] = [
        ("EVAL", f"python.eval('open(\"{touched}\", \"w\")') return 'ok'", 0),
        ("EVAL", f"os.execute('touch {touched}') return 'ok'", 0),
        ("EVAL", f"io.open('{touched}', 'w') return 'ok'", 0),
        ("EVAL", "return redis.call('RESTORE', 'key', 0, ARGV[1])", 0, restored(Touch(touched))),
        ("RESTORE", "key", 0, restored(Touch(touched))),
        ("CONFIG", "SET", "aclfile", str(touched)),
        ("ACL", "SAVE"),
    ]
    with redis_server() as (host, port, right):
        for escape in escapes:
            with client(host, port, password) as stranger, pytest.raises(redis.ConnectionError):
                stranger.execute_command(*escape)
            assert not touched.exists()
        with client(host, port, right) as ours:
            assert ours.keys() == []


def test_a_login_works_with_the_servers_password() -> None:
    """The password in the environment lets the function run its scripts."""
    with local_cloud({}, redis=redis_server) as cloud:
        app = wiring.build(cloud.environ)

        def call(**params: str) -> dict[str, Any]:
            answer = app.handle({"httpMethod": "POST", "queryString": params}, {})
            body: dict[str, Any] = json.loads(answer["body"])
            return body

        phone = "+8613800138000"
        session = call(method="getSms", phone=phone)["data"]["sessionId"]
        code = cloud.tencent.inbox(phone)[0].params[0]
        assert call(method="login", phone=phone, code=code, sessionId=session)["codeStr"] == "Success"


def test_a_silent_connection_holds_up_neither_clients_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded server closes a silent connection after a while, and either server ends in spite of it."""
    monkeypatch.setattr("local.embedded_redis._AUTH_WITHIN", 0.3)
    with redis_server() as place, socket.create_connection(place[:2], timeout=10) as silent:
        assert client(*place).ping()
    assert silent.fileno() == -1


def test_the_redis_server_of_the_path_runs_if_there_is_one(kind: str) -> None:
    """Only the embedded server is a thread of this process."""
    with redis_server():
        assert ("redis" in {thread.name for thread in threading.enumerate()}) is (kind == "embedded")


def test_a_redis_server_that_does_not_start_is_an_error_with_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redis-server that lacks a library fails like this."""
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho broken on purpose\n")
    program.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda _: str(program))
    with pytest.raises(RuntimeError, match="broken on purpose"), redis_server():
        pass


def test_two_servers_share_nothing() -> None:
    """Two servers run side by side, each with its own password and keys."""
    with redis_server() as one, redis_server() as two, client(*one) as first, client(*two) as second:
        assert one[0] == two[0] == "127.0.0.1"
        assert one[2] != two[2]
        first.set("key", "value")
        assert (first.get("key"), second.get("key")) == ("value", None)


def test_leaving_ends_all_connections_and_threads() -> None:
    """Afterwards a kept connection is dead, and no thread or socket is left."""
    before = set(threading.enumerate())
    with redis_server() as place:
        kept = client(*place)
        kept.ping()
    assert set(threading.enumerate()) <= before
    with pytest.raises(redis.RedisError):  # in any words, should another server have the port by now
        kept.ping()
    kept.close()
    gc.collect()  # reports an open socket, and a warning is an error
