"""What the core needs of the outside, as Protocols, and the values that travel between them.

Adapters raise only refusals of `errors`: ServiceUnavailable where a server gives no answer, the SMS ones where a
sending goes wrong. Durations are seconds unless a name ends in `_ms`.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from msgspec import Struct

from sms_login.phone import Phone


class Code(Struct, frozen=True):
    """A code as the store keeps it: `session` it belongs to, `nonce` it is derived from, keyed `digest` of it."""

    session: str
    nonce: str
    digest: str


class Ask(Struct, frozen=True):
    """One wish to have a code sent.

    `day` names the calendar day, `day_ms` is what is left of it; `session` is the one asked for; `key` the caller's
    Idempotency-Key; `stale` a session that the key still names, though it is over; `toll` what the sending took from
    the budgets.
    """

    phone: Phone
    day: str
    day_ms: int
    session: str | None = None
    key: str | None = None
    stale: str | None = None
    toll: str = ""


class May(Enum):
    """What the store says to an Ask."""

    NEW = "new"  # a new session with a new code
    SAME = "same"  # the code of the session asked for, again
    REPEAT = "repeat"  # this Idempotency-Key has been answered: nothing is to be sent
    COOLDOWN = "cooldown"
    DAILY = "daily"
    LOCKED = "locked"


class Look(Struct, frozen=True):
    """`may` a code be sent; if not, `wait_ms` until it may; the `code` to be sent again, or a repeat's `session`.

    `wait_ms` is negative where there is nothing to wait for. `today` counts the day's sendings to the number so far.
    """

    may: May
    wait_ms: int = 0
    session: str = ""
    code: Code | None = None
    today: int = 0


class Sending(Struct, frozen=True):
    """A sending that is on record, in a `session` that is new or the `same` that was asked for."""

    session: str
    same: bool


class Guess(Enum):
    """What became of a guess."""

    RIGHT = "right"
    REPEAT = "repeat"  # right, and a repeat of the login that spent the code
    WRONG = "wrong"
    SPENT = "spent"
    EXPIRED = "expired"
    UNKNOWN = "unknown"  # the number has no such session
    LOCKED = "locked"


class Redeemed(Struct, frozen=True):
    """What became of a `guess`: on a wrong one `left` more and `failures` in a row; `wait_ms` of a lock.

    `login` names the login that spent the code: this one, or on a repeat the one that it repeats. `tolls` are those of
    the session's sendings, for this login to give back.
    """

    guess: Guess
    left: int = 0
    failures: int = 0
    wait_ms: int = 0
    login: str = ""
    tolls: Sequence[str] = ()


class Codes(Protocol):
    """Codes by number and session. Every method is one decision, taken atomically."""

    def look(self, ask: Ask) -> Look:
        """Tell what `issue` would say, and change nothing."""

    def issue(self, ask: Ask, new: Code, mark: str) -> Look | Sending:
        """Put a sending on record, in the session asked for or, where that is over, as `new`; or say why not."""

    def undo(self, ask: Ask, session: str, mark: str, *, issued: bool) -> bool:
        """Take back what the sending with this `mark` put on record, if it still stands.

        `session` is the one that `issue` answered (`issued`); or, where its answer was lost, the new one that it was
        given. Tell whether somebody who spent the code has been given the sending's toll, to give it back.
        """

    def latest(self, phone: Phone) -> str | None:
        """Return the session in which the number's latest code was sent."""

    def life_ms(self, phone: Phone, session: str, *, shared: bool) -> int:
        """Return for how long a code can still be redeemed; 0 if it is spent or over.

        `shared` asks for anybody, with the guesses of those who have no session; else for the session's holder.
        """

    def redeem(
        self, phone: Phone, session: str, digests: Sequence[str], *, shared: bool, login: str, key: str | None
    ) -> Redeemed:
        """Hold a guess (its digest under each secret that counts) against a code, and spend the code if it is right.

        `shared` takes it from the guesses of those who have no session. `login` names this login.
        """

    def forget(self, phone: Phone, session: str) -> None:
        """Forget a session, and that it was the latest; what counts against abuse stays."""

    def unredeem(self, phone: Phone, session: str, login: str) -> bool:
        """Make good again the code that `login` spent; False if the record is gone or another's."""
