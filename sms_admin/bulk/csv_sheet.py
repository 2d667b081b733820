"""Sheets in CSV: the encoding is decided over the whole file, the delimiter by its first lines."""

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path

from sms_admin.bulk.cells import Bad, Line, trimmed
from sms_admin.failures import Failed
from sms_admin.language import tr

_CHUNK = 1 << 20  # bytes
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",  # Excel's "Unicode text"
    codecs.BOM_UTF16_BE: "utf-16",
}
_FEW = 8  # Chinese characters: of fewer, some texts in GB18030 are valid UTF-8 too


def encoding(path: Path) -> str:
    """Return the encoding of a file: by its mark, else UTF-8 if all of it is, else GB18030.

    Never the other way round: most Chinese texts in UTF-8 are valid GB18030 too. Raises Failed if it is neither.
    """
    with path.open("rb") as file:
        start = file.read(3)
    for mark, name in _BOMS.items():
        if start.startswith(mark):
            _check(path, name)
            return name
    for name in ("utf-8", "gb18030"):
        try:
            _check(path, name)
        except Failed:
            continue
        return name
    raise Failed(
        f"{path.name} is neither UTF-8 nor GB18030: save it as “CSV UTF-8” in Excel",
        f"{path.name} 既不是 UTF-8 也不是 GB18030：请在 Excel 中另存为“CSV UTF-8”",
    )


def is_ambiguous(path: Path) -> bool:
    """Tell whether a person should look at the characters: so few are Chinese that the guess may be wrong."""
    try:
        name = encoding(path)
    except Failed:  # which reading the file tells
        return False
    if name not in ("utf-8", "gb18030"):
        return False
    with path.open(encoding=name) as file:
        count = 0
        while part := file.read(_CHUNK):
            count += sum(char > "\x7f" for char in part) if not part.isascii() else 0
            if count >= _FEW:
                return False
    return count > 0


def _check(path: Path, name: str) -> None:
    """Decode all of a file. Raises Failed."""
    decoder = codecs.getincrementaldecoder(name)()
    with path.open("rb") as file:
        try:
            while part := file.read(_CHUNK):
                if "\0" in decoder.decode(part):
                    raise Failed(f"{path.name} is not a text", f"{path.name} 不是文本文件")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise Failed(f"{path.name} is not {name}", f"{path.name} 不是 {name} 编码") from None


def lines(path: Path) -> Iterator[Line]:
    """Yield the rows of a CSV file. Raises Failed."""
    name = encoding(path)
    with path.open(encoding=name, newline="") as file:
        first = file.readline()
        rest = next((mark for mark in ("\t", ";", ",") if mark in first), ",")
        if first.lower().startswith("sep="):  # Excel's own way to name the delimiter
            rest = first.strip()[4:5] or ","
        else:
            file.seek(0)
        reader = csv.reader(file, delimiter=rest, strict=True)
        row = int(first.lower().startswith("sep="))
        try:
            for cells in reader:
                row += 1
                yield Line(row, [_cell(cell) for cell in cells])
        except csv.Error as error:
            raise Failed(
                f"{path.name}, row {row + 1}: {error}; is a quotation mark missing?",
                f"{path.name} 第 {row + 1} 行：{error}；是否缺少引号？",
            ) from None


def _cell(value: str) -> str | Bad:
    if value.startswith("#") and value.rstrip("!?").isupper() and value in _ERRORS:
        return Bad(tr(f"the error {value} of a formula", f"公式错误 {value}"))
    return trimmed(value)


_ERRORS = {"#N/A", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!"}  # as Excel saves them
