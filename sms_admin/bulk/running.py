"""One run of a task: its lock, the rows of an interrupted run, the sending, and the phase in which it ends."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sms_admin.bulk.account import Account
from sms_admin.bulk.exclusions import Exclusions
from sms_admin.bulk.journal import Journal, JournalFull, Result, State, damaged
from sms_admin.bulk.moving import origin_elsewhere
from sms_admin.bulk.sender import End, Sender, Wait
from sms_admin.bulk.task import Folder, Phase
from sms_admin.bulk.unknown import RATE, look_up
from sms_admin.failures import Failed

_RESERVE = 4 << 20  # bytes: enough for the results of all requests on their way when the disk is full


class Reserve:
    """Space on the disk that is freed when it is full."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.write_bytes(b"\0" * _RESERVE)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise full(error.strerror or "") from None

    def free(self) -> None:
        """Free the space."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def full(why: str) -> Failed:
    """Return the failure of a journal that cannot be written."""
    return Failed(
        f"the journal cannot be written ({why}): nothing more is sent. Free some space, then `bulk resume`",
        f"无法写入日志（{why}）：已停止发送。请清理磁盘空间，然后执行 `bulk resume`",
    )


def run(
    folder: Folder,
    task: str,
    account: Account,
    *,
    stop: threading.Event,
    unknown: str = "",
    on_begin: Callable[[dict[State, int]], None] = lambda _: None,
    on_results: Callable[[list[Result]], None] = lambda _: None,
    on_wait: Callable[[Wait, float], None] = lambda *_: None,
    clock: Callable[[], float] = time.time,
    look_ups: float = RATE,
) -> End:
    """Send the rows of a task that surely were not sent, and return its end.

    Rows of unknown fate are looked up in the receipts, `look_ups` a second; those without one are left alone, unless
    `unknown` is "send" or "skip". Raises Failed, also if another process works on the task, or if its journal cannot be
    written.
    """
    with folder.locked(task):
        journal = Journal(folder.file(task))
        try:
            _check(journal)
            return _run(folder, journal, account, stop, unknown, on_begin, on_results, on_wait, clock, look_ups)
        except JournalFull as error:
            raise full(str(error)) from None
        finally:
            journal.close()
            folder.file(task, "reserve").unlink(missing_ok=True)


def _run(
    folder: Folder,
    journal: Journal,
    account: Account,
    stop: threading.Event,
    unknown: str,
    on_begin: Callable[[dict[State, int]], None],
    on_results: Callable[[list[Result]], None],
    on_wait: Callable[[Wait, float], None],
    clock: Callable[[], float],
    look_ups: float,
) -> End:
    _refuse_ended(journal.task.id, journal.task.phase)
    journal.forget_interrupted()
    if unknown:
        look_up(journal, account, rate=look_ups, clock=clock, sleep=stop.wait)
        journal.move(State.UNKNOWN, State.WAITING if unknown == "send" else State.SKIPPED)
    reserve = Reserve(folder.file(journal.task.id, "reserve"))
    journal.change(phase=Phase.RUNNING, reason="")
    on_begin(journal.counts())
    end = Sender(
        journal,
        account,
        stop=stop,
        prepare=lambda: _skip_excluded(folder, journal),
        reserve=reserve.free,
        on_results=on_results,
        on_wait=on_wait,
        clock=clock,
    ).run()
    if end.phase == Phase.FINISHED:
        look_up(journal, account, rate=look_ups, clock=clock, sleep=stop.wait)
    journal.change(phase=end.phase, reason=end.reason)
    return end


def _check(journal: Journal) -> None:
    """Raise Failed for a damaged journal, and for a copy, whose rows the task itself may have sent."""
    try:
        (found,) = journal.db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise damaged(journal.path, found)
    name, task = journal.path.stem, journal.task.id
    if name != task:
        why = f"{name} is a copy of the task {task}: resume {task}", f"{name} 是任务 {task} 的副本：请继续 {task}"
        raise Failed(*why)
    if origin := origin_elsewhere(journal):
        raise Failed(
            f"this journal was {origin.path}: `bulk resume` asks whether it was moved",
            f"此日志原为 {origin.path}：`bulk resume` 会询问它是否为移动过来的",
        )


def _skip_excluded(folder: Folder, journal: Journal) -> None:
    Exclusions(folder.path).skip(journal)


def _refuse_ended(task: str, phase: Phase) -> None:
    if phase == Phase.CANCELLED:
        raise Failed(f"the task {task} was cancelled", f"任务 {task} 已取消")
