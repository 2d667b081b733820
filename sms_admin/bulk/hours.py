"""The hours in which messages go out: a time that the operator names, and those in which marketing is allowed."""

from contextlib import suppress
from datetime import MAXYEAR, MINYEAR, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sms_admin.failures import Failed
from sms_admin.language import tr

CHINA = timezone(timedelta(hours=8), "Asia/Shanghai")  # since 1991 without summer time
FIRST, LAST = 8, 22  # o'clock: the platform refuses marketing outside, with FailedOperation.MarketingSendTimeConstraint
MOST_AHEAD = timedelta(days=31)  # as in the console: a month


def zone(name: str) -> ZoneInfo:
    """Return a time zone by its name, such as Asia/Shanghai. Raises Failed."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Failed(
            f"there is no time zone {name}: use a name like Asia/Shanghai",
            f"没有时区 {name}：请使用如 Asia/Shanghai 的名称",
        ) from None


def moment(text: str, place: ZoneInfo, now: float) -> float:
    """Return a date and time of a zone, such as 2027-02-06 09:00:00, in epoch seconds.

    Raises Failed for a time that is past, more than a month ahead, or skipped by summer time.
    """
    local = _read(text, place)
    if local is None or local.year in (MINYEAR, MAXYEAR):  # in other zones, another year
        raise Failed(
            f"{text!r} is not a time: write 2027-02-06 09:00:00", f"{text!r} 不是时间：请写成 2027-02-06 09:00:00"
        )
    at = local.timestamp()
    if datetime.fromtimestamp(at, place).replace(tzinfo=None) != local.replace(tzinfo=None):
        raise Failed(f"{text} does not exist in {place.key}", f"{place.key} 中不存在 {text}")
    if at < now:
        raise Failed(
            f"{text} is past in {place.key}: it is {shown(now, place)} there",
            f"{text} 在 {place.key} 已过去：现在是 {shown(now, place)}",
        )
    if at > now + MOST_AHEAD.total_seconds():
        raise Failed(f"{text} is more than a month ahead", f"{text} 距今超过一个月")
    return at


def _read(text: str, place: ZoneInfo) -> datetime | None:
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"):
        with suppress(ValueError):
            return datetime.strptime(text, form).replace(tzinfo=place)
    return None


def possible(at: float) -> float:
    """Return the first time from `at` on, in epoch seconds, at which marketing may go out."""
    local = datetime.fromtimestamp(at, CHINA)
    if FIRST <= local.hour < LAST:
        return at
    morning = local.replace(hour=FIRST, minute=0, second=0, microsecond=0)
    return (morning if local.hour < FIRST else morning + timedelta(days=1)).timestamp()


def shown(at: float, place: ZoneInfo | timezone) -> str:
    """Return a time in epoch seconds as date and time of a zone, a dash for 0."""
    return f"{datetime.fromtimestamp(at, place):%Y-%m-%d %H:%M:%S}" if at else "–"


def named(at: float, name: str) -> str:
    """Return a time in epoch seconds as date and time of a named zone, with its name; a dash for 0."""
    return f"{shown(at, zone(name))} {name}" if at else "–"


def duration(seconds: float) -> str:
    """Return a duration for a person, such as "3 h 12 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, tr("d", "天")), (hours, tr("h", "小时")), (minutes, tr("min", "分")), (rest, tr("s", "秒"))]
    first = next((place for place, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count or first == 3)  # noqa: PLR2004 - seconds alone
