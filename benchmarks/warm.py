"""A login on a warm instance, compared with redis-py sending the same requests."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from statistics import median
from time import perf_counter

import redis

from benchmarks.cloud import CONTEXT, Cloud, Event, call, check
from benchmarks.tables import Ratio, Table
from benchmarks.wire import Request, Wire
from sms_login.adapters.redis.client import connect
from sms_login.adapters.redis.connections import Client
from sms_login.phone import Phone
from sms_login.wiring import Handler

ROUNDS = 20
LOGINS = 40  # in a round
MOST = 1.6

HOW = f"""\
A whole call of the handler with the right code of a known user: event in, answer out, token made, log line written (to
/dev/null). Beside it redis-py sends the same commands (scripts, keys, arguments) with a client of the same options, and
nothing else. {ROUNDS} rounds of {LOGINS} in turn; a round gives the ratio of its medians: their median, smallest and
largest."""


def measure(cloud: Cloud) -> Table:
    """Measure logins."""
    app = cloud.app()
    table = Table("Warm login", HOW, ("", "clock", "clock, us"))
    with _rehearsals(cloud) as prepare, closing(connect(cloud.redis.host, cloud.redis.port)) as client:

        def compare(login: Callable[[Handler, Event], float]) -> tuple[Ratio, str]:
            ours: list[float] = []
            theirs: list[float] = []
            for _ in range(ROUNDS):
                pairs = [(prepare()[0], prepare()[1]) for _ in range(LOGINS)]  # of two numbers: each code works once
                times = [(login(app, event), _commands(client, requests)) for event, requests in pairs]
                ours.append(median(seconds for seconds, _ in times))
                theirs.append(median(seconds for _, seconds in times))
            return Ratio(ours, theirs), f"{median(ours) * 1e6:.0f} : {median(theirs) * 1e6:.0f}"

        ratio, us = compare(_login)
        table.add("login / its commands alone", str(ratio), us, target=f"<= {MOST}x", met=ratio.median <= MOST)
        ratio, us = compare(_login_elsewhere)
        table.add("  where another instance sent the code", str(ratio), us)
    return table


@contextmanager
def _rehearsals(cloud: Cloud) -> Iterator[Callable[[], tuple[Event, list[Request]]]]:
    """Give a function that returns a login that has not been made yet, and the requests to Redis that it consists of.

    A rehearsal of the login yields the requests; then the number's code is restored. The user stays, and is known.
    """
    sender = cloud.app()
    with Wire(cloud.redis.port) as wire, closing(redis.Redis(port=cloud.redis.port, protocol=2)) as admin:
        app = cloud.app(REDIS_PORT=str(wire.port))

        def prepare() -> tuple[Event, list[Request]]:
            phone = cloud.new_phone()
            login = cloud.send(sender, phone)
            keys = admin.scan_iter(f"*{phone}*", count=10_000)
            saved = [(key, admin.pttl(key), admin.dump(key) or b"") for key in keys]
            call(app, login)
            for key, ms, value in saved:
                admin.restore(key, ms, value, replace=True)
            return login, wire.take()

        yield prepare


def _login(app: Handler, event: Event) -> float:
    started = perf_counter()
    answer = app.handle(event, CONTEXT)
    seconds = perf_counter() - started
    check(answer)
    return seconds


def _login_elsewhere(app: Handler, event: Event) -> float:
    Phone.parse.cache_clear()
    return _login(app, event)


def _commands(client: Client, requests: list[Request]) -> float:
    answers = []
    started = perf_counter()
    for commands in requests:
        if len(commands) == 1:
            answers.append(client.execute_command(*commands[0]))
        else:
            pipeline = client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            answers += pipeline.execute()
    seconds = perf_counter() - started
    if "right" not in [answer[0] for answer in answers if isinstance(answer, list)]:
        raise RuntimeError(f"the code was not redeemed: {answers}")
    return seconds
