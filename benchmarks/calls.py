"""getSms and login one call after another, beside a floor: on loopback, and with a network in front of Redis."""

from collections.abc import Sequence
from statistics import median

from benchmarks.callers import OTHERS, SERVERS, Caller, Round, callers, pinned
from benchmarks.cloud import Cloud
from benchmarks.sms_sink import SmsSink
from benchmarks.tables import Ratio, Table
from benchmarks.wire import Wire
from tests.testkit.servers import RedisServer

ROUNDS = 15
CALLS = 100  # in a round
DELAY = 0.001  # s
LEAST = {"getSms": 0.55, "login": 0.28}  # of the floor's calls a second
LEAST_DELAYED = {"getSms": 0.45, "login": 0.42}
MOST_CPU = {"getSms": 1_800, "login": 750}  # us

HOW = f"""\
Calls a second of the function as a share of a floor's: redis-py sends one script for each call, requests posts the SMS,
PyJWT signs a token (HS256), and nothing else. {ROUNDS} rounds of {CALLS} calls, one after another, of each in turn;
median of the rounds' ratios, smallest and largest. Every caller is a process of Python 3.10 with the packages of a
build, on one core, with the servers on the others. SendSms answers at once, unchecked; the log goes to /dev/null. CPU
is that of the caller's process, all threads. A relay holds each request to Redis back for {DELAY * 1000:.0f} ms in the
rows that say so."""

Rounds = dict[str, dict[str, list[Round]]]  # by caller and method


def measure(cloud: Cloud) -> Table:
    """Measure both methods of each caller."""
    table = Table("One call after another", HOW, ("", "ours / theirs", "calls/s", "CPU, us"))
    with pinned(SERVERS), RedisServer() as redis, SmsSink() as sink:
        rounds = _measure(cloud, sink, redis.port)
        with Wire(redis.port, delay=DELAY) as wire:
            delayed = _measure(cloud, sink, wire.port)
    for method, least in LEAST.items():
        _add(table, rounds, method, "floor", f"{method} / the floor", least)
        for other, name in OTHERS.items():
            if other in rounds:
                _add(table, rounds, method, other, f"{method} / {name}")
        us = median(one.cpu for one in rounds["function"][method]) * 1e6
        most = MOST_CPU[method]
        table.add(f"{method}, CPU", "", "", f"{us:.0f}", target=f"<= {most} us", met=us <= most)
    for method, least in LEAST_DELAYED.items():
        _add(table, delayed, method, "floor", f"{method} / the floor, {DELAY * 1000:.0f} ms from Redis", least)
    return table


def _measure(cloud: Cloud, sink: SmsSink, redis_port: int) -> Rounds:
    with callers(cloud, sink, redis_port) as them:
        rounds: Rounds = {name: {"getSms": [], "login": []} for name in them}
        for i in range(-1, ROUNDS):  # an extra round imports, connects and loads the scripts
            for name in them if i % 2 else reversed(them):
                costs = sign_ins(cloud, them[name], CALLS)
                if i >= 0:
                    for method, cost in costs.items():
                        rounds[name][method].append(cost)
    return rounds


def sign_ins(cloud: Cloud, caller: Caller, count: int) -> dict[str, Round]:
    """Have codes sent to new numbers, then log in with them; return the cost of each method."""
    return {"getSms": caller.get_sms([cloud.new_phone() for _ in range(count)]), "login": caller.login()}


def _add(table: Table, rounds: Rounds, method: str, other: str, name: str, least: float | None = None) -> None:
    ours, theirs = rounds["function"][method], rounds[other][method]
    ratio = Ratio(_walls(theirs), _walls(ours))  # of calls a second
    per_second = " : ".join(f"{1 / median(_walls(them)):.0f}" for them in (ours, theirs))
    cpu = " : ".join(f"{median(one.cpu for one in them) * 1e6:.0f}" for them in (ours, theirs))
    met = least is None or ratio.median >= least
    table.add(name, str(ratio), per_second, cpu, target=f">= {least}x" if least else "", met=met)


def _walls(rounds: Sequence[Round]) -> list[float]:
    return [one.wall for one in rounds]
