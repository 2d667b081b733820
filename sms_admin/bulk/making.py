"""The commands that make a task: `bulk template`, `bulk preview`, `bulk send`."""

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import replace

from sms_admin.bulk import hours, template_sheet
from sms_admin.bulk.draft import Draft, options
from sms_admin.bulk.journal import Journal, JournalFull
from sms_admin.bulk.preview import Count, Sample
from sms_admin.bulk.running import full
from sms_admin.bulk.task import Folder, Task
from sms_admin.bulk.working import work
from sms_admin.commands import PHONE, command
from sms_admin.failures import Failed
from sms_admin.language import tr
from sms_admin.output import Column
from sms_admin.run import Run
from sms_login.phone import Phone

_LATENCY = 0.1  # s of one request, for the estimate


class Preview(Struct, rename="camel"):
    """The decision about a sheet. `messages` are charged if all are accepted, `seconds` is an estimate."""

    sheet: str
    recipients: int
    abroad: int
    rejected: int
    duplicates: int
    excluded: int
    empty: int
    heads: list[int]
    messages: int
    requests: int
    seconds: int
    begins: str
    kind: str
    samples: list[Sample]
    problems: list[str]
    notes: list[str]
    rejected_file: str


@command(
    "template",
    example="bulk template members.xlsx --variables 2",
    help=tr("Write a sheet to fill in.", "生成待填写的表格。"),
)
@click.argument("new", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--variables",
    metavar="N",
    type=click.IntRange(0, 20),
    default=1,
    show_default=True,
    help=tr("Their count.", "数量。"),
)
def template(run: Run, new: Path, variables: int) -> None:
    """Write a sheet whose cells are text, so that Excel changes no number."""
    template_sheet.write(new, variables)
    run.out.say(tr(f"{new} is ready to be filled in.", f"已生成 {new}，请填写。"))


@command(
    "preview",
    example="bulk preview members.xlsx --template 1234567 --sign Example",
    help=tr(
        "Check every row, render samples, count messages. Nothing is sent.", "检查每一行、预览短信、统计条数，不发送。"
    ),
)
@options
@click.option(
    "--rejected",
    "rejected_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=tr("The file of rejected rows.", "不合格行的文件。"),
)
def preview(run: Run, journal: Path | None, rejected_file: Path | None, **given: Any) -> int:
    """Return 1 if the sheet could not be sent as it is."""
    folder, draft = Folder.of(run.environ, journal), Draft.of(run.environ, given)
    rejected = rejected_file or _beside(given["sheet"])
    with folder.making(draft.task.id):
        made, task, count = draft.read(folder, rejected)
        made.discard()
    return 1 if _show(run, draft, task, count, rejected) else 0


@command(
    "send",
    example="bulk send members.xlsx --template 1234567 --sign Example --at '2027-02-06 09:00:00'",
    help=tr("Preview, ask, and send.", "预览、确认后发送。"),
)
@options
@click.option(
    "--test",
    metavar="PHONE",
    type=PHONE,
    help=tr("First send a message to this number.", "先向此号码发送一条。"),
)
@click.option("--dry-run", is_flag=True, help=tr("Do everything but send.", "除发送外全部执行。"))
@click.option("--again", is_flag=True, help=tr("Send a sheet that was sent before.", "再次发送已发送过的表格。"))
def send(run: Run, journal: Path | None, *, test: Phone | None, dry_run: bool, again: bool, **given: Any) -> int:
    """Return 1 if the preview finds a problem, or if not all rows were accepted or refused."""
    folder, draft = Folder.of(run.environ, journal), Draft.of(run.environ, given)
    if not again:
        _refuse_twice(folder, draft.task)
    only_shown = dry_run or draft.problems
    rejected = _beside(given["sheet"]) if only_shown else folder.file(draft.task.id, "rejected.csv")
    with folder.making(draft.task.id):
        made, task, count = draft.read(folder, rejected)
        try:
            problems = _show(run, draft, task, count, rejected)
            if problems or dry_run:
                return 1 if problems else 0
            _ask(run, made, draft, task, test)
            with folder.locked("publish", wait=True):
                if not again:  # another process may have sent the sheet since
                    _refuse_twice(folder, task)
                made.publish(folder.file(task.id))
        except JournalFull as error:
            raise full(str(error)) from None
        finally:
            made.discard()
    return work(run, folder, task.id, draft.account)


