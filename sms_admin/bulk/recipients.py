"""The rows of a sheet as recipients: one number and the values of the template's variables, or the reason why not."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from sms_admin.bulk.cells import Bad, Line, column
from sms_admin.bulk.safe_csv import original
from sms_admin.bulk.texts import Rules, fault
from sms_admin.language import tr
from sms_login.errors import InvalidPhone
from sms_login.phone import Phone

CHINA = (8610000000000, 8619999999999)  # all numbers of mainland China that can receive SMS lie between
_MOBILE = re.compile(r"(?:\+?86|0086)?(1[3-9][0-9]{9})")
_DECIMALS = re.compile(r"\+?[0-9]+\.0+")  # a number that a program has written as one with decimals
_SCIENTIFIC = re.compile(r"\+?[0-9][.,0-9]*[eE]\+?[0-9]+")
_APOSTROPHES = "'`’‘＇"  # in front of a number: it says "this is text" to Excel
_LETTERS = 6  # of a head or an instruction, which no number has


class Recipient(NamedTuple):
    """One row: `phone` is E.164 as a whole number, `values` are in the order of the template's variables."""

    row: int
    phone: int
    values: list[str]

    def __repr__(self) -> str:
        return object.__repr__(self)  # it holds a number

    @property
    def abroad(self) -> bool:
        """Return whether the number is outside mainland China."""
        return not CHINA[0] <= self.phone <= CHINA[1]


class Rejected(NamedTuple):
    """A row that gets no message: the cells as they are, and the reason."""

    row: int
    cells: list[str]
    why: str

    def __repr__(self) -> str:
        return object.__repr__(self)  # it holds a number


class Reader:
    """Reads the rows of a sheet. `heads` has the numbers of the rows that hold titles or instructions."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._prefixes: dict[str, bool] = {}
        self.heads: list[int] = []
        self.empty = 0

    def read(self, lines: Iterator[Line]) -> Iterator[Recipient | Rejected]:
        """Yield a recipient or the reason for each row that is neither empty nor a head."""
        for place, line in enumerate(line for line in lines if not self._is_empty(line)):
            if place == len(self.heads) < 2 and is_head(line.cells):  # noqa: PLR2004 - titles, then instructions
                self.heads.append(line.row)
            else:
                yield self._row(line)

    def _is_empty(self, line: Line) -> bool:
        empty = not any(line.cells)
        self.empty += empty
        return empty

    def _row(self, line: Line) -> Recipient | Rejected:
        cells = [cell if isinstance(cell, Bad) else original(cell) for cell in line.cells]
        first, count = cells[0], self._rules.variables
        found = first.why if isinstance(first, Bad) else self.phone(first)
        why = found if isinstance(found, str) else self._values(cells, count)
        if isinstance(found, str) or why:
            return Rejected(line.row, ["" if isinstance(cell, Bad) else cell for cell in cells], why)
        return Recipient(line.row, found, cells[1 : count + 1])  # type: ignore[arg-type] # none of them is Bad

    def phone(self, text: str) -> int | str:
        """Return a number, or the reason why a text is none."""
        plain = _MOBILE.fullmatch(text)
        if plain and self._is_mobile(plain[1]):
            return int(f"86{plain[1]}")
        spelling = text.lstrip(_APOSTROPHES)
        if not spelling:
            return tr("the number is missing", "缺少手机号码")
        if _SCIENTIFIC.fullmatch(spelling):
            return tr(
                "Excel has shortened the number and saved it without its digits: take it from the original",
                "Excel 已将号码缩写并丢失了数字：请从原始数据重新获取",
            )
        if _DECIMALS.fullmatch(spelling):
            spelling = spelling.partition(".")[0]
        try:
            return int(Phone.parse(spelling, "CN", frozenset()).e164[1:])
        except InvalidPhone as error:
            return tr(error.en, error.zh)

    def _is_mobile(self, national: str) -> bool:
        """Return whether a number of China can receive SMS: the first seven of its eleven digits decide."""
        known = self._prefixes.get(national[:7])
        if known is None:
            try:
                known = Phone.parse(f"+86{national}", "CN").region == "CN"
            except InvalidPhone:
                known = False
            self._prefixes[national[:7]] = known
        return known

    def _values(self, cells: list[str | Bad], count: int) -> str:
        """Return the reason why the values of a row cannot be sent, or ""."""
        given = len(cells)
        while given > 1 and cells[given - 1] == "":
            given -= 1
        if given - 1 > count:
            return tr(
                f"{given - 1} values, but the template has {count} variables",
                f"有 {given - 1} 个值，但模板有 {count} 个变量",
            )
        for place in range(1, count + 1):
            value = cells[place] if place < len(cells) else ""
            why = value.why if isinstance(value, Bad) else fault(value, self._rules)
            if why:
                return tr(f"column {column(place)}: {why}", f"{column(place)} 列：{why}")
        return ""


def is_head(cells: list[str | Bad]) -> bool:
    """Return whether a row holds titles or instructions: words where a number belongs, and no number in it."""
    first = cells[0]
    if isinstance(first, Bad) or sum(char.isdigit() for char in first) >= _LETTERS:
        return False
    return sum(char.isalpha() for char in first) > 1
