"""The slots of a cluster go to other nodes while requests come in."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis

from sms_login.adapters.redis.client import RedisCall, RedisClient, connect
from sms_login.adapters.redis.connections import OLDEST
from sms_login.errors import ServiceUnavailable
from tests.testkit.relay import Relay
from tests.testkit.servers import RedisCluster, RedisServer, find_redis_server, require, until

KEYS = ["user:{a}", "user:{b}", "user:{c}", "user:{d}"]  # on all three nodes
BACK = 2.0  # s from the new primary to the first answer


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """A stack of servers and clients to close."""
    require(find_redis_server() is not None, "redis-server")
    with ExitStack() as stack:
        yield stack


def admin_of(stack: ExitStack, node: RedisServer) -> Any:
    """Return a connection to one node of a cluster."""
    return stack.enter_context(redis.Redis(node.host, node.port, protocol=2, decode_responses=True))


def sign_in(client: RedisClient, user_id: str) -> int:
    """Sign a user in at each key, all in one batch, and return how many were refused."""
    calls: list[RedisCall[Any]] = [client.script("sign_in", [key], [user_id, 1, 0], list) for key in KEYS]
    client.send(*calls)
    refused = [call for call in calls if isinstance(call.reply, ServiceUnavailable)]
    assert all(call.answer()[0] == "first" for call in calls if call not in refused)
    return len(refused)


def refused_until_back(client: RedisClient) -> int:
    """Sign in until no user is refused, which must be so in time; return how many batches were not."""
    started = time.monotonic()
    batches = 0
    while sign_in(client, "later"):
        batches += 1
        assert time.monotonic() - started < BACK
    return batches


def add(stack: ExitStack, cluster: RedisCluster) -> Any:
    """Add an empty node, and return a connection to it."""
    cluster.nodes.append(stack.enter_context(cluster.new_node()))
    admin = admin_of(stack, cluster.nodes[-1])
    admin.execute_command("CLUSTER MEET", *address(cluster.nodes[0]))
    return admin


def is_complete(admin: Any) -> bool:
    """Return whether a node serves, and knows all five."""
    info = admin.execute_command("CLUSTER INFO")
    return (info["cluster_state"], info["cluster_known_nodes"]) == ("ok", "5")


def address(node: RedisServer) -> tuple[str, int]:
    """Return host and port of a node."""
    return node.host, node.port


def test_a_slot_is_followed_to_other_nodes(stack: ExitStack) -> None:
    """While one moves, and after a failover that the old primary survives, nothing fails; after a death, one batch."""
    cluster = stack.enter_context(RedisCluster())
    client = RedisClient(lambda: connect("127.0.0.1", cluster.port, cluster=True))
    stack.callback(client.close)
    assert sign_in(client, "first") == 0
    first, _, last = [admin_of(stack, node) for node in cluster.nodes]

    # A new node, which the client has never heard of, takes a slot of the first one.
    new, replica = add(stack, cluster), add(stack, cluster)
    admins = [admin_of(stack, node) for node in cluster.nodes]
    until(lambda: all(map(is_complete, admins)), 20)
    new_id = new.execute_command("CLUSTER MYID")
    slot = first.execute_command("CLUSTER KEYSLOT", "user:{b}")
    new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", first.execute_command("CLUSTER MYID"))
    first.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", new_id)
    first.execute_command("MIGRATE", *address(cluster.nodes[3]), "user:{b}", 0, 5000)
    assert sign_in(client, "later") == 0
    for admin in (new, first):
        admin.execute_command("CLUSTER SETSLOT", slot, "NODE", new_id)
    assert sign_in(client, "later") == 0

    # A replica takes over from the last one, which lives on, and then takes over from its replica, which has died.
    replica.execute_command("CLUSTER REPLICATE", last.execute_command("CLUSTER MYID"))
    until(lambda: is_in_sync(replica), 10)
    replica.execute_command("CLUSTER FAILOVER", "TAKEOVER")
    until(lambda: is_in_sync(last), 10)
    assert sign_in(client, "later") == 0
    cluster.nodes[4].kill()
    last.execute_command("CLUSTER FAILOVER", "TAKEOVER")
    assert refused_until_back(client) >= 1


def is_in_sync(admin: Any) -> bool:
    """Return whether a node is a replica that has all its primary's data."""
    return bool(admin.info("replication").get("master_link_status") == "up")


def test_a_cluster_whose_nodes_were_all_replaced_is_found_by_its_address(
    stack: ExitStack, redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the old nodes still serve, answer that they serve no slot, or are gone."""
    old = stack.enter_context(RedisCluster())
    relay = Relay(old.port)
    stack.callback(relay.close)
    clients = [RedisClient(lambda: connect("127.0.0.1", relay.port, cluster=True)) for _ in range(3)]
    for client in clients:
        stack.callback(client.close)
        assert sign_in(client, "first") == 0
    admins = {cluster: [admin_of(stack, node) for node in cluster.nodes] for cluster in (old, redis_cluster)}
    for admin in admins[redis_cluster]:
        admin.flushall()
    relay.target = redis_cluster.port
    assert sign_in(clients[0], "first") == 0
    assert not any(admin.dbsize() for admin in admins[redis_cluster])
    later = time.monotonic() + OLDEST + 1
    with monkeypatch.context() as patch:
        patch.setattr("sms_login.adapters.redis.cluster.time.monotonic", lambda: later)
        assert sign_in(clients[0], "first") == 0
    assert sum(admin.dbsize() for admin in admins[redis_cluster]) == len(KEYS)

    for admin in admins[old]:
        admin.flushall()
        admin.execute_command("CLUSTER RESET", "HARD")
    assert refused_until_back(clients[1]) == 1
    for node in old.nodes:
        node.kill()
    assert refused_until_back(clients[2]) == 1
