"""Splitting a sheet into sheets that share no number, for several machines."""

import csv
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from zlib import crc32

from sms_admin.bulk import sheets
from sms_admin.bulk.cells import Bad
from sms_admin.bulk.recipients import Reader, is_head
from sms_admin.bulk.texts import Rules
from sms_admin.failures import Failed

_BAD = "#N/A"  # stands for a cell without a text: its row is rejected in its part too
_HEADS = 2


def split(sheet: Path, name: str, targets: list[Path]) -> list[int]:
    """Write each row of a sheet into one of the targets, as CSV; return their numbers of rows. Raises Failed.

    A row's number decides, in any spelling, so a number that occurs twice is in one part, which keeps its first row.
    Titles are in each part. The targets must not exist.
    """
    counts, heads, reader = [0] * len(targets), 0, Reader(Rules(0))
    with ExitStack() as stack:
        writers = [csv.writer(stack.enter_context(_new(path))) for path in targets]
        for line in sheets.lines(sheet, name):
            cells = [_BAD if isinstance(cell, Bad) else cell for cell in line.cells]
            if not any(cells):
                continue
            if heads < _HEADS and not any(counts) and is_head(line.cells):
                heads += 1
                for writer in writers:
                    writer.writerow(cells)
                continue
            part = crc32(str(reader.phone(cells[0])).encode()) % len(targets)
            writers[part].writerow(cells)
            counts[part] += 1
    return counts


def _new(path: Path) -> Any:
    """Return a new file that only its owner may read. Raises Failed."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Failed(f"{path} cannot be made: {error.strerror}", f"无法创建 {path}：{error.strerror}") from None
    return os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="")
