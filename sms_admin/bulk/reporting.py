"""The commands that look back and ahead: `bulk report`, `bulk split`."""

from contextlib import closing
from pathlib import Path

import click

from sms_admin.bulk import hours
from sms_admin.bulk.draft import account_of, journal_option
from sms_admin.bulk.journal import Journal
from sms_admin.bulk.receipts import Mailbox
from sms_admin.bulk.report import report as report_of
from sms_admin.bulk.report import write_csv, write_html
from sms_admin.bulk.splitting import split as split_sheet
from sms_admin.bulk.task import Folder
from sms_admin.bulk.working import status, words
from sms_admin.commands import command
from sms_admin.language import tr
from sms_admin.output import Column
from sms_admin.run import Run

_FILE = click.Path(path_type=Path, dir_okay=False)


@command("report", example="bulk report wkfqrt --pull --html wkfqrt.html", help=tr("Report on a task.", "任务报告。"))
@click.argument("task")
@journal_option
@click.option("--pull", is_flag=True, help=tr("First pull receipts and replies.", "先拉取回执和上行短信。"))
@click.option(
    "--callbacks", metavar="FILE", type=_FILE, help=tr("First read callbacks from a file.", "先读取回调文件。")
)
@click.option("--csv", "table", metavar="FILE", type=_FILE, help=tr("Write each row there.", "将每一行写入此文件。"))
@click.option("--html", "page", metavar="FILE", type=_FILE, help=tr("Write pictures there.", "将图表写入此文件。"))
def report(
    run: Run,
    task: str,
    journal: Path | None,
    *,
    pull: bool,
    callbacks: Path | None,
    table: Path | None,
    page: Path | None,
) -> None:
    """Print the rows of a task by fate and reason."""
    folder = Folder.of(run.environ, journal)
    name = folder.find(task)
    with closing(Journal(folder.file(name))) as opened:
        if pull or callbacks:
            _news(run, folder, opened, callbacks, pull=pull)
        found = report_of(opened, name, status(folder, name).state)
        run.out.row(found, _columns(opened.task.zone))
        if not run.out.as_json and found.reasons:
            run.out.rows(found.reasons, _reason_columns())
        if table:
            write_csv(opened, table)
        if page:
            write_html(opened, found, page)


def _news(run: Run, folder: Folder, journal: Journal, callbacks: Path | None, *, pull: bool) -> None:
    mailbox, task = Mailbox(folder), journal.task
    if callbacks:
        mailbox.read(callbacks)
    if pull:
        mailbox.pull(account_of(run.environ), dict.fromkeys(app for app in (task.app_id, task.abroad_app_id) if app))
    noted, foreign, unsubscribed = mailbox.noted, mailbox.foreign, mailbox.unsubscribed
    run.out.say(
        tr(
            f"receipts noted: {noted}, of other messages: {foreign}; unsubscribed: {unsubscribed}",
            f"记录 {noted} 条回执，{foreign} 条属于其他短信；{unsubscribed} 人退订。",
        )
    )


@command(
    "split",
    example="bulk split members.xlsx --parts 4",
    help=tr("Split a sheet for several machines.", "将表格拆分给多台机器。"),
)
@click.argument("sheet", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--parts", metavar="N", type=click.IntRange(2, 100), required=True, help=tr("Their count.", "份数。"))
@click.option("--sheet-name", metavar="NAME", default="", help=tr("The sheet of the workbook.", "工作表名称。"))
def split(run: Run, sheet: Path, parts: int, sheet_name: str) -> None:
    """Write sheets that share no number: the number of a row decides its part."""
    targets = [sheet.with_name(f"{sheet.stem}.{part}.csv") for part in range(1, parts + 1)]
    counts = split_sheet(sheet, sheet_name, targets)
    for path, count in zip(targets, counts, strict=True):
        run.out.say(tr(f"{path}: {count} rows", f"{path}：{count} 行"))


def _columns(zone: str) -> list[Column]:
    return [
        Column("task", tr("task", "任务")),
        Column("state", tr("state", "状态"), words),
        Column("rows", tr("rows", "行数")),
        Column("accepted", tr("accepted", "已接受")),
        Column("delivered", tr("  delivered", "  已送达")),
        Column("undelivered", tr("  not delivered", "  未送达")),
        Column("pending", tr("  without a receipt yet", "  等待回执")),
        Column("refused", tr("refused", "被拒绝")),
        Column("unknown", tr("unknown", "未知")),
        Column("skipped", tr("skipped", "已跳过")),
        Column("waiting", tr("waiting", "等待")),
        Column("charged", tr("messages charged", "计费条数")),
        Column("begun", tr("begun", "开始时间"), lambda at: hours.named(at, zone)),
        Column("ended", tr("last sent", "最后发送"), lambda at: hours.named(at, zone)),
    ]


def _reason_columns() -> list[Column]:
    chinese = {"undelivered": "未送达", "refused": "被拒绝", "unknown": "未知", "skipped": "已跳过", "waiting": "等待"}
    return [
        Column("fate", tr("fate", "结果"), lambda fate: tr(fate, chinese[fate])),
        Column("reason", tr("reason", "原因")),
        Column("rows", tr("rows", "行数"), right=True),
    ]
