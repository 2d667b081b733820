"""The user records in Redis, found by SCAN: on a cluster one node after the other."""

import re
from collections.abc import Sequence
from typing import Any

import redis

from sms_admin.failures import Failed
from sms_admin.operations import cursor_of
from sms_admin.place import Place
from sms_login.errors import ServiceUnavailable
from sms_login.phone import Phone
from sms_login.users import User

_PAGE = 250  # users that end a page
_SCANS = 10  # that end a page too, so that it ends soon if few keys are users
_COUNT = 500  # keys that one SCAN looks at, some 0.3 ms of Redis's time; a page has fewer users than _PAGE + _COUNT
_KEY = re.compile(r"user:\{(\+[0-9]{6,15})\}")


def page(place: Place, cursor: Any, number: str) -> tuple[Sequence[User], Any]:
    """Return some users whose number begins with `number`, and the cursor of the next ones. See `records.page`."""
    phones = dict[Phone, None]()
    for _ in range(_SCANS):
        cursor, keys = scan(place, cursor, f"user:{{{number or '+'}*")
        phones |= dict.fromkeys(Phone.from_e164(match[1]) for key in keys if (match := _KEY.fullmatch(key)))
        if cursor is None or len(phones) >= _PAGE:
            break
    finding = [place.users.find(phone) for phone in phones]
    place.redis.send(*finding)
    return [user for call in finding if (user := call.answer())], cursor


def scan(place: Place, cursor: Any, pattern: str) -> tuple[Any, Sequence[str]]:
    """Return the cursor of the next keys, and some keys: a cursor is a node with its own, None after the last node.

    Raises ServiceUnavailable, and Failed if the nodes have changed.
    """
    client = place.redis_py
    try:
        nodes = sorted(node.name for node in client.get_primaries()) if place.settings.redis_cluster else [""]
        node, at = cursor_of(cursor, tuple[str, int]) if cursor else (nodes[0], 0)
        if node not in nodes:
            raise _moved()
        server = client.get_redis_connection(client.get_node(node_name=node)) if node else client
        at, keys = server.scan(at, match=pattern, count=_COUNT)
    except (redis.RedisError, redis.exceptions.RedisClusterException) as error:
        if "invalid cursor" in str(error):  # TencentDB's proxy (239/121387)
            raise _moved() from None
        raise ServiceUnavailable(f"redis: {type(error).__name__}: {error}") from error
    later = nodes[nodes.index(node) + 1 :]
    return (node, at) if at else (later[0], 0) if later else None, keys


def _moved() -> Failed:
    return Failed("the nodes of Redis have changed meanwhile: begin again", "Redis 的节点已变化，请重新开始")
