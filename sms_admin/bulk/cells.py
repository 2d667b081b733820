"""The cells of a sheet as text: numbers as Excel made them, and the cells that hold no text."""

import math
import unicodedata
from datetime import date, time, timedelta
from typing import Any, NamedTuple

from sms_admin.language import tr

_EXACT = 1e15  # Excel keeps 15 digits of a number


class Bad(NamedTuple):
    """A cell without a text that could be sent, and the reason."""

    why: str


class Line(NamedTuple):
    """A row of a sheet: its number as Excel shows it, and its cells from column A on."""

    row: int
    cells: list[str | Bad]

    def __repr__(self) -> str:
        return object.__repr__(self)  # it holds a number


def text(value: Any) -> str | Bad:
    """Return the text of a cell that python-calamine has read."""
    if isinstance(value, str):
        return trimmed(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, date | time | timedelta):
        return Bad(
            tr(
                "a date or a time: Excel hides its text, so format the cell as text",
                "是日期或时间：请将单元格设为文本格式",
            )
        )
    return Bad(tr("a kind of cell that is not known", "单元格类型未知"))


def _number(value: float) -> str | Bad:
    if not math.isfinite(value) or abs(value) >= _EXACT:
        return Bad(
            tr("a number of more than 15 digits, of which Excel has lost some", "数字超过 15 位，Excel 已丢失部分数字")
        )
    return str(int(value)) if value == int(value) else f"{value:.15g}"


def trimmed(value: str) -> str:
    """Return a text without white space and invisible format characters at either end."""
    if value.isalnum():  # nearly all are
        return value
    start, end = 0, len(value)
    while start < end and _outside(value[start]):
        start += 1
    while start < end and _outside(value[end - 1]):
        end -= 1
    return value[start:end]


def _outside(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) in {"Cf", "Cc"}


def column(index: int) -> str:
    """Return the letters of a column, which Excel shows above it: A for 0."""
    letters = ""
    while index >= 0:
        index, letter = divmod(index, 26)
        letters, index = chr(ord("A") + letter) + letters, index - 1
    return letters
