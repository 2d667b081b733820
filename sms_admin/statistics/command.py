"""`stats`: tables in the terminal, JSON, or a page with pictures."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from sms_admin import commands
from sms_admin.failures import Failed
from sms_admin.language import tr
from sms_admin.output import Column, moment
from sms_admin.place import settings_of
from sms_admin.run import Run
from sms_admin.statistics import counts, spans
from sms_admin.statistics.figures import Figures, Tencent
from sms_admin.statistics.report import COUNTED, Report, report
from sms_login.adapters.tencent.sms import MAINLAND
from sms_login.settings.settings import Settings
from sms_login.statistics import OTHER

_WEEK, _MOST_DAYS, _MOST_HOURS = 7, 90, 7 * 24
_BARS = "▁▂▃▄▅▆▇█"
_DAY = click.DateTime(["%Y-%m-%d"])


@commands.command(
    "stats",
    example="stats --from 2026-11-01 --html report.html",
    needs_redis=True,
    help=tr(
        "Show what became of messages and codes: the login's own counts beside Tencent Cloud's figures. Tencent's are "
        "kept in $XDG_CACHE_HOME once they change no more.",
        "统计短信和验证码：登录函数自己的计数与腾讯云的数据并列。腾讯云不再变化的数据缓存于 $XDG_CACHE_HOME。",
    ),
)
@click.option("--from", "first", type=_DAY, help=tr("The first day; without it, a week.", "起始日期；默认最近一周。"))
@click.option("--to", "last", type=_DAY, help=tr("The last day; without it, today.", "结束日期；默认今天。"))
@click.option(
    "--by", type=click.Choice(["hour", "day", "country"]), default="day", help=tr("The rows.", "按何种单位分行。")
)
@click.option("--price", type=click.FloatRange(0), help=tr("The price of one message.", "每条短信的单价。"))
@click.option("--no-tencent", is_flag=True, help=tr("Ask Redis alone.", "只查询 Redis。"))
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help=tr("Write a page with pictures.", "写入带图表的网页。"),
)
def command(
    run: Run,
    first: datetime | None,
    last: datetime | None,
    by: str,
    price: float | None,
    html: Path | None,
    *,
    no_tencent: bool,
) -> None:
    """Print or write a report."""
    settings = settings_of(run.environ, "SMS_", "TZ_OFFSET")
    now = time.time()
    periods = _periods(first, last, by, settings.tz_offset, now)
    with run.out.status(tr("Reading…", "读取中…")):
        ours = counts.of_spans(run, periods, settings.tz_offset)
        abroad = {country for found in ours.values() for country, each in found.items() if each["sent"]} != {MAINLAND}
        figures, packages = (None, None) if no_tencent else _theirs(run, settings, periods, now, abroad=abroad)
        found = report(ours, figures, packages, price, now)
    if html:
        from sms_admin.statistics.page import page  # noqa: PLC0415 - only this way needs it

        html.write_text(page(found, [periods[0].name, periods[-1].name], by, now), encoding="utf-8")
        run.out.say(tr(f"Written to {html}.", f"已写入 {html}。"))
        return
    rows = found.countries if by == "country" else found.periods
    if run.out.as_json:
        run.out.rows(
            [
                *rows,
                found.total,
                {"packages": found.packages, "daysLeft": found.days_left, "costPerLogin": found.cost_per_login},
            ],
            [],
        )
        return
    run.out.rows(rows, _columns(by, tencent=bool(found.total.tencent)), none=tr("There are no counts.", "没有计数。"))
    _summary(run, found)


def _periods(first: datetime | None, last: datetime | None, by: str, offset: float, now: float) -> list[spans.Span]:
    """Return the spans of a report. Raises UsageError."""
    end = last.date() if last else spans.today(now, offset)
    begin = first.date() if first else end - timedelta(days=_WEEK - 1)
    count = (end - begin).days + 1
    if count < 1:
        raise click.UsageError(tr("--from is after --to", "--from 晚于 --to"))
    if count > _MOST_DAYS or (by == "hour" and count * 24 > _MOST_HOURS):
        most = tr(f"{_MOST_DAYS} days, or a week by hour", f"{_MOST_DAYS} 天，按小时时一周")
        raise click.UsageError(tr(f"a report has at most {most}", f"报告最多 {most}"))
    return (spans.hours if by == "hour" else spans.days)(begin, end, offset)


def _theirs(
    run: Run, settings: Settings, periods: Sequence[spans.Span], now: float, *, abroad: bool
) -> tuple[Any, Any]:
    """Return Tencent's figures and packages, and say which are missing (None)."""
    routes = [settings.sms_mainland, *([settings.sms_abroad] if settings.sms_abroad and abroad else [])]
    figures: dict[spans.Span, Figures] | None = None
    packages = None
    try:
        tencent = Tencent(run.environ, list(dict.fromkeys(route.app_id for route in routes)), now)
        figures = tencent.of(periods)
        packages = tencent.packages()
    except Failed as failed:
        what = (
            tr("Tencent's packages", "腾讯云套餐包") if figures is not None else tr("Tencent's figures", "腾讯云数据")
        )
        click.echo(tr(f"{what} are missing: {failed}", f"缺少{what}：{failed}"), err=True)
    return figures, packages


