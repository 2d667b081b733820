"""Sheets as people have them: a broken row is named with its reason, a broken file with a sentence, nothing crashes."""

import codecs
import csv
import re
import shutil
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from sms_admin.bulk import csv_sheet, sheets, template_sheet, xlsx_sheet
from sms_admin.bulk.recipients import Reader, Recipient, Rejected
from sms_admin.bulk.safe_csv import SafeCsv
from sms_admin.bulk.texts import Rules, Text
from sms_admin.failures import Failed
from sms_login.phone import Phone

GOOD = 8613800138000
RULES = Rules(1)


def rows_of(path: Path, rules: Rules = RULES) -> tuple[list[Recipient], list[Rejected]]:
    """Return the recipients and the rejected rows of a sheet."""
    found = list(Reader(rules).read(sheets.lines(path)))
    return [one for one in found if isinstance(one, Recipient)], [one for one in found if isinstance(one, Rejected)]


def book(path: Path, rows: list[list[Any]], change: Callable[[Any, Any], None] | None = None) -> Path:
    """Write an .xlsx file; `change` gets the workbook and its sheet."""
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"}) as made:
        sheet = made.add_worksheet()
        for place, row in enumerate(rows):
            sheet.write_row(place, 0, row)
        if change:
            change(made, sheet)
    return path


def text(path: Path, content: str | bytes) -> Path:
    """Write a .csv file."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_each_broken_cell_of_a_workbook_is_named_with_its_reason(tmp_path: Path) -> None:
    """A row is rejected by itself; the good rows around it stay."""
    broken: list[tuple[list[Any], str]] = [
        (["1.39E+10", "王"], "shortened"),
        (["1.38001380E+10", "王"], "shortened"),
        ([13800138000.5, "王"], "too long"),
        ([1.38e17, "王"], "more than 15 digits"),
        ([date(2026, 1, 2), "王"], "a date"),
        ([True, "王"], "letters"),
        (["", "王"], "the number is missing"),
        (["'", "王"], "the number is missing"),
        (["1380013800", "王"], "too short"),
        (["138001380001", "王"], "too long"),
        (["12345678901", "王"], ""),
        (["010-12345678", "王"], "fixed line"),
        (["139OOOO0000", "王"], "letters"),
        (["447400123456", "王"], ""),  # Excel has taken the plus
        ([447400123456, "王"], ""),
        (["13800138000/13800138001", "王"], "too long"),
        (["13800138000", ""], "column B: the value is missing"),
        (["13800138000"], "column B: the value is missing"),
        (["13800138000", "王", "小"], "2 values"),
        (["13800138000", "王小明王小明王"], "7 characters"),
        (["13800138000", "a.cn"], "a link"),
        (["13800138000", "王\n明"], "a line break"),
        (["13800138000", "【王】"], "brackets"),
        (["13800138000", datetime(2026, 1, 2, 3, 4)], "a date"),  # noqa: DTZ001 - a cell has no zone
        (["13800138000", "#"], ""),
    ]
    broken = broken[:-1]
    path = book(tmp_path / "a.xlsx", [["13800138001", "王"], *(row for row, _ in broken), [13800138000.0, "王"]])
    good, rejected = rows_of(path)
    assert [(one.row, one.phone, one.values) for one in good] == [
        (1, GOOD + 1, ["王"]),
        (len(broken) + 2, GOOD, ["王"]),
    ]
    assert [one.row for one in rejected] == [*range(2, len(broken) + 2)]
    wrong = [
        (row, one.why) for (row, why), one in zip(broken, rejected, strict=True) if not one.why or why not in one.why
    ]
    assert wrong == []


def test_formulas_have_values_only_if_they_were_calculated(tmp_path: Path) -> None:
    """Excel has calculated formulas if it saved the file; the values of a library's formulas, and errors, are none."""
    rows = [["13800138001", "王"], ["13800138002", "王"]]

    def formulas(_: Any, sheet: Any) -> None:
        sheet.write_formula(1, 1, '="王"&"明"', None, "王明")

    fresh = book(tmp_path / "fresh.xlsx", rows, formulas)
    saved = tmp_path / "saved.xlsx"
    with zipfile.ZipFile(fresh) as old, zipfile.ZipFile(saved, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b' fullCalcOnLoad="1"', b""))
    assert [one.values for one in rows_of(saved)[0]] == [["王"], ["王明"]]
    assert ["not calculated" in one.why for one in rows_of(fresh)[1]] == [True]
    empty, failed = tmp_path / "empty.xlsx", tmp_path / "failed.xlsx"
    value = "<v>王明</v>".encode()
    for path, old_cell, cell in ((empty, value, b""), (failed, value, b"<v>#N/A</v>")):
        with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                content = old.read(name).replace(old_cell, cell)
                new.writestr(name, content.replace(b't="str"', b't="e"') if path == failed else content)
    assert [one.why for one in rows_of(empty)[1]] == [
        "column B: a formula that was not calculated: open the file in Excel and save it"
    ]
    assert [one.why for one in rows_of(failed)[1]] == ["column B: the error of a formula, such as #N/A"]


