"""`alerts`: the events that statistics show first. A timer of the admin function logs them."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct

from sms_admin import commands
from sms_admin.failures import Failed
from sms_admin.language import tr
from sms_admin.operations import Page, operation
from sms_admin.output import Column
from sms_admin.place import Place, settings_of
from sms_admin.run import Run
from sms_admin.statistics.counts import ReadCounts, read_counts
from sms_admin.statistics.figures import Tencent
from sms_admin.statistics.spans import HOUR
from sms_admin.statistics.terminal import percent
from sms_admin.users.redis_records import scan
from sms_login.periods import Calendar

RECENT, USUAL, _DAY = 6, 7 * 24, 24  # hours: the latest are compared with those of the week before
LEAST = 50  # messages, or receipts, below which a share says nothing
_FELL, _ROSE = 1 / 3, 3  # times the usual share
_FAILING = 0.2  # of the receipts: fewer failures are everyday life
_SCANS = 20  # steps of SCAN in a page
_RANGE = "budget:{range:"


class FindAlerts(Struct):
    """The request for the alerts at an epoch second."""

    now: float


class Alert(Struct, rename="camel", omit_defaults=True):
    """An alert, and its `subject`: a country, or a range of numbers, whose last four digits are left out.

    `share` is the conversion, or the share of failed receipts, and `usual` the usual one. Of `packages`, `left` are the
    messages that are left, and `used` those of a day.
    """

    alert: str
    subject: str = ""
    sent: int = 0
    share: float | None = None
    usual: float | None = None
    left: int | None = None
    used: int | None = None


@operation
def find_alerts(place: Place, asked: FindAlerts, cursor: Any) -> Page:
    """Return the alerts of the countries and of the balance, then those of ranges. The cursor is that of SCAN."""
    recent, usual, used = _counts(place, int(asked.now) // HOUR + 1)
    conversion = _share(sum(usual.values(), Counter()))
    rows = [] if cursor else [*_of_countries(recent, usual, conversion), *_of_balance(place, used, asked.now)]
    day = Calendar(place.settings.tz_offset).now().day.name
    for _ in range(_SCANS):
        cursor, keys = scan(place, cursor, f"{_RANGE}*:total:{day}")
        rows += _of_ranges(place, keys, conversion)
        if cursor is None:
            break
    return Page(rows, cursor)


@commands.command(
    "alerts",
    example="alerts --json",
    needs_redis=True,
    help=tr(
        "Show countries and ranges whose conversion fell below a third of the usual, failing deliveries, and packages "
        "that last for less than a day. Exit code 1 if there are any; docs/operations.md says what to do.",
        "显示转化率低于平时三分之一的国家和号段、送达失败以及不足一天用量的套餐。"
        "有告警时退出码为 1；处理方法见 docs/operations.md。",
    ),
)
def command(run: Run) -> int:
    """Print the alerts; return the exit code."""
    columns = [
        Column("alert", tr("alert", "告警")),
        Column("subject", tr("country or range", "国家或号段")),
        Column("sent", tr("sent", "已发"), right=True),
        Column("share", tr("share", "比例"), percent, right=True),
        Column("usual", tr("usual", "平时"), percent, right=True),
        Column("left", tr("left", "余量"), right=True),
        Column("used", tr("used in a day", "一天用量"), right=True),
    ]
    rows = list(run.rows(find_alerts, FindAlerts(time.time())))
    run.out.rows(rows, columns, none=tr("Nothing is out of the ordinary.", "一切正常。"))
    return 1 if rows else 0


Countries = dict[str, Counter[str]]


def _counts(place: Place, end: int) -> tuple[Countries, Countries, int]:
    """Return the counts of the latest hours and of those before, by country, and the messages charged in a day."""
    recent, usual, used, cursor = Countries(), Countries(), 0, None
    asked = ReadCounts(end - RECENT - USUAL, end, hourly=True, offset=0)
    while True:
        page = read_counts.page(place, asked, cursor)
        for row in page.rows:
            part = recent if row.hour >= end - RECENT else usual
            part.setdefault(row.country, Counter()).update(row.counts)
            used += row.counts.get("fee", 0) if row.hour >= end - _DAY else 0
        cursor = page.cursor
        if cursor is None:
            return recent, usual, used


def _of_countries(recent: Countries, usual: Countries, conversion: float | None) -> Iterator[Alert]:
    for country, counts in recent.items():
        before = usual.get(country, Counter())
        own = _share(before) if before["sent"] >= LEAST else conversion
        share = _share(counts)
        if own is not None and share is not None and counts["sent"] >= LEAST and share < own * _FELL:
            yield Alert("conversion", country, counts["sent"], share, own)
        failed, failed_before = _failed(counts), _failed(before) or 0.0
        if failed is not None and failed >= max(_FAILING, failed_before * _ROSE):
            yield Alert("deliveries", country, counts["sent"], failed, failed_before)


def _of_ranges(place: Place, keys: Sequence[str], conversion: float | None) -> Iterator[Alert]:
    """Yield an alert for each range of the day whose messages bring few logins, from the budgets' own counts."""
    reads = [
        (key, [place.redis.command("GET", name, read=_count) for name in (key, key.replace("}:total:", "}:day:"))])
        for key in keys
    ]
    place.redis.send(*(call for _, calls in reads for call in calls))
    for key, calls in reads:
        sent, unverified = (call.answer() for call in calls)
        share = 1 - min(unverified, sent) / sent if sent else 1.0
        if conversion is not None and sent >= LEAST and share < conversion * _FELL:
            start = key[len(_RANGE) :].partition("}")[0]
            name = f"{start[:6]} {start[6:]} ****"  # in parts, or it would be masked as a number
            yield Alert("range_conversion", name, sent, share, conversion)


def _of_balance(place: Place, used: int, now: float) -> Iterator[Alert]:
    """Yield an alert if the packages last for less than a day; nothing if Tencent Cloud does not tell them."""
    with suppress(Failed):
        settings = settings_of(place.environ, "SMS_SDKAPPID", "SMS_REGION", "SMS_ENDPOINT")
        packages = Tencent(place.environ, {settings.sms_mainland.app_id: ()}, now).packages()
        if packages.count and packages.left < used:  # an account without packages pays later
            yield Alert("packages", left=packages.left, used=used)


def _share(counts: Counter[str]) -> float | None:
    """Return the share of sent messages whose code was right, None without any."""
    verified = sum(count for name, count in counts.items() if name.startswith("verified:"))
    return verified / counts["sent"] if counts["sent"] > 0 else None


def _failed(counts: Counter[str]) -> float | None:
    """Return the share of receipts that tell of a failure, None if there are few."""
    failed = sum(count for name, count in counts.items() if name.startswith("failed:"))
    receipts = failed + counts["delivered"]
    return failed / receipts if receipts >= LEAST else None


def _count(reply: str | None) -> int:
    return int(reply) if reply and reply.isdecimal() else 0
