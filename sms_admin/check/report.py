"""Findings, and the runner of checks, which isolates each check and limits its time."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path

import msgspec
from msgspec import Struct

_EACH, _ALL = 20.0, 60.0  # s for one check, and for all together


class State(Enum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"  # it works, but an operator should know
    PROBLEM = "problem"  # logins fail, or will soon


class Finding(Struct, frozen=True):
    """One line of the report: name of the check, state, fact found, and advice ("" if none is needed)."""

    check: str
    state: State
    found: str
    todo: str = ""

    def text(self) -> str:
        """Return the line for a person; the advice is a second line."""
        line = f"{self.state.value:8} {self.check:20} {_plain(self.found)}"
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
            yield warning(check.name, f"not checked: {', '.join(wrong)} is wrong", "correct it, then check again")
            continue
        yield from _run(check, min(each, end - time.monotonic()))


def _run(check: Check, seconds: float) -> Iterator[Finding]:
    if seconds <= 0:
        yield warning(check.name, "not checked: the others took too long", "fix those first, then check again")
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
    threading.Thread(target=collect, daemon=True, name=check.name).start()
    end = time.monotonic() + seconds
    try:
        while finding := findings.get(timeout=max(0, end - time.monotonic())):
            yield finding
    except queue.Empty:
        yield problem(check.name, f"not finished after {seconds:.0f} s", "the server or the network hangs: check both")


def _crash(name: str, error: BaseException) -> Finding:
    """Return the place where a check failed, without the error's message, which may hold a secret."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return problem(name, f"the check itself failed: {type(error).__name__}{where}", "please report it with this line")


def _plain(text: str) -> str:
    """Return a text on one line without control characters: it may quote texts from outside."""
    return "".join(char if char.isprintable() else " " for char in text)
