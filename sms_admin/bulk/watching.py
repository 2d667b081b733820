"""The commands about tasks that exist: `bulk list`, `show`, `resume`, `cancel`."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import click
from msgspec import Struct

from sms_admin.bulk import hours
from sms_admin.bulk.draft import account_of, journal_option
from sms_admin.bulk.journal import Journal, JournalFull, State
from sms_admin.bulk.moving import origin_elsewhere, question, settle
from sms_admin.bulk.running import full
from sms_admin.bulk.task import Folder, Phase
from sms_admin.bulk.working import Status, columns, status, work
from sms_admin.commands import command
from sms_admin.failures import Failed
from sms_admin.language import tr
from sms_admin.output import Column
from sms_admin.run import Run
from sms_login.phone import Phone

_PATIENCE = 30.0  # s until another process has ended its requests


class Row(Struct, rename="camel"):
    """A recipient that was not accepted; `row` is that of the sheet, `at` in epoch seconds."""

    row: int
    phone: Phone
    state: str
    reason: str
    at: int


@command("list", example="bulk list", help=tr("List all tasks.", "列出所有任务。"))
@journal_option
def list_(run: Run, journal: Path | None) -> None:
    """Print a line for each task."""
    folder = Folder.of(run.environ, journal)
    found = [_status(folder, name) for name in folder.tasks()]
    run.out.rows(sorted(found, key=lambda one: one.created), columns())


def _status(folder: Folder, name: str) -> Status:
    """Return the status of a task, also if its journal is damaged: the others are listed all the same."""
    try:
        return status(folder, name)
    except (Failed, sqlite3.DatabaseError) as error:
        return Status(name, "unusable", str(error), "", *[0] * 10)


@command("show", example="bulk show wkfqrt", help=tr("Show the rows that were not accepted.", "查看未被接受的行。"))
@click.argument("task")
@journal_option
@click.option(
    "--state",
    type=click.Choice(["unknown", "refused", "waiting", "skipped"]),
    metavar="STATE",
    multiple=True,
    help=tr(
        "Only rows in this state: unknown, refused, waiting or skipped.",
        "仅显示此状态的行：unknown、refused、waiting 或 skipped。",
    ),
)
def show(run: Run, task: str, journal: Path | None, state: tuple[str, ...]) -> None:
    """Print the task, then the rows of unknown fate and the refused ones."""
    folder = Folder.of(run.environ, journal)
    name = folder.find(task)
    run.out.rows([status(folder, name)], columns())
    states = [State[one.upper()] for one in state or ("unknown", "refused")]
    with closing(Journal(folder.file(name))) as opened:
        zone = opened.task.zone
    run.out.rows(
        _rows(folder, name, states), _row_columns(zone), none=tr("All rows were accepted.", "所有行均已接受。")
    )


@command("resume", example="bulk resume wkfqrt", help=tr("Go on with a task.", "继续任务。"))
@click.argument("task")
@journal_option
@click.option(
    "--unknown",
    type=click.Choice(["send", "skip"]),
    help=tr(
        "What to do with rows of unknown fate: send them, perhaps twice, or not.",
        "结果未知的行：再次发送（可能重复），或跳过。",
    ),
)
def resume(run: Run, task: str, journal: Path | None, unknown: str | None) -> int:
    """Send the rows that surely were not sent."""
    folder = Folder.of(run.environ, journal)
    name = folder.find(task)
    with closing(Journal(folder.file(name))) as opened:
        if origin := origin_elsewhere(opened):
            run.confirm(question(origin))
            with folder.locked(name):
                _settle(opened)
    count = status(folder, name).unknown
    if unknown == "send" and count:
        run.confirm(
            tr(
                f"Send to {count} recipients who may have got the message?",
                f"有 {count} 位收件人可能已收到短信，仍要发送吗？",
            )
        )
    return work(run, folder, name, account_of(run.environ), unknown=unknown or "")


def _settle(journal: Journal) -> None:
    try:
        settle(journal)
    except JournalFull as error:
        raise full(str(error)) from None


@command("cancel", example="bulk cancel wkfqrt", help=tr("End a task for good.", "取消任务。"))
@click.argument("task")
@journal_option
def cancel(run: Run, task: str, journal: Path | None) -> None:
    """Stop the process that sends a task, if there is one, and mark the task as cancelled."""
    folder = Folder.of(run.environ, journal)
    name = folder.find(task)
    left = status(folder, name).waiting
    if not left:
        raise Failed(f"the task {name} is finished: no row waits", f"任务 {name} 已完成：没有等待的行")
    run.confirm(tr(f"Cancel {name}? {left} rows will get nothing.", f"取消 {name}？有 {left} 行将不会发送。"))
    _stop(folder, name)
    with folder.locked(name), closing(Journal(folder.file(name))) as opened:
        opened.forget_interrupted()
        opened.change(phase=Phase.CANCELLED, reason="")
    run.out.rows([status(folder, name)], columns())


def _stop(folder: Folder, name: str) -> None:
    """Ask the process that works on a task to stop, and wait for it. Raises Failed."""
    until = time.monotonic() + _PATIENCE
    while (holder := folder.holder(name)) and time.monotonic() < until:
        if holder != os.getpid():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(holder, signal.SIGTERM)
        time.sleep(0.1)
    if folder.holder(name):
        raise Failed(f"the process of {name} does not stop", f"任务 {name} 的进程没有停止")


def _rows(folder: Folder, name: str, states: list[State]) -> Iterator[Row]:
    marks = ",".join("?" * len(states))
    query = f"SELECT row, phone, state, reason, at FROM recipients WHERE state IN ({marks}) ORDER BY state DESC, row"  # noqa: S608 - question marks
    with closing(Journal(folder.file(name))) as journal:
        for row, phone, state, reason, at in journal.db.execute(query, states):
            yield Row(row, Phone.from_e164(f"+{phone}"), State(state).name.lower(), reason or "", at or 0)


def _row_columns(zone: str) -> list[Column]:
    chinese = {"unknown": "未知", "refused": "被拒绝", "waiting": "等待", "skipped": "已跳过"}
    place = hours.zone(zone)
    return [
        Column("row", tr("row", "行号"), right=True),
        Column("phone", tr("number", "号码")),
        Column("state", tr("state", "状态"), lambda state: tr(state, chinese[state])),
        Column("reason", tr("reason", "原因")),
        Column("at", tr(f"time ({zone})", f"时间（{zone}）"), lambda at: hours.shown(at, place)),
    ]
