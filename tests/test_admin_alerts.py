"""`alerts`: pumping, failing deliveries and an empty balance, on a real Redis, here and by the function's timer."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import time_machine

from local.cloud import ADMIN, Cloud, local_cloud
from local.statistics import PACKAGE
from sms_admin import function
from sms_admin.statistics.spans import HOUR
from sms_login.periods import Calendar
from tests.testkit.admin import admin
from tests.testkit.backends import NOON
from tests.testkit.servers import RedisServer
from tests.testkit.statistics import APPLICATION, connected, fill

TIMER = {"Type": "Timer", "TriggerName": "alerts", "Time": "2026-11-28T00:00:00Z", "Message": ""}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis of this module's own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cloud]:
    """A week in which 70 % of the messages to China and Britain brought a login, and 5 % failed."""
    on_cluster = getattr(request, "param", "") == "cluster"
    server = request.getfixturevalue("redis_cluster" if on_cluster else "server")
    environ = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(server.port), "XDG_CACHE_HOME": str(tmp_path)}
    environ["REDIS_CLUSTER"] = "1" if on_cluster else "0"
    with time_machine.travel(NOON), local_cloud(environ) as cloud:  # no day ends during a test
        with closing(connected(cloud)) as client:
            client.flushall()
        usual = {"sent": 100, "fee": 1, "verified:login": 60, "verified:pay": 10, "delivered": 95, "failed:carrier": 5}
        fill(cloud, {hours_ago(ago): {"CN": usual, "GB": usual} for ago in range(8, 150, 20)})
        yield cloud


def hours_ago(hours: int) -> int:
    """Return the hour so many hours ago."""
    return int(time.time()) // HOUR - hours


def alerts(cloud: Cloud, *arguments: str) -> list[dict[str, Any]]:
    """Run `alerts --json`, and return its rows."""
    done = admin(cloud.environ, "alerts", "--json", *arguments)
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert (done.code, done.err) == (1 if rows else 0, "")
    return rows


def test_everyday_life_gives_no_alert(cloud: Cloud) -> None:
    """Small numbers, the usual share and a range of few messages are nothing."""
    fill(cloud, {hours_ago(1): {"CN": {"sent": 60, "verified:login": 20}, "GB": {"sent": 49}, "FR": {"sent": 49}}})
    assert alerts(cloud) == []
    assert "Nothing is out of the ordinary." in admin(cloud.environ, "alerts").out


@pytest.mark.parametrize("cloud", ["real", "cluster"], indirect=True)
def test_each_kind_of_alert_says_how_it_differs_from_the_usual(cloud: Cloud) -> None:
    """Countries with and without a usual share, a range, receipts and the balance; the timer logs the same."""
    day = Calendar(8).now().day.name
    with closing(connected(cloud)) as client:
        for name, sent, unverified in (("+861380013", 60, 58), ("+861380014", 60, 30), ("+861380015", 49, 49)):
            client.set(f"budget:{{range:{name}}}:total:{day}", sent)
            client.set(f"budget:{{range:{name}}}:day:{day}", unverified)
    latest = {
        "GB": {"sent": 50, "fee": 50, "verified:login": 11},
        "FR": {"sent": 80, "fee": 80, "verified:login": 4},
        "CN": {"sent": 90, "fee": 90, "verified:login": 60, "delivered": 60, "failed:rejected": 30},
    }
    fill(cloud, {hours_ago(2): latest})
    cloud.tencent.statistics.add(APPLICATION, FeeCount=PACKAGE - 300)
    expected = [
        {"alert": "conversion", "subject": "GB", "sent": 50, "share": 0.22, "usual": 0.7},
        {"alert": "conversion", "subject": "FR", "sent": 80, "share": 0.05, "usual": 0.7},
        {"alert": "deliveries", "subject": "CN", "sent": 90, "share": 1 / 3, "usual": 0.05},
        {"alert": "packages", "left": 300 - 90 - 8, "used": 222},
        {
            "alert": "range_conversion",
            "subject": "+86138 0013 ****",
            "sent": 60,
            "share": pytest.approx(2 / 60),
            "usual": 0.7,
        },
    ]
    by_subject = lambda row: str(row.get("subject", ""))  # noqa: E731 - the key of two sorts
    for arguments in ([], ["--function", ADMIN]):
        rows = [
            {name: value for name, value in row.items() if value not in (None, "", 0)}
            for row in alerts(cloud, *arguments)
        ]
        assert sorted(rows, key=by_subject) == sorted(expected, key=by_subject)
    lines: list[str] = []
    answer = function.answer(TIMER, {}, cloud.environ, lines.append)
    assert answer["rows"] == [{"alerts": len(expected)}]
    logged = [json.loads(line) for line in lines]
    assert {(line["level"], line["alert"]) for line in logged} == {("WARNING", row["alert"]) for row in expected}
    printed = admin({**cloud.environ, "LANG": "zh_CN.UTF-8"}, "alerts")
    assert printed.code == 1
    assert "国家或号段" in printed.out


def test_alerts_need_no_answer_of_tencent_cloud(cloud: Cloud) -> None:
    """An account that may not ask for its packages still has the other alerts; a Redis that is away is a failure."""
    fill(cloud, {hours_ago(0): {"GB": {"sent": 50, "fee": 50}}})
    cloud.tencent.fail("UnauthorizedOperation.RequestPermissionDeny", action="SmsPackagesStatistics")
    assert [row["alert"] for row in alerts(cloud)] == ["conversion"]
    assert admin({**cloud.environ, "REDIS_PORT": "1"}, "alerts").code == 1