def test_a_number_is_read_in_every_spelling_that_excel_and_people_make(tmp_path: Path) -> None:
    """All of these are one number; invisible marks, apostrophes and spaces around it do not count."""
    spellings = [
        13800138000, 13800138000.0, "13800138000", "'13800138000", "’13800138000", "+8613800138000", "8613800138000",
        "008613800138000", "+86 138 0013 8000", "138-0013-8000", " 13800138000\u00a0", "\u202a13800138000\u202c",
        "１３８００１３８０００", "13800138000.0", "(+86)13800138000", "tel:+8613800138000", 8613800138000.0,
    ]  # fmt: skip
    path = book(tmp_path / "a.xlsx", [["手机号码", "变量1"], *([spelling, "王"] for spelling in spellings)])
    good, rejected = rows_of(path)
    assert rejected == []
    assert {one.phone for one in good} == {GOOD}
    abroad = book(tmp_path / "b.xlsx", [["+447400123456", 5], ["00447400123457", 5.5]])
    assert [(one.phone, one.abroad, one.values) for one in rows_of(abroad)[0]] == [
        (447400123456, True, ["5"]),
        (447400123457, True, ["5.5"]),
    ]


def test_the_fast_way_to_read_a_mobile_number_of_china_agrees_with_the_library() -> None:
    """The first seven digits decide: for each of them, any number is valid exactly if the reader says so."""
    reader = Reader(RULES)
    for prefix in range(130_000, 200_000, 37):
        national = f"{prefix}{prefix % 9}{prefix % 7919:04}"[:11]
        try:
            valid = Phone.parse(f"+86{national}", "CN").e164 == f"+86{national}"
        except Exception:  # noqa: BLE001 - a refused number is not valid
            valid = False
        assert reader._is_mobile(national) == valid, national  # noqa: SLF001 - the fast way itself


def test_titles_and_instructions_are_no_rows_and_empty_rows_do_not_count(tmp_path: Path) -> None:
    """The sheet that we write is read back; a third row of words is a broken row; row numbers are Excel's."""
    path = tmp_path / "members.xlsx"
    template_sheet.write(path, 2)
    assert rows_of(path, Rules(2)) == ([], [])
    with pytest.raises(Failed, match="exists"):
        template_sheet.write(path, 2)
    filled = book(
        tmp_path / "a.xlsx",
        [["手机号码", "变量1"], ["必填", "姓名"], [], ["", " "], ["备注", "x"], ["13800138000", "王"]],
    )
    good, rejected = rows_of(filled)
    assert ([one.row for one in good], [one.row for one in rejected]) == ([6], [5])

    def indented(_: Any, sheet: Any) -> None:
        sheet.write(3, 1, "13800138000")

    (row,) = rows_of(book(tmp_path / "b.xlsx", [], indented))[1]
    assert (row.row, row.why) == (4, "the number is missing")


def test_hidden_things_and_a_second_sheet_are_an_error_that_says_so(tmp_path: Path) -> None:
    """A filter hides rows that its user believes to be gone."""
    rows = [["13800138001", "王"], ["13800138002", "王"]]
    changes: list[tuple[Callable[[Any, Any], Any], str]] = [
        (lambda _, sheet: sheet.set_row(1, None, None, {"hidden": True}), r"hidden row \(2\)"),
        (lambda _, sheet: sheet.set_column("B:B", None, None, {"hidden": True}), "hidden column"),
        (lambda made, _: made.add_worksheet("alt").hide(), r"hidden sheets \(alt\)"),
        (lambda made, _: made.add_worksheet("alt").write(0, 0, "x"), "more than one sheet"),
    ]
    for number, (change, why) in enumerate(changes):
        with pytest.raises(Failed, match=why):
            rows_of(book(tmp_path / f"{number}.xlsx", rows, change))
    assert len(rows_of(book(tmp_path / "a.xlsx", rows, lambda made, _: made.add_worksheet("leer")))[0]) == 2
    assert len(list(sheets.lines(tmp_path / "3.xlsx", "alt"))) == 1
    with pytest.raises(Failed, match="no sheet neu"):
        list(sheets.lines(tmp_path / "a.xlsx", "neu"))


