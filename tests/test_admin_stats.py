"""`stats`: the login's counts in a real Redis, beside the figures of Tencent Cloud from the real SDK."""

import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, nullcontext
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from local.cloud import ADMIN, Cloud, local_cloud
from local.statistics import PACKAGE, Statistics
from sms_admin.rows import plain
from sms_admin.statistics import calls, figures, spans
from sms_admin.statistics.page import accepted, page
from sms_admin.statistics.report import report
from sms_admin.statistics.spans import HOUR, Span
from sms_admin.statistics.terminal import columns
from sms_login import wiring
from tests.testkit.admin import admin
from tests.testkit.backends import NOON
from tests.testkit.events import PHONE, gateway_json
from tests.testkit.servers import RedisServer
from tests.testkit.statistics import APPLICATION, BUSY, connected, fill

CHINA = timezone(timedelta(hours=8))
DAYS = 3


def day(ago: int) -> str:
    """Return the day so many days ago, in China."""
    return f"{datetime.now(CHINA).date() - timedelta(days=ago)}"


def noon(ago: int) -> int:
    """Return the hour of noon so many days ago."""
    midnight = datetime.now(CHINA).replace(hour=12, minute=0, second=0, microsecond=0)
    return int((midnight - timedelta(days=ago)).timestamp()) // HOUR


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis of this module's own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def cloud(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The environment of `make run`, with an empty Redis, an empty cache, and calls as fast as one likes."""
    monkeypatch.setattr(calls, "A_SECOND", 1000)
    monkeypatch.setattr("local.statistics.A_SECOND", 1000)
    on_cluster = getattr(request, "param", "") == "cluster"
    server = request.getfixturevalue("redis_cluster" if on_cluster else "server")
    environ = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(server.port), "REDIS_CLUSTER": "1" if on_cluster else "0"}
    settings = {**environ, "ALLOWED_COUNTRIES": "*", "XDG_CACHE_HOME": str(tmp_path)}
    with time_machine.travel(NOON), local_cloud(settings) as cloud:  # no day ends during a test
        with closing(connected(cloud)) as client:
            client.flushall()
        yield cloud


def stats(cloud: Cloud, *arguments: str) -> list[dict[str, Any]]:
    """Run `stats --json`, and return its rows."""
    done = admin(cloud.environ, "stats", "--json", *arguments)
    assert (done.code, done.err) == (0, ""), done
    return [json.loads(line) for line in done.out.splitlines()]


