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
        todo = "set a password there, and in REDIS_PASSWORD, unless only the function can reach it"
        yield warning("redis.password", "none: anyone who can reach this Redis can sign in as any user", todo)
    # One connection even if REDIS_CLUSTER is set: the server itself tells whether it is a cluster.
    client = connect_redis(replace(settings, redis_cluster=False))
    address = f"{settings.redis_host}:{settings.redis_port}"
    try:
        client.ping()
        yield ok("redis", f"answers at {address}")
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
            yield problem(name, _said(error), "look in the server's own log")


def _line(settings: Settings) -> Iterator[Finding]:
    """Report whether the connection is encrypted. Inside a VPC plain text is usual: others cannot listen in."""
    if settings.redis_tls:
        try:
            ssl.create_default_context(cafile=settings.redis_ca_file or None)
        except OSError as error:  # ssl.SSLError among them
            todo = "name a PEM file that exists: docs/deploy.md says how to deploy it"
            yield problem("redis.tls", f"REDIS_CA_FILE cannot be used: {type(error).__name__}", todo)
            return
        whose = "against REDIS_CA_FILE" if settings.redis_ca_file else "against the system's CAs"
        name = {"": settings.redis_host, "*": "any host"}.get(settings.redis_tls_name, settings.redis_tls_name)
        yield ok("redis.tls", f"on, the certificate is verified {whose}, and must name {name}")
        return
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(settings.redis_host, None)]
    except OSError:  # a name that does not resolve: `check` reports it
        return
    if all(ipaddress.ip_address(address.partition("%")[0]).is_private for address in found):
        yield ok("redis.tls", "off, at a private address")
        return
    todo = "set REDIS_TLS=1, or use the instance's address inside the VPC"
    yield warning("redis.tls", "off, at a public address: password and sessions travel in the clear", todo)


def _version(info: dict[str, Any]) -> Iterator[Finding]:
    version = str(info.get("redis_version", ""))
    numbers = tuple(map(int, re.findall(r"[0-9]+", version)))
    if not numbers:
        yield warning("redis.version", "the server does not tell", "check in the console that it is 4.0 or newer")
    elif numbers < _OLDEST:
        yield problem("redis.version", f"{version}: the scripts need 4.0", "upgrade the instance to 4.0 or newer")
    else:
        yield ok("redis.version", version)


def _latency(client: Client) -> Iterator[Finding]:
    times = []
    for _ in range(_PINGS):
        start = time.perf_counter()
        client.ping()
        times.append((time.perf_counter() - start) * 1000)
    median = statistics.median(times)
    found = f"{median:.1f} ms, the median of {_PINGS} PINGs"
    if median > _SLOW:
        yield warning(
            "redis.latency", found, "run function and Redis in one region and zone; from elsewhere, ignore it"
        )
    else:
        yield ok("redis.latency", found)


def _clock(client: Client) -> Iterator[Finding]:
    before = time.time()
    seconds, micros = client.time()
    ours = (before + time.time()) / 2
    skew = ours - (seconds + micros / 1e6)
    if abs(skew) > _SKEW:
        found = f"our clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} Redis's"
        yield warning("redis.clock", found, "check which of them is right: days and tokens go by the function's clock")
    else:
        yield ok("redis.clock", f"differs from ours by {abs(skew):.1f} s")


def _scripts(settings: Settings, info: dict[str, Any]) -> Iterator[Finding]:
    """Reserve from counters of our own, which expire after a second, with the function's own code."""
    if settings.redis_cluster and not int(info.get("cluster_enabled", 1)):
        todo = "set REDIS_CLUSTER=0: TencentDB's cluster edition has a proxy"
        yield problem("redis.cluster", "REDIS_CLUSTER is 1, but this server is not a native cluster", todo)
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
        kind = "native" if settings.redis_cluster else "behind a proxy" if int(info.get("cluster_enabled", 0)) else "no"
        yield ok("redis.cluster", kind)
        yield ok("redis.scripts", "EVALSHA runs our scripts, and they may write")
    elif "MovedError" in lost[0]:
        found = "REDIS_CLUSTER is 0, but this is a native cluster without a proxy"
        yield problem("redis.cluster", found, "set REDIS_CLUSTER=1, or connect to the proxy")
    else:
        yield problem("redis.scripts", redact(lost[0]), refused(lost[0]))


def _said(error: Exception) -> str:
    return redact(f"{type(error).__name__}: {error}")
