"""The sheet to fill in: the columns of the console's standard template, as text, so that Excel changes no number."""

from pathlib import Path

import xlsxwriter

from sms_admin.failures import Failed, unwritable
from sms_admin.language import tr

_ROWS = 1_048_576  # of an Excel sheet
_WIDTHS = (22, 16)  # characters: the number, a variable


def write(path: Path, variables: int) -> None:
    """Write a new .xlsx file for a template with some variables. Raises Failed, also if the file exists."""
    if path.exists():
        raise Failed(f"{path} exists", f"{path} 已存在")
    if path.suffix.lower() != ".xlsx":
        raise Failed("the name must end in .xlsx", "文件名必须以 .xlsx 结尾")
    try:
        with xlsxwriter.Workbook(path) as book:
            text = book.add_format({"num_format": "@"})
            head = book.add_format({"num_format": "@", "bold": True, "bg_color": "#DDEBF7"})
            note = book.add_format({"num_format": "@", "italic": True, "font_color": "#7F7F7F"})
            sheet = book.add_worksheet(tr("recipients", "收件人"))
            sheet.set_column(0, 0, _WIDTHS[0], text)
            sheet.set_column(1, max(1, variables), _WIDTHS[1], text)
            sheet.freeze_panes(2, 0)
            heads = [
                tr("phone", "手机号码"),
                *(tr(f"variable {{{n}}}", f"变量{{{n}}}") for n in range(1, variables + 1)),
            ]
            notes = [tr("required; abroad with + and the country code", "必填；境外号码须带 + 和国家码")]
            notes += [tr("the value of each message", "每条短信的取值")] * variables
            sheet.write_row(0, 0, heads, head)
            sheet.write_row(1, 0, notes, note)
    except (OSError, xlsxwriter.exceptions.FileCreateError) as error:
        raise unwritable(path, error) from None
