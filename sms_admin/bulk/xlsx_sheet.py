"""Sheets in .xlsx: python-calamine reads the values, a scan of the XML finds the things that it does not tell."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from string import ascii_uppercase
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, ParseError, fromstring

from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

from sms_admin.bulk import cells
from sms_admin.bulk.cells import Bad, Line
from sms_admin.failures import Failed
from sms_admin.language import tr

_COLUMNS = 1 << 14  # of a sheet of Excel
_CHUNK, _HEAD = 1 << 20, 1 << 12  # bytes: read at once, and in front of the first row
_LARGEST, _SMALL, _RATIO = 1 << 30, 1 << 26, 200  # bytes of an unpacked part; above the small, times the file's
_APART = 1 << 24  # bytes between two cells or rows: a cell has at most 32,767 characters
_PARTS = re.compile(
    rb'<row\b(?=[^>]*?\bhidden="(?:1|true)")(?:[^>]*?\br="(?P<row>[0-9]+)")?(?P<hidden>)'
    rb'|<col\b[^>]*?\b(?:hidden="(?P<column>1|true)"|width="(?P<none>0)")'
    rb'|<c\b(?=[^>]*?\bt="e")[^>]*?\br="(?P<error>[A-Z]+[0-9]+)"'
    rb'|<c\b[^>]*?\br="(?P<formula>[A-Z]+[0-9]+)"[^>]*>\s*<f\b[^>]*?(?:/>|>[^<]*</f>)'
    rb"(?P<empty>\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>)?"
)
_MARKS = (b"<f", b"hidden=", b'width="0"', b't="e"')  # a chunk without them has no part of interest
_WHOLE = {"0", "1", "49"}  # numFmtId of General, 0 and @, which show all of a number (ECMA-376 part 1, 18.8.30)
_AS_IT_IS = re.compile(r"(?i)(?:\[[a-z]+\])?(?:general|0|@)(?:[_\\].)*(?:;.*)?")  # such formats of a workbook's own
_PREFIX = re.compile(rb"<(\w+:)worksheet\b")  # of all names in the XML, as the Open XML SDK writes it
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


class Scan(NamedTuple):
    """The cells without a value, by row and column, and whether a row or a column is hidden.

    `formatted` has the numbers that Excel shows in another form: their places, each as row * _COLUMNS + column.
    """

    bad: dict[int, dict[int, Bad]]
    hidden: str
    formatted: set[int]


def lines(path: Path, sheet: str = "") -> Iterator[Line]:
    """Yield the rows of a sheet: the named one, else the only one that has rows. Raises Failed."""
    try:
        with zipfile.ZipFile(path) as file:
            _refuse_large(path, file)
            parts, fresh = _parts(file)
            workbook = CalamineWorkbook.from_path(path)
            name = _chosen(path, workbook, sheet)
            scan = _scan(file, parts[name], _formats(file), all_formulas=fresh)
        table = workbook.get_sheet_by_name(name)
    except (zipfile.BadZipFile, CalamineError, ParseError, KeyError) as error:
        raise Failed(
            f"{path.name} is damaged or no Excel workbook: {error}", f"{path.name} 已损坏或不是 Excel 工作簿：{error}"
        ) from None
    if scan.hidden:
        raise Failed(
            f"{path.name} has a hidden {scan.hidden}: unhide everything, or clear the filter, and save it again",
            f"{path.name} 中有隐藏的行或列：请取消隐藏或清除筛选，然后重新保存",
        )
    left = [""] * (table.start or (0, 0))[1]  # calamine begins with the first column that is used
    for row, values in enumerate(table.iter_rows(), 1):
        line = Line(row, [*left, *map(cells.text, values)])
        for place, bad in scan.bad.get(row, {}).items():
            if place < len(line.cells):
                line.cells[place] = bad
        if scan.formatted:
            _refuse_formatted(line, scan.formatted)
        yield line


def _refuse_large(path: Path, file: zipfile.ZipFile) -> None:
    """Raise Failed for a part that unpacks to more than any sheet needs, such as gigabytes of blanks."""
    most = min(_LARGEST, max(_SMALL, _RATIO * path.stat().st_size))
    if largest := max((part.file_size for part in file.infolist() if part.file_size > most), default=0):
        raise Failed(
            f"{path.name} unpacks to {largest >> 20} MB, far more than a sheet has: open it in Excel and save it again",
            f"{path.name} 解压后有 {largest >> 20} MB，远超正常表格：请用 Excel 打开并重新保存",
        )


def _refuse_formatted(line: Line, formatted: set[int]) -> None:
    for place in range(1, len(line.cells)):  # in the first column, a format groups the digits of a phone number
        if line.row * _COLUMNS + place in formatted and isinstance(line.cells[place], str):
            why = "a number that Excel shows in another form, such as 50% or 12.50: enter it as text"
            line.cells[place] = Bad(tr(why, "数字在 Excel 中以其他形式显示（如 50%、12.50）：请以文本输入"))


def _parts(file: zipfile.ZipFile) -> tuple[dict[str, str], bool]:
    """Return the file of each sheet by its name, and whether no program has calculated the formulas yet.

    Libraries that write workbooks ask Excel to calculate at the first opening; Excel removes that wish when it saves.
    """
    book, relations = (fromstring(file.read(f"xl/{name}")) for name in ("workbook.xml", "_rels/workbook.xml.rels"))  # noqa: S314 - the operator's own file
    targets = {one.get("Id"): (one.get("Target") or "").removeprefix("/xl/") for one in relations}
    parts = {str(one.get("name")): f"xl/{targets[one.get(_RELATION)]}" for one in _named(book, "sheet")}
    fresh = any(one.get("fullCalcOnLoad") in ("1", "true") for one in _named(book, "calcPr"))
    return parts, fresh


def _formats(file: zipfile.ZipFile) -> list[bytes]:
    """Return the styles of cells, by their numbers, whose number Excel shows in another form than its digits."""
    if "xl/styles.xml" not in file.namelist():
        return []
    root = fromstring(file.read("xl/styles.xml"))  # noqa: S314 - the operator's own file
    own = {one.get("numFmtId"): one.get("formatCode") or "" for one in _named(root, "numFmt")}
    whole = _WHOLE | {number for number, code in own.items() if number and _AS_IT_IS.fullmatch(code)}
    styles = (one for cells in _named(root, "cellXfs") for one in _named(cells, "xf"))
    return [b"%d" % place for place, one in enumerate(styles) if one.get("numFmtId", "0") not in whole]


def _named(root: Element, name: str) -> list[Element]:
    return [one for one in root.iter() if one.tag.rpartition("}")[2] == name]


def _chosen(path: Path, workbook: Any, sheet: str) -> str:
    """Return the name of the sheet to read. Raises Failed."""
    hidden = [one.name for one in workbook.sheets_metadata if one.visible != SheetVisibleEnum.Visible]
    if hidden:
        names = ", ".join(hidden)
        raise Failed(
            f"{path.name} has hidden sheets ({names}): delete them, or show them and name yours with --sheet",
            f"{path.name} 中有隐藏的工作表（{names}）：请删除，或取消隐藏并用 --sheet 指定",
        )
    used = workbook.sheet_names
    if len(used) > 1 and not sheet:
        used = [name for name in used if workbook.get_sheet_by_name(name).height]
    if sheet and sheet not in used:
        raise Failed(f"{path.name} has no sheet {sheet}", f"{path.name} 中没有工作表 {sheet}")
    if len(used) > 1 and not sheet:
        names = ", ".join(used)
        raise Failed(
            f"more than one sheet has rows: name one of {names} with --sheet",
            f"多个工作表有内容：请用 --sheet 指定 {names} 之一",
        )
    return sheet or (used or workbook.sheet_names)[0]


def _scan(file: zipfile.ZipFile, part: str, formats: list[bytes], *, all_formulas: bool) -> Scan:
    """Read the XML of a sheet. `all_formulas`: none of them has been calculated, even if it has a value."""
    bad: dict[int, dict[int, Bad]] = {}
    formatted = set[int]()
    numbers = rb'<c\b(?=[^>]*?\bs="(?:%s)")(?![^>]*?\bt="(?!n"))[^>]*?\br="([A-Z]+)([0-9]+)"[^>]*?>(?=\s*<[vf])'
    odd = re.compile(numbers % b"|".join(formats)) if formats else None
    hidden, kept, prefix = "", b"", b""
    with file.open(part) as xml:
        while chunk := xml.read(_CHUNK):
            text = kept + chunk
            if not prefix and (found := _PREFIX.search(text, 0, _HEAD)):
                prefix = found[1]
            if prefix:
                text = text.replace(b"<" + prefix, b"<").replace(b"</" + prefix, b"</")
            text, end, _ = text.partition(b"</sheetData>")  # behind it are no cells
            cut = len(text) if end else max(text.rfind(b"</c>"), text.rfind(b"<row"), text.rfind(b"</row>"))
            text, kept = (text[:cut], text[cut:]) if cut > 0 else (b"", text)
            if len(kept) > _APART:
                raise ParseError(f"more than {_APART >> 20} MB between two cells")
            if odd:
                formatted.update(int(row) * _COLUMNS + _index(letters) for letters, row in odd.findall(text))
            if any(mark in text for mark in _MARKS):
                hidden = _find(text, bad, all_formulas=all_formulas) or hidden
            if end:
                break
    return Scan(bad, _find(kept, bad, all_formulas=all_formulas) or hidden, formatted)


def _find(text: bytes, bad: dict[int, dict[int, Bad]], *, all_formulas: bool) -> str:
    """Add the bad cells of a part of the XML; return "row" or "column" if one is hidden."""
    hidden = ""
    for found in _PARTS.finditer(text):
        if found["column"] or found["none"]:
            hidden = "column"
        elif found["hidden"] is not None:
            hidden = f"row ({found['row'].decode()})" if found["row"] else "row"
        elif found["error"]:
            _put(bad, found["error"], Bad(tr("the error of a formula, such as #N/A", "公式错误，例如 #N/A")))
        elif found["empty"] is not None or all_formulas:
            why = tr(
                "a formula that was not calculated: open the file in Excel and save it",
                "公式尚未计算：请用 Excel 打开并保存文件",
            )
            _put(bad, found["formula"], Bad(why))
    return hidden


def _put(bad: dict[int, dict[int, Bad]], place: bytes, why: Bad) -> None:
    row = place.lstrip(ascii_uppercase.encode())
    bad.setdefault(int(row), {})[_index(place.removesuffix(row))] = why


def _index(letters: bytes) -> int:
    """Return the number of a column, 0 for A."""
    index = 0
    for letter in letters:
        index = index * 26 + letter - ord("A") + 1
    return index - 1
