"""The journal of a task: an SQLite file with a state for each recipient, written before and after each request.

    waiting ──claim──▶ sending ──▶ accepted (its serial number) | refused (the platform's code) | unknown
       ▲                  │
       └── surely not sent┘            a row that is still "sending" when a task is opened is unknown

A row never goes from `sending` or `unknown` back to `waiting` by itself, unless the platform has said that it sent
nothing. A row takes some 120 bytes.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sms_admin.bulk.recipients import CHINA, Recipient
from sms_admin.bulk.task import Origin, Task
from sms_admin.failures import Failed

_TABLES = """
CREATE TABLE task (value TEXT NOT NULL);
CREATE TABLE recipients (
  row INTEGER PRIMARY KEY,
  phone INTEGER NOT NULL UNIQUE,
  vals TEXT NOT NULL,
  state INTEGER NOT NULL DEFAULT 0,
  at INTEGER, serial TEXT, reason TEXT, fee INTEGER, delivered INTEGER
);
"""
_PAGES = 32_000  # KiB of cache while a task is made
ABROAD = "phone NOT BETWEEN {} AND {}".format(*CHINA)


class State(IntEnum):
    """The state of a recipient."""

    WAITING = 0
    SENDING = 1
    ACCEPTED = 2
    REFUSED = 3
    UNKNOWN = 4
    SKIPPED = 5  # by the operator, or unsubscribed in the meantime


class Result(NamedTuple):
    """The fate of one recipient in one request; `reason` is the platform's code."""

    row: int
    state: State
    serial: str = ""
    reason: str = ""
    fee: int = 0


class JournalFull(Exception):  # noqa: N818 - named after its cause
    """The journal cannot be written: the disk is full, or fails. Nothing of the last change is in it."""


