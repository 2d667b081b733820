"""The hours and days that limits are counted in, and durations on the wire."""

import math
import time
from datetime import date, timedelta
from typing import Annotated

from msgspec import Meta, Struct

Seconds = Annotated[int, Meta(ge=0, description="in seconds")]

_FIRST = date(1970, 1, 1)  # the day 0


class Period(Struct, frozen=True):
    """An hour or a day by `name`, with the milliseconds that are left of it."""

    name: str
    left_ms: int


class Now(Struct, frozen=True):
    """The present hour and day, read once for each request: a request across midnight counts for one day."""

    hour: Period
    day: Period


class Calendar:
    """Names hours and days. `tz_offset` (hours east of UTC) places midnight."""

    def __init__(self, tz_offset: float) -> None:
        self._offset = tz_offset * 3600

    def now(self) -> Now:
        """Return the present hour (hours since 1970, such as "494400") and day (such as "20261121")."""
        now = time.time()
        hour, of_hour = divmod(now, 3600)
        day, of_day = divmod(now + self._offset, 86_400)
        return Now(
            hour=Period(f"{hour:.0f}", math.ceil((3600 - of_hour) * 1000)),
            day=Period(f"{_FIRST + timedelta(days=day):%Y%m%d}", math.ceil((86_400 - of_day) * 1000)),
        )


def retry_after(ms: int) -> int:
    """Return milliseconds as whole seconds for Retry-After: at least 1, and never too early."""
    return max(1, math.ceil(ms / 1000))
