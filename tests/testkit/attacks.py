"""The calls of an attacker, and the counts of the limits afterwards."""

from collections import Counter
from typing import Any

from tests.testkit.world import PHONE, World

HOME, CARRIER = "203.0.113.7", "203.0.113.200"  # the victim's address, and an address that thousands share
VICTIM, FORGED, KEY = PHONE.e164, "A" * 22, {"Idempotency-Key": "idempotency-key-1"}
HALF_A_DAY = 12 * 3600  # s from noon, when the clock starts, until midnight


def mobile(i: int, block: int = 0) -> str:
    """Return the i-th of ten thousand numbers in a range of China."""
    return f"+86139{block:04}{i:04}"


def abroad(i: int) -> str:
    """Return a number in the United Kingdom, each in another range than its predecessor."""
    return f"+447400{i % 100:02}{i:04}"


def ask(world: World, phone: str = VICTIM, *, ip: str = HOME, session: str | None = None) -> dict[str, Any]:
    """Ask for a code from an address."""
    world.ip = ip
    return world.call("getSms", phone=phone, sessionId=session)


def guess(world: World, code: str, phone: str = VICTIM, *, ip: str = HOME, session: str | None = None) -> Any:
    """Log in with a code from an address."""
    world.ip = ip
    return world.call("login", phone=phone, code=code, sessionId=session)


def counted(world: World, subject: str) -> dict[str, int]:
    """Return the counts of a subject by kind of window, such as "hour" and "day", summed over all hours and days."""
    windows: Counter[str] = Counter()
    for key, value in world.backend.dump().items():
        if key.startswith(f"budget:{{{subject}}}:"):
            windows[key.rpartition("}:")[2].partition(":")[0]] += int(value)
    return dict(windows)