def test_a_login_is_in_the_counts_of_both(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A code that was sent and used is one message and one login, here as at Tencent Cloud."""
    monkeypatch.setattr("sms_login.adapters.redis.statistics._IN", 0)  # no person is as fast as this
    app = wiring.assemble(cloud.environ)

    def call(**params: str) -> Any:
        return json.loads(app.handle(gateway_json(params, {}), None)["body"])["data"]

    session = call(method="getSms", phone=PHONE)["sessionId"]
    code = cloud.tencent.inbox()[0].params[0]
    call(method="login", phone=PHONE, code=code, sessionId=session)
    call(method="health")
    *_, total, rest = stats(cloud, "--from", day(1))
    assert {total[name] for name in ("asked", "sent", "fee", "verified", "signedUp")} == {1}
    assert {total["tencent"][name] for name in ("requested", "accepted", "fee", "delivered")} == {1}
    assert (total["conversion"], total["halfWithin"], rest["packages"]["left"]) == (1, 5, PACKAGE - 1)


@pytest.mark.parametrize("cloud", ["real", "cluster"], indirect=True)
def test_rows_are_hours_days_or_countries_and_their_sums_are_right(cloud: Cloud) -> None:
    """Every count of a period is in its row, and all of them in the total; Tencent's figures are of the same hours."""
    small = {"asked": 1, "sent": 1, "fee": 2, "verified:login": 1, "seconds:5": 1}
    fill(cloud, {noon(ago) + extra: {"CN": BUSY, "GB": small} for ago in range(DAYS) for extra in (0, 1)})
    *days, total, rest = stats(cloud, "--from", day(DAYS - 1), "--price", "0.05")
    assert [row["period"] for row in days] == [day(ago) for ago in reversed(range(DAYS))]
    for row, times in (*((each, 2) for each in days), (total, 2 * DAYS)):
        counts = [row[name] for name in ("asked", "refused", "captchas", "sent", "fee", "delivered", "undelivered")]
        assert counts == [times * n for n in (51, 10, 5, 41, 42, 36, 4)]
        assert [row[name] for name in ("verified", "signedUp", "wrong")] == [times * n for n in (33, 6, 4)]
        assert row["failedBy"] == {"unreachable": 3 * times, "blocked": times}
        assert row["verifiedBy"] == {"login": 31 * times, "pay": 2 * times}
        assert (row["halfWithin"], row["mostWithin"]) == (10, 20)
        sums = {"requested": 40, "accepted": 40, "fee": 40, "delivered": 36, "failed": 4}
        failed = {"failedBy": {"unreachable": 4 * times}}
        assert row["tencent"] == {name: times * n for name, n in sums.items()} | failed
    assert total["feePerLogin"] == pytest.approx(42 / 33)
    assert rest["costPerLogin"] == pytest.approx(42 / 33 * 0.05)
    assert rest["packages"]["left"] == 2 * PACKAGE - 2 * DAYS * 40  # one for each application
    assert rest["daysLeft"] > 0
    china, britain, *_ = stats(cloud, "--from", day(DAYS - 1), "--by", "country")
    assert [(row["period"], row["sent"]) for row in (china, britain)] == [("CN", 240), ("GB", 6)]
    *hours, _, _ = stats(cloud, "--from", day(1), "--to", day(1), "--by", "hour")
    assert {row["period"]: (row["sent"], row["tencent"]["accepted"]) for row in hours if row["sent"]} == {
        f"{day(1)} 12:00": (41, 40),
        f"{day(1)} 13:00": (41, 40),
    }
    assert len(hours) == 24


def test_a_month_takes_thirty_calls_once(cloud: Cloud) -> None:
    """The figures of closed days are kept in a file; those that may change are asked for again."""
    fill(cloud, {noon(ago): {"CN": BUSY} for ago in range(30)})
    first = stats(cloud, "--from", day(29))
    actions = (figures.SENT.name, figures.RECEIVED.name)
    assert [cloud.tencent.requests(action) for action in actions] == [30, 30]
    again = stats(cloud, "--from", day(29))
    assert again[-2] == first[-2]
    assert all(cloud.tencent.requests(action) <= 30 + 1 + 5 for action in actions)
    for path in Path(cloud.environ["XDG_CACHE_HOME"], "sms-admin").iterdir():
        path.write_text("{", encoding="utf-8")  # it was cut off
    assert stats(cloud, "--from", day(1))[-2]["sent"] == 80


class Direct:
    """The SMS API of the stand-in without HTTP; `asked` counts the calls of each action."""

    def __init__(self, statistics: Statistics) -> None:
        self._answers = {figures.SENT.name: statistics.send_status, figures.RECEIVED.name: statistics.callback_status}
        self.asked = Counter[str]()

    def call(self, action: str, **parameters: Any) -> SimpleNamespace:
        """Answer a call; a refused one ends the test."""
        self.asked[action] += 1
        return SimpleNamespace(**{action: SimpleNamespace(**self._answers[action](parameters)[action])})


def test_a_report_asks_for_two_seconds_and_its_sums_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A month takes thirty calls of an action, also of two applications: older days share a sum until a later run."""
    clock, now, zone = [100.0], 1795901405.0, 8
    monkeypatch.setattr(calls, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    for module in (calls, figures):  # all in this thread, so that the clock moves in order
        monkeypatch.setattr(module, "ThreadPoolExecutor", lambda _: nullcontext(SimpleNamespace(map=map)))
    today = spans.today(now, zone)
    month = spans.days(today - timedelta(days=29), today, zone)
    quarter = spans.days(today - timedelta(days=89), today, zone)
    hours = spans.hours(today, today, zone)
    for number, (rows, home, abroad, known, exact) in enumerate(
        (
            (month, range(30), [], True, 30),
            (month, range(30), range(30), True, 14),
            (month, range(30), [0, 3, 29], True, 26),
            (month, range(30), [0, 3, 29], False, 14),
            (month, [2, 17], [17], False, 14),
            (month, [], [], True, 30),
            (quarter, range(90), [], True, 28),
            (hours, range(24), range(24), True, 24),
        )
    ):
        statistics, busy = Statistics(lambda: now, str), {"1": set[Span](), **({"2": set[Span]()} if abroad else {})}
        expected = dict.fromkeys(rows, 0)
        for application, places in (("1", home), ("2", abroad)):
            for span in (rows[place] for place in places if rows[place].begin * HOUR <= now):
                count = span.begin % 97 + 1
                statistics.add(application, span.begin * HOUR, RequestSuccessCount=count, CallbackSuccessCount=count)
                expected[span] += count
                busy[application] |= {span} if known else set()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"{number}"))
        tencent = figures.Tencent({**os.environ}, busy, now)
        alone = list[int]()
        for complete in (False, False, False, True):
            account, started = Direct(statistics), clock[0]
            monkeypatch.setattr(tencent, "_account", account)
            found = tencent.of(rows, complete=complete)
            case = (number, complete, account.asked, len(found))
            if not complete:
                assert max(account.asked.values()) <= 30, case
                assert (clock[0] - started) / 2 < 2.1, case
            clock[0] += 2
            for span, each in found.items():
                last = rows.index(span)
                shared = rows[last + 1 - (each.rows or 1) : last + 1]
                assert each.accepted == each.delivered == sum(expected[row] for row in shared), case
            assert sum(each.rows or 1 for each in found.values()) == len(rows), case
            alone += [sum(each.rows is None for each in found.values())]
        assert (alone[0], alone[-1]) == (exact, len(rows)), (number, alone)


def test_rows_that_share_a_sum_say_so() -> None:
    """The terminal and the page show the sum in its newest row; the curve has the mean of its rows."""
    days = spans.days(date(2026, 11, 1), date(2026, 11, 4), 8)
    theirs = {days[2]: figures.Figures(accepted=30, delivered=27, fee=33, rows=3), days[3]: figures.Figures(accepted=5)}
    found = report({day: {"CN": Counter(sent=9)} for day in days}, theirs, None, None, days[-1].end * HOUR)
    assert found.total.tencent == figures.Figures(accepted=35, delivered=27, fee=33)
    shown = page(found, "day", "today")
    assert re.findall(r"(?:<td>[^<]*</td>){3}</tr><tr><th[^>]*>2026-11-04", shown) == [
        '<td>30 (Σ 3)</td><td>27 (Σ 3)</td><td>33 (Σ 3)</td></tr><tr><th scope="row">2026-11-04'
    ]
    assert accepted(found.periods) == [10, 10, 10, 5]
    (column,) = (column for column in columns("day", tencent=True) if column.key == "tencent")
    assert column.text
    assert column.text(plain(theirs[days[2]], clear=False)) == "30 / 27 / 33 (3 days)"


def test_our_counts_are_shown_without_tencent(cloud: Cloud) -> None:
    """If Tencent Cloud refuses, a sentence says so; Redis alone can be asked, here or in the admin function."""
    fill(cloud, {noon(1): {"CN": BUSY}})
    cloud.tencent.fail("FailedOperation.NotEnterpriseCertification", action=figures.RECEIVED.name)
    done = admin(cloud.environ, "stats")
    assert done.code == 0
    assert "Tencent's figures are missing: the account is a person's" in done.err
    for arguments in (["--no-tencent"], ["--no-tencent", "--function", ADMIN]):
        *_, total, rest = stats(cloud, *arguments)
        assert (total["sent"], total.get("tencent"), rest["packages"]) == (40, None, None)


def test_a_correction_without_its_count_is_no_negative_sum(cloud: Cloud) -> None:
    """A count below zero reads as zero."""
    fill(cloud, {noon(1): {"CN": {"sent": 1, "verified:login": -1, "seconds:5": -1}}})
    *_, total, _ = stats(cloud, "--no-tencent")
    assert (total["sent"], total["verified"], total["conversion"], total.get("halfWithin")) == (1, 0, 0, None)


def test_wrong_dates_are_a_wrong_command_line(cloud: Cloud) -> None:
    """Dates in the wrong order or too far apart are refused with exit code 2; without Redis it is 1."""
    for arguments in (
        ["--from", day(0), "--to", day(1)],
        ["--from", day(90)],
        ["--from", day(8), "--by", "hour"],
        ["--from", "yesterday"],
    ):
        assert admin(cloud.environ, "stats", *arguments).code == 2
    assert admin({**cloud.environ, "REDIS_PORT": "1"}, "stats", "--no-tencent").code == 1
    done = admin(cloud.environ, "stats", "--html", "/nonexistent/report.html")
    assert (done.code, done.out) == (1, "")
    assert done.err == "/nonexistent/report.html cannot be written: No such file or directory\n"


def test_the_terminal_has_tables_and_bars_in_both_languages(cloud: Cloud) -> None:
    """People see a table, a bar for each period, the funnel, and the balance."""
    fill(
        cloud,
        {
            noon(ago): {"CN": {name: count * (ago + 1) for name, count in BUSY.items()}, "ZZ": {"asked": 1}}
            for ago in range(DAYS)
        },
    )
    done = admin(cloud.environ, "stats", "--from", day(2), "--price", "0.05")
    for words in (
        "█▅▃",
        "funnel: asked 303 → sent 240 → delivered 216 → verified 192",
        "unreachable 18",
        "half within 10 s",
        "1.25 messages",
        "0.062",
    ):
        assert words in done.out, done.out
    small = {"COLUMNS": "80", "FORCE_COLOR": "1", "TERM": "xterm"}
    for language, heads in (
        ("C", "day sent delivered failed verified conversion signed up"),
        ("zh_CN.UTF-8", "日期 已发 送达 失败 验证 转化率 注册"),
    ):
        narrow = re.sub(r"\x1b\[[0-9;]*m", "", admin({**cloud.environ, **small, "LANG": language}, "stats").out)
        assert heads in [" ".join(line.split()) for line in narrow.splitlines()], narrow
        assert max(map(len, narrow.splitlines())) <= 80
    chinese = admin({**cloud.environ, "LANG": "zh_CN.UTF-8"}, "stats", "--by", "country").out
    assert "其他" in chinese
    assert "套餐余量" in chinese
    assert APPLICATION not in done.out


def test_a_sum_that_grows_meanwhile_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last sum is worked out of the whole; it is kept only if nothing of the whole can have grown meanwhile."""
    now, zone = 1795901405.0, 8
    today = spans.today(now, zone)
    rows = spans.days(today - timedelta(days=9), today - timedelta(days=1), zone)
    statistics = Statistics(lambda: now, str)
    for row in rows:
        statistics.add("1", row.begin * HOUR, RequestSuccessCount=10, CallbackSuccessCount=10)
    monkeypatch.setattr(calls, "A_SECOND", 1000)
    monkeypatch.setattr("local.statistics.A_SECOND", 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tencent = figures.Tencent({**os.environ}, {"1": set()}, now)
    account = Direct(statistics)
    monkeypatch.setattr(tencent, "_account", account)
    ask = account.call

    def grow(action: str, **parameters: Any) -> SimpleNamespace:
        answer = ask(action, **parameters)
        if action == figures.RECEIVED.name and account.asked[action] == 1:  # the sum of the whole has been answered
            statistics.add("1", rows[-1].begin * HOUR, CallbackSuccessCount=1)
        return answer

    monkeypatch.setattr(account, "call", grow)
    tencent.of(rows, complete=True)
    found = tencent.of(rows, complete=True)
    assert [found[row].delivered for row in rows] == [10] * 8 + [11]
