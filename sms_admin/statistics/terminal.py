"""The words of a report: the columns of its table, and its facts as sentences."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from sms_admin.language import tr
from sms_admin.output import Column, moment
from sms_admin.statistics.report import COUNTED, Report, Row
from sms_login.statistics import OTHER

_BARS = "▁▂▃▄▅▆▇█"
_DASH = "–"
_WIDEST = 60  # bars
_YEAR = 365  # days


def columns(by: str, *, tencent: bool) -> list[Column]:
    """Return the columns of a table by hour, day or country, with Tencent's figures if there are any."""
    title = {"hour": tr("hour", "小时"), "day": tr("day", "日期"), "country": tr("country", "国家/地区")}[by]
    ours = [
        Column("asked", tr("asked", "请求"), right=True, spare=True),
        Column("refused", tr("refused", "拒绝"), right=True, spare=True),
        Column("sent", tr("sent", "已发"), right=True),
        Column("delivered", tr("delivered", "送达"), right=True),
        Column("undelivered", tr("failed", "失败"), right=True),
        Column("verified", tr("verified", "验证"), right=True),
        Column("conversion", tr("conversion", "转化率"), percent, right=True),
        Column("signedUp", tr("signed up", "注册"), right=True),
        Column("fee", tr("fee", "计费"), right=True, spare=True),
    ]
    units = {"hour": tr("hours", "小时"), "day": tr("days", "天")}
    theirs = [Column("tencent", tr("Tencent*", "腾讯云*"), partial(_figures, units.get(by, "")), spare=True)]
    return [Column("period", title, name_of, whole=True), *ours, *(theirs if tencent and by != "country" else [])]


def trends(periods: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Yield the name of a count, and a bar for each period with the sum of all."""
    for title, name in ((tr("sent", "已发"), "sent"), (tr("verified", "验证"), "verified")):
        values = [getattr(row, name) for row in periods]
        yield title, f"{sparkline(values)} {sum(values)}"


def facts(found: Report) -> Iterator[tuple[str, str]]:
    """Yield the name of a fact about all periods, and the fact."""
    total = found.total
    titles = {column.key: column.title for column in columns("day", tencent=False)}
    yield tr("funnel", "漏斗"), " → ".join(f"{titles[name]} {getattr(total, name)}" for name in COUNTED)
    for title, counts in (
        (tr("refused", "拒绝"), total.refused_by),
        (tr("failed", "失败"), total.failed_by),
        (tr("verified for", "验证用途"), total.verified_by),
    ):
        if counts:
            yield title, ", ".join(f"{name} {count}" for name, count in counts.items())
    if total.half_within:
        half, most = total.half_within, total.most_within
        words = tr(f"half within {half} s, 95 % within {most} s", f"半数在 {half} 秒内，95% 在 {most} 秒内")
        yield tr("code to login", "发送到登录"), words
    if total.fee_per_login is not None:
        yield tr("a verified login", "每次验证"), _cost(total.fee_per_login, found.cost_per_login)
    if found.packages:
        yield tr("left in packages", "套餐余量"), _left(found.packages.left, found.days_left, found.packages.expires)


def name_of(period: str) -> str:
    """Return the name of a period or country."""
    return tr("other", "其他") if period == OTHER else period


def percent(share: float | None) -> str:
    """Return a share as text."""
    return _DASH if share is None else f"{share:.0%}"


def sparkline(values: Sequence[int]) -> str:
    """Return a bar for each value, or for the sum of a few if there are many; the highest one for the greatest."""
    each = -(-len(values) // _WIDEST) or 1
    values = [sum(values[i : i + each]) for i in range(0, len(values), each)]
    most = max(values, default=0) or 1
    return "".join(_BARS[value * (len(_BARS) - 1) // most] for value in values)


def _cost(messages: float, money: float | None) -> str:
    cost = "" if money is None else tr(f", {money:.3f} in money", f"，合 {money:.3f}")
    return tr(f"{messages:.2f} messages", f"{messages:.2f} 条短信") + cost


def _left(messages: int, days: float | None, expires: int | None) -> str:
    text = f"{messages}"
    if days is not None and days > _YEAR:
        text += tr(", for more than a year at this rate", "，按此速度可用一年以上")
    elif days is not None:
        text += tr(f", for {days:.0f} days at this rate", f"，按此速度可用 {days:.0f} 天")
    if expires is not None:
        text += tr(f"; the first expires {moment(expires)}", f"；最早 {moment(expires)} 到期")
    return text


def _figures(unit: str, figures: dict[str, Any]) -> str:
    text = f"{figures['accepted']} / {figures['delivered']} / {figures['fee']}"
    return text + tr(f" ({rows} {unit})", f"（{rows} {unit}）") if (rows := figures.get("rows")) else text
