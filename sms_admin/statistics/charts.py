"""Charts as SVG: text, lines and bars in the colours of the page, without a script."""

import math
from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT = 1130, 280  # px of a line chart
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 32  # its margins
_LABELS = 12  # on the axis of a line chart, at most
_WIDE, _BAR, _NAME, _VALUE = 560, 28, 160, 110  # px: of a bar chart; a bar's height, and room for its name and value


def lines(title: str, names: Sequence[str], series: Sequence[tuple[str, Sequence[int]]]) -> str:
    """Return a line for each series of values, of which each belongs to a name on the axis; the legend is above."""
    most = _nice(max((max(values, default=0) for _, values in series), default=0))
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(names) - 1)
    height = _HEIGHT - _TOP - _BOTTOM

    def y(value: float) -> float:
        return _TOP + height * (1 - value / most)

    parts = []
    for tick in (0, most / 2, most):
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    every = math.ceil(len(names) / _LABELS)
    for i in range(0, len(names), every):
        anchor = "start" if i == 0 else "end" if i == len(names) - 1 else "middle"
        parts.append(
            f'<text x="{_LEFT + i * step:.1f}" y="{_HEIGHT - 10}" text-anchor="{anchor}">{escape(names[i])}</text>'
        )
    for number, (_, values) in enumerate(series):
        points = [(_LEFT + i * step, y(value)) for i, value in enumerate(values)]
        path = " ".join(f"{x:.1f},{top:.1f}" for x, top in points)
        parts.append(f'<polyline class="line s{number}" points="{path}"/>')
        parts += [f'<circle class="s{number}" cx="{x:.1f}" cy="{top:.1f}" r="2.5"/>' for x, top in points]
    return _legend([name for name, _ in series]) + _svg(title, _WIDTH, _HEIGHT, parts)


def bars(title: str, rows: Sequence[tuple[str, int, str]]) -> str:
    """Return a bar for each row: its name, its value, and the value's text."""
    most = max((value for _, value, _ in rows), default=0) or 1
    room = _WIDE - _NAME - _VALUE
    parts = []
    for i, (name, value, text) in enumerate(rows):
        middle, width = i * _BAR + _BAR / 2, room * value / most
        parts.append(f'<text x="{_NAME - 8}" y="{middle + 4}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect class="s0" x="{_NAME}" y="{middle - 9}" width="{width:.1f}" height="18"/>')
        parts.append(f'<text x="{_NAME + width + 8:.1f}" y="{middle + 4}">{escape(text)}</text>')
    return _svg(title, _WIDE, len(rows) * _BAR, parts)


def _legend(names: Sequence[str]) -> str:
    items = "".join(f'<li><span class="key k{i}"></span>{escape(name)}</li>' for i, name in enumerate(names))
    return f'<ul class="legend">{items}</ul>'


def _svg(title: str, width: int, height: int, parts: Sequence[str]) -> str:
    inner = "".join(parts)
    return f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {width} {height}">{inner}</svg>'


def _nice(value: int) -> int:
    """Return a round number that is not smaller."""
    if value <= 2:  # noqa: PLR2004 - the axis has a middle
        return 2
    power = 10 ** (len(str(value)) - 1)
    return next(int(step * power) for step in (1, 2, 4, 6, 8, 10) if step * power >= value)
