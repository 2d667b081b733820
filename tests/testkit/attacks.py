"""An attacker's calls, and what the limits have counted of them."""

from collections import Counter
from typing import Any

from tests.testkit.world import PHONE, World

HOME, CARRIER = "203.0.113.7", "203.0.113.200"  # the victim's address, and one that thousands share
VICTIM, FORGED, KEY = PHONE.e164, "A" * 22, {"Idempotency-Key": "idempotency-key-1"}
HALF_A_DAY = 12 * 3600  # s from noon, when the clock starts, until midnight


def mobile(i: int, block: int = 0) -> str:
    """Return one of the ten thousand numbers of a block in China."""
    return f"+86139{block:04}{i:04}"


def abroad(i: int) -> str:
    """Return a number in the United Kingdom, in another range than the last one."""
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
    """Return what the budgets of a subject have counted, by window: "hour", "day" and the like, of any hour and day."""
    windows: Counter[str] = Counter()
    for key, value in world.backend.dump().items():
        if key.startswith(f"budget:{{{subject}}}:"):
            windows[key.rpartition("}:")[2].partition(":")[0]] += int(value)
    return dict(windows)
