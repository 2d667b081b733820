"""The Redis servers that tests run on, and a clock that they can move."""

import functools
import gc
import hashlib
import importlib
import json
import logging
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from sqlalchemy import Engine, event
from xdist.scheduler import LoadScopeScheduling

from local.tencent import TencentStandIn
from sms_admin.users_table import create
from sms_login import logs
from sms_login.adapters.redis.client import connect
from sms_login.adapters.sql.client import SqlClient
from sms_login.adapters.sql.client import connect as connect_sql
from sms_login.adapters.sql.users import SqlUsers
from tests.testkit.backends import NOON, Backend, fake_backend, patient
from tests.testkit.limits import IP, NOW, Make, Printed
from tests.testkit.mariadb import MariaDbServer, find_mariadb
from tests.testkit.servers import (
    LOW_HZ,
    RedisCluster,
    RedisServer,
    find_redis_6,
    find_redis_server,
    redis_4_server,
    require,
)
from tests.testkit.tencent_client import SECRET_ID, SECRET_KEY, TOKEN
from tests.testkit.world import World

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Groups of files that run in one worker: their fixtures are slow, and openapi_live counts over all its tests.
TOGETHER = tuple(
    tuple(f"tests/test_{name}" for name in group.split())
    for group in (
        *("admin_deploy.", "build.", "local_run.", "openapi_live.", "users"),
        "page. admin_stats_page. foreign_pages. nginx.",  # one browser
    )
)

# Files with tests that take seconds, the longest first: begun at the end, they would run while other workers are idle.
FIRST = tuple(
    f"tests/test_{name}"
    for name in (
        *("page.", "users", "build.", "clients.", "check_deploy.", "openapi_live.", "local_run.", "admin_stats_page."),
        *("statistics_day.", "cluster_failover.", "machine.", "session_machine.", "redis_tls.", "words.", "attacks"),
    )
)

