"""The hours and calendar days that limits count in."""

import math
import time
from datetime import datetime, timedelta, timezone
from typing import Annotated

from msgspec import Meta, Struct

Seconds = Annotated[int, Meta(ge=0, description="in seconds")]


class Period(Struct, frozen=True):
    """An hour or a day by `name`, and the milliseconds until it ends."""

    name: str
    left_ms: int


class Calendar:
    """Tells the current hour and day. `tz_offset`, in hours from UTC, decides when midnight is."""

    def __init__(self, tz_offset: float) -> None:
        self._zone = timezone(timedelta(hours=tz_offset))

    def hour(self) -> Period:
        """Return the current hour."""
        hour, seconds = divmod(time.time(), 3600)
        return Period(f"{hour:.0f}", math.ceil((3600 - seconds) * 1000))

    def day(self) -> Period:
        """Return the current day."""
        now = datetime.fromtimestamp(time.time(), self._zone)
        midnight = datetime(now.year, now.month, now.day, tzinfo=self._zone) + timedelta(days=1)
        return Period(f"{now:%Y%m%d}", math.ceil((midnight - now).total_seconds() * 1000))


def seconds(ms: int) -> int:
    """Return milliseconds as the seconds of a Retry-After: rounded up, so that a retry is never too early."""
    return max(1, math.ceil(ms / 1000))
