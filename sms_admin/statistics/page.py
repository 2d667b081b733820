"""The report as one HTML page: pictures made here, a table beside each, no script, nothing from the network."""

from collections.abc import Mapping, Sequence
from html import escape

from sms_admin.language import is_chinese, tr
from sms_admin.statistics import charts
from sms_admin.statistics.report import Report, Row
from sms_admin.statistics.terminal import facts, name_of, percent

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2024; --quiet: #555d66; --rule: #d5dae0; --card: #f5f7f9;
  --s0: #0b5cad; --s1: #a84300; --s2: #1a7336; --s3: #7a3fa0; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e8eaed; --quiet: #aab2bb; --rule: #3a4149;
  --card: #1d2125; --s0: #74b3ff; --s1: #ffae70; --s2: #71d68f; --s3: #d3a5f5; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "PingFang SC", "Microsoft YaHei",
  sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 24px; }
h1 { font-size: 26px; margin: 0; } h2 { font-size: 19px; margin: 36px 0 12px; }
p { color: var(--quiet); margin: 4px 0 16px; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); gap: 12px; margin: 0; }
dl div { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 10px 14px; }
dt { color: var(--quiet); font-size: 13px; } dd { margin: 0; font-size: 17px; overflow-wrap: anywhere; }
.pair { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 24px; align-items: start; }
.pair:has(.line) { grid-template-columns: minmax(0, 1fr); }
@media (max-width: 900px) { .pair { grid-template-columns: minmax(0, 1fr); } }
figure { margin: 0; } svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font-size: 12px; } .grid { stroke: var(--rule); }
.line { fill: none; stroke-width: 2; }
polyline.s0 { stroke: var(--s0); } polyline.s1 { stroke: var(--s1); stroke-dasharray: 7 3; }
polyline.s2 { stroke: var(--s2); stroke-dasharray: 2 3; } polyline.s3 { stroke: var(--s3); stroke-dasharray: 9 3 2 3; }
circle.s0, rect.s0 { fill: var(--s0); } circle.s1 { fill: var(--s1); } circle.s2 { fill: var(--s2); }
circle.s3 { fill: var(--s3); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 0; margin: 0 0 8px; }
.key { display: inline-block; width: 14px; height: 4px; margin-inline-end: 6px; vertical-align: middle; }
.k0 { background: var(--s0); } .k1 { background: var(--s1); }
.k2 { background: var(--s2); } .k3 { background: var(--s3); }
.scroll { overflow: auto; max-height: 420px; } .scroll:focus-visible { outline: 2px solid var(--s0); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 4px 8px; border-bottom: 1px solid var(--rule); text-align: end; white-space: nowrap; }
th:first-child, td:first-child { text-align: start; } thead th { color: var(--quiet); font-weight: 600; }
tbody th { font-weight: 400; }
@media print { .scroll { max-height: none; } }
"""
_HEAD = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title><style>{style}</style></head><body><main>
"""


def page(found: Report, by: str, made: str) -> str:
    """Return the page of a report, with rows by hour, day or country; `made` is the time of the report."""
    names = [row.period for row in found.periods]
    title = tr("SMS sign-in: statistics", "短信登录统计")
    parts = [_HEAD.format(language="zh-CN" if is_chinese() else "en", title=title, style=_STYLE)]
    when = tr(f"{names[0]} to {names[-1]}, made on {made}", f"{names[0]} 至 {names[-1]}，生成于 {made}")
    parts.append(f"<h1>{title}</h1><p>{escape(when)}</p>")
    parts.append(
        "<dl>"
        + "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts(found))
        + "</dl>"
    )
    parts += [_funnel(found.total), _time(found.periods, hourly=by == "hour"), _countries(found.countries)]
    total = found.total
    reasons = [
        (tr("Refusals of getSms", "拒绝原因"), total.refused_by),
        (tr("Messages that failed, by receipt", "回执失败原因"), total.failed_by),
        (tr("Failures in Tencent's figures", "腾讯云的失败原因"), total.tencent.failed_by if total.tencent else {}),
        (tr("Right codes by purpose", "按用途统计的验证"), total.verified_by),
        (tr("Seconds from sending to right code, at most", "从发送到填对验证码的秒数上限"), total.seconds),
    ]
    parts += [_shares(heading, counts) for heading, counts in reasons if counts]
    return "".join(parts) + "</main></body></html>\n"


