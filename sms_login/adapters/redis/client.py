"""The one place where redis-py is set up and spoken to."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sms_login import logs
from sms_login.errors import ServiceUnavailable

Client = Any  # redis.Redis or redis.RedisCluster; redis-py types their methods for sync and async at once

_IDLE = 30.0  # s without use after which a kept connection may be dead without our knowing
_LUA = Path(__file__).with_name("lua")

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
    cluster: bool = False,
) -> Client:
    """Return a client that never sends a command twice and waits a second for an answer.

    redis-py's own retries would repeat a script whose answer was lost. RESP2 without client info, because TencentDB has
    no HELLO, and a new connection then needs no handshake. A client of one Redis connects at the first command, one
    of a cluster at once, to learn the slots, and again after a failure: a second for each unreachable node.
    """
    options: dict[str, Any] = {
        "password": password,
        "ssl": tls,
        "protocol": 2,
        "driver_info": None,
        "decode_responses": True,
        "encoding_errors": "replace",  # a value that is not ours must not crash the parser
        "socket_timeout": 1.0,  # s
        "socket_connect_timeout": 1.0,  # s
        "max_connections": 1024,  # the threads are the limit; redis-py's 100 would refuse, not wait
    }
    if ca_file:
        options["ssl_ca_certs"] = ca_file
    never = Retry(NoBackoff(), 0)
    if cluster:
        return redis.RedisCluster(host=host, port=port, retry=never, **options)
    return redis.Redis(host=host, port=port, db=db, retry=never, **options)


class RedisClient:
    """Sends commands and scripts to one Redis, however it is laid out.

    `connect` makes redis-py's client, at the first use. Every method raises ServiceUnavailable, with the failure as its
    detail. It fails closed: without an answer, nothing is taken as checked and nothing is sent. But Redis may have run
    a command that it did not answer: Idempotency-Key and undoing cover this.
    """

    def __init__(self, connect: Callable[[], Client]) -> None:
        self._connect = connect
        self._client: Client = None
        self._fresh = 0.0  # when all of its connections were new, or in use
        self._lock = threading.Lock()
        self._scripts: dict[str, tuple[str, str]] = {}

    def command(self, name: str, *args: str) -> Any:
        """Send one command of redis-py's."""
        return self._timed(lambda client: getattr(client, name)(*args))

    def run(self, name: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """Run lua/<name>.lua: one round trip, and one more if the server does not know the script yet."""
        body, sha = self._script(name)

        def evaluate(client: Client) -> Any:
            try:
                return client.evalsha(sha, len(keys), *keys, *args)
            except redis.exceptions.NoScriptError:
                return client.eval(body, len(keys), *keys, *args)

        return self._timed(evaluate)

    def run_all(self, name: str, calls: Sequence[tuple[Sequence[str], Sequence[str | int]]]) -> list[Any]:
        """Run lua/<name>.lua for each call's keys and arguments: in one round trip, on a cluster in one for each call.

        Return the answers; a failed call answers ServiceUnavailable, since the others may have been made.
        """

        def pipelined(client: redis.Redis) -> list[Any]:
            pipeline = client.pipeline(transaction=False)
            for keys, args in calls:
                pipeline.evalsha(self._script(name)[1], len(keys), *keys, *args)
            answers: list[Any] = pipeline.execute(raise_on_error=False)
            return answers

        try:
            if len(calls) == 1 or not isinstance(self._ready(), redis.Redis):
                return self._run_each(name, calls)
            answers: list[Any] = self._timed(pipelined)
        except ServiceUnavailable as error:
            return [error] * len(calls)
        except _FAILURES as error:
            return [_unavailable(error)] * len(calls)
        for i, answer in enumerate(answers):
            if isinstance(answer, redis.exceptions.NoScriptError):
                answers[i : i + 1] = self._run_each(name, calls[i : i + 1])
            elif isinstance(answer, Exception):
                answers[i] = _unavailable(answer)
        return answers

    def _timed(self, send: Callable[[Client], Any]) -> Any:
        started = time.perf_counter()
        try:
            return send(self._ready())
        except _FAILURES as error:
            raise _unavailable(error) from error
        finally:
            logs.spent("redis", started)

    def _run_each(self, name: str, calls: Sequence[tuple[Sequence[str], Sequence[str | int]]]) -> list[Any]:
        """Run the calls one after the other, up to the first failure."""
        answers: list[Any] = []
        try:
            for keys, args in calls:
                answers.append(self.run(name, keys, args))
        except ServiceUnavailable as error:
            return answers + [error] * (len(calls) - len(answers))
        return answers

    def _script(self, name: str) -> tuple[str, str]:
        """Return a script and the SHA-1 that Redis names it by; it protects nothing."""
        if name not in self._scripts:
            body = (_LUA / "prelude.lua").read_text() + (_LUA / f"{name}.lua").read_text()
            self._scripts[name] = (body, hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest())
        return self._scripts[name]

    def ping(self) -> None:
        """Return if Redis answers."""
        self.command("ping")

    def _ready(self) -> Client:
        """Return the client, without the connections that may have died while the instance was frozen.

        redis-py's health check would find a dead connection, and fail the request that found it. redis-py does not tell
        how long a connection has been idle, so all are replaced every _IDLE seconds, also under load: the pool gives
        the last used connection first, and the others of a burst would stay unused until the next burst.
        """
        client = self._client
        if client is not None and time.monotonic() - self._fresh <= _IDLE:
            return client  # without the lock, at which all threads of a busy web function would queue
        with self._lock:
            now = time.monotonic()
            if self._client is None or now - self._fresh > _IDLE:
                self._client = self._renewed(self._client)
                self._fresh = now
            return self._client

    def _renewed(self, old: Client) -> Client:
        if old is None or isinstance(old, redis.Redis):
            # A new pool, and the old one goes with its last request. To close its connections one by one holds up all
            # threads at its lock, and for seconds after they queue there one behind the other.
            return self._connect()
        for node in old.get_nodes():  # a new client would have to learn the slots anew
            if node.redis_connection:
                node.redis_connection.connection_pool.disconnect(inuse_connections=False)
        return old


_FAILURES = (redis.RedisError, redis.exceptions.RedisClusterException)


def _unavailable(error: Exception) -> ServiceUnavailable:
    return ServiceUnavailable(f"redis: {type(error).__name__}: {error}")
