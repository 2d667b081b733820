"""CSV files that a spreadsheet shows as they are: it changes no number, and runs no formula."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sms_admin.failures import unwritable

# At the start of a cell: a spreadsheet may read it as a number or a formula, those of full width too.
_CHANGED = tuple("0123456789=+-@\uff1d\uff0b\uff0d\uff20\t\r\n")


class SafeCsv:
    """A CSV file, made at its first row; only its owner may read it, since it has numbers."""

    def __init__(self, path: Path, heads: Sequence[str]) -> None:
        self.path, self._heads = path, heads
        self._file: Any = None
        self._writer: Any = None

    def write(self, *cells: str) -> None:
        """Write a row. Raises Failed."""
        try:
            if self._file is None:
                descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                self._file = os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="")  # Excel wants the mark
                self._writer = csv.writer(self._file)
                self._writer.writerow(self._heads)
            self._writer.writerow([text(cell) for cell in cells])
        except OSError as error:
            raise unwritable(self.path, error) from None

    def close(self) -> bool:
        """Close the file; return whether there is one."""
        if self._file is not None:
            self._file.close()
        return self._file is not None


def text(cell: str) -> str:
    """Return a cell with an apostrophe in front if a spreadsheet would change it; `bulk` drops it again."""
    return f"'{cell}" if cell.lstrip("'").startswith(_CHANGED) else cell


def original(cell: str) -> str:
    """Return a cell without the apostrophe that `text` has put in front of it."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_CHANGED) else cell
