"""Users in SQL compared with users in Redis: the extra cost of a login, a round trip and a cold start."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.cloud import CONTEXT, Cloud, Event, call, check, event
from benchmarks.tables import Ratio, Table
from benchmarks.wire import Wire
from sms_admin.users_table import create
from sms_login.adapters.sql.client import SqlClient, connect
from sms_login.wiring import Handler
from tests.testkit.mariadb import MariaDbServer, find_mariadb

ROUNDS = 20
LOGINS = 20  # in a round
STARTS = 20

HOW = f"""\
Whole calls of the handler, one after another; the code always in Redis, the users in a database or
in Redis, {ROUNDS} rounds of {LOGINS} in turn. A known user logs in once more; a new one signs up. SQLite syncs every
sign-up to the disk. Round trips are counted on the wire to MariaDB, the ping of the connection among them. Cold
start: {STARTS} processes of each, all packages installed, from the start over a first answer, which asks no server, to
the end."""

ANSWER = "import index; index.main_handler({'queryString': {'method': 'getUserInfo', 'token': 'x'}}, None)"


def measure(cloud: Cloud) -> Table:
    """Measure each database that is here."""
    table = Table("Users in SQL", HOW, ("", "measured", "clock, us"))
    with databases() as urls:
        for name, url in urls.items():
            engine = connect(url)
            create(SqlClient(engine))
            engine.dispose()
            for who, known in (("a known user", True), ("a new user", False)):
                ratio, us = _logins(cloud, url, known=known)
                table.add(f"login of {who}, {name} / Redis", str(ratio), us)
            table.add(f"cold start, {name} / Redis", str(_cold(cloud, url)), "")
        if "MariaDB" in urls:
            _round_trips(cloud, urls["MariaDB"], table)
    return table


@contextmanager
def databases() -> Iterator[dict[str, str]]:
    """Give the USERS_URLs of an empty SQLite and, if it is installed, of an empty MariaDB."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="users-"))
        urls = {"SQLite": f"sqlite:///{directory}/users.db"}
        if find_mariadb():
            urls["MariaDB"] = stack.enter_context(MariaDbServer()).new_database()
        yield urls


def _logins(cloud: Cloud, url: str, *, known: bool) -> tuple[Ratio, str]:
    """Return how much longer a login takes with users in SQL, and the medians in microseconds."""
    apps = {"sql": cloud.app(USERS_URL=url, RESEND_COOLDOWN="1"), "redis": cloud.app(RESEND_COOLDOWN="1")}
    medians: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(ROUNDS):
        times: dict[str, list[float]] = {name: [] for name in apps}
        for _ in range(LOGINS):
            for name, app in apps.items():
                login = _prepare(cloud, app, known=known)
                started = perf_counter()
                answer = app.handle(login, CONTEXT)
                times[name].append(perf_counter() - started)
                check(answer)
        for name, seconds in times.items():
            medians[name].append(median(seconds))
    us = " : ".join(f"{median(medians[name]) * 1e6:.0f}" for name in apps)
    return Ratio(medians["sql"], medians["redis"]), us


def _prepare(cloud: Cloud, app: Handler, *, known: bool) -> Event:
    """Return a login that has not been made yet."""
    phone = cloud.new_phone()
    login = cloud.send(app, phone)
    if known:
        headers = {**login["headers"], "Idempotency-Key": phone.strip("+") * 2}
        login = {**login, "headers": headers}
        call(app, login)  # a repeat under its key is the login of a known user
    return login


def _cold(cloud: Cloud, url: str) -> Ratio:
    """Return how much longer a process with USERS_URL takes."""
    walls: dict[str, list[float]] = {"": [], url: []}
    for i in range(-1, STARTS):
        for users_url, seconds in walls.items():
            started = perf_counter()
            root, environ = Path(__file__).parents[1], {**cloud.environ, "USERS_URL": users_url}
            subprocess.run([sys.executable, "-c", ANSWER], cwd=root, env=environ, check=True, stdout=subprocess.DEVNULL)
            if i >= 0:
                seconds.append(perf_counter() - started)
    return Ratio(walls[url], walls[""])


def _round_trips(cloud: Cloud, url: str, table: Table) -> None:
    port = int(url.rsplit(":", 1)[1].split("/", maxsplit=1)[0])
    with Wire(port) as wire:
        app = cloud.app(USERS_URL=url.replace(f":{port}/", f":{wire.port}/"))

        def trips(request: Event) -> int:
            wire.count()
            call(app, request)
            return wire.count()

        phone, sender = cloud.new_phone(), cloud.app()
        first = trips(cloud.send(sender, phone))
        signing_up = trips(cloud.send(sender, cloud.new_phone()))
        token = call(app, _prepare(cloud, app, known=False))["token"]
        known = _prepare(cloud, app, known=True)
        for name, count, most in (
            ("login of a known user", trips(known), 2),
            ("login of a new user", signing_up, 3),
            ("getUserInfo", trips(event("getUserInfo", phone, token=token)), 2),
            ("setNickname", trips(event("setNickname", phone, token=token, name="x")), 3),
        ):
            table.add(f"round trips, {name}", str(count), "", target=f"<= {most}", met=count <= most)
        table.add("  a new instance's connection, besides", str(first - signing_up + 1), "")