def _beside(sheet: Path) -> Path:
    return sheet.with_name(f"{sheet.stem}.rejected.csv")


def _refuse_twice(folder: Folder, task: Task) -> None:
    """Raise Failed if the same sheet was sent with the same template: that task should be resumed instead."""
    for name in folder.tasks():
        with closing(Journal(folder.file(name))) as journal:
            before = journal.task
        if (before.digest, before.template_id) == (task.digest, task.template_id):
            raise Failed(
                f"the task {name} has this sheet and this template: `bulk resume {name}` goes on with it, --again "
                "sends it once more",
                f"任务 {name} 已用此模板发送该表格：`bulk resume {name}` 继续，--again 再次发送",
            )


def _ask(run: Run, journal: Journal, draft: Draft, task: Task, test: Phone | None) -> None:
    """Send the test message, then ask for a yes that names recipients and fee. Raises Failed after a no."""
    if test:
        (row,) = journal.db.execute("SELECT min(row) FROM recipients").fetchone()
        first = journal.recipient(row)._replace(phone=int(test.e164[1:]))
        (result,) = draft.account.send(task, [first])
        outcome = tr("was accepted", "已接受") if result.serial else result.reason
        run.out.say(tr(f"The test message {outcome}.", f"测试短信{outcome}。"))
        with journal.changes():
            journal.task = replace(task, tests=(result.serial,))  # its receipt belongs to no row
        if not result.serial:
            raise Failed(f"the test message was refused: {result.reason}", f"测试短信被拒绝：{result.reason}")
    run.confirm(
        tr(
            f"Send to {task.rows} recipients, {task.messages} messages charged?",
            f"向 {task.rows} 位收件人发送，计费 {task.messages} 条，确认吗？",
        )
    )


def _show(run: Run, draft: Draft, task: Task, count: Count, rejected: Path) -> list[str]:
    """Print a preview; return the problems that stop a sending."""
    problems = list(draft.problems)
    if not count.recipients:
        problems.append(tr("no row can be sent", "没有可发送的行"))
    pace = min(task.rate, task.parallel / _LATENCY)
    bad = count.rejected + count.duplicates + count.excluded
    begins = hours.named(task.at, task.zone) if task.at else ""
    shown = Preview(
        task.sheet, count.recipients, count.abroad, count.rejected, count.duplicates, count.excluded, count.empty,
        count.heads, count.messages, count.requests, round(count.requests / pace), begins,
        "marketing" if task.marketing else "notice", count.samples, problems, draft.notes,
        str(rejected) if bad else "",
    )  # fmt: skip
    run.out.row(shown, _columns(task))
    if not run.out.as_json:
        for sample in count.samples:
            place = tr(f"row {sample.row}: {sample.messages}", f"第 {sample.row} 行：{sample.messages} 条")
            run.out.say(f"  {sample.text}  ({place})")
    for note in draft.notes:
        run.out.say(tr(f"Note: {note}.", f"提示：{note}。"))
    for problem in problems:
        run.out.say(tr(f"Problem: {problem}.", f"问题：{problem}。"))
    return problems


def _columns(task: Task) -> list[Column]:
    ahead = hours.duration(task.at - time.time()) if task.at else ""
    return [
        Column("sheet", tr("sheet", "表格")),
        Column("recipients", tr("recipients", "收件人")),
        Column("abroad", tr("of them abroad", "其中境外")),
        Column("rejected", tr("rejected rows", "不合格行")),
        Column("duplicates", tr("duplicates", "重复行")),
        Column("excluded", tr("on the exclusion list", "在排除名单中")),
        Column("heads", tr("rows of titles", "标题行")),
        Column("messages", tr("messages charged", "计费条数")),
        Column("requests", tr("requests", "请求数")),
        Column("seconds", tr("takes about", "预计用时"), hours.duration),
        Column(
            "begins",
            tr("begins", "开始时间"),
            lambda at: f"{at} ({tr(f'in {ahead}', f'{ahead}后')})" if at else tr("now", "立即"),
        ),
        Column("kind", tr("kind", "类型"), lambda kind: kind if kind == "notice" else tr("marketing", "营销")),
        Column("rejectedFile", tr("rejected rows are in", "不合格行文件")),
    ]
