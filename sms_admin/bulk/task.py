"""A task: the messages of one sheet, and the folder with the journals of all tasks."""

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from msgspec import Struct

from sms_admin.bulk.texts import Text
from sms_admin.failures import Failed

_LETTERS, _LENGTH = "abcdefghijkmnpqrstuvwxyz", 6  # without l and o, which look like digits


class Phase(Enum):
    """The state of a task."""

    SCHEDULED = "scheduled"
    RUNNING = "running"  # without a process: interrupted
    PAUSED = "paused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FINISHED = "finished"  # no row waits


class Origin(Struct, frozen=True):
    """The file that a journal was made as: its path, and its number in the file system, which a copy does not have."""

    path: str
    inode: int

    @classmethod
    def of(cls, file: Path, path: Path) -> "Origin":
        """Return the origin of a file that is, or will be, at a path."""
        return cls(str(path.resolve()), file.stat().st_ino)


class Task(Struct, frozen=True, rename="camel", kw_only=True):
    """The messages of one sheet. Times are in epoch seconds; 0: none."""

    id: str
    sheet: str
    digest: str  # SHA-256 of the sheet
    created: int
    app_id: str
    template_id: str
    text: Text
    abroad_app_id: str = ""
    abroad_template_id: str = ""
    abroad_text: Text | None = None
    sender_id: str = ""
    marketing: bool = True
    at: int = 0
    expires: int = 0
    zone: str = "Asia/Shanghai"
    rate: float = 1000  # requests a second
    parallel: int = 32
    rows: int = 0  # recipients
    rejected: int = 0
    messages: int = 0  # as many are charged if all are accepted
    phase: Phase = Phase.SCHEDULED
    reason: str = ""  # of a pause
    tests: tuple[str, ...] = ()  # serial numbers of test messages
    origin: Origin | None = None


def new_id() -> str:
    """Return the name of a new task: letters alone, since digits in an error might be a number, and are masked."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


class Folder:
    """The folder of all journals: NAME.sqlite is a task, NAME.rejected.csv its rejected rows."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, environ: Mapping[str, str], chosen: Path | None) -> "Folder":
        """Return the chosen folder, else the user's own for the state of programs. It is made if it is not there."""
        state = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
        path = chosen or Path(state, "sms-admin")
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Failed(f"{path} cannot be made: {error.strerror}", f"无法创建 {path}：{error.strerror}") from None
        return cls(path)

    def file(self, task: str, kind: str = "sqlite") -> Path:
        """Return a file of a task."""
        return self.path / f"{task}.{kind}"

    def tasks(self) -> list[str]:
        """Return the names of all tasks."""
        return sorted(path.stem for path in self.path.glob("*.sqlite"))

    def find(self, name: str) -> str:
        """Return the task of a name, or of the only one that begins with it. Raises Failed."""
        found = [task for task in self.tasks() if task == name] or [
            task for task in self.tasks() if task.startswith(name)
        ]
        if len(found) != 1:
            raise Failed(
                f"there is no task {name}" if not found else f"more than one task begins with {name}",
                f"没有任务 {name}" if not found else f"有多个任务以 {name} 开头",
            )
        return found[0]

    def holder(self, task: str) -> int:
        """Return the id of the process that works on a task, 0 for none. No process is kept from the task meanwhile."""
        try:
            with self.file(task, "lock").open() as file:
                if holder := int(file.read() or 0):
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # free only if the process was killed
        except BlockingIOError:
            return holder
        except FileNotFoundError:
            pass
        return 0

    @contextmanager
    def making(self, task: str) -> Iterator[None]:
        """Make a task: meanwhile no other process takes its files for those of a process that was killed."""
        for path in self.path.glob("*.new"):
            if not self.holder(path.stem):
                self._forget(path.stem)
        with self.locked(task):
            try:
                yield
            finally:
                if not self.file(task).exists():
                    self.file(task, "lock").unlink(missing_ok=True)

    def _forget(self, task: str) -> None:
        """Delete the files of a task that was not published."""
        for kind in ("new", "rejected.csv", "lock"):
            self.file(task, kind).unlink(missing_ok=True)

    @contextmanager
    def locked(self, task: str, *, wait: bool = False) -> Iterator[None]:
        """Keep other processes from the task meanwhile; the system frees it if this process dies.

        Raises Failed if another process has it, unless it is to `wait` for that one.
        """
        descriptor = os.open(self.file(task, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except OSError:
                raise Failed(f"another process works on the task {task}", f"另一个进程正在处理任务 {task}") from None
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            try:
                yield
            finally:
                os.ftruncate(descriptor, 0)  # the system may give the id to another process
        finally:
            os.close(descriptor)
