"""A sheet as people have it: .xlsx or .csv, told by its first bytes and not by its name."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from sms_admin.bulk import csv_sheet, xlsx_sheet
from sms_admin.bulk.cells import Line
from sms_admin.failures import Failed

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # of .xls, and of a workbook with a password
_LOCKED = "EncryptedPackage".encode("utf-16-le")
_START = 1 << 16  # bytes


def lines(path: Path, sheet: str = "") -> Iterator[Line]:
    """Return the rows of a file, read as a stream. `sheet` names one of a workbook's sheets. Raises Failed."""
    try:
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror}", f"无法读取 {path}：{error.strerror}") from None
    if start.startswith(_ZIP) and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if "xl/workbook.xml" not in archive.namelist():
                raise Failed(
                    f"{path.name} is not a workbook: save it as .xlsx",
                    f"{path.name} 不是 .xlsx 文件：请另存为 .xlsx",
                )
        return xlsx_sheet.lines(path, sheet)
    _refuse_other_kinds(path, start)
    return csv_sheet.lines(path)


def is_ambiguous(path: Path) -> bool:
    """Tell whether the encoding of a CSV file was guessed from so few characters that a person should look at them."""
    return not zipfile.is_zipfile(path) and csv_sheet.is_ambiguous(path)


def _refuse_other_kinds(path: Path, start: bytes) -> None:
    """Raise Failed for a file that is neither .xlsx nor CSV."""
    if start.startswith(_OLE):
        if _LOCKED in path.read_bytes():
            raise Failed(f"{path.name} has a password: save it without", f"{path.name} 设有密码：请另存为无密码的文件")
        raise Failed(
            f"{path.name} is an old .xls file: save it as .xlsx", f"{path.name} 是旧的 .xls 文件：请另存为 .xlsx"
        )
    if start.startswith(b"PK"):
        raise Failed(f"{path.name} is damaged: it is cut off", f"{path.name} 已损坏：文件不完整")
    if start.startswith(b"%PDF") or start.lstrip()[:5].lower() in (b"<html", b"<?xml", b"<!doc", b"<tabl"):
        raise Failed(
            f"{path.name} is a web page or a PDF: save it as .xlsx", f"{path.name} 是网页或 PDF：请另存为 .xlsx"
        )
    if not start.strip():
        raise Failed(f"{path.name} is empty", f"{path.name} 是空文件")
