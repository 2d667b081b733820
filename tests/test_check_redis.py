"""The checks of Redis, with real servers in every state that a test can bring about."""

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
import time_machine

from sms_admin.check import redis as redis_check
from sms_admin.check.redis import _line, _version
from sms_admin.check.redis_errors import refused
from sms_admin.check.report import Finding, State
from sms_login.settings.settings import Settings
from tests.testkit.cases import each_case
from tests.testkit.environ import LEAST
from tests.testkit.findings import bad, states, the
from tests.testkit.servers import RedisCluster, RedisServer, find_redis_6, find_redis_server, require

ALL = {
    *("redis", "redis.tls", "redis.password", "redis.version", "redis.latency", "redis.eviction", "redis.memory"),
    *("redis.clock", "redis.cluster", "redis.scripts"),
}


def read(port: int, **changes: str) -> Settings:
    """Return settings for a Redis on this machine."""
    return Settings.read({**LEAST, "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(port), **changes})


def check(server: RedisServer | RedisCluster, **changes: str) -> list[Finding]:
    """Return the findings about a server."""
    return list(redis_check.check(read(server.port, **changes)))


@pytest.fixture(scope="module")
def own() -> Iterator[RedisServer]:
    """A server that a test may change, if it undoes its changes."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def admin(own: RedisServer) -> Iterator[Any]:
    """A connection to this server."""
    with redis.Redis(own.host, own.port, protocol=2, decode_responses=True) as client:
        yield client


def test_a_redis_with_a_password_passes() -> None:
    """TencentDB's form of a password, which Redis takes for a plain one, passes too; no key is left behind."""
    with RedisServer("--requirepass", "crs-1:hunter2") as server:
        findings = check(server, REDIS_PASSWORD="crs-1:hunter2")
        with redis.Redis(server.host, server.port, password="crs-1:hunter2") as client:
            assert client.keys() == []
    assert states(findings).keys() == ALL - {"redis.password"}
    assert bad(findings) == {}


def test_the_oldest_supported_redis_passes(redis_4: RedisServer) -> None:
    """The stand-in for Redis 4.0 runs the scripts, and an older version is a problem."""
    assert bad(check(redis_4)) == {"redis.password": State.WARNING}
    assert the([*_version({"redis_version": "4.0.14"})], "redis.version").state is State.OK
    old = the([*_version({"redis_version": "3.2.12"})], "redis.version")
    assert (old.state, old.found) == (State.PROBLEM, "3.2.12: the scripts need 4.0")


def test_a_redis_that_is_down_is_one_problem() -> None:
    """The advice names the most frequent cause."""
    findings = list(redis_check.check(read(1)))
    assert bad(findings) == {"redis": State.PROBLEM, "redis.password": State.WARNING}
    assert "Connection refused" in findings[-1].found
    assert "from its own VPC only" in findings[-1].todo


def test_a_redis_that_hangs_is_one_problem(own: RedisServer) -> None:
    """A server that does not answer is reported after the timeout."""
    own.pause()
    try:
        findings = check(own)
    finally:
        own.resume()
    assert bad(findings) == {"redis": State.PROBLEM, "redis.password": State.WARNING}
    assert "TimeoutError" in findings[-1].found


def test_a_host_name_without_an_address_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said about TLS, since there is no connection."""

    def nowhere(*_: object) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", nowhere)
    findings = list(redis_check.check(read(1, REDIS_HOST="nowhere")))
    assert states(findings).keys() == {"redis", "redis.password"}
    assert "Name or service not known" in findings[-1].found


@pytest.mark.parametrize(("content", "error"), [(None, "FileNotFoundError"), ("no certificate", "SSLError")])
def test_a_ca_file_that_cannot_be_used_is_a_problem(tmp_path: Path, content: str | None, error: str) -> None:
    """A CA file that is missing or broken is reported, since no server can be verified with it."""
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    finding = the(list(redis_check.check(read(1, REDIS_TLS="1", REDIS_CA_FILE=str(file)))), "redis.tls")
    assert (finding.state, finding.found) == (State.PROBLEM, f"REDIS_CA_FILE cannot be used: {error}")


def test_a_database_that_does_not_exist_is_a_problem(own: RedisServer) -> None:
    """The advice is about REDIS_DB, and does not blame the network."""
    finding = check(own, REDIS_DB="200")[-1]
    assert "DB index is out of range" in finding.found
    assert finding.todo == "set REDIS_DB to one that the instance has, such as 0"


@each_case("password", ["", "wrong"])
def test_a_wrong_password_is_a_problem(password: str) -> None:
    """A missing password is one too, and the advice has both of TencentDB's forms."""
    with RedisServer("--requirepass", "hunter2") as server:
        finding = check(server, REDIS_PASSWORD=password)[-1]
    assert (finding.check, finding.state) == ("redis", State.PROBLEM)
    assert finding.todo.startswith("REDIS_PASSWORD must be the instance's password, or instanceId:password")


def test_a_password_for_a_redis_without_one_is_a_problem(own: RedisServer) -> None:
    """The advice for a wrong password covers this case."""
    finding = check(own, REDIS_PASSWORD="one-too-many")[-1]
    assert (finding.check, finding.state) == ("redis", State.PROBLEM)
    assert finding.todo.startswith("REDIS_PASSWORD must be")


@pytest.mark.parametrize(
    ("policy", "users_url", "state"),
    [
        ("noeviction", "", State.OK),
        ("volatile-lru", "", State.WARNING),
        ("volatile-ttl", "sqlite:///users.db", State.WARNING),
        ("allkeys-lru", "", State.PROBLEM),  # users are in Redis
        ("allkeys-random", "sqlite:///users.db", State.WARNING),
    ],
)
@pytest.mark.parametrize("hidden", ["", "INFO"])
def test_an_eviction_policy_that_drops_codes_is_reported(
    own: RedisServer, admin: Any, policy: str, users_url: str, state: State, hidden: str
) -> None:
    """Every key has a TTL, so volatile policies drop codes too; CONFIG names the policy if INFO is forbidden."""
    admin.config_set("maxmemory-policy", policy)
    if hidden:
        admin.execute_command("ACL SETUSER default -info")
    try:
        finding = the(check(own, USERS_URL=users_url), "redis.eviction")
    finally:
        admin.execute_command("ACL SETUSER default +@all")
        admin.config_set("maxmemory-policy", "noeviction")
    assert (finding.state, finding.found.split(":")[0]) == (state, policy)


def test_a_server_without_info_and_config_is_a_warning() -> None:
    """The advice names the console, and all other checks still run."""
    with RedisServer("--rename-command", "CONFIG", "", "--rename-command", "INFO", "") as server:
        findings = check(server)
    silent = {"redis.version", "redis.eviction", "redis.memory"}
    assert bad(findings) == dict.fromkeys(silent | {"redis.password"}, State.WARNING)
    assert all("console" in the(findings, name).todo for name in silent)
    with RedisServer("--rename-command", "CONFIG", "") as server:  # INFO tells it since 4.0
        assert bad(check(server)) == {"redis.password": State.WARNING}


@pytest.mark.parametrize(("share", "state"), [(2.0, State.OK), (0.85, State.WARNING), (0.97, State.PROBLEM)])
def test_memory_that_runs_out_is_reported_in_time(own: RedisServer, admin: Any, share: float, state: State) -> None:
    """A warning comes early, then a problem: once the memory is full, no user can sign in."""
    admin.set("ballast", bytes(64 * 2**20))  # beside it, the memory of a few connections is nothing
    used = int(admin.info("memory")["used_memory"])
    admin.config_set("maxmemory", int(used / share) if share < 1 else 2**30)
    try:
        finding = the(check(own), "redis.memory")
    finally:
        admin.config_set("maxmemory", 0)
        admin.delete("ballast")
    assert finding.state is state


@pytest.fixture(params=[find_redis_server, find_redis_6], ids=["newest", "6"])
def either(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server that gives a script's error as its own, and one of a version before 7.0, which does not."""
    binary = request.param()
    require(binary is not None, "redis-server 6.x")
    with RedisServer(binary=binary) as server:
        yield server


def order(server: RedisServer, *command: str | int) -> None:
    """Send a command to a server."""
    with redis.Redis(server.host, server.port, protocol=2) as client:
        client.execute_command(*command)


def test_full_memory_is_a_problem_of_the_scripts(either: RedisServer) -> None:
    """The advice says that the memory is full, as the server does."""
    order(either, "CONFIG", "SET", "maxmemory", 1)
    finding = the(check(either), "redis.scripts")
    assert (finding.state, finding.todo) == (State.PROBLEM, "the memory is full: enlarge the instance")


def test_each_reason_to_refuse_a_write_has_its_own_advice(own: RedisServer, admin: Any) -> None:
    """Whether the server refuses writes alone, or every command."""
    for name, value, check_name, begins in (
        ("min-replicas-to-write", 1, "redis.scripts", "it has too few replicas"),
        ("replica-serve-stale-data", "no", "redis", "REDIS_HOST is a replica that has lost its primary"),
    ):
        if check_name == "redis":
            admin.replicaof("127.0.0.1", 1)
        before = admin.config_get(name)[name]
        admin.config_set(name, value)
        try:
            finding = the(check(own), check_name)
        finally:
            admin.execute_command("REPLICAOF NO ONE")
            admin.config_set(name, before)
        assert (finding.state, finding.todo.startswith(begins)) == (State.PROBLEM, True)
    for error, begins in (
        ("ResponseError: MISCONF Redis is configured to save RDB snapshots", "it cannot write to its disk"),
        ("BusyLoadingError: Redis is loading the dataset in memory", "it loads its data"),
        ("ResponseError: BUSY Redis is busy running a script.", "a script of another user runs"),
        ("ClusterDownError: Hash slot not served", "the cluster lacks slots"),
        ("ConnectionError: max number of clients reached", "all its connections are taken"),
        ("NoPermissionError: this user has no permissions", "check in the console that the account may read"),
    ):
        assert refused(error).startswith(begins)


def test_a_replica_is_a_problem(either: RedisServer) -> None:
    """A replica answers every query, but accepts no write."""
    order(either, "REPLICAOF", "127.0.0.1", "1")
    finding = the(check(either), "redis.scripts")
    assert finding.state is State.PROBLEM
    assert finding.todo.startswith("REDIS_HOST is a read-only replica")


@pytest.mark.parametrize(
    ("denied", "name"), [("-@scripting", "redis.scripts"), ("-time", "redis.clock"), ("-@write", "redis.scripts")]
)
def test_a_command_that_is_not_allowed_is_a_problem_by_itself(
    own: RedisServer, admin: Any, denied: str, name: str
) -> None:
    """The checks after it still run."""
    admin.execute_command(f"ACL SETUSER default {denied}")
    try:
        findings = check(own)
    finally:
        admin.execute_command("ACL SETUSER default +@all")
    assert bad(findings) == {"redis.password": State.WARNING, name: State.PROBLEM}
    assert findings[-1].check == "redis.scripts"


def test_a_slow_redis_is_a_warning(own: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latency is a median in milliseconds; on this clock every PING takes seven."""
    ticks = count()
    clock = SimpleNamespace(perf_counter=lambda: next(ticks) * 0.007, time=time.time)
    monkeypatch.setattr(redis_check, "time", clock)
    finding = the(check(own), "redis.latency")
    assert (finding.state, finding.found) == (State.WARNING, "7.0 ms, the median of 11 PINGs")


@pytest.mark.parametrize(("ahead", "which"), [(60, "60 s ahead of"), (-60, "60 s behind")])
def test_clocks_that_differ_from_tencents_are_reported(own: RedisServer, ahead: int, which: str) -> None:
    """Our clock may be ahead of Redis's or behind it."""
    with time_machine.travel(time.time() + ahead, tick=True):
        finding = the(check(own), "redis.clock")
    assert (finding.state, finding.found) == (State.WARNING, f"our clock is {which} Redis's")


@each_case(
    ("host", "tls", "state"),
    [
        ("10.0.0.2", "0", State.OK),
        ("127.0.0.1", "0", State.OK),
        ("fd00::1", "0", State.OK),
        ("8.8.8.8", "0", State.WARNING),
        ("8.8.8.8", "1", State.OK),
    ],
)
def test_plain_text_to_a_public_address_is_a_warning(host: str, tls: str, state: State) -> None:
    """Inside a VPC plain text is usual."""
    (finding,) = _line(read(6379, REDIS_HOST=host, REDIS_TLS=tls))
    assert (finding.check, finding.state) == ("redis.tls", state)


def test_a_ca_file_that_is_missing_is_a_problem(own: RedisServer) -> None:
    """The finding has the system's own words, and the advice names the settings."""
    finding = check(own, REDIS_TLS="1", REDIS_CA_FILE="/nowhere/ca.pem")[-1]
    assert (finding.check, finding.state) == ("redis", State.PROBLEM)
    assert "REDIS_TLS and REDIS_CA_FILE" in finding.todo


def test_a_cluster_and_the_setting_must_agree(own: RedisServer, redis_cluster: RedisCluster) -> None:
    """REDIS_CLUSTER with a single server, and a native cluster without it, are problems."""
    assert bad(check(redis_cluster, REDIS_CLUSTER="1")) == {"redis.password": State.WARNING}
    assert the(check(redis_cluster, REDIS_CLUSTER="1"), "redis.cluster").found == "native"
    for server, setting, todo in ((redis_cluster, "0", "set REDIS_CLUSTER=1"), (own, "1", "set REDIS_CLUSTER=0")):
        finding = the(check(server, REDIS_CLUSTER=setting), "redis.cluster")
        assert finding.state is State.PROBLEM
        assert finding.todo.startswith(todo)