def test_csv_is_read_in_its_encoding_and_with_its_delimiter(tmp_path: Path) -> None:
    """The whole file decides: first a mark, then UTF-8, then GB18030, which is never tried first."""
    content = '手机号码,变量1\r\n13800138000,王小明\r\n\'13800138001,"李,雷"\r\n'
    path = tmp_path / "a.csv"
    for given in (
        content,
        codecs.BOM_UTF8 + content.encode(),
        content.encode("gb18030"),
        content.encode("utf-16"),
        content.replace(",", "\t").replace("李\t", "李,"),
        content.replace(",", ";").replace("李;", "李,"),
        "sep=;\r\n" + content.replace(",", ";").replace("李;", "李,"),
    ):
        good, rejected = rows_of(text(path, given))
        assert [one.values for one in good] == [["王小明"], ["李,雷"]]
        assert rejected == []
    late = "13800138000,a\n" * 200_000 + "13800138001,王\n"
    assert csv_sheet.encoding(text(path, late)) == "utf-8"
    assert csv_sheet.encoding(text(path, late.encode("gb18030"))) == "gb18030"
    assert [csv_sheet.is_ambiguous(text(path, given)) for given in (content, "1,a\n", "1,王\n")] == [False, False, True]
    errors = rows_of(text(path, "13800138000,#N/A\n1.39E+10,王\n13900139000.0,王\n"))
    assert [one.row for one in errors[1]] == [1, 2]
    assert [one.phone for one in errors[0]] == [8613900139000]


def test_a_broken_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """The first bytes tell its kind, not its name."""
    good = book(tmp_path / "good.xlsx", [["13800138000", "王"]])
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as made:
        made.writestr("word/document.xml", "<a/>")
    with zipfile.ZipFile(tmp_path / "bad.xlsx", "w") as made:
        made.writestr("xl/workbook.xml", "<a")
    broken: list[tuple[Any, str]] = [
        (ole, "an old .xls file"),
        (ole + "EncryptedPackage".encode("utf-16-le"), "has a password"),
        (good.read_bytes()[:2000], "damaged"),
        ((tmp_path / "a.docx").read_bytes(), "not a workbook"),
        ((tmp_path / "bad.xlsx").read_bytes(), "damaged"),
        (b"<html><table><tr><td>13800138000", "a web page"),
        (b"%PDF-1.7", "a PDF"),
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"13800138000,\xff\xff\xff\n", "neither UTF-8 nor GB18030"),
        (b"13800138000,\0\0\n", "neither UTF-8 nor GB18030"),
        (b'13800138000,"\xe7\x8e\x8b\n13800138001,a\n', "quotation mark"),
    ]
    for content, why in broken:
        path = text(tmp_path / "members.xlsx", content)
        with pytest.raises(Failed, match=why):
            rows_of(path)
    with pytest.raises(Failed, match="cannot be read"):
        rows_of(tmp_path / "none.xlsx")
    named = tmp_path / "members.csv"
    shutil.copy(good, named)
    assert len(rows_of(named)[0]) == len(rows_of(text(tmp_path / "members.xlsx", "13800138000,王"))[0]) == 1


def test_a_number_that_excel_shows_in_another_form_is_refused(tmp_path: Path) -> None:
    """Its reader means 50%, 12.50 or 0042, and the file has 0.5, 12.5 or 42; a format of all digits changes nothing."""
    formats = {
        "0%": False, "0.00": False, "¥#,##0.00": False, "0000": False, "[$-804]aaaa": False, "General": True, "0": True,
        "@": True, "0_ ": True, "0_);[Red]\\(0\\)": True,
    }  # fmt: skip
    rows = [[f"138001380{row:02}", "王"] for row in range(len(formats) + 2)]

    def write(made: Any, sheet: Any) -> None:
        for row, code in enumerate(formats):
            sheet.write(row, 1, 0.5 if code == "0%" else 42, made.add_format({"num_format": code}))
        sheet.write(len(formats), 0, 13800138099, made.add_format({"num_format": "000-0000-0000"}))
        sheet.write(len(formats) + 1, 1, "50%", made.add_format({"num_format": "0%"}))
        sheet.write_blank(len(formats) + 1, 2, None, made.add_format({"num_format": "0.00"}))

    good, rejected = rows_of(book(tmp_path / "formats.xlsx", rows, write))
    plain = [row for row, whole in enumerate(formats.values(), 1) if whole]
    assert [one.row for one in good] == [*plain, len(formats) + 1, len(formats) + 2]
    assert {one.values[0] for one in good} == {"42", "王", "50%"}
    assert ["shows in another form" in one.why for one in rejected] == [True] * (len(formats) - len(plain))


def changed(old: Path, new: Path, change: Callable[[bytes], bytes]) -> Path:
    """Write a workbook whose first sheet has other XML; return the new one."""
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(new, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, change(content) if name == "xl/worksheets/sheet1.xml" else content)
    return new


