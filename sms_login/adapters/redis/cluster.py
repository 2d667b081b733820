"""A Redis Cluster: a batch for each of its nodes, and commands that follow a slot that has moved."""

import contextlib
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import redis
from redis.cluster import ClusterNode

from sms_login.adapters.redis.connections import ELSEWHERE, FAILURES, OLDEST, Client, Command, Server, exchange

_HOPS = 16  # nodes at most that a command is sent on to
_PAUSE = 0.02  # s while the keys of a command move


class Cluster:
    """The nodes of a Redis Cluster, as redis-py's client of a cluster knows them, which `connect` makes.

    Like a connection, no client is kept for longer than OLDEST: nodes that were replaced may live on and serve.
    """

    def __init__(self, client: Client, connect: Callable[[], Client]) -> None:
        self._client = client
        self._connect = connect
        self._made = time.monotonic()
        self._nodes: dict[str, Server] = {}

    def exchange(self, commands: Sequence[Command]) -> None:
        """Send a batch to each node, all of them before any reply is awaited; each command then has its reply.

        A command whose slot has moved was not run, and follows it alone. After a failure the slots are learned anew.
        """
        if time.monotonic() - self._made > OLDEST:
            self._renew()
        batches: dict[Server, list[Command]] = {}
        for command in commands:
            batches.setdefault(self._server(self._client.get_node_from_key(command.keys[0])), []).append(command)
        exchange(batches)
        for command in commands:
            self._follow(command)
        replies = [command.reply for command in commands]
        if any(isinstance(reply, redis.exceptions.ClusterDownError) for reply in replies):
            self._renew()  # the nodes that we know may have been replaced
        elif any(isinstance(reply, FAILURES) and not isinstance(reply, redis.ResponseError) for reply in replies):
            try:
                self._client.nodes_manager.initialize()
            except FAILURES:
                self._renew()

    def _renew(self) -> None:
        """Learn the nodes from the configured address; if it does not answer, go on with those that we know."""
        self._made = time.monotonic()  # at once, since other threads go on meanwhile
        with contextlib.suppress(*FAILURES):
            self._client = self._connect()

    def _server(self, node: ClusterNode) -> Server:
        known = self._nodes.get(node.name)
        return known or self._nodes.setdefault(node.name, Server(self._client.get_redis_connection(node)))

    def _follow(self, command: Command) -> None:
        """Send a command on as long as nodes say that they have not run it, since its slot moves or has moved.

        ASK may name a new node that no slot names yet; TRYAGAIN says that only some of the keys have moved.
        """
        for _ in range(_HOPS):
            error = command.reply
            if not isinstance(error, ELSEWHERE):
                return
            if isinstance(error, redis.exceptions.MovedError):
                self._client.nodes_manager.move_slot(error)
            elif isinstance(error, redis.exceptions.AskError):
                node = ClusterNode(error.host, error.port)  # type: ignore[no-untyped-call] # redis-py has no types here
                asking: Any = SimpleNamespace(words=lambda _: ("ASKING",))  # the node runs the next command
                exchange({self._server(node): [asking, command]})
                continue
            else:
                time.sleep(_PAUSE)
            exchange({self._server(self._client.get_node_from_key(command.keys[0])): [command]})

    def close(self) -> None:
        """Close the connections that are not in use."""
        for server in [*self._nodes.values()]:
            server.close()
        self._client.close()