class Journal:
    """An open journal; `task` is what is being sent. One thread uses it. Raises Failed if the file is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = sqlite3.connect(path, isolation_level=None)
        try:
            self.db.execute("PRAGMA synchronous = FULL")  # a claim must survive a power cut
        except sqlite3.DatabaseError as error:
            self.close()
            raise damaged(path, error) from None

    @classmethod
    def create(cls, path: Path) -> "Journal":
        """Make a journal, quickly: until `complete`, a crash may leave a file that is of no use."""
        journal = cls(path)
        path.chmod(0o600)  # it has numbers
        for setting in (
            "journal_mode = OFF",
            "synchronous = OFF",
            f"cache_size = -{_PAGES}",
            "locking_mode = EXCLUSIVE",
        ):
            journal.db.execute(f"PRAGMA {setting}")
        journal.db.executescript(_TABLES)
        return journal

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def discard(self) -> None:
        """Close and delete a journal that was not published."""
        self.close()
        self.path.unlink(missing_ok=True)

    @property
    def task(self) -> Task:
        """The task. Raises Failed if the file is damaged."""
        try:
            (value,) = self.db.execute("SELECT value FROM task").fetchone()
            return msgspec.json.decode(value, type=Task)
        except (sqlite3.DatabaseError, msgspec.MsgspecError, TypeError) as error:
            raise damaged(self.path, error) from None

    @task.setter
    def task(self, task: Task) -> None:
        self.write("DELETE FROM task", [()])
        self.write("INSERT INTO task VALUES (?)", [(msgspec.json.encode(task).decode(),)])

    def change(self, **fields: Any) -> None:
        """Change fields of the task. Raises JournalFull."""
        with self.changes():
            self.task = msgspec.structs.replace(self.task, **fields)

    @contextmanager
    def changes(self) -> Iterator[None]:
        """Make all changes within, or none. Raises JournalFull."""
        try:
            self.db.execute("BEGIN IMMEDIATE")
            yield
            self.db.execute("COMMIT")
        except sqlite3.Error as error:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise JournalFull(str(error)) from None
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def write(self, statement: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run a statement for each row; return the number of changed rows."""
        return max(0, self.db.executemany(statement, rows).rowcount)

    def add(self, recipients: Sequence[Recipient]) -> dict[int, int]:
        """Add recipients; return those whose number is there already: the row of each, and the row that has it."""
        there = "INSERT INTO recipients (row, phone, vals) VALUES (?, ?, ?) ON CONFLICT (phone) DO NOTHING"
        rows = [(one.row, one.phone, msgspec.json.encode(one.values).decode()) for one in recipients]
        if self.write(there, rows) == len(rows):
            return {}
        first = {phone: self.row_of(phone) for _, phone, _ in rows}
        return {row: first[phone] for row, phone, _ in rows if first[phone] != row}

    def row_of(self, phone: int) -> int:
        """Return the row of a number, or 0."""
        found = self.db.execute("SELECT row FROM recipients WHERE phone = ?", (phone,)).fetchone()
        return int(found[0]) if found else 0

    def recipient(self, row: int) -> Recipient:
        """Return the recipient of a row."""
        phone, values = self.db.execute("SELECT phone, vals FROM recipients WHERE row = ?", (row,)).fetchone()
        return Recipient(row, phone, msgspec.json.decode(values, type=list[str]))

    def claim(self, rows: Iterable[int], at: float) -> None:
        """Mark waiting rows as being sent. Raises JournalFull if one of them does not wait."""
        chosen = [(State.SENDING, int(at), row, State.WAITING) for row in rows]
        if self.write("UPDATE recipients SET state = ?, at = ? WHERE row = ? AND state = ?", chosen) != len(chosen):
            raise JournalFull("a row that does not wait was to be sent")

    def record(self, results: Iterable[Result]) -> None:
        """Write the results of requests."""
        update = "UPDATE recipients SET state = ?, serial = ?, reason = ?, fee = ? WHERE row = ? AND state = ?"
        self.write(
            update,
            [(one.state, one.serial or None, one.reason or None, one.fee, one.row, State.SENDING) for one in results],
        )

    def forget_interrupted(self) -> int:
        """Mark the rows as unknown that were being sent when a process ended; return their number."""
        return self.move(State.SENDING, State.UNKNOWN, "interrupted")

    def move(self, old: State, new: State, reason: str | None = None) -> int:
        """Move all rows of a state to another; return their number. Raises JournalFull."""
        with self.changes():
            return self.write("UPDATE recipients SET state = ?, reason = ? WHERE state = ?", [(new, reason, old)])

    def counts(self) -> dict[State, int]:
        """Return the number of recipients in each state."""
        found = dict(self.db.execute("SELECT state, count(*) FROM recipients GROUP BY state"))
        return {state: found.get(state, 0) for state in State}

    def waiting(self) -> Iterator[tuple[int, bool, str]]:
        """Yield row, abroad and values of each waiting recipient; equal values follow one another."""
        order = f"SELECT row, {ABROAD}, vals FROM recipients WHERE state = ? ORDER BY 2, vals, row"  # noqa: S608 - constants
        for row, abroad, values in self.db.execute(order, (State.WAITING,)):
            yield row, bool(abroad), values

    def publish(self, path: Path) -> None:
        """Move a new journal to its place, whole: from now on it survives a crash. It is closed. Raises JournalFull."""
        try:
            self.change(origin=Origin.of(self.path, path))
            self.db.execute("PRAGMA locking_mode = NORMAL")
            self.db.execute("PRAGMA journal_mode = WAL")
            self.db.close()
            _sync(self.path)
            self.path.replace(path)
            _sync(path.parent)  # after the renaming, or a power cut may undo it once messages are out
        except (OSError, sqlite3.Error) as error:
            raise JournalFull(str(error)) from None


def damaged(path: Path, error: object) -> Failed:
    """Return the failure of a journal that cannot be read."""
    return Failed(
        f"the journal {path} is damaged ({error}): restore it, or move it away to give its task up",
        f"日志 {path} 已损坏（{error}）：请恢复该文件，或将其移走以放弃该任务",
    )


def _sync(path: Path) -> None:
    """Write a file, or the names in a folder, through to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
