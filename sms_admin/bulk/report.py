"""The report of a task: its rows by fate, the reasons, each row as CSV, and a picture in a page."""

import html
from pathlib import Path

from msgspec import Struct

from sms_admin.bulk import hours
from sms_admin.bulk.journal import Journal, State
from sms_admin.bulk.safe_csv import SafeCsv
from sms_admin.bulk.working import words
from sms_admin.failures import unwritable
from sms_admin.language import tr

_MINUTES = 60  # bars of the picture of time, at most
_GREEN = "#2e7d32"
_COLORS = {
    "delivered": _GREEN, "pending": "#9e9e9e", "undelivered": "#ef6c00", "refused": "#c62828", "unknown": "#6a1b9a",
    "skipped": "#795548", "waiting": "#1565c0",
}  # fmt: skip


class Reason(Struct, rename="camel"):
    """A reason, and the number of rows that it stopped; `fate` is refused, undelivered or unknown."""

    fate: str
    reason: str
    rows: int


class Report(Struct, rename="camel"):
    """A task by the fate of its rows. Accepted ones are delivered, undelivered, or pending: without a receipt yet."""

    task: str
    state: str
    rows: int
    accepted: int
    delivered: int
    undelivered: int
    pending: int
    refused: int
    unknown: int
    skipped: int
    waiting: int
    charged: int
    begun: int
    ended: int
    reasons: list[Reason]


def report(journal: Journal, name: str, state: str) -> Report:
    """Return the report of an open journal."""
    counts = journal.counts()
    one = journal.db.execute(
        "SELECT sum(delivered = 1), sum(delivered = 0), sum(fee), min(at), max(at) FROM recipients WHERE state = ?",
        (State.ACCEPTED,),
    ).fetchone()
    delivered, undelivered, fee, begun, ended = (int(value or 0) for value in one)
    reasons = journal.db.execute(
        "SELECT state, reason, count(*) FROM recipients WHERE reason IS NOT NULL GROUP BY state, reason ORDER BY 3 DESC"
    )
    fates = {State.ACCEPTED: "undelivered", State.SENDING: "unknown"}
    accepted = counts[State.ACCEPTED]
    return Report(
        name, state, sum(counts.values()), accepted, delivered, undelivered, accepted - delivered - undelivered,
        counts[State.REFUSED], counts[State.UNKNOWN] + counts[State.SENDING], counts[State.SKIPPED],
        counts[State.WAITING], fee, begun, ended,
        [Reason(fates.get(State(state), State(state).name.lower()), why, rows) for state, why, rows in reasons],
    )  # fmt: skip


def write_csv(journal: Journal, path: Path) -> None:
    """Write each row with its fate, and times in the task's zone; a spreadsheet changes no number. Raises Failed."""
    name = journal.task.zone
    place = hours.zone(name)
    heads = [
        tr("row", "行号"), tr("phone", "手机号码"), tr("state", "状态"), tr("reason", "原因"),
        tr("serial number", "流水号"), tr("charged", "计费"),
        tr(f"time ({name})", f"时间（{name}）"), tr("delivered", "送达"),
    ]  # fmt: skip
    file = SafeCsv(path, heads)
    answers = {None: "", 0: tr("no", "否"), 1: tr("yes", "是")}
    for row, phone, state, reason, serial, fee, at, delivered in journal.db.execute(
        "SELECT row, phone, state, reason, serial, fee, at, delivered FROM recipients ORDER BY row"
    ):
        cells = (
            State(state).name.lower(),
            reason or "",
            serial or "",
            str(fee or 0),
            hours.shown(at, place) if at else "",
        )
        file.write(str(row), f"+{phone}", *cells, answers[delivered])
    file.close()


def write_html(journal: Journal, found: Report, path: Path) -> None:
    """Write a page with the report as pictures and a table: without scripts, and without a network. Raises Failed."""
    task = journal.task
    fates = [(fate, getattr(found, fate)) for fate in _COLORS]
    rows = "".join(f"<tr><td>{_word(fate)}<td>{count}" for fate, count in [*fates, ("charged", found.charged)])
    reasons = "".join(f"<tr><td>{_word(one.fate)}<td>{html.escape(one.reason)}<td>{one.rows}" for one in found.reasons)
    title = html.escape(f"{found.task} · {task.sheet}")
    span = f"{hours.shown(found.begun, hours.zone(task.zone))} – {hours.named(found.ended, task.zone)}"
    page = f"""<!doctype html><html lang="{tr("en", "zh-CN")}"><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>body{{font:16px system-ui,sans-serif;max-width:48em;margin:2em auto;padding:0 1em}}svg{{width:100%}}
table{{border-collapse:collapse;margin:1em 0}}td{{padding:.2em 1em .2em 0;border-bottom:1px solid #ddd}}</style>
<h1>{title}</h1><p>{html.escape(words(found.state))} · {html.escape(span)}</p>
<p>{html.escape(task.text.content)}</p>
{_bar(fates)}<table>{rows}</table>{_times(journal, found)}<table>{reasons}</table>
"""
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise unwritable(path, error) from None


def _word(fate: str) -> str:
    chinese = {
        "delivered": "已送达", "pending": "等待回执", "undelivered": "未送达", "refused": "被拒绝", "unknown": "未知",
        "skipped": "已跳过", "waiting": "等待", "charged": "计费条数",
    }  # fmt: skip
    return tr(fate, chinese[fate])


def _bar(fates: list[tuple[str, int]]) -> str:
    """Return one bar of all rows, a color for each fate, with a legend."""
    total, at, parts, legend = sum(count for _, count in fates) or 1, 0.0, "", ""
    shown = [(fate, count) for fate, count in fates if count]
    for place, (fate, count) in enumerate(shown):
        width = 1000 * count / total
        label = f"{_word(fate)} {count} ({100 * count / total:.1f} %)"
        parts += (
            f'<rect x="{at:.1f}" width="{width:.1f}" height="40" fill="{_COLORS[fate]}"><title>{label}</title></rect>'
        )
        x, y = place % 3 * 340, 66 + place // 3 * 26
        legend += f'<rect x="{x}" y="{y - 13}" width="14" height="14" fill="{_COLORS[fate]}"/>'
        legend += f'<text x="{x + 20}" y="{y}">{label}</text>'
        at += width
    height = 60 + (len(shown) + 2) // 3 * 26
    return f'<svg viewBox="0 0 1000 {height}" font-size="18" role="img">{parts}{legend}</svg>'


def _times(journal: Journal, found: Report) -> str:
    """Return the accepted messages over time, as bars."""
    step = max(1, -(-(found.ended - found.begun + 1) // _MINUTES))
    query = "SELECT (at - ?) / ?, count(*) FROM recipients WHERE state = ? GROUP BY 1"
    bars: list[tuple[int, int]] = journal.db.execute(query, (found.begun, step, State.ACCEPTED)).fetchall()
    most = max((count for _, count in bars), default=0)
    if not most:
        return ""
    drawn, width, zone = "", 1000 / _MINUTES, hours.zone(journal.task.zone)
    for place, count in bars:
        height, when = 100 * count / most, hours.shown(found.begun + place * step, zone)
        drawn += f'<rect x="{place * width:.1f}" y="{120 - height:.1f}" width="{width - 2:.1f}" height="{height:.1f}"'
        drawn += f' fill="{_GREEN}"><title>{when}: {count}</title></rect>'
    caption = tr(f"at most {most} in {step} s", f"每 {step} 秒最多 {most} 条")
    return f'<svg viewBox="0 0 1000 150" font-size="18" role="img">{drawn}<text x="0" y="145">{caption}</text></svg>'