def test_hidden_things_and_formulas_are_found_in_the_xml_of_every_program(tmp_path: Path) -> None:
    """The Open XML SDK gives each name a prefix, and attributes come in any order; a row need not have a number."""
    rows = [["13800138001", "王"], ["13800138002", "王"]]
    hidden = book(tmp_path / "hidden.xlsx", rows, lambda _, sheet: sheet.set_row(1, None, None, {"hidden": True}))
    formula = book(tmp_path / "formula.xlsx", rows, lambda _, sheet: sheet.write_formula(1, 1, "=A1", None, ""))

    def prefixed(xml: bytes) -> bytes:
        named = re.sub(rb"<(/?)(?=[a-zA-Z])", rb"<\1x:", xml)
        return named.replace(b"<x:worksheet xmlns=", b"<x:worksheet xmlns:x=")

    changes: list[Callable[[bytes], bytes]] = [
        prefixed,
        lambda xml: re.sub(rb'<row (r="2")([^>]*?) hidden="1"', rb'<row hidden="1" \1\2', xml),
        lambda xml: re.sub(rb'<row r="[0-9]+"', b"<row", xml),
    ]
    narrow = book(tmp_path / "narrow.xlsx", rows, lambda _, sheet: sheet.set_column(1, 1, 0))
    with pytest.raises(Failed, match="hidden column"):
        rows_of(narrow)
    for place, change in enumerate(changes):
        with pytest.raises(Failed, match="hidden row"):
            rows_of(changed(hidden, tmp_path / f"{place}.xlsx", change))
    good, rejected = rows_of(changed(formula, tmp_path / "prefixed.xlsx", prefixed))
    assert ([one.phone for one in good], ["not calculated" in one.why for one in rejected]) == ([GOOD + 1], [True])


def test_a_workbook_full_of_blanks_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that unpacks to far more than a sheet has is not read; blanks between two cells end the reading."""
    good = book(tmp_path / "good.xlsx", [["13800138000", "王"]])
    blanks = changed(good, tmp_path / "b.xlsx", lambda xml: xml.replace(b"</row>", b" " * (40 << 20) + b"</row>"))
    with pytest.raises(Failed, match="damaged or no Excel workbook: more than 16 MB between two cells"):
        rows_of(blanks)
    after = changed(good, tmp_path / "a.xlsx", lambda xml: xml + b" " * (40 << 20))
    assert len(rows_of(after)[0]) == 1
    small = tmp_path / "small.xlsx"
    with zipfile.ZipFile(after) as source, zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    monkeypatch.setattr(xlsx_sheet, "_SMALL", 1 << 20)
    with pytest.raises(Failed, match="unpacks to 40 MB, far more than a sheet has"):
        rows_of(small)


def test_a_rejected_row_is_a_sheet_again_with_the_values_as_they_were(tmp_path: Path) -> None:
    """The file runs no formula in a spreadsheet, and read again, its values have no apostrophe that was not there."""
    values = ["2027", "=cmd|'/c calc'!A0", "+1", "-1", "@A1", "＝1+1", "'5", "''6", "'王", "O'Neil", "王"]
    file = SafeCsv(tmp_path / "rejected.csv", ["phone", "value"])
    for value in values:
        file.write("13800138000", value)
    file.close()
    with file.path.open(encoding="utf-8-sig", newline="") as written:
        cells = [row[1] for row in list(csv.reader(written))[1:]]
    assert [cell for cell in cells if cell[0] in "0123456789=+-@＝"] == []
    good, rejected = rows_of(file.path, Rules(1, 40))
    assert ([one.values[0] for one in good], rejected) == (values, [])


def test_messages_are_counted_at_the_borders_of_their_lengths() -> None:
    """70 characters are one message, each 67 of a longer one; abroad 160 and 153, if all characters are GSM's."""
    borders = {
        70: 1, 71: 2, 134: 2, 135: 3, 201: 3, 202: 4, 500: 8, 501: 0,
    }  # fmt: skip
    mainland = Text("{1}", "公司A")  # 【公司A】 has six
    assert {size: mainland.messages(["王" * (size - 5)]) for size in borders} == borders
    assert (mainland.messages(["😀" * 32 + "王"]), mainland.messages(["😀" * 33])) == (1, 2)  # UTF-16 has two units
    assert (mainland.messages(["a" * 65]), mainland.messages(["a" * 66])) == (1, 2)  # Latin letters count alike
    abroad = Text("{1}", abroad=True)
    latin = {160: 1, 161: 2, 306: 2, 307: 3, 459: 3, 460: 4}
    assert {size: abroad.messages(["a" * size]) for size in latin} == latin
    assert (abroad.messages(["a" * 158 + "€"]), abroad.messages(["a" * 159 + "€"])) == (1, 2)  # € has two
    assert [abroad.messages(["a" * (size - 1) + "王"]) for size in (70, 71, 134, 135)] == [1, 2, 2, 3]
