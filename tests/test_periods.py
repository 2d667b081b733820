"""The hours and days in which limits count."""

from datetime import datetime, timedelta, timezone

import time_machine
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sms_login.periods import Calendar, Period, retry_after
from tests.testkit.cases import each_case

HOUR, DAY = 3_600_000, 86_400_000  # ms


def at(text: str) -> time_machine.travel:
    """Stop the clock at an ISO time."""
    return time_machine.travel(datetime.fromisoformat(text), tick=False)


def test_an_hour_is_a_full_hour() -> None:
    """An hour ends when the next one begins, to the millisecond."""
    calendar = Calendar(8)
    with at("2026-11-21T12:00:00+08:00"):
        noon = calendar.now().hour
    assert noon == Period(f"{1_795_233_600 // 3600}", HOUR)
    with at("2026-11-21T12:59:59.750+08:00"):
        assert calendar.now().hour == Period(noon.name, 250)
    with at("2026-11-21T13:00:00+08:00"):
        assert calendar.now().hour == Period(f"{int(noon.name) + 1}", HOUR)


@each_case(
    ("offset", "first", "last"),
    [
        (8, "2026-11-20T16:00:00+00:00", "2026-11-21T15:59:59.750+00:00"),
        (0, "2026-11-21T00:00:00+00:00", "2026-11-21T23:59:59.750+00:00"),
        (-3.5, "2026-11-21T03:30:00+00:00", "2026-11-22T03:29:59.750+00:00"),
        (14, "2026-11-20T10:00:00+00:00", "2026-11-21T09:59:59.750+00:00"),
        (-12, "2026-11-21T12:00:00+00:00", "2026-11-22T11:59:59.750+00:00"),
    ],
)
def test_a_day_lasts_from_midnight_to_midnight_at_its_offset(offset: float, first: str, last: str) -> None:
    """A day's first and last moment have its name, and the moments before and after have others."""
    calendar = Calendar(offset)
    with at(first) as clock:
        assert calendar.now().day == Period("20261121", DAY)
        clock.shift(-0.25)
        assert calendar.now().day == Period("20261120", 250)
    with at(last) as clock:
        assert calendar.now().day == Period("20261121", 250)
        clock.shift(0.25)
        assert calendar.now().day == Period("20261122", DAY)


@each_case(
    ("now", "name", "next_name"),
    [
        ("2026-12-31T23:59:59+08:00", "20261231", "20270101"),
        ("2028-02-28T23:59:59+08:00", "20280228", "20280229"),
        ("2027-02-28T23:59:59+08:00", "20270228", "20270301"),
    ],
)
def test_days_follow_the_calendar(now: str, name: str, next_name: str) -> None:
    """The names of days are right across the ends of months and years, and sort by time."""
    with at(now) as clock:
        assert Calendar(8).now().day == Period(name, 1000)
        clock.shift(1)
        assert Calendar(8).now().day == Period(next_name, DAY)
    assert name < next_name


def test_a_period_always_has_at_least_a_millisecond_left() -> None:
    """Redis refuses an expiry of zero."""
    with at("2026-11-21T23:59:59.999999+08:00"):
        assert Calendar(8).now().hour.left_ms == Calendar(8).now().day.left_ms == 1


@settings(max_examples=300, deadline=None, derandomize=True)
@example(now=datetime(2026, 11, 21, 3, 59, 57, 999_500, tzinfo=timezone.utc), offset=8)
@given(
    now=st.datetimes(datetime(2026, 1, 1), datetime(2036, 1, 1), timezones=st.just(timezone.utc)),  # noqa: DTZ001 - Hypothesis adds it
    offset=st.sampled_from([8, 0, -3.5, 5.75, 14, -12]),
)
def test_after_its_retry_after_the_next_period_has_begun(now: datetime, offset: float) -> None:
    """A Retry-After is never too early, and less than a second too late."""
    calendar = Calendar(offset)
    with time_machine.travel(now, tick=False) as clock:
        for name in ("hour", "day"):

            def period(name: str = name) -> Period:
                now: Period = getattr(calendar.now(), name)
                return now

            clock.move_to(now, tick=False)
            before = period()
            clock.move_to(now + timedelta(seconds=retry_after(before.left_ms)), tick=False)
            after = period()
            assert after.name != before.name
            clock.shift(-1.002)
            assert period().name == before.name


@each_case(
    ("ms", "expected"), [(-2, 1), (0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (59_999, 60), (86_400_000, 86_400)]
)
def test_a_retry_after_is_rounded_up_to_whole_seconds_and_never_zero(ms: int, expected: int) -> None:
    """A client that comes back after its Retry-After need not wait again."""
    assert retry_after(ms) == expected
