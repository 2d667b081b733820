"""Kept connections to a Redis, and batches of commands over them.

They are redis-py's connections without its clients, which check a pool, wrap and measure for each command: a batch pays
for that once.
"""

import contextlib
import ssl
import time
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import hiredis
import redis
from msgspec import Struct, field

from sms_login.forks import in_child

Client = Any  # redis.Redis or redis.RedisCluster; redis-py types their methods for sync and async at once
Connection = Any  # as above

_IDLE = 30.0  # s without use after which a connection may be dead without our knowing: an instance can be frozen
OLDEST = 300.0  # s after which a connection is replaced in any case
ELSEWHERE = (redis.exceptions.AskError, redis.exceptions.TryAgainError)  # MOVED is a subclass

# Error replies that say nothing against the server: it does not know a script, or a cluster's slot has moved.
_HARMLESS = (redis.exceptions.NoScriptError, *ELSEWHERE)

FAILURES = (redis.RedisError, redis.exceptions.RedisClusterException)


class Command(Protocol):
    """A command of a batch. Its `keys` share a slot; `reply` becomes Redis's reply, its error, or the failure."""

    keys: Sequence[str]
    reply: Any

    def words(self, known: set[str]) -> tuple[Any, ...]:
        """Return the command with its arguments, for a connection that has sent the `known` scripts in full."""


class NamedTls(redis.SSLConnection):
    """A TLS connection. Its certificate must name the host, or have the `name` that is given, unless it may have any.

    redis-py has no option for the name (redis/redis-py#3340), so this overrides a private method.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(ssl_check_hostname=name != "*", **options)
        self._name = name

    def _wrap_socket_with_ssl(self, sock: Any) -> Any:
        address, self.host = self.host, self._name or self.host
        try:
            return super()._wrap_socket_with_ssl(sock)  # type: ignore[no-untyped-call] # redis-py has no types here
        finally:
            self.host = address

    def can_read(self, timeout: float = 0) -> bool:
        """Return whether the connection has ended or has data; a session ticket of TLS 1.3, sent unasked, is neither.

        With hiredis, redis-py takes a ticket for data. If there is data, a byte of it is lost: the connection is of no
        further use.
        """
        if not super().can_read(timeout):
            return False
        tls: Any = self._sock
        tls.settimeout(0)
        try:
            tls.recv(1)
        except OSError as error:
            return not isinstance(error, ssl.SSLWantReadError)
        finally:
            tls.settimeout(self.socket_timeout)
        return True


class _Kept(Struct, eq=False):
    """A connection, when it was made and last used (0: never), and the scripts that it has sent in full."""

    connection: Connection
    made: float
    used: float = 0
    known: set[str] = field(default_factory=set)

    def alive(self) -> bool:
        """Return whether the server has neither closed the connection nor said anything unasked."""
        try:
            return not self.connection.can_read()
        except redis.RedisError:
            return False


class Server:
    """One Redis, or the proxy of TencentDB, over connections that are kept: the last used one is used first.

    After a failover a connection may lead to a server that can no longer serve us. If it answers with an error or not
    at all, all connections that were made until then are given up: new ones lead where the address leads by now. Which
    error does not matter, since a proxy has its own. No connection is kept for longer than OLDEST.

    They have the options of the connections of redis-py's client. Thread-safe without a lock, at which all threads of a
    busy web function would queue.
    """

    def __init__(self, client: Client) -> None:
        self._pool = client.connection_pool  # its class and options only; it keeps no connection
        self._idle: deque[_Kept] = deque()
        in_child(self._idle, deque.clear)  # redis-py closes a connection without shutting it down there
        # Otherwise, the garbage collector may reach a socket before the connection that closes it, and warn.
        weakref.finalize(self, _close, self._idle)
        self._given_up = 0.0  # when all connections were given up

    def exchange(self, commands: Sequence[Command]) -> None:
        """Send the commands in one batch; each then has its reply. Raises nothing: a failure is a reply."""
        exchange({self: commands})

    def send(self, commands: Sequence[Command]) -> tuple[_Kept, Exception | None]:
        """Send the commands; return the connection to receive the replies on, and its failure if it has failed."""
        kept = self._take()
        try:
            packed = b"".join([hiredis.pack_command(each.words(kept.known)) for each in commands])
            kept.connection.send_packed_command([packed])
        except FAILURES as error:
            return kept, error
        return kept, None

    def receive(self, kept: _Kept, failure: Exception | None, commands: Sequence[Command]) -> None:
        """Receive the replies to the commands, and keep the connection if they are fit for use."""
        unfit = False
        for command in commands:
            command.reply = reply = failure or _reply(kept.connection)
            if isinstance(reply, Exception):
                unfit = unfit or not isinstance(reply, _HARMLESS)
                if not isinstance(reply, redis.ResponseError):
                    failure = reply  # of the connection, and so of all further replies
        if unfit:
            self._give_up(kept)
        else:
            self._keep(kept)

    def _give_up(self, kept: _Kept) -> None:
        """Close a connection; and the idle ones, unless it was new: the server may only have no place for it."""
        kept.connection.disconnect()
        if kept.used:
            self._given_up = time.monotonic()
            self.close()

    def _take(self) -> _Kept:
        """Return a connection that is not known to be dead; a new one connects when it sends."""
        now = time.monotonic()
        oldest = max(now - OLDEST, self._given_up)  # one that was in use then may have come back
        with contextlib.suppress(IndexError):
            while True:
                kept = self._idle.pop()
                if now - kept.used <= _IDLE and kept.made >= oldest and kept.alive():
                    return kept
                kept.connection.disconnect()
        return _Kept(self._pool.connection_class(**self._pool.connection_kwargs), now)

    def _keep(self, kept: _Kept) -> None:
        """Keep a connection on which no reply is awaited, and close those that were idle for too long."""
        kept.used = time.monotonic()
        self._idle.append(kept)
        with contextlib.suppress(IndexError):
            while kept.used - self._idle[0].used > _IDLE:
                self._idle.popleft().connection.disconnect()

    def close(self) -> None:
        """Close the connections that are not in use."""
        _close(self._idle)


def _close(idle: deque[_Kept]) -> None:
    with contextlib.suppress(IndexError):
        while True:
            idle.pop().connection.disconnect()


def exchange(batches: Mapping[Server, Sequence[Command]]) -> None:
    """Send each batch to its server, all of them before any reply is awaited.

    A server runs the commands of a batch in their order, and may have run commands that it did not answer: a lost
    connection loses the replies from there on, and nothing is sent again.
    """
    sent = [(server, *server.send(commands), commands) for server, commands in batches.items()]
    for server, kept, failure, commands in sent:
        server.receive(kept, failure, commands)


def _reply(connection: Connection) -> Any:
    try:
        return connection.read_response()
    except FAILURES as error:  # if it is not Redis's own, redis-py has closed the connection
        return error
