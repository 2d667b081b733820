"""Findings, and the runner of checks, which isolates each check and limits its time."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import copy_context
from enum import Enum
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.cells import cell_len

from sms_admin.language import tr

_EACH, _ALL = 20.0, 60.0  # s for one check, and for all together


class State(Enum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"  # it works, but an operator should know
    PROBLEM = "problem"  # logins fail, or will soon


_STATES = {State.OK: ("ok", "正常"), State.WARNING: ("warning", "警告"), State.PROBLEM: ("problem", "问题")}


class Finding(Struct, frozen=True):
    """One line of the report: name of the check, state, fact found, and advice ("" if none is needed)."""

    check: str
    state: State
    found: str
    todo: str = ""

    def text(self) -> str:
        """Return the line for a person; the advice is a second line."""
        state = tr(*_STATES[self.state])
        line = f"{state}{' ' * (8 - cell_len(state))} {self.check:20} {_plain(self.found)}"
        return f"{line}\n{'':8} {'':20} → {_plain(self.todo)}" if self.todo else line

    def json(self) -> str:
        """Return the line for a program, as a JSON object."""
        return msgspec.json.encode(self).decode()


def ok(check: str, found: str) -> Finding:
    """Return a finding without advice."""
    return Finding(check, State.OK, found)


def warning(check: str, found: str, todo: str) -> Finding:
    """Return a finding that an operator should know."""
    return Finding(check, State.WARNING, found, todo)


def problem(check: str, found: str, todo: str) -> Finding:
    """Return a finding that must be fixed."""
    return Finding(check, State.PROBLEM, found, todo)


class Check(Struct, frozen=True):
    """A check: its name, the function that yields its findings, and prefixes of the settings that it `needs`."""

    name: str
    findings: Callable[[], Iterable[Finding]]
    needs: tuple[str, ...] = ()


def run(checks: Sequence[Check], broken: Iterable[str], each: float = _EACH, in_all: float = _ALL) -> Iterator[Finding]:
    """Yield the findings as the checks report them. A check that crashes or hangs becomes a finding.

    A check that needs a `broken` setting is skipped. `each` and `in_all` limit the seconds of one check and of all.
    """
    end = time.monotonic() + in_all
    for check in checks:
        wrong = sorted(name for name in broken if name.startswith(check.needs)) if check.needs else []
        if wrong:
            names = ", ".join(wrong)
            found = tr(f"not checked: {names} is wrong", f"未检查：{names} 有误")
            yield warning(check.name, found, tr("correct it, then check again", "请改正后再检查"))
            continue
        yield from _run(check, min(each, end - time.monotonic()))


def _run(check: Check, seconds: float) -> Iterator[Finding]:
    if seconds <= 0:
        found = tr("not checked: the others took too long", "未检查：其他检查耗时过长")
        yield warning(check.name, found, tr("fix those first, then check again", "请先解决那些问题，再检查一次"))
        return
    findings: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()

    def collect() -> None:
        try:
            for finding in check.findings():
                findings.put(finding)
        except Exception as error:  # noqa: BLE001 - the other checks must go on
            findings.put(_crash(check.name, error))
        findings.put(None)

    # A daemon: a check that hangs must not keep the process alive.
    # It speaks the language of this thread.
    context = copy_context()
    threading.Thread(target=context.run, args=(collect,), daemon=True, name=check.name).start()
    end = time.monotonic() + seconds
    try:
        while finding := findings.get(timeout=max(0, end - time.monotonic())):
            yield finding
    except queue.Empty:
        found = tr(f"not finished after {seconds:.0f} s", f"{seconds:.0f} 秒后仍未完成")
        todo = tr("the server or the network hangs: check both", "服务器或网络没有响应：请都检查")
        yield problem(check.name, found, todo)


def _crash(name: str, error: BaseException) -> Finding:
    """Return the place where a check failed, without the error's message, which may hold a secret."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
    kind = type(error).__name__
    found = tr(f"the check itself failed: {kind} at {place}", f"检查本身出错：{kind}，位于 {place}")
    return problem(name, found, tr("please report it with this line", "请连同此行反馈"))


def _plain(text: str) -> str:
    """Return a text on one line without control characters: it may quote texts from outside."""
    return "".join(char if char.isprintable() else " " for char in text)
