"""Ratios, and tables of them with targets."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


class Ratio:
    """How many times as much A costs as B, from pairs that were measured one after the other."""

    def __init__(self, a: Sequence[float], b: Sequence[float]) -> None:
        ratios = [ours / theirs for ours, theirs in zip(a, b, strict=True)]
        self.median = statistics.median(ratios)
        self._least, self._most = min(ratios), max(ratios)

    def __str__(self) -> str:
        return f"{self.median:.2f}x ({self._least:.2f}-{self._most:.2f})"


@dataclass
class Table:
    """The results of one benchmark. `how` describes the measurement."""

    title: str
    how: str
    columns: tuple[str, ...]
    missed: int = 0
    _rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, *cells: str, target: str = "", met: bool = True) -> None:
        """Add a row; without a target it only informs."""
        self.missed += not met
        self._rows.append((*cells, target, ("ok" if met else "MISSED") if target else ""))

    def __str__(self) -> str:
        rows = [(*self.columns, "target", ""), *self._rows]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([f"\n{self.title}", self.how, "", *(f"  {line}" for line in lines), ""])

    def markdown(self) -> str:
        """Return the table as Markdown."""
        columns = (*self.columns, "target", "")
        lines = [f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *self._rows)]
        return "\n".join([f"## {self.title}", "", self.how, "", *lines, ""])
