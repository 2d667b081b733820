"""The output of commands: rows as a table for people, or as one JSON object a line for programs."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from typing import Any, Literal, NamedTuple

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from sms_admin.language import tr
from sms_admin.rows import plain

_WIDE = 120  # columns of a table that goes into a file or a pipe
_ROWS = 500  # of one table: a longer list becomes several, so that the first rows need not wait for the last
_UNBROKEN = 10_000  # columns
_DASH = "–"


class Column(NamedTuple):
    """A column of a table, or a line of a single row: the key of a row, its title, and the text of its values.

    A narrow terminal breaks a value over two lines, except in a `whole` column; before that, it leaves out the `spare`
    ones.
    """

    key: str
    title: str
    text: Callable[[Any], str | Text] | None = None
    right: bool = False
    whole: bool = False
    spare: bool = False


def moment(seconds: float | None) -> str:
    """Return a time in epoch seconds as date and time of this machine's zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else _DASH


class Output:
    """Prints rows and sentences to standard output, and progress to standard error.

    Numbers are masked unless `clear`. With `as_json` only rows are printed.
    """

    def __init__(self, *, as_json: bool, clear: bool) -> None:
        self.as_json, self._clear = as_json, clear
        self.console = _console(sys.stdout)

    def plain(self, row: Any) -> Any:
        """Return a row, such as a Struct, as JSON has it: camelCase keys, and numbers as the options say."""
        return plain(row, clear=self._clear)

    def rows(self, rows: Iterable[Any], columns: Sequence[Column], *, none: str = "") -> bool:
        """Print rows; `none` is the sentence for an empty list. Keys without a column are in the JSON alone.

        Return whether all columns fitted.
        """
        left, printed, narrow = iter(rows), False, False
        if self.as_json:
            for row in left:
                self._line(row)
            return True
        while page := list(islice(left, _ROWS)):
            printed = True
            cells = [self.plain(row) for row in page]
            table = self._table(cells, columns)
            if any(column.spare for column in columns) and self._width(table) > self.console.width:
                table, narrow = self._table(cells, [column for column in columns if not column.spare]), True
            self.console.print(table)
        if narrow:
            self.say(tr("A wider terminal shows more columns.", "更宽的终端会显示更多列。"))
        if not printed:
            self.say(none or tr("There are none.", "没有内容。"))
        return not narrow

    def row(self, row: Any, columns: Sequence[Column]) -> None:
        """Print one row: a line for each column, or one JSON object."""
        if self.as_json:
            self._line(row)
            return
        grid, values = Table.grid(padding=(0, 2)), self.plain(row)
        for column in columns:
            grid.add_row(Text(column.title, "bold"), _cell(column, values.get(column.key)))
        self.console.print(grid)

    def say(self, sentence: str | Text) -> None:
        """Print a sentence for a person."""
        if not self.as_json:
            self.console.print(sentence if isinstance(sentence, Text) else printable(sentence))

    @contextmanager
    def progress(self, title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Show a progress bar on a terminal; the yielded function advances it by a number of steps."""
        console = _console(sys.stderr)
        with Progress(console=console, transient=True, disable=self.as_json or not console.is_terminal) as bar:
            task = bar.add_task(title, total=total)
            yield lambda steps: bar.advance(task, steps)

    def status(self, title: str) -> AbstractContextManager[Any]:
        """Show on a terminal that a command waits."""
        console = _console(sys.stderr)
        return console.status(title) if console.is_terminal and not self.as_json else nullcontext()

    def _line(self, row: Any) -> None:
        sys.stdout.write(json.dumps(self.plain(row), ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def _width(self, table: Table) -> int:
        """Return the width that a table needs if no value is broken."""
        return self.console.measure(table, options=self.console.options.update(max_width=_UNBROKEN)).maximum

    def _table(self, rows: Sequence[dict[str, Any]], columns: Sequence[Column]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            justify: Literal["left", "right"] = "right" if column.right else "left"
            table.add_column(column.title, justify=justify, overflow="fold", no_wrap=column.whole)
        for row in rows:
            table.add_row(*(_cell(column, row.get(column.key)) for column in columns))
        return table


def _console(file: Any) -> Console:
    console = Console(file=file, highlight=False, markup=False, emoji=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = max(console.width, _WIDE)
    return console


def _cell(column: Column, value: Any) -> Text:
    """Return the text of a value. It may come from outside, so it gets neither markup nor control characters."""
    text = column.text(value) if column.text and value is not None else _text(value)
    return text if isinstance(text, Text) else Text(printable(text))


def printable(text: str) -> str:
    """Return a text without the characters that move a terminal's cursor, hide text or turn its direction."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def _text(value: Any) -> str:
    if value is None or value == "":
        return _DASH
    if isinstance(value, bool):
        return tr("yes", "是") if value else tr("no", "否")
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or _DASH
    return str(value)