FULL_COLLECTION = 50  # tests after which all garbage is collected, not only that of the last test


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of workers of `-n auto`: two more than cores, since many tests wait for a server or browser."""
    return min(6, (os.cpu_count() or 1) + 2)


class Scheduler(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Hands out each test with all its parameters, and each group of `TOGETHER` to one worker.

    xdist's public way, the mark xdist_group, would append the group to each test's name: pytest-dev/pytest-xdist#1119.
    """

    def _split_scope(self, nodeid: str) -> str:
        # The server of MariaDB starts in one worker, that of the tests of users.
        alone = "tests/test_users" if "mariadb" in nodeid else nodeid.partition("[")[0]
        return next((group[0] for group in TOGETHER if nodeid.startswith(group)), alone)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduler:
    """Return the scheduler that hands out the tests."""
    return Scheduler(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Keep the garbage collector from the thousands of collected tests, which it would visit again and again."""
    gc.disable()
    _import_a_share(session.config)
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Collect garbage after each test, and never within one.

    A test of deeply nested JSON uses up the stack, and a finalizer that the collector ran then would fail for want of
    it. After most tests only new garbage is collected, which takes less time.
    """
    gc.disable()  # before each test, since index.py enables it
    try:
        return (yield)
    finally:
        gc.collect(2 if gc.get_count()[2] >= FULL_COLLECTION else 1)


def _import_a_share(config: pytest.Config) -> None:
    """Import a worker's share of the test modules: on a fresh clone, pytest compiles each once, not once a worker."""
    if config.args_source is config.ArgsSource.TESTPATHS and "PYTEST_XDIST_WORKER" in os.environ:
        worker, workers = int(os.environ["PYTEST_XDIST_WORKER"][2:]), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        for path in sorted(Path(__file__).parent.glob("test_*.py"))[worker::workers]:
            with suppress(Exception):  # collecting it reports the error
                importlib.import_module(f"tests.{path.stem}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse two tests of the same name: the workers would run only one of them.

    Begin with `FIRST`. If the environment has a SEED, shuffle the modules and the tests within each, in the same way in
    every worker.
    """
    if twice := sorted(name for name, count in Counter(item.nodeid for item in items).items() if count > 1):
        raise pytest.UsageError(f"more than one test is called {', '.join(twice)}")
    if seed := os.environ.get("SEED"):
        items.sort(
            key=lambda item: [hashlib.sha256(f"{seed} {name}".encode()).digest() for name in (item.path, item.nodeid)]
        )
    items.sort(key=lambda item: next((i for i, start in enumerate(FIRST) if item.nodeid.startswith(start)), len(FIRST)))


def _without_fsync(connection: Any, _record: Any) -> None:
    """Let SQLite leave its writes to the kernel, which loses none unless the machine itself stops."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


event.listen(Engine, "connect", _without_fsync)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A real Redis."""
    require(find_redis_server() is not None, "redis-server")
    with RedisServer(*LOW_HZ) as server:
        yield server


@pytest.fixture(scope="session")
def redis_4() -> Iterator[RedisServer]:
    """A server that stands in for Redis 4.0."""
    require(find_redis_6() is not None, "redis-server 6.x, which stands in for 4.0,")
    with redis_4_server() as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    """Three nodes of Redis Cluster."""
    require(find_redis_server() is not None, "redis-server")
    with RedisCluster() as cluster:
        cluster.lower_hz()
        yield cluster


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDbServer]:
    """A real MariaDB."""
    require(find_mariadb() is not None, "mariadbd")
    with MariaDbServer() as server, pytest.MonkeyPatch.context() as patch:
        # Even for a connection without TLS, PyMySQL reads the system's certificate authorities, which takes 20 ms.
        patch.setenv("SSL_CERT_FILE", os.devnull)
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """A real Chromium, which runs until its worker ends."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - most workers need no browser

    from tests.testkit.browser import find_chromium, launch  # noqa: PLC0415 - likewise

    require(find_chromium() is not None, "chromium")
    with sync_playwright() as playwright, launch(playwright) as browser:
        yield browser


_SERVERS = {"real": "redis_server", "redis-4": "redis_4", "cluster": "redis_cluster"}

# Where a test runs on every kind, one newest server alone would find nothing: the cluster's nodes are of that version,
# and the stand-in for 4.0 is reached by the same client.
_EVERY = ("fake", "redis-4", "cluster")


@pytest.fixture(scope="session")
def client_of() -> Iterator[Callable[[str, RedisServer | RedisCluster], Any]]:
    """A client for each kind of Redis, made once: a cluster's client asks for its slots and a table of all commands."""
    with ExitStack() as stack:

        @functools.cache
        def client_of(kind: str, server: RedisServer | RedisCluster) -> Any:
            client = connect("127.0.0.1", server.port, cluster=kind == "cluster")
            return patient(stack.enter_context(closing(client)))

        yield client_of


@pytest.fixture(scope="session")
def fake_redis() -> Any:
    """A client of one fakeredis, made once: a new one has to start Lua and to be given each script."""
    return fake_backend().client


def _backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    kind = request.param
    if kind == "fake":
        client = request.getfixturevalue("fake_redis")
    else:
        server = request.getfixturevalue(_SERVERS[kind])
        client = request.getfixturevalue("client_of")(kind, server)
    client.flushall()
    yield Backend(client, ages_by_itself=kind == "fake")
    clients = [node.redis_connection for node in client.get_nodes()] if kind == "cluster" else [client]
    for used in clients:
        used.connection_pool.disconnect()  # a race leaves hundreds of connections


two_backends = pytest.fixture(_backend, params=["fake", "real"], name="backend")
every_backend = pytest.fixture(_backend, params=_EVERY, name="any_backend")


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands at noon of a day in China until it is moved."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def _logging() -> Iterator[None]:
    """Restore logging after each test or module: the product takes it over."""
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:], logging.raiseExceptions = handlers, raises
    root.setLevel(level)


after_each_test = pytest.fixture(_logging, autouse=True)
after_each_module = pytest.fixture(_logging, autouse=True, scope="module")  # its own fixtures may run the product


@pytest.fixture
def world(any_backend: Backend, clock: time_machine.Traveller) -> World:
    """A login service on each kind of Redis."""
    return World(any_backend, clock)


@pytest.fixture
def fresh_world(fake_redis: Any, clock: time_machine.Traveller) -> Make:
    """A factory of services, each on an empty fakeredis: for the cases of one test."""

    def made(**options: Any) -> World:
        fake_redis.flushall()
        return World(Backend(fake_redis, ages_by_itself=True), clock, **options)

    return made


@pytest.fixture(params=[*_EVERY, "sqlite", "mariadb"])
def everywhere(request: pytest.FixtureRequest, clock: time_machine.Traveller) -> Iterator[Make]:
    """A factory of services, with users in each kind of Redis, or in each kind of SQL beside a fakeredis."""
    if request.param not in {"sqlite", "mariadb"}:
        for backend in _backend(request):
            yield functools.partial(World, backend, clock)
        return
    if request.param == "mariadb":
        url = request.getfixturevalue("mariadb").new_database()
    else:
        url = f"sqlite:///{request.getfixturevalue('tmp_path') / 'users.db'}"
    engine = connect_sql(url)
    create(SqlClient(engine))
    backend = fake_backend()

    def made(**options: Any) -> World:
        users = SqlUsers(SqlClient(engine), options.get("reverify_after", 0))
        return World(backend, clock, other_users=users, **options)

    yield made
    engine.dispose()


@pytest.fixture
def make(any_backend: Backend, clock: time_machine.Traveller) -> Make:
    """A factory of services on one Redis of each kind, which all calls reach from one address at the time `NOW`."""
    clock.move_to(NOW, tick=False)

    def made(**options: Any) -> World:
        return World(any_backend, clock, **{"ip": IP, **options})

    return made


@pytest.fixture
def make_anew(make: Make, any_backend: Backend, clock: time_machine.Traveller) -> Make:
    """A factory as `make`, each of whose services begins at `NOW` on an empty Redis: for the cases of one test."""

    def made(**options: Any) -> World:
        any_backend.client.flushall()
        clock.move_to(NOW, tick=False)
        return make(**options)

    return made


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """A function that returns the log lines since its last call."""
    logs.set_up("INFO")
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def tencent() -> Iterator[TencentStandIn]:
    """A stand-in for Tencent Cloud that requires a session token."""
    with TencentStandIn(secret_id=SECRET_ID, secret_key=SECRET_KEY, token=TOKEN) as stand_in:
        yield stand_in
