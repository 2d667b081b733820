"""The hours and days of a report."""

from datetime import date, datetime, timedelta, timezone

from msgspec import Struct

HOUR = 3600  # s


class Span(Struct, frozen=True):
    """A period from an hour to another, which is excluded, both in hours since 1970; `name` is for people."""

    name: str
    begin: int
    end: int


def today(now: float, offset: float) -> date:
    """Return the day of an epoch second, `offset` hours east of UTC."""
    return datetime.fromtimestamp(now, timezone(timedelta(hours=offset))).date()


def moment(now: float, offset: float) -> str:
    """Return date and time of an epoch second, `offset` hours east of UTC."""
    return f"{datetime.fromtimestamp(now, timezone(timedelta(hours=offset))):%Y-%m-%d %H:%M}"


def days(first: date, last: date, offset: float) -> list[Span]:
    """Return a span for each day."""
    names = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    return [Span(f"{day}", _midnight(day, offset), _midnight(day + timedelta(days=1), offset)) for day in names]


def hours(first: date, last: date, offset: float) -> list[Span]:
    """Return a span for each hour of these days."""
    zone = timezone(timedelta(hours=offset))
    begin, end = _midnight(first, offset), _midnight(last + timedelta(days=1), offset)
    return [
        Span(f"{datetime.fromtimestamp(hour * HOUR, zone):%Y-%m-%d %H:%M}", hour, hour + 1)
        for hour in range(begin, end)
    ]


def day_of(hour: int, offset: float) -> int:
    """Return the first hour of the day to which an hour belongs."""
    return _midnight(today(hour * HOUR, offset), offset)


def _midnight(day: date, offset: float) -> int:
    """Return the first full hour of a day: one of UTC, also where midnight is not one."""
    start = datetime(day.year, day.month, day.day, tzinfo=timezone(timedelta(hours=offset))).timestamp()
    return -(-int(start) // HOUR)
