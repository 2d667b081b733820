"""Redis's memory: how full it is, and which keys Redis evicts when it is full."""

from collections.abc import Iterator
from typing import Any

import redis

from sms_admin.check.report import Finding, ok, problem, warning
from sms_login.adapters.redis.connections import Client

_FILLING, _FULL = 0.75, 0.95  # shares of maxmemory


def memory(info: dict[str, Any], client: Client, *, users_here: bool) -> Iterator[Finding]:
    """Report the eviction policy and the memory in use. `users_here`: users are kept in Redis."""
    yield _policy(info.get("maxmemory_policy") or _config(client), users_here=users_here)
    used, most = (int(info.get(name) or 0) for name in ("used_memory", "maxmemory"))
    if "used_memory" not in info:
        yield warning("redis.memory", "the server does not tell", "check in the console how full it is")
    elif not most:
        yield ok("redis.memory", f"{_mb(used)} used, no limit set")
    elif used < most * _FILLING:
        yield ok("redis.memory", f"{_mb(used)} of {_mb(most)} used")
    else:
        found, todo = f"{_mb(used)} of {_mb(most)} used", "enlarge the instance: when it is full, logins fail"
        yield (problem if used >= most * _FULL else warning)("redis.memory", found, todo)


def _config(client: Client) -> str:
    try:
        return str(client.config_get("maxmemory-policy").get("maxmemory-policy", ""))
    except redis.ResponseError:  # TencentDB may not allow it
        return ""


def _policy(policy: str, *, users_here: bool) -> Finding:
    todo = "set maxmemory-policy to noeviction (in the console: the instance's parameters)"
    if not policy:
        return warning("redis.eviction", "the server does not tell maxmemory-policy", f"check there, and {todo}")
    if policy == "noeviction":
        return ok("redis.eviction", "noeviction: nothing is dropped")
    if policy.startswith("allkeys-") and users_here:
        return problem("redis.eviction", f"{policy}: when memory is full, users are dropped", todo)
    # Every key but the users' has a TTL, so the volatile policies drop the same.
    return warning("redis.eviction", f"{policy}: when memory is full, codes, limits and sessions are dropped", todo)


def _mb(size: int) -> str:
    return f"{size / 2**20:.0f} MB"
