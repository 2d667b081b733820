"""The limits that the guard enforces, their counts, and services that refuse."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from sms_login.errors import Refusal, SendingPaused, ServiceUnavailable, TooManyRequests
from sms_login.limits.policy import Limits
from sms_login.periods import Calendar
from sms_login.phone import Phone
from sms_login.users import User
from tests.testkit.cases import each_case
from tests.testkit.world import PHONE, UNLIMITED, World

IP, OTHER_IP = "203.0.113.7", "203.0.113.8"
ABROAD = Phone.parse("+447400123456", "CN")
KEY = "idempotency-key-1"
FORGED = "A" * 22

NOW = datetime(2026, 11, 21, 15, 20, 30, tzinfo=timezone(timedelta(hours=8)))
TO_THE_HOUR, TO_MIDNIGHT = 39 * 60 + 30, 8 * 3600 + 39 * 60 + 30  # s from NOW

Make = Callable[..., World]
Printed = Callable[[], list[dict[str, Any]]]


def neighbour(i: int) -> Phone:
    """Return the i-th number of one range."""
    return Phone.parse(f"+861381234{i:04}", "CN")


def stranger(i: int) -> Phone:
    """Return a number of the i-th range."""
    return Phone.parse(f"+86139{i:04}0000", "CN")


def abroad(i: int) -> Phone:
    """Return a foreign number of the i-th foreign range."""
    return Phone.parse(f"+4474{i:02}123456", "CN")


def counts(world: World) -> Counter[str]:
    """Return all counts as "ip:203.0.113.7 hour": 1, with the name of the hour or day unless it is the present one."""
    calendar, found = Calendar(8), Counter[str]()
    present = {calendar.now().hour.name, calendar.now().day.name}
    for key, count in world.backend.dump().items():
        if match := re.fullmatch(r"budget:\{(.+)\}:(\w+):(\w+)", key):
            found[f"{match[1]} {match[2]}" + ("" if match[3] in present else f" {match[3]}")] = int(count)
    return found


def range_of(phone: Phone) -> str:
    """Return the subject of a number's range."""
    return f"range:{phone.e164[:-4]}"


def unverified(phone: Phone = PHONE, ip: str = IP) -> Counter[str]:
    """Return the counts of a sending that a login refunds."""
    names = [f"{subject} {kind}" for subject in (f"ip:{ip}", range_of(phone)) for kind in ("hour", "day")]
    return Counter([*names, *([f"country:{phone.region} hour"] if phone.region != "CN" else [])])


def totals(phone: Phone = PHONE) -> Counter[str]:
    """Return the counts of a sending that no login refunds."""
    subjects = [range_of(phone), "all", *([f"country:{phone.region}"] if phone.region != "CN" else [])]
    return Counter(f"{subject} total" for subject in subjects)


def alerts(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the alerts in some lines of the log."""
    return [alert for line in lines for alert in line.get("alerts", [])]


def down(*_: object) -> User:
    """Stand for a user table that is down."""
    raise ServiceUnavailable


class Limit(Struct, frozen=True):
    """One limit: numbers that share it, the refusal once it is reached, and the seconds until it ends."""

    name: str
    number: Callable[[int], Phone]
    wait: int
    refusal: type[Refusal] = TooManyRequests

    def limits(self, most: int) -> Limits:
        """Return limits of which only this one can be reached."""
        return replace(UNLIMITED, **{self.name: most})


UNVERIFIED = [
    Limit("ip_hour", stranger, TO_THE_HOUR),
    Limit("ip_day", stranger, TO_MIDNIGHT),
    Limit("range_hour", neighbour, TO_THE_HOUR),
    Limit("range_day", neighbour, TO_MIDNIGHT),
    Limit("country_hour", abroad, TO_THE_HOUR),
]
TOTAL = [
    Limit("range_total", neighbour, TO_MIDNIGHT),
    Limit("country_total", abroad, TO_MIDNIGHT),
    Limit("total", stranger, TO_MIDNIGHT, SendingPaused),
]
each_limit = each_case("limit", [*UNVERIFIED, *TOTAL], ids=lambda limit: limit.name)
each_unverified = each_case("limit", UNVERIFIED, ids=lambda limit: limit.name)


def refused(world: World, refusal: type[Refusal], phone: Phone = PHONE, **options: Any) -> Refusal:
    """Ask for a code; check that nothing is sent and Redis stays unchanged; return the refusal."""
    before, sent = world.backend.dump(), len(world.outbox.sent)
    with pytest.raises(refusal) as error:
        world.get_sms(phone=phone, **options)
    assert type(error.value) is refusal
    assert world.backend.dump() == before
    assert len(world.outbox.sent) == sent
    return error.value