def _funnel(total: Row) -> str:
    steps = [
        (tr("asked", "请求"), total.asked),
        (tr("sent", "已发"), total.sent),
        (tr("delivered", "送达"), total.delivered),
        (tr("verified", "验证"), total.verified),
        (tr("signed up", "注册"), total.signed_up),
    ]
    theirs = ["–"] * len(steps)
    if total.tencent:
        theirs[1], theirs[2] = f"{total.tencent.accepted}", f"{total.tencent.delivered}"
    rows = [(name, value, f"{value} ({_share(value, total.asked)})") for name, value in steps]
    cells = [
        (name, f"{value}", _share(value, total.asked), tencent)
        for (name, value), tencent in zip(steps, theirs, strict=True)
    ]
    heads = (tr("step", "步骤"), tr("count", "数量"), tr("of asked", "占请求"), tr("Tencent", "腾讯云"))
    heading = tr("From request to login", "从请求到登录")
    return _section(heading, charts.bars(heading, rows), heads, cells)


def _time(periods: Sequence[Row], *, hourly: bool) -> str:
    series = [
        (tr("sent", "已发"), [row.sent for row in periods]),
        (tr("delivered", "送达"), [row.delivered for row in periods]),
        (tr("verified", "验证"), [row.verified for row in periods]),
    ]
    heads = [
        tr("hour", "小时") if hourly else tr("day", "日期"),
        *(name for name, _ in series),
        tr("conversion", "转化率"),
        tr("fee", "计费"),
    ]
    if any(row.tencent for row in periods):
        series.append((tr("sent, by Tencent's figures", "已发（腾讯云）"), accepted(periods)))
        heads += [tr("Tencent: sent", "腾讯云：已发"), tr("delivered", "送达"), tr("fee", "计费")]
    cells = []
    for row in periods:
        ours = (row.period, row.sent, row.delivered, row.verified, percent(row.conversion), row.fee)
        cells.append([f"{cell}" for cell in (*ours, *_theirs(row))][: len(heads)])
    heading = tr("By hour", "按小时") if hourly else tr("By day", "按天")
    names = [row.period[-11:] if hourly else row.period[5:] for row in periods]
    return _section(heading, charts.lines(heading, names, series), heads, cells)


def _theirs(row: Row) -> tuple[str, str, str]:
    """Return the cells of Tencent's figures; a sum of several rows says so."""
    if row.tencent is None:
        return ("", "", "")
    suffix = f" (Σ {row.tencent.rows})" if row.tencent.rows else ""
    sent, delivered, fee = (f"{n}{suffix}" for n in (row.tencent.accepted, row.tencent.delivered, row.tencent.fee))
    return sent, delivered, fee


def accepted(periods: Sequence[Row]) -> list[int]:
    """Return the accepted messages of each row by Tencent's figures; rows that share a sum have their mean."""
    values, mean, left = list[int](), 0, 0
    for row in reversed(periods):
        if row.tencent:
            left = row.tencent.rows or 1
            mean = row.tencent.accepted // left
        values.append(mean if left > 0 else 0)
        left -= 1
    return values[::-1]


def _countries(countries: Sequence[Row]) -> str:
    if not countries:
        return ""
    heads = (
        tr("country", "国家/地区"),
        tr("asked", "请求"),
        tr("sent", "已发"),
        tr("delivered", "送达"),
        tr("verified", "验证"),
        tr("conversion", "转化率"),
        tr("fee", "计费"),
    )
    cells = [
        [
            name_of(row.period),
            *(f"{n}" for n in (row.asked, row.sent, row.delivered, row.verified)),
            percent(row.conversion),
            f"{row.fee}",
        ]
        for row in countries
    ]
    rows = [(name_of(row.period), row.sent, f"{row.sent} ({percent(row.conversion)})") for row in countries[:12]]
    heading = tr("By country: sent, and conversion", "按国家/地区：已发与转化率")
    return _section(heading, charts.bars(heading, rows), heads, cells)


def _shares(heading: str, counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    cells = [(name, f"{count}", _share(count, total)) for name, count in counts.items()]
    rows = [(name, count, f"{count} ({_share(count, total)})") for name, count in counts.items()]
    return _section(heading, charts.bars(heading, rows), ("", tr("count", "数量"), tr("share", "占比")), cells)


def _section(heading: str, picture: str, heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' if cell else "<td></td>" for cell in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in rest) + "</tr>"
        for first, *rest in cells
    )
    table = f"<table><caption>{escape(heading)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    scroll = f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(heading)}">{table}</div>'
    return f'<section><h2>{escape(heading)}</h2><div class="pair"><figure>{picture}</figure>{scroll}</div></section>\n'


def _share(part: int, whole: int) -> str:
    return percent(part / whole if whole else None)
