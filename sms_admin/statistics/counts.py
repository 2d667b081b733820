"""The login's own counts, read from Redis for hours or days; `sms_login/statistics.py` explains their names."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from sms_admin.operations import Page, cursor_of, operation
from sms_admin.place import Place
from sms_admin.run import Run
from sms_admin.statistics.spans import Span, day_of
from sms_login.adapters.redis.statistics import stats_key

_HOURS, _DAYS = 24, 240  # hours that a page reads, if it has a row for each hour or for each day


class ReadCounts(Struct):
    """The request for the counts from an hour to another, which is excluded, both in hours since 1970.

    Without `hourly` those of a day are added up; `offset` hours east of UTC place its midnight.
    """

    begin: int
    end: int
    hourly: bool
    offset: float


class Counted(Struct, rename="camel"):
    """The counts of a country in the period that begins at an hour."""

    hour: int
    country: str
    counts: dict[str, int]


@operation
def read_counts(place: Place, asked: ReadCounts, cursor: Any) -> Page:
    """Return a row for each period and country that has counts. The cursor is the next hour to read."""
    begin = cursor_of(cursor or asked.begin, int)
    end = min(asked.end, begin + (_HOURS if asked.hourly else _DAYS))
    found: dict[tuple[int, str], Counter[str]] = {}
    reading = {hour: place.redis.command("HGETALL", stats_key(str(hour)), read=_pairs) for hour in range(begin, end)}
    place.redis.send(*reading.values())
    for hour, call in reading.items():
        for name, count in call.answer():
            country, _, rest = name.partition(":")
            period = hour if asked.hourly else day_of(hour, asked.offset)
            found.setdefault((period, country), Counter())[rest] += count
    rows = [Counted(hour, country, dict(counts)) for (hour, country), counts in sorted(found.items())]
    return Page(rows, end if end < asked.end else None)


def of_spans(run: Run, spans: list[Span], offset: float) -> dict[Span, dict[str, Counter[str]]]:
    """Return the counts of each span, by country. Raises Failed."""
    hourly = spans[0].end - spans[0].begin == 1
    asked = ReadCounts(spans[0].begin, spans[-1].end, hourly, offset)
    found: dict[int, dict[str, Counter[str]]] = {}
    for row in run.rows(read_counts, asked):
        # A day that is read in two parts has two rows.
        found.setdefault(row["hour"], {}).setdefault(row["country"], Counter()).update(row["counts"])
    return {span: found.get(span.begin, {}) for span in spans}


def _pairs(reply: list[str]) -> Iterator[tuple[str, int]]:
    """Return the names and counts in a reply, except values that are not counts."""
    pairs = zip(reply[::2], reply[1::2], strict=True)
    return ((name, int(count)) for name, count in pairs if count.lstrip("-").isdecimal())
