"""Redis: whether it can be reached and meets the function's needs."""

import ipaddress
import re
import secrets
import socket
import ssl
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import redis
from msgspec.structs import replace

from sms_admin.check.redis_errors import refused, unreachable
from sms_admin.check.redis_memory import memory
from sms_admin.check.report import Finding, ok, problem, warning
from sms_admin.language import tr
from sms_login.adapters.redis.client import RedisClient
from sms_login.adapters.redis.connections import Client
from sms_login.adapters.redis.limits import RedisLimits
from sms_login.limits.store import Subject, Verdict, Window, verdict
from sms_login.logs import redact
from sms_login.settings.settings import Settings
from sms_login.wiring import connect_redis

_OLDEST = (4, 0)
_PINGS = 11
_SLOW = 5.0  # ms; a login takes a handful of round trips
_SKEW = 5.0  # s
_SUBJECTS = 6  # keys to try a script on: in a cluster of three nodes, they are hardly ever all on one node


def check(settings: Settings) -> Iterator[Finding]:
    """Check Redis: transport, password, and if it answers, version, latency, memory, clock and scripts."""
    yield from _line(settings)
    if not settings.redis_password:
        found = tr(
            "none: anyone who can reach this Redis can sign in as any user",
            "没有：任何能访问此 Redis 的人都可以冒充任何用户登录",
        )
        todo = tr(
            "set a password there, and in REDIS_PASSWORD, unless only the function can reach it",
            "请在实例和 REDIS_PASSWORD 中设置密码，除非只有函数能访问它",
        )
        yield warning("redis.password", found, todo)
    # One connection even if REDIS_CLUSTER is set: the server itself tells whether it is a cluster.
    client = connect_redis(replace(settings, redis_cluster=False))
    address = f"{settings.redis_host}:{settings.redis_port}"
    try:
        client.ping()
        yield ok("redis", tr(f"answers at {address}", f"{address} 有应答"))
        yield from _each_by_itself(settings, client)
    except redis.RedisError as error:
        yield problem("redis", f"{address}: {_said(error)}", unreachable(settings, error))
    finally:
        client.close()


def _each_by_itself(settings: Settings, client: Client) -> Iterator[Finding]:
    try:
        info = client.info()
    except redis.ResponseError:
        info = {}
    steps: dict[str, Callable[[], Iterator[Finding]]] = {
        "redis.version": partial(_version, info),
        "redis.latency": partial(_latency, client),
        "redis.memory": partial(memory, info, client, users_here=not settings.users_url),
        "redis.clock": partial(_clock, client),
        "redis.scripts": partial(_scripts, settings, info),
    }
    for name, step in steps.items():
        try:
            yield from step()
        except redis.RedisError as error:  # noqa: PERF203 - five steps, and one that fails must not stop the others
            yield problem(name, _said(error), tr("look in the server's own log", "请查看服务器自己的日志"))


def _line(settings: Settings) -> Iterator[Finding]:
    """Report whether the connection is encrypted. Inside a VPC plain text is usual: others cannot listen in."""
    if settings.redis_tls:
        try:
            ssl.create_default_context(cafile=settings.redis_ca_file or None)
        except OSError as error:  # ssl.SSLError among them
            why = type(error).__name__
            found = tr(f"REDIS_CA_FILE cannot be used: {why}", f"REDIS_CA_FILE 无法使用：{why}")
            todo = tr(
                "name a PEM file that exists: docs/deploy.md says how to deploy it",
                "请指定存在的 PEM 文件；部署方法见 docs/deploy.md",
            )
            yield problem("redis.tls", found, todo)
            return
        whose = "REDIS_CA_FILE" if settings.redis_ca_file else tr("the system's CAs", "系统的 CA")
        names = {"": settings.redis_host, "*": tr("any host", "任意主机")}
        name = names.get(settings.redis_tls_name, settings.redis_tls_name)
        found = tr(
            f"on, the certificate is verified against {whose}, and must name {name}",
            f"已启用，按{whose}校验证书，证书须含 {name}",
        )
        yield ok("redis.tls", found)
        return
    try:
        addresses = [str(entry[4][0]) for entry in socket.getaddrinfo(settings.redis_host, None)]
    except OSError:  # a name that does not resolve: `check` reports it
        return
    if all(ipaddress.ip_address(address.partition("%")[0]).is_private for address in addresses):
        yield ok("redis.tls", tr("off, at a private address", "未启用，地址为内网地址"))
        return
    found = tr(
        "off, at a public address: password and sessions travel in the clear",
        "未启用，而地址为公网地址：密码和会话以明文传输",
    )
    todo = tr(
        "set REDIS_TLS=1, or use the instance's address inside the VPC", "请设置 REDIS_TLS=1，或使用实例的内网地址"
    )
    yield warning("redis.tls", found, todo)


