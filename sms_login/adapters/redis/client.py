"""The one place where redis-py is set up and spoken to."""

import hashlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import redis
from msgspec import Struct
from redis.backoff import NoBackoff
from redis.retry import Retry

from sms_login import logs
from sms_login.adapters.redis.cluster import Cluster
from sms_login.adapters.redis.connections import FAILURES, Client, NamedTls, Server
from sms_login.calls import Call, Later, each
from sms_login.errors import ServiceUnavailable

T = TypeVar("T")
_LUA = Path(__file__).with_name("lua")
_MARKS = 50  # each of up to 12 primaries gets one if they have equal shares of the slots
NOT_SENT = object()  # the reply of a call before it is sent

# At DEBUG the cluster client logs whole commands, keys and numbers included.
logging.getLogger("redis").setLevel(logging.INFO)


def connect(
    host: str,
    port: int,
    *,
    password: str | None = None,
    db: int = 0,
    tls: bool = False,
    ca_file: str | None = None,
    tls_name: str = "",
    cluster: bool = False,
) -> Client:
    """Return a client that never sends a command twice and waits a second for an answer.

    `tls_name` is the name that the certificate must have in place of `host`'s, or `*` for any name.

    redis-py's own retries would repeat a script whose answer was lost. RESP2 without client info, because TencentDB has
    no HELLO, and a new connection then needs no handshake. A client of one Redis connects at the first command, one
    of a cluster at once, to learn the slots, and again after a failure: a second for each unreachable node.
    """
    options: dict[str, Any] = {
        "password": password,
        "protocol": 2,
        "driver_info": None,
        "decode_responses": True,
        "encoding_errors": "replace",  # a value that is not ours must not crash the parser
        "socket_timeout": 1.0,  # s
        "socket_connect_timeout": 1.0,  # s
        "retry": Retry(NoBackoff(), 0),
    }
    if tls:
        options |= {"connection_class": partial(NamedTls, tls_name), "ssl_ca_certs": ca_file}
    url = f"redis://[{host}]:{port}" if ":" in host else f"redis://{host}:{port}"
    if cluster:
        return redis.RedisCluster.from_url(url, **options)
    return redis.Redis.from_url(url, db=db, **options)


class Script(Struct, frozen=True):
    """A script's text, and the SHA-1 that Redis names it by; it protects nothing."""

    text: str
    sha: str


@cache
def _script(name: str) -> Script:
    """Return lua/<name>.lua, after the prelude."""
    text = (_LUA / "prelude.lua").read_text() + (_LUA / f"{name}.lua").read_text()
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class RedisCall(Struct, Generic[T], eq=False):
    """`calls.Call` of a Redis: a `script`, or without one the command `name`. Its `keys` share a slot of a cluster.

    `read` makes the answer of Redis's reply. `RedisClient` makes calls, and sends them.
    """

    client: "RedisClient"
    name: str
    script: Script | None
    keys: Sequence[str]
    args: Sequence[str | int]
    read: Callable[[Any], T]
    reply: Any = NOT_SENT
    in_full: bool = False
    lost: Callable[[], None] = lambda: None  # is called if there is no answer
    __repr__ = object.__repr__  # keys name phone numbers

    def words(self, known: set[str]) -> tuple[Any, ...]:
        """See `connections.Command.words`. The first use of a script on a connection sends its text."""
        if self.script is None:
            return (self.name, *self.keys, *self.args)
        if self.script.sha in known and not self.in_full:
            return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.args)
        known.add(self.script.sha)
        return ("EVAL", self.script.text, len(self.keys), *self.keys, *self.args)

    def answer(self) -> T:
        """See `calls.Call.answer`."""
        if self.reply is NOT_SENT:
            self.client.send(self)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.read(self.reply)


def _unavailable(error: Exception) -> ServiceUnavailable:
    return ServiceUnavailable(f"redis: {type(error).__name__}: {error}")


def nothing(_reply: Any) -> None:
    """Read a reply that says no more than that the call was made."""


class RedisClient:
    """Makes calls of one Redis, however it is laid out, and sends any number of them in one round trip. Thread-safe.

    `connect` makes redis-py's client, at the first use. It fails closed: a call without an answer raises
    ServiceUnavailable with the failure as its detail, and nothing is taken as checked. But Redis may have run a call
    that it did not answer: Idempotency-Key and undoing cover this.
    """

    def __init__(self, connect: Callable[[], Client]) -> None:
        self._connect = connect
        self._servers: Server | Cluster | None = None
        self._lock = threading.Lock()
        self.riders: Callable[[], Sequence[RedisCall[Any]]] = lambda: ()  # calls that travel with the next batch
        self._riding: deque[RedisCall[Any]] = deque(maxlen=1000)

    def command(self, name: str, key: str, *args: str | int, read: Callable[[Any], T]) -> RedisCall[T]:
        """Return the call of a command with one key."""
        return RedisCall(self, name, None, [key], args, read)

    def script(
        self, name: str, keys: Sequence[str], args: Sequence[str | int], read: Callable[[Any], T]
    ) -> RedisCall[T]:
        """Return the call of lua/<name>.lua."""
        return RedisCall(self, name, _script(name), keys, args, read)

    def send(self, *calls: Call[Any]) -> None:
        """See `calls.Send`. On a cluster, a round trip is a batch for each node, all sent before any is awaited."""
        flat = [*each(calls)]
        if not all(call.made() for call in flat if isinstance(call, Later)):
            return
        if not (batch := [call for call in flat if isinstance(call, RedisCall) and call.reply is NOT_SENT]):
            return
        with suppress(IndexError):  # another thread may take them
            while self._riding:
                batch.insert(0, self._riding.popleft())
        self._exchange(batch := [*self.riders(), *batch])
        # A server that has forgotten its scripts has run none of these, and is sent their texts, in the same order.
        failed = [call for call in batch if isinstance(call.reply, Exception)]
        if forgotten := [call for call in failed if isinstance(call.reply, redis.exceptions.NoScriptError)]:
            for call in forgotten:
                call.in_full = True
            self._exchange(forgotten)
        for call in failed:
            if isinstance(call.reply, FAILURES):
                call.reply = _unavailable(call.reply)
                call.lost()

    def ride(self, call: RedisCall[Any]) -> None:
        """Let a call travel at the head of the next batch. Its answer is not read, and its failure not reported."""
        self._riding.append(call)

    def check(self) -> None:
        """Return if Redis answers and takes a write, as every login needs. Raises ServiceUnavailable.

        A cluster is given so many marks that hardly a primary gets none. They live for a millisecond.
        """
        try:
            keys = ["health"] if isinstance(self._ready(), Server) else [f"health:{i}" for i in range(_MARKS)]
        except FAILURES as error:
            raise _unavailable(error) from None
        marks = [self.command("SET", key, 1, "PX", 1, read=bool) for key in keys]
        self.send(*marks)
        for mark in marks:
            mark.answer()

    def close(self) -> None:
        """Close the connections that are not in use."""
        if self._servers:
            self._servers.close()

    def _exchange(self, batch: Sequence[RedisCall[Any]]) -> None:
        started = time.perf_counter()
        try:
            self._ready().exchange(batch)
        except FAILURES as error:
            for call in batch:
                call.reply = error
        logs.spent("redis", started)

    def _ready(self) -> Server | Cluster:
        """Return the servers, known after the first use."""
        if self._servers is None:
            with self._lock:
                if self._servers is None:
                    made = self._connect()
                    self._servers = Server(made) if isinstance(made, redis.Redis) else Cluster(made, self._connect)
        return self._servers
