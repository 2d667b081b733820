"""The cost of a login for Redis: its CPU, and whether a login becomes slower with more users or more processes."""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import mean
from typing import Any

import redis

from benchmarks.callers import OTHERS, SERVERS, Caller, callers, functions, pinned
from benchmarks.calls import sign_ins
from benchmarks.cloud import Cloud, call
from benchmarks.sms_sink import SmsSink
from benchmarks.tables import Ratio, Table
from tests.testkit.servers import RedisServer

LOGINS = 500
MOST_US = 600
FEW, MANY = 1_000, 1_000_000  # users
PROCESSES = (1, 2, 4)
ROUNDS = 15
CALLS = 40  # in a round
MOST_GROWTH = 1.1

HOW = f"""\
A login is a getSms and a login of a new number. Redis's CPU is that of its process (INFO cpu) over {LOGINS} of them,
one after another; INFO commandstats counts its scripts and its commands, also those inside of scripts. For the other
rows {ROUNDS} rounds of {CALLS} logins, with each in turn: the CPU of a login, in the function's processes and in Redis,
with several processes at once on one core and with one. The floor's processes (see above) share the core in the same
way, and the machine makes both dearer. Last, the time of a login by the clock with {MANY:,} users in one Redis and with
{FEW:,} in another."""
AT_ONCE = 10_000  # copies that one script makes
COPY = """
-- Copy a key of a number for others.
--
-- KEYS  1 the key
-- ARGV  1 the number   2 the first of the others, without its +   3 how many
local contents = redis.call('DUMP', KEYS[1])
local at = string.find(KEYS[1], ARGV[1], 1, true)
local before, after = string.sub(KEYS[1], 1, at), string.sub(KEYS[1], at + #ARGV[1])
for number = tonumber(ARGV[2]), ARGV[2] + ARGV[3] - 1 do
  redis.call('RESTORE', before .. string.format('%.0f', number) .. after, 0, contents)
end
"""


def measure(cloud: Cloud) -> Table:
    """Measure all of these."""
    table = Table("Redis's share", HOW, ("", "measured", "scripts", "commands"))
    with pinned(SERVERS), SmsSink() as sink:
        _cpu(cloud, sink, table)
        _processes(cloud, sink, table)
        _users(cloud, sink, table)
    return table


def _cpu(cloud: Cloud, sink: SmsSink, table: Table) -> None:
    """Add Redis's CPU per login, with each caller."""
    titles = {"function": "Redis's CPU per login, us"} | {other: f"  with {title}" for other, title in OTHERS.items()}
    with RedisServer() as server, callers(cloud, sink, server.port) as them, _client(server) as client:
        for name, title in titles.items():
            if name not in them:
                continue
            sign_ins(cloud, them[name], LOGINS // 10)
            before = _spent(client)
            sign_ins(cloud, them[name], LOGINS)
            us, scripts, inside = ((now - then) / LOGINS for now, then in zip(_spent(client), before, strict=True))
            most = MOST_US if name == "function" else None
            target, met = (f"<= {most}", us <= most) if most else ("", True)
            table.add(title, f"{us:.0f}", f"{scripts:.1f}", f"{inside:.1f}", target=target, met=met)


def _spent(client: redis.Redis) -> tuple[float, int, int]:
    """Return microseconds of CPU, scripts and the commands inside them, all since Redis started."""
    cpu: Any = client.info("cpu")
    stats: Any = client.info("commandstats")
    scripts = sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "evalsha"))
    commands = sum(stat["calls"] for stat in stats.values())
    return (cpu["used_cpu_user"] + cpu["used_cpu_sys"]) * 1e6, scripts, commands - scripts


def _processes(cloud: Cloud, sink: SmsSink, table: Table) -> None:
    """Add the CPU of a login with several processes at once, beside the floor, whose processes share a core as ours."""
    cpu: dict[tuple[str, int], list[float]] = defaultdict(list)  # of ours, the floor's and Redis's
    most = max(PROCESSES)
    with (
        RedisServer() as server,
        _client(server) as client,
        ThreadPoolExecutor(most) as threads,
        functions(cloud, sink, *[server.port] * most) as ours,
        functions(cloud, sink, *[server.port] * most, floor=True) as floor,
    ):
        for i in range(-1, ROUNDS):
            for count in PROCESSES if i % 2 else PROCESSES[::-1]:
                before = _spent(client)[0]
                of_ours = _cpu_of(cloud, threads, ours[:count])
                of_redis = (_spent(client)[0] - before) / (count * CALLS)
                of_floor = _cpu_of(cloud, threads, floor[:count])
                if i >= 0:
                    for name, spent in (("ours", of_ours), ("Redis", of_redis), ("floor", of_floor)):
                        cpu[name, count].append(spent)
    for count in PROCESSES[1:]:
        ratio = {name: Ratio(cpu[name, count], cpu[name, 1]) for name in ("ours", "floor")}
        beside = [one * few for one, few in zip(cpu["ours", count], cpu["floor", 1], strict=True)]
        growth = Ratio(beside, [one * few for one, few in zip(cpu["floor", count], cpu["ours", 1], strict=True)])
        table.add(f"CPU per login, {count} processes / 1", str(ratio["ours"]), "", "")
        table.add("  the floor's", str(ratio["floor"]), "", "")
        _flat(table, "  ours / the floor's", growth)
    for count in PROCESSES[1:]:
        _flat(table, f"Redis's CPU per login, {count} processes / 1", Ratio(cpu["Redis", count], cpu["Redis", 1]))


def _cpu_of(cloud: Cloud, threads: ThreadPoolExecutor, callers: Sequence[Caller]) -> float:
    """Return the CPU seconds of a login if all callers sign in at once."""
    rounds = threads.map(lambda one: sign_ins(cloud, one, CALLS), callers)
    return mean(sum(cost.cpu for cost in costs.values()) for costs in rounds)


def _users(cloud: Cloud, sink: SmsSink, table: Table) -> None:
    """Add the time of a login with few and with many users in Redis."""
    walls: dict[int, list[float]] = {FEW: [], MANY: []}
    with RedisServer() as few, RedisServer() as many:
        for server, users in ((few, FEW), (many, MANY)):
            _fill(cloud, server, users)
        with functions(cloud, sink, few.port, many.port) as them:
            for i in range(-1, ROUNDS):
                pairs = list(zip(walls, them, strict=True))
                for users, one in pairs if i % 2 else reversed(pairs):
                    costs = sign_ins(cloud, one, CALLS)
                    if i >= 0:
                        walls[users].append(sum(cost.wall for cost in costs.values()))
    _flat(table, f"login, {MANY:,} users in Redis / {FEW:,}", Ratio(walls[MANY], walls[FEW]))


def _fill(cloud: Cloud, server: RedisServer, users: int) -> None:
    """Sign a user in, then copy what Redis keeps for good, with other numbers in the keys."""
    app, phone = cloud.app(REDIS_PORT=str(server.port)), cloud.new_phone()
    call(app, cloud.send(app, phone))
    with _client(server) as client:
        copy = client.register_script(COPY)
        for key in [key for key in client.scan_iter(f"*{phone}*") if client.pttl(key) == -1]:
            for first in range(0, users, AT_ONCE):
                copy([key], [phone, 8613900000000 + first, min(AT_ONCE, users)])


def _client(server: RedisServer) -> redis.Redis:
    return redis.Redis(server.host, server.port, protocol=2)


def _flat(table: Table, name: str, ratio: Ratio) -> None:
    table.add(name, str(ratio), "", "", target=f"<= {MOST_GROWTH}x", met=ratio.median <= MOST_GROWTH)
