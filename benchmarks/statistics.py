"""Statistics: the cost of counting for a login, and the memory of a day of counts in Redis."""

from collections.abc import Sequence
from contextlib import closing
from statistics import median
from time import perf_counter, thread_time
from unittest.mock import patch

import redis

from benchmarks.cloud import CONTEXT, Cloud, Event, check
from benchmarks.tables import Ratio, Table
from sms_login.adapters.redis import statistics
from sms_login.adapters.redis.client import RedisClient, connect
from sms_login.adapters.redis.statistics import RedisStatistics, stats_key
from sms_login.statistics import Statistics
from sms_login.wiring import Handler

ROUNDS = 200
CALLS = 6  # in a round: few, so that both meet the same noise of the machine
MOST = 1.03
# All counts that a busy hour of one country has.
NAMES = [
    *("asked", "sent", "fee", "repeated", "captcha", "voice", "delivered", "wrong", "signed_up"),
    *(f"refused:{name}" for name in ("TooManyRequests", "CaptchaRequired", "SendFailed", "SendUnknown", "Locked")),
    *(f"failed:{name}" for name in ("unreachable", "noSuchNumber", "blocked", "limited", "rejected", "carrier")),
    *(f"verified:{name}" for name in ("login", "deleteAccount", "changePhone", "resetPassword", "pay")),
    *(f"seconds:{most}" for most in (5, 10, 20, 30, 60, 120, 300, 600)),
]

HOW = f"""\
Logins of new users at two handlers in turn, with STATISTICS and without. {ROUNDS} rounds of {CALLS}, one after another;
a round gives the ratio of its means: their median, smallest and largest. Judged by the function's CPU, since a
round is too short for a busy machine's clock. A busy instance writes its counts twice a
second at most; an idle one with each round trip, as the second row makes it do. Redis: MEMORY USAGE of the
keys of 24 hours, each with all {len(NAMES)} counts of each country, in the thousands."""


def measure(cloud: Cloud) -> Table:
    """Measure both."""
    table = Table("Statistics", HOW, ("", "CPU", "CPU, us", "clock", "clock, us"))
    for name, period, most in (("with / without", statistics._IN, MOST), ("  each writes", 0.0, None)):  # noqa: SLF001 - the period is no setting
        with patch.object(statistics, "_IN", period):
            cells = _logins(cloud)
        met = most is None or Ratio(*cells[0]).median <= most
        table.add(
            f"login, {name.strip()}",
            *(
                text
                for pair in cells
                for text in (str(Ratio(*pair)), " : ".join(f"{median(us) * 1e6:.0f}" for us in pair))
            ),
            target=f"<= {most}x" if most else "",
            met=met,
        )
    with closing(redis.Redis(port=cloud.redis.port, protocol=2)) as client:
        for countries in (1, 10):
            size = _bytes_of_a_day(client, cloud.redis.port, countries)
            table.add(f"Redis, KiB a day, by countries: {countries}", f"{size / 1024:.0f}", "", "", "")
    return table


def _logins(cloud: Cloud) -> Sequence[Sequence[list[float]]]:
    """Return the means of each round, by CPU and by clock, with statistics and without."""
    sender, apps = cloud.app(STATISTICS="off"), (cloud.app(), cloud.app(STATISTICS="off"))
    cpu: Sequence[list[float]] = ([], [])
    clock: Sequence[list[float]] = ([], [])
    for i in range(-1, ROUNDS):  # an extra round connects and loads the scripts
        for which in (0, 1) if i % 2 else (1, 0):
            costs = _mean(apps[which], [cloud.send(sender, cloud.new_phone()) for _ in range(CALLS)])
            if i >= 0:
                cpu[which].append(costs[0])
                clock[which].append(costs[1])
    return cpu, clock


def _mean(app: Handler, logins: Sequence[Event]) -> tuple[float, float]:
    started = thread_time(), perf_counter()
    answers = [app.handle(login, CONTEXT) for login in logins]
    costs = (thread_time() - started[0]) / len(logins), (perf_counter() - started[1]) / len(logins)
    for answer in answers:
        check(answer)
    return costs


def _bytes_of_a_day(client: redis.Redis, port: int, countries: int) -> int:
    counts = Statistics(None, on=True)
    store = RedisStatistics(redis_client := RedisClient(lambda: connect("127.0.0.1", port)), counts)
    keys = [stats_key(f"{hour}") for hour in range(24)]
    client.delete(*keys)
    for hour in range(24):
        with patch("time.time", lambda hour=hour: hour * 3600.0), patch.object(statistics, "_IN", 0.0):
            for i in range(countries):
                counts.count(f"{chr(65 + i)}A", dict.fromkeys(NAMES, 1234))
            redis_client.send(*store.riders())
    redis_client.close()
    return sum(int(client.memory_usage(key) or 0) for key in keys)