def _columns(by: str, *, tencent: bool) -> list[Column]:
    title = {"hour": tr("hour", "小时"), "day": tr("day", "日期"), "country": tr("country", "国家/地区")}[by]
    ours = [
        Column("asked", tr("asked", "请求"), right=True),
        Column("refused", tr("refused", "拒绝"), right=True),
        Column("sent", tr("sent", "已发"), right=True),
        Column("delivered", tr("delivered", "送达"), right=True),
        Column("undelivered", tr("failed", "失败"), right=True),
        Column("verified", tr("verified", "验证"), right=True),
        Column("conversion", tr("conversion", "转化率"), percent, right=True),
        Column("signedUp", tr("signed up", "注册"), right=True),
        Column("fee", tr("fee", "计费"), right=True),
    ]
    theirs = [Column("tencent", tr("Tencent", "腾讯云"), _figures, right=True)]
    return [Column("period", title, _name), *ours, *(theirs if tencent and by != "country" else [])]


def _name(period: str) -> str:
    return tr("other", "其他") if period == OTHER else period


def _figures(figures: dict[str, Any]) -> str:
    return f"{figures['accepted']} / {figures['delivered']} / {figures['fee']}"


def percent(share: float) -> str:
    """Return a share as text."""
    return f"{share:.0%}"


def _summary(run: Run, found: Report) -> None:
    total, lines = found.total, list[tuple[str, str]]()
    for title, name in ((tr("sent", "已发"), "sent"), (tr("verified", "验证"), "verified")):
        lines.append((title, f"{sparkline([getattr(row, name) for row in found.periods])} {getattr(total, name)}"))
    lines.append((tr("funnel", "漏斗"), " → ".join(f"{getattr(total, name)}" for name in COUNTED)))
    for title, counts_ in (
        (tr("refused", "拒绝"), total.refused_by),
        (tr("failed", "失败"), total.failed_by),
        (tr("verified for", "验证用途"), total.verified_by),
    ):
        if counts_:
            lines.append((title, ", ".join(f"{name} {count}" for name, count in counts_.items())))
    if total.half_within:
        words = tr(
            f"half within {total.half_within} s, 95 % within {total.most_within} s",
            f"半数在 {total.half_within} 秒内，95% 在 {total.most_within} 秒内",
        )
        lines.append((tr("code to login", "发送到登录"), words))
    if total.fee_per_login is not None:
        cost = (
            ""
            if found.cost_per_login is None
            else tr(f", {found.cost_per_login:.3f} in money", f"，合 {found.cost_per_login:.3f}")
        )
        lines.append(
            (
                tr("a verified login", "每次验证"),
                tr(f"{total.fee_per_login:.2f} messages", f"{total.fee_per_login:.2f} 条短信") + cost,
            )
        )
    if found.packages:
        days = (
            ""
            if found.days_left is None
            else tr(f", for {found.days_left:.0f} days at this rate", f"，按此速度可用 {found.days_left:.0f} 天")
        )
        until = (
            ""
            if found.packages.expires is None
            else tr(
                f"; the first expires {moment(found.packages.expires)}", f"；最早 {moment(found.packages.expires)} 到期"
            )
        )
        lines.append((tr("left in packages", "套餐余量"), f"{found.packages.left}{days}{until}"))
    if total.tencent:
        lines.append((tr("Tencent", "腾讯云"), tr("sent / delivered / fee", "已发 / 送达 / 计费")))
    for title, words in lines:
        run.out.say(Text.assemble((f"{title}: ", "bold"), words))


def sparkline(values: Sequence[int]) -> str:
    """Return a bar for each value, the highest one for the greatest."""
    most = max(values, default=0) or 1
    return "".join(_BARS[value * (len(_BARS) - 1) // most] for value in values)
