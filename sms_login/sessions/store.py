"""Sessions of those who are signed in: what the core needs of a store."""

from enum import Enum
from typing import Protocol

from msgspec import Struct

from sms_login.phone import Phone

LONGEST_SESSION = 10 * 365 * 86400  # s that SESSION_TTL may be


class SessionRules(Struct, frozen=True):
    """How long one stays signed in."""

    idle: int = 30 * 86400  # s without a refresh
    most: int = 365 * 86400  # s in all; NIST SP 800-63B-4, section 2.1.3, would rather have 30 days
    repeat_for: int = 10  # s in which a refresh may be repeated: an answer lost on the way, two tabs at once


class Rotation(Enum):
    """What became of a refresh token."""

    ROTATED = "rotated"
    AGAIN = "again"  # it was rotated a moment ago: the same new token is the answer
    ENDED = "ended"
    REUSED = "reused"  # an older one: the session has ended now


class Rotated(Struct, frozen=True):
    """The outcome; whose session it is, the count of its present token, and the ms until it ends unless it is used."""

    rotation: Rotation
    user_id: str = ""
    count: int = 0
    left_ms: int = 0


class SessionStore(Protocol):
    """Sessions by number and id. Every method is one decision, taken atomically."""

    def begin(self, phone: Phone, session: str, user_id: str) -> int:
        """Begin a session, with token 1; return the ms until it ends unless it is used."""

    def rotate(self, phone: Phone, session: str, count: int) -> Rotated:
        """Replace the session's token, if `count` is the present one."""

    def owner(self, phone: Phone, session: str) -> str | None:
        """Return the id of the user whose session it is; None if it has ended."""

    def end(self, phone: Phone, session: str) -> None:
        """End a session."""

    def end_all(self, phone: Phone) -> None:
        """End all sessions of a number."""
