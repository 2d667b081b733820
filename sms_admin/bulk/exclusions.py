"""The numbers that get no message: people who unsubscribed, and lists of the operator's own."""

import os
from collections.abc import Iterable
from pathlib import Path

from sms_admin.bulk import sheets
from sms_admin.bulk.journal import Journal, State
from sms_admin.bulk.recipients import Reader, Recipient
from sms_admin.bulk.texts import Rules
from sms_admin.failures import Failed

_NAME = "excluded.csv"


class Exclusions:
    """The exclusion list of a folder: a CSV file with a number, a time and a reason in each line."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME

    def load(self) -> set[int]:
        """Return the excluded numbers, E.164 without the plus."""
        try:
            with self._path.open(encoding="utf-8") as file:
                return {int(line.partition(",")[0]) for line in file if line.strip()}
        except FileNotFoundError:
            return set()
        except (OSError, ValueError) as error:
            raise Failed(f"{self._path} cannot be read: {error}", f"无法读取 {self._path}：{error}") from None

    def add(self, phones: Iterable[tuple[int, int, str]]) -> int:
        """Add numbers, each with a time in epoch seconds and a reason; return how many are new."""
        known = self.load()
        new = {phone: f"{phone},{at},{why}\n" for phone, at, why in phones if phone not in known}
        if new:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "a", encoding="utf-8") as file:
                file.write("".join(new.values()))
                file.flush()
                os.fsync(file.fileno())
        return len(new)

    def skip(self, journal: Journal) -> int:
        """Let the waiting rows of a task go whose number is excluded; return their number."""
        excluded = self.load()
        waiting = (journal.row_of(phone) for phone in excluded)
        with journal.changes():
            update = "UPDATE recipients SET state = ?, reason = 'excluded' WHERE row = ? AND state = ?"
            return journal.write(update, [(State.SKIPPED, row, State.WAITING) for row in waiting if row])


def read(path: Path) -> set[int]:
    """Return the numbers in the first column of a sheet. Raises Failed if a row has none: it would get a message."""
    found = set[int]()
    firsts = (line._replace(cells=line.cells[:1]) for line in sheets.lines(path))
    for item in Reader(Rules(0)).read(firsts):
        if not isinstance(item, Recipient):
            raise Failed(f"{path.name}, row {item.row}: {item.why}", f"{path.name} 第 {item.row} 行：{item.why}")
        found.add(item.phone)
    return found
