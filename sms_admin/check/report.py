"""What a check finds, and how checks are run: each by itself, none for longer than it may take."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path

import msgspec
from msgspec import Struct

_EACH, _ALL = 20.0, 60.0  # s that one check, and all together, may take


class State(Enum):
    """How it stands with what was checked."""

    OK = "ok"
    WARNING = "warning"  # it works, but an operator should know
    PROBLEM = "problem"  # logins fail, or soon will


class Finding(Struct, frozen=True):
    """One line: what was checked, its state, what was found, and what is to be done about it ("" if nothing is)."""

    check: str
    state: State
    found: str
    todo: str = ""

    def text(self) -> str:
        """Return the line for a person; what is to be done is a second one."""
        line = f"{self.state.value:8} {self.check:20} {_plain(self.found)}"
        return f"{line}\n{'':8} {'':20} → {_plain(self.todo)}" if self.todo else line

    def json(self) -> str:
        """Return the line for a program, as a JSON object."""
        return msgspec.json.encode(self).decode()


def ok(check: str, found: str) -> Finding:
    """Return that all is well."""
    return Finding(check, State.OK, found)


def warning(check: str, found: str, todo: str) -> Finding:
    """Return something that an operator should know."""
    return Finding(check, State.WARNING, found, todo)


def problem(check: str, found: str, todo: str) -> Finding:
    """Return something that must be mended."""
    return Finding(check, State.PROBLEM, found, todo)


class Check(Struct, frozen=True):
    """A check: its name, what it does, and the settings that it `needs`, by the beginning of their names."""

    name: str
    findings: Callable[[], Iterable[Finding]]
    needs: tuple[str, ...] = ()


def run(checks: Sequence[Check], broken: Iterable[str], each: float = _EACH, in_all: float = _ALL) -> Iterator[Finding]:
    """Yield what the checks find, as they find it. One that crashes or hangs is a finding, and the next one goes on.

    A check that needs a `broken` setting is left out. `each` and `in_all` are the seconds that one and all may take.
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
        yield warning(check.name, "not checked: the others took too long", "mend them, then check again")
        return
    findings: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()

    def collect() -> None:
        try:
            for finding in check.findings():
                findings.put(finding)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other checks go on
            findings.put(_crash(check.name, error))
        findings.put(None)

    # A daemon, since what hangs must not hold up the end of the process.
    threading.Thread(target=collect, daemon=True, name=check.name).start()
    end = time.monotonic() + seconds
    try:
        while finding := findings.get(timeout=max(0, end - time.monotonic())):
            yield finding
    except queue.Empty:
        yield problem(
            check.name, f"no end after {seconds:.0f} s", "something on the way there hangs: check the network"
        )


def _crash(name: str, error: BaseException) -> Finding:
    """Tell where a check failed; not the error's message, since nobody knows what is in it."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return problem(name, f"the check itself failed: {type(error).__name__}{where}", "please report it with this line")


def _plain(text: str) -> str:
    """Return a text on one line; what it quotes was written by others."""
    return "".join(char if char.isprintable() else " " for char in text)
