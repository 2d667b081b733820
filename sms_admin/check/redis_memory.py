"""Redis's memory: how full it is, and which keys Redis evicts when it is full."""

from collections.abc import Iterator
from typing import Any

import redis

from sms_admin.check.report import Finding, ok, problem, warning
from sms_admin.language import tr
from sms_login.adapters.redis.connections import Client

_FILLING, _FULL = 0.75, 0.95  # shares of maxmemory


def memory(info: dict[str, Any], client: Client, *, users_here: bool) -> Iterator[Finding]:
    """Report the eviction policy and the memory in use. `users_here`: users are kept in Redis."""
    yield _policy(info.get("maxmemory_policy") or _config(client), users_here=users_here)
    used, most = (int(info.get(name) or 0) for name in ("used_memory", "maxmemory"))
    if "used_memory" not in info:
        todo = tr("check in the console how full it is", "请在控制台查看用量")
        yield warning("redis.memory", tr("the server does not tell", "服务器没有告知"), todo)
        return
    if not most:
        yield ok("redis.memory", tr(f"{_mb(used)} used, no limit set", f"已用 {_mb(used)}，没有上限"))
        return
    found = tr(f"{_mb(used)} of {_mb(most)} used", f"已用 {_mb(used)}，共 {_mb(most)}")
    if used < most * _FILLING:
        yield ok("redis.memory", found)
    else:
        todo = tr("enlarge the instance: when it is full, logins fail", "请扩容实例：内存用满后登录会失败")
        yield (problem if used >= most * _FULL else warning)("redis.memory", found, todo)


def _config(client: Client) -> str:
    try:
        return str(client.config_get("maxmemory-policy").get("maxmemory-policy", ""))
    except redis.ResponseError:  # TencentDB may not allow it
        return ""


def _policy(policy: str, *, users_here: bool) -> Finding:
    todo = tr(
        "set maxmemory-policy to noeviction (in the console: the instance's parameters)",
        "请将 maxmemory-policy 设为 noeviction（控制台的实例参数）",
    )
    if not policy:
        found = tr("the server does not tell maxmemory-policy", "服务器没有告知 maxmemory-policy")
        return warning("redis.eviction", found, tr(f"check there, and {todo}", f"请先查看它；如有必要，{todo}"))
    if policy == "noeviction":
        return ok("redis.eviction", tr("noeviction: nothing is dropped", "noeviction：不会丢弃任何数据"))
    if policy.startswith("allkeys-") and users_here:
        found = tr(f"{policy}: when memory is full, users are dropped", f"{policy}：内存用满时会丢弃用户")
        return problem("redis.eviction", found, todo)
    # Every key but the users' has a TTL, so the volatile policies drop the same.
    found = tr(
        f"{policy}: when memory is full, codes, limits and sessions are dropped",
        f"{policy}：内存用满时会丢弃验证码、限额和会话",
    )
    return warning("redis.eviction", found, todo)


def _mb(size: int) -> str:
    return f"{size / 2**20:.0f} MB"