def _version(info: dict[str, Any]) -> Iterator[Finding]:
    version = str(info.get("redis_version", ""))
    numbers = tuple(map(int, re.findall(r"[0-9]+", version)))
    if not numbers:
        todo = tr("check in the console that it is 4.0 or newer", "请在控制台确认版本不低于 4.0")
        yield warning("redis.version", tr("the server does not tell", "服务器没有告知"), todo)
    elif numbers < _OLDEST:
        found = tr(f"{version}: the scripts need 4.0", f"{version}：脚本需要 4.0")
        yield problem("redis.version", found, tr("upgrade the instance to 4.0 or newer", "请将实例升级到 4.0 或更新"))
    else:
        yield ok("redis.version", version)


def _latency(client: Client) -> Iterator[Finding]:
    times = []
    for _ in range(_PINGS):
        start = time.perf_counter()
        client.ping()
        times.append((time.perf_counter() - start) * 1000)
    median = statistics.median(times)
    found = tr(f"{median:.1f} ms, the median of {_PINGS} PINGs", f"{median:.1f} 毫秒（{_PINGS} 次 PING 的中位数）")
    if median > _SLOW:
        todo = tr(
            "run function and Redis in one region and zone; from elsewhere, ignore it",
            "函数与 Redis 应在同一地域和可用区；若从别处检查，可忽略",
        )
        yield warning("redis.latency", found, todo)
    else:
        yield ok("redis.latency", found)


def _clock(client: Client) -> Iterator[Finding]:
    before = time.time()
    seconds, micros = client.time()
    ours = (before + time.time()) / 2
    skew = ours - (seconds + micros / 1e6)
    if abs(skew) > _SKEW:
        found = tr(
            f"our clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} Redis's",
            f"本机时钟比 Redis {'快' if skew > 0 else '慢'} {abs(skew):.0f} 秒",
        )
        todo = tr(
            "check which of them is right: days and tokens go by the function's clock",
            "请核对哪个正确：日期和令牌以函数的时钟为准",
        )
        yield warning("redis.clock", found, todo)
    else:
        yield ok("redis.clock", tr(f"differs from ours by {abs(skew):.1f} s", f"与本机相差 {abs(skew):.1f} 秒"))


def _scripts(settings: Settings, info: dict[str, Any]) -> Iterator[Finding]:
    """Reserve from counters of our own, which expire after a second, with the function's own code."""
    if settings.redis_cluster and not int(info.get("cluster_enabled", 1)):
        found = tr(
            "REDIS_CLUSTER is 1, but this server is not a native cluster",
            "REDIS_CLUSTER 为 1，但此服务器不是原生集群",
        )
        todo = tr(
            "set REDIS_CLUSTER=0: TencentDB's cluster edition has a proxy",
            "请设置 REDIS_CLUSTER=0：云数据库的集群版自带代理",
        )
        yield problem("redis.cluster", found, todo)
        return
    window = Window("check", limit=None, left_ms=1000)
    takes = [Subject(f"check-{secrets.token_hex(8)}", [window]) for _ in range(_SUBJECTS)]
    client = RedisClient(partial(connect_redis, settings))
    budgets = RedisLimits(client)
    reserving = [budgets.reserve(take) for take in takes]
    client.send(*reserving)
    lost = [taken.detail for taken in map(verdict, reserving) if taken.verdict is Verdict.NO_ANSWER]
    if not lost:
        client.send(*budgets.refund(*(take.counted() for take in takes)))
        proxied = int(info.get("cluster_enabled", 0))
        kind = tr("behind a proxy", "在代理之后") if proxied else tr("no", "否")
        yield ok("redis.cluster", tr("native", "原生集群") if settings.redis_cluster else kind)
        found = tr("EVALSHA runs our scripts, and they may write", "EVALSHA 可执行脚本，脚本可写入")
        yield ok("redis.scripts", found)
    elif "MovedError" in lost[0]:
        found = tr(
            "REDIS_CLUSTER is 0, but this is a native cluster without a proxy",
            "REDIS_CLUSTER 为 0，但这是没有代理的原生集群",
        )
        todo = tr("set REDIS_CLUSTER=1, or connect to the proxy", "请设置 REDIS_CLUSTER=1，或连接代理")
        yield problem("redis.cluster", found, todo)
    else:
        yield problem("redis.scripts", redact(lost[0]), refused(lost[0]))


def _said(error: Exception) -> str:
    return redact(f"{type(error).__name__}: {error}")
