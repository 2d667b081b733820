"""The hours and days that limits are counted in, and durations on the wire."""

import math
import time
from datetime import datetime, timedelta, timezone
from typing import Annotated

from msgspec import Meta, Struct

Seconds = Annotated[int, Meta(ge=0, description="in seconds")]


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
        self._zone = timezone(timedelta(hours=tz_offset))

    def now(self) -> Now:
        """Return the present hour (hours since 1970, such as "494400") and day (such as "20261121")."""
        now = time.time()
        hour, seconds = divmod(now, 3600)
        date = datetime.fromtimestamp(now, self._zone)
        midnight = datetime(date.year, date.month, date.day, tzinfo=self._zone) + timedelta(days=1)
        return Now(
            hour=Period(f"{hour:.0f}", math.ceil((3600 - seconds) * 1000)),
            day=Period(f"{date:%Y%m%d}", math.ceil((midnight - date).total_seconds() * 1000)),
        )


def retry_after(ms: int) -> int:
    """Return milliseconds as whole seconds for Retry-After: at least 1, and never too early."""
    return max(1, math.ceil(ms / 1000))
