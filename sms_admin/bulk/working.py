"""A run of a task on the terminal: the progress bar, Ctrl-C, and the words about its end."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from msgspec import Struct

from sms_admin.bulk import hours
from sms_admin.bulk.account import Account
from sms_admin.bulk.journal import Journal, Result, State
from sms_admin.bulk.running import run as run_task
from sms_admin.bulk.sender import Wait
from sms_admin.bulk.task import Folder, Phase, Task
from sms_admin.language import tr
from sms_admin.output import Column
from sms_admin.run import Run


class Status(Struct, rename="camel"):
    """A task and how many of its rows are in each state; times in epoch seconds."""

    task: str
    state: str
    reason: str
    sheet: str
    rows: int
    accepted: int
    refused: int
    unknown: int
    skipped: int
    waiting: int
    rejected: int
    fee: int
    created: int
    at: int


def columns() -> list[Column]:
    """Return the columns of a status."""
    return [
        Column("task", tr("task", "任务")),
        Column("state", tr("state", "状态"), words),
        Column("sheet", tr("sheet", "表格")),
        Column("rows", tr("rows", "行数"), right=True),
        Column("accepted", tr("accepted", "已接受"), right=True),
        Column("refused", tr("refused", "被拒绝"), right=True),
        Column("unknown", tr("unknown", "未知"), right=True),
        Column("waiting", tr("waiting", "等待"), right=True),
        Column("fee", tr("charged", "计费"), right=True),
    ]


def words(state: str) -> str:
    """Return the word for a state."""
    chinese = {
        "scheduled": "已定时", "running": "发送中", "interrupted": "已中断", "paused": "已暂停", "cancelled": "已取消",
        "expired": "已过期", "finished": "已完成", "unusable": "无法读取",
    }  # fmt: skip
    return tr(state, chinese[state])


def status(folder: Folder, name: str) -> Status:
    """Return the status of a task."""
    with closing(Journal(folder.file(name))) as journal:
        task, counts = journal.task, journal.counts()
        (fee,) = journal.db.execute("SELECT sum(fee) FROM recipients").fetchone()
    state = task.phase.value
    if task.phase in (Phase.RUNNING, Phase.SCHEDULED):
        running = folder.holder(name)
        state = "interrupted" if not running else "scheduled" if task.at > time.time() else "running"
    flying = counts[State.SENDING]
    lost = 0 if state == "running" else flying
    return Status(
        name, state, task.reason, task.sheet, task.rows, counts[State.ACCEPTED], counts[State.REFUSED],
        counts[State.UNKNOWN] + lost, counts[State.SKIPPED], counts[State.WAITING] + flying - lost, task.rejected,
        int(fee or 0), task.created, task.at,
    )  # fmt: skip


def work(run: Run, folder: Folder, name: str, account: Account, *, unknown: str = "") -> int:
    """Send a task and tell its end; return 0 if it is finished and no row is of unknown fate."""
    with closing(Journal(folder.file(name))) as journal:
        task, total = journal.task, journal.counts()[State.WAITING]
    with _stoppable() as stop, run.out.progress(tr("sending", "发送"), total) as advance:

        def on_results(results: list[Result]) -> None:
            advance(len(results))

        def on_wait(why: Wait, until: float) -> None:
            _tell_wait(run, task, why, until)

        end = run_task(folder, name, account, stop=stop, unknown=unknown, on_results=on_results, on_wait=on_wait)
    found = status(folder, name)
    run.out.rows([found], columns())
    _tell_end(run, found)
    return 0 if end.phase == Phase.FINISHED and not found.unknown else 1


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C, SIGTERM or hang-up of the terminal sets; the second one ends the process."""
    stop = threading.Event()
    before: dict[int, Any] = {}

    def on_signal(*_: Any) -> None:
        stop.set()
        for number, handler in before.items():
            signal.signal(number, handler)

    if threading.current_thread() is threading.main_thread():
        heard = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]  # as nohup has it
        before = {number: signal.signal(number, on_signal) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_told: set[tuple[str, float]] = set()


def _tell_wait(run: Run, task: Task, why: Wait, until: float) -> None:
    if (task.id, until) in _told:
        return
    _told.add((task.id, until))
    zone = hours.zone(task.zone)
    then, left = hours.shown(until, zone), hours.duration(until - time.time())
    if why == Wait.SCHEDULED:
        run.out.say(tr(f"Begins at {then} {task.zone}, in {left}.", f"将于 {then}（{task.zone}）开始，还有 {left}。"))
    else:
        run.out.say(
            tr(
                f"Marketing rests at night: goes on at {then}, in {left}.",
                f"夜间不发送营销短信：将于 {then} 继续，还有 {left}。",
            )
        )


def _tell_end(run: Run, found: Status) -> None:
    name = found.task
    if found.state == "paused":
        run.out.say(
            tr(
                f"Paused ({found.reason}): `bulk resume {name}` goes on.",
                f"已暂停（{found.reason}）：`bulk resume {name}` 继续。",
            )
        )
    if found.unknown:
        run.out.say(
            tr(
                f"Rows of unknown fate: {found.unknown}. `bulk show {name}` lists them, and `bulk resume {name} "
                "--unknown send` or `skip` decides.",
                f"有 {found.unknown} 行结果未知：`bulk show {name}` 列出这些行，"
                f"`bulk resume {name} --unknown send` 或 `skip` 决定。",
            )
        )
