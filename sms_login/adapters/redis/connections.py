"""Kept connections to one Redis or to the nodes of a cluster, and batches of commands over them.

They are redis-py's connections without its clients, which check a pool, wrap and measure for each command: a batch pays
for that once.
"""

import contextlib
import re
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import redis
from msgspec import Struct, field

Client = Any  # redis.Redis or redis.RedisCluster; redis-py types their methods for sync and async at once
Connection = Any  # as above

_IDLE = 30.0  # s without use after which a connection may be dead without our knowing: an instance can be frozen
_OLDEST = 300.0  # s after which a connection is replaced in any case
_ELSEWHERE = (redis.exceptions.AskError, redis.exceptions.TryAgainError)  # MOVED is a subclass

# Replies of a server that is not the one to ask any more, or not now: it was demoted, has lost its primary or its
# replicas, or cannot write its disk. Redis 6 and older wrap the word if a script meets the error; of LOADING, redis-py
# makes a failure of the connection.
_NOT_HERE = (redis.exceptions.ReadOnlyError, redis.exceptions.ClusterDownError)  # MASTERDOWN is a subclass
_NOT_HERE_WORDS = re.compile(r"\b(READONLY|NOREPLICAS|MISCONF)\b")

FAILURES = (redis.RedisError, redis.exceptions.RedisClusterException)


class Command(Protocol):
    """A command of a batch. Its `keys` share a slot; `reply` becomes Redis's reply, its error, or the failure."""

    keys: Sequence[str]
    reply: Any

    def words(self, known: set[str]) -> Sequence[str | int]:
        """Return the command with its arguments, for a connection that has sent the `known` scripts in full."""


class _Kept(Struct, eq=False):
    """A connection, when it was made and last used, and the scripts that it has sent in full."""

    connection: Connection
    made: float
    used: float
    known: set[str] = field(default_factory=set)

    def alive(self) -> bool:
        """Return whether the server has neither closed the connection nor said anything unasked."""
        try:
            return not self.connection.can_read()
        except redis.RedisError:
            return False


class Server:
    """One Redis, or the proxy of TencentDB, over connections that are kept: the last used one is used first.

    After a failover a connection may lead to a server that may no longer do what we ask. It says so, and all kept ones
    are closed: new ones lead where the address leads by now. No connection is kept for longer than _OLDEST.

    They have the options of the connections of redis-py's client. Thread-safe without a lock, at which all threads of a
    busy web function would queue.
    """

    def __init__(self, client: Client) -> None:
        self._pool = client.connection_pool  # its class and options only; it keeps no connection
        self._idle: deque[_Kept] = deque()

    def exchange(self, commands: Sequence[Command]) -> None:
        """Send the commands in one batch; each then has its reply. Raises nothing: a failure is a reply."""
        _exchange({self: commands})

    def send(self, commands: Sequence[Command]) -> _Kept | None:
        """Send the commands; return the connection to receive the replies on, None if there is none."""
        try:
            kept = self._take()
            kept.connection.send_packed_command(_packed(each.words(kept.known) for each in commands))
        except FAILURES as error:
            _fail(commands, error)
            return None
        return kept

    def receive(self, kept: _Kept, commands: Sequence[Command]) -> None:
        """Receive the replies to the commands, and keep the connection."""
        replied = 0
        try:
            for command in commands:
                command.reply = _reply(kept.connection)
                replied += 1
        except FAILURES as error:  # redis-py has closed the connection
            _fail(commands[replied:], error)
            return
        if any(_not_here(command.reply) for command in commands):
            kept.connection.disconnect()
            self.close()
        else:
            self._keep(kept)

    def _take(self) -> _Kept:
        """Return a connection that is not known to be dead; a new one connects when it sends."""
        now = time.monotonic()
        with contextlib.suppress(IndexError):
            while True:
                kept = self._idle.pop()
                if now - kept.used <= _IDLE and now - kept.made <= _OLDEST and kept.alive():
                    return kept
                kept.connection.disconnect()
        return _Kept(self._pool.connection_class(**self._pool.connection_kwargs), now, now)

    def _keep(self, kept: _Kept) -> None:
        """Keep a connection on which no reply is awaited, and close those that were idle for too long."""
        kept.used = time.monotonic()
        self._idle.append(kept)
        with contextlib.suppress(IndexError):
            while kept.used - self._idle[0].used > _IDLE:
                self._idle.popleft().connection.disconnect()

    def close(self) -> None:
        """Close the connections that are not in use."""
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().connection.disconnect()


class Cluster:
    """The nodes of a Redis Cluster, as redis-py's client of a cluster knows them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._nodes: dict[str, Server] = {}

    def exchange(self, commands: Sequence[Command]) -> None:
        """Send a batch to each node, all of them before any reply is awaited; each command then has its reply.

        A command whose slot has moved was not run, and follows it alone. After a failure the slots are learned anew.
        Raises a redis.RedisError or RedisClusterException if no node serves a slot.
        """
        batches: dict[Server, list[Command]] = {}
        for command in commands:
            node = self._client.get_node_from_key(command.keys[0])
            if node.name not in self._nodes:
                self._nodes.setdefault(node.name, Server(self._client.get_redis_connection(node)))
            batches.setdefault(self._nodes[node.name], []).append(command)
        _exchange(batches)
        for command in commands:
            if isinstance(command.reply, _ELSEWHERE):
                command.reply = self._follow(command)
        replies = [command.reply for command in commands]
        if any(isinstance(reply, FAILURES) and not isinstance(reply, redis.ResponseError) for reply in replies):
            with contextlib.suppress(*FAILURES):  # the next batch fails then
                self._client.nodes_manager.initialize()

    def _follow(self, command: Command) -> Any:
        try:
            return self._client.execute_command(*command.words(set()))
        except FAILURES as error:
            return error

    def close(self) -> None:
        """Close the connections that are not in use."""
        for server in [*self._nodes.values()]:
            server.close()
        self._client.close()


def _exchange(batches: Mapping[Server, Sequence[Command]]) -> None:
    """Send each batch to its server, all of them before any reply is awaited.

    A server runs the commands of a batch in their order, and may have run commands that it did not answer: a lost
    connection loses the replies from there on, and nothing is sent again.
    """
    sent = [(server.send(commands), server, commands) for server, commands in batches.items()]
    for kept, server, commands in sent:
        if kept:
            server.receive(kept, commands)


def _packed(commands: Iterable[Sequence[str | int]]) -> list[bytes]:
    """Return commands as one text of RESP, Redis's protocol; redis-py's packer takes a tenth of a login's CPU."""
    parts = []
    for words in commands:
        texts = [str(word).encode() for word in words]
        parts += [b"*%d\r\n" % len(texts), *(b"$%d\r\n%b\r\n" % (len(text), text) for text in texts)]
    return [b"".join(parts)]


def _reply(connection: Connection) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


def _not_here(reply: Any) -> bool:
    is_error = isinstance(reply, redis.ResponseError)
    return is_error and (isinstance(reply, _NOT_HERE) or _NOT_HERE_WORDS.search(str(reply)) is not None)


def _fail(commands: Sequence[Command], error: Exception) -> None:
    for command in commands:
        command.reply = error
