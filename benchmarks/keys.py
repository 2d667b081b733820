"""The cost of a private key compared with a shared secret: a login signs a token, another call verifies one."""

from statistics import median
from time import perf_counter

from benchmarks.cloud import CONTEXT, Cloud, Event, call, check, event
from benchmarks.tables import Ratio, Table
from sms_login.settings.settings import Settings
from sms_login.wiring import Handler
from tests.testkit.key_files import ALGORITHMS, private_pem

ROUNDS = 20
CALLS = 20  # in a round

HOW = f"""\
The same call of two handlers in turn, one with a private key, one with JWT_SECRET: a login of a new user, and
getUserInfo with a token. {ROUNDS} rounds of {CALLS}; a round gives the ratio of its medians: their median, smallest and
largest. Reading the settings is what a cold start pays once, besides importing cryptography: the median, in ms."""


def measure(cloud: Cloud) -> Table:
    """Measure each kind of key."""
    table = Table("Signing keys", HOW, ("beside HS256", "login", "getUserInfo", "settings, ms"))
    secret = cloud.environ["JWT_SECRET"]
    sender = plain = cloud.app()
    for kind, algorithm in ALGORITHMS.items():
        environ = {"JWT_SECRET": "", "JWT_PRIVATE_KEY": private_pem(kind), "SECRET": secret}  # codes of the same secret
        app = cloud.app(**environ)
        logins, infos = [], []
        for _ in range(ROUNDS):
            events = [[cloud.send(sender, cloud.new_phone()) for _ in range(CALLS)] for _ in (app, plain)]
            logins.append([_median(one, some) for one, some in zip((app, plain), events, strict=True)])
            asks = [_info(cloud, sender, one) for one in (app, plain)]
            infos.append([_median(one, [ask] * CALLS) for one, ask in zip((app, plain), asks, strict=True)])
        ms = median(_timed_read(cloud.environ | environ) for _ in range(ROUNDS)) * 1000
        table.add(algorithm, str(Ratio(*zip(*logins, strict=True))), str(Ratio(*zip(*infos, strict=True))), f"{ms:.1f}")
    return table


def _info(cloud: Cloud, sender: Handler, app: Handler) -> Event:
    phone = cloud.new_phone()
    return event("getUserInfo", phone, token=call(app, cloud.send(sender, phone))["token"])


def _median(app: Handler, events: list[Event]) -> float:
    times = []
    for one in events:
        started = perf_counter()
        answer = app.handle(one, CONTEXT)
        times.append(perf_counter() - started)
        check(answer)
    return median(times)


def _timed_read(environ: dict[str, str]) -> float:
    started = perf_counter()
    Settings.read(environ)
    return perf_counter() - started
