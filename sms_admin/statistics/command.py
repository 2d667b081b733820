"""`stats`: tables in the terminal, JSON, or a page with pictures."""

import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from sms_admin import commands
from sms_admin.failures import Failed, unwritable
from sms_admin.language import tr
from sms_admin.place import settings_of
from sms_admin.run import Run
from sms_admin.statistics import counts, spans, terminal
from sms_admin.statistics.figures import Figures, Tencent
from sms_admin.statistics.report import report
from sms_login.settings.settings import Settings
from sms_login.sms import MAINLAND

_WEEK, _MOST_DAYS, _MOST_HOURS = 7, 90, 7 * 24
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
@click.option(
    "--from",
    "first",
    metavar="YYYY-MM-DD",
    type=_DAY,
    help=tr("The first day; without it, a week.", "起始日期；默认最近一周。"),
)
@click.option(
    "--to", "last", metavar="YYYY-MM-DD", type=_DAY, help=tr("The last day; without it, today.", "结束日期；默认今天。")
)
@click.option(
    "--by", type=click.Choice(["hour", "day", "country"]), default="day", help=tr("The rows.", "按何种单位分行。")
)
@click.option(
    "--price", metavar="AMOUNT", type=click.FloatRange(0), help=tr("The price of one message.", "每条短信的单价。")
)
@click.option("--no-tencent", is_flag=True, help=tr("Ask Redis alone.", "只查询 Redis。"))
@click.option(
    "--complete",
    is_flag=True,
    help=tr("Wait for Tencent's figures of every row: ten a second.", "等待每一行的腾讯云数据：每秒十个。"),
)
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
    complete: bool,
) -> None:
    """Print or write a report."""
    settings = settings_of(run.environ, "SMS_", "TZ_OFFSET")
    now = time.time()
    periods = _periods(first, last, by, settings.tz_offset, now)
    with run.out.status(tr("Reading…", "读取中…")):
        ours = counts.of_spans(run, periods, settings.tz_offset)
        figures, packages = (None, None) if no_tencent else _theirs(run, settings, ours, now, complete=complete)
        found = report(ours, figures, packages, price, now)
    if html:
        from sms_admin.statistics.page import page  # noqa: PLC0415 - only this way needs it

        try:
            html.write_text(page(found, by, spans.moment(now, settings.tz_offset)), encoding="utf-8")
        except OSError as error:
            raise unwritable(html, error) from None
        run.out.say(tr(f"Written to {html}.", f"已写入 {html}。"))
        return
    rows = found.countries if by == "country" else found.periods
    if run.out.as_json:
        rest = {"packages": found.packages, "daysLeft": found.days_left, "costPerLogin": found.cost_per_login}
        run.out.rows([*rows, found.total, rest], [])
        return
    columns = terminal.columns(by, tencent=bool(found.total.tencent))
    whole = run.out.rows(rows, columns, none=tr("There are no counts.", "没有计数。"))
    for title, text in [*terminal.trends(found.periods), *terminal.facts(found)]:
        run.out.say(Text.assemble((f"{title}: ", "bold"), text))
    if found.total.tencent and by != "country" and whole:
        run.out.say(tr("* sent / delivered / fee", "* 已发 / 送达 / 计费"))
        if any(row.tencent and row.tencent.rows for row in found.periods):
            run.out.say(
                tr("Older rows share a sum: --complete waits for each.", "较早的行合计显示；加 --complete 等待每一行。")
            )


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


Counts = Mapping[spans.Span, Mapping[str, Counter[str]]]


def _theirs(run: Run, settings: Settings, ours: Counts, now: float, *, complete: bool) -> tuple[Any, Any]:
    """Return Tencent's figures and packages, and say which are missing (None)."""
    figures: dict[spans.Span, Figures] | None = None
    packages = None
    try:
        tencent = Tencent(run.environ, _applications(settings, ours), now)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(tencent.packages)
            figures = tencent.of([*ours], complete=complete)
        packages = asked.result()
    except Failed as failed:
        what = (
            tr("Tencent's packages", "腾讯云套餐包") if figures is not None else tr("Tencent's figures", "腾讯云数据")
        )
        click.echo(tr(f"{what} are missing: {failed}", f"缺少{what}：{failed}"), err=True)
    return figures, packages


def _applications(settings: Settings, ours: Counts) -> dict[str, set[spans.Span]]:
    """Return the login's applications, each with the spans of its messages.

    The one for numbers abroad is among them unless all messages went to China.
    """
    countries = {country for found in ours.values() for country, each in found.items() if each["sent"]}
    abroad = settings.sms_abroad if countries != {MAINLAND} and settings.sms_abroad else settings.sms_mainland
    busy: dict[str, set[spans.Span]] = {settings.sms_mainland.app_id: set(), abroad.app_id: set()}
    for span, found in ours.items():
        for country, each in found.items():
            if each:
                busy[(settings.sms_mainland if country == MAINLAND else abroad).app_id].add(span)
    return busy
