"""Sessions of signed-in users, as the session rules need them of a store, and how long a session lives."""

from enum import Enum
from typing import Any, Protocol

from msgspec import Struct

from sms_login.calls import Call
from sms_login.phone import Phone
from sms_login.sessions.access_tokens import Claims
from sms_login.users import User

LONGEST_SESSION = 10 * 365 * 86400  # s: the maximum of SESSION_TTL


class SessionRules(Struct, frozen=True):
    """How long a user stays signed in."""

    idle: int = 30 * 86400  # s without a refresh
    most: int = 365 * 86400  # s in all; NIST SP 800-63B-4, section 2.1.3, recommends 30 days
    repeat_for: int = 10  # s in which a refresh may be repeated: a lost answer, two tabs at once


class Rotation(Enum):
    """The result of a refresh."""

    ROTATED = "rotated"
    REPEATED = "repeated"  # rotated a moment ago: the present token is the answer again
    ENDED = "ended"
    REUSED = "reused"  # an older token: the session has ended now


class Rotated(Struct, frozen=True):
    """A result with the session's user, the count of its present token, and the ms until it ends unless it is used."""

    rotation: Rotation
    user_id: str = ""
    count: int = 0
    left_ms: int = 0


class Begun(Struct, frozen=True):
    """A new session with its user, and the ms until it ends unless it is used: 0 if none has begun."""

    user: User
    left_ms: int


class SessionStore(Protocol):
    """Sessions by number and id. Every call is one decision, taken atomically."""

    def begin(self, phone: Phone, session: str, user: Call[User], mover: Claims | None = None) -> Call[Begun]:
        """Begin a session of the user whom `user` signs in, with token 1.

        If both are in one store, this call makes the other one as part of itself; if not, `user` is made first, and
        raises ServiceUnavailable. No session begins for a banned user.

        `mover` are the claims of a user who comes from another number: none begins either if this one has another user
        by then, and otherwise all sessions of theirs at the old number end.
        """

    def rotate(self, phone: Phone, session: str, count: int, user: Call[User | None]) -> Call[Rotated]:
        """Replace the session's token if `count` is the present one; not if the number's `user` is banned.

        If users are in another store, `user` is asked first, and raises ServiceUnavailable.
        """

    def owner(self, phone: Phone, session: str) -> Call[str | None]:
        """Return the id of the session's user; None if the session has ended."""

    def end(self, phone: Phone, session: str) -> Call[None]:
        """End a session."""

    def end_all(self, phone: Phone, user_id: str = "", deleting: Call[Any] | None = None) -> Call[None]:
        """End all sessions of a number, or after `deleting` those of the deleted user, `user_id`, alone.

        `deleting` is made as `begin` makes the call of its user.
        """
