"""Challenges, as the code rules need them of a store.

A challenge is a sent code with its state: `getSms` opens it, `login` answers it, and the wire calls its id `sessionId`.
Durations are milliseconds.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from sms_login.calls import Call
from sms_login.limits.policy import Reservation
from sms_login.otp.purposes import LOGIN, Purpose
from sms_login.periods import Period
from sms_login.phone import Phone
from sms_login.secret import Masked


class Challenge(Masked, frozen=True):
    """A challenge in the store: the `nonce` that its code is derived from, and the keyed `digest` of the code."""

    id: str
    nonce: str
    digest: str


class SendRequest(Masked, frozen=True):
    """A request to send a code on a calendar `day`.

    `challenge_id` is the challenge to send again, if it is of this `purpose`. `stale_id` is a challenge that the
    idempotency key still names although it is over. With `call`, a voice call reads the code aloud.
    """

    phone: Phone
    day: Period
    challenge_id: str | None = None
    idempotency_key: str | None = None
    stale_id: str | None = None
    purpose: Purpose = LOGIN
    call: bool = False


class SendOutcome(Enum):
    """The store's decision on a SendRequest."""

    NEW = "new"  # a new challenge
    RESEND = "resend"  # the code of the requested challenge again
    REPEAT = "repeat"  # this idempotency key has been answered: nothing to send
    COOLDOWN = "cooldown"
    DAILY_LIMIT = "daily limit"
    LOCKED = "locked"


class SendDecision(Masked, frozen=True):
    """An outcome with its facts.

    `challenge_id` is the challenge that a code is sent in, or the one of a repeat, and `challenge` the one to resend;
    `sent_today` counts the earlier sendings of the day; `wait_ms` is the time until a code may be sent again (negative:
    no wait).
    """

    outcome: SendOutcome
    challenge_id: str = ""
    challenge: Challenge | None = None
    sent_today: int = 0
    wait_ms: int = 0


class GuessOutcome(Enum):
    """The result of a guess."""

    RIGHT = "right"
    REPEAT = "repeat"  # right, and a repeat of the login that spent the code
    WRONG = "wrong"
    SPENT = "spent"
    EXPIRED = "expired"
    UNKNOWN = "unknown"  # the number has no such challenge
    LOCKED = "locked"


class Attempt(Masked, frozen=True):
    """A guess by the login `login_id`: its `digests`, one under each valid secret.

    A `shared` guess is counted in the budget of logins without a sessionId. For the guess, only challenges of its
    `purpose` exist.
    """

    login_id: str
    digests: Sequence[str]
    shared: bool
    idempotency_key: str | None
    purpose: Purpose


class Redemption(Masked, frozen=True):
    """An outcome with its facts.

    WRONG has `attempts_left` and the `failures` in a row; LOCKED has `wait_ms`; RIGHT and REPEAT have the `login_id` of
    the login that spent the code, whether a number was `called`, and the `generation` of the number's sessions, which
    is another one once all of them have ended. RIGHT also has the `left_ms` of the code's life, the `serial_no` of its
    latest message, if it was noted, and the `reservations` of the challenge's sendings, to be refunded.
    """

    outcome: GuessOutcome
    attempts_left: int = 0
    failures: int = 0
    wait_ms: int = 0
    login_id: str = ""
    called: bool = False
    generation: str = ""
    left_ms: int = 0
    serial_no: str = ""
    reservations: Sequence[Reservation] = ()


class ChallengeStore(Protocol):
    """Challenges by number and id. Every call is one decision, taken atomically."""

    def check(self, request: SendRequest) -> Call[SendDecision]:
        """Return what `issue` would decide, and record nothing (a dry run)."""

    def issue(
        self, request: SendRequest, new: Challenge, reservation: Reservation, sending_id: str
    ) -> Call[SendDecision]:
        """Record a sending, in the requested challenge or, if that one is over, in the `new` one; or decide against it.

        `reservation` is what the sending took from the budgets, `sending_id` names it for `undo`.
        """

    def undo(self, request: SendRequest, challenge_id: str, sending_id: str, *, issued: bool) -> Call[bool]:
        """Take back a recorded sending, if it still stands.

        `challenge_id` is the one that `issue` answered (`issued`) or, if its answer was lost, the new one given to it.
        Return whether a login has verified the sending, and so has refunded it.
        """

    def note_serial(self, phone: Phone, challenge_id: str, serial_no: str) -> None:
        """Note the serial number of a challenge's latest message, with the next calls that are made anyway."""

    def recent(self, phone: Phone, purpose: str) -> Call[Sequence[str]]:
        """Return the ids of the challenges of the number's latest sendings for a purpose, the latest first."""

    def remaining_ms(self, phone: Phone, challenge_id: str, *, shared: bool, spent: bool = False) -> Call[int]:
        """Return the time for which a code can still be redeemed; 0 if it is spent or expired.

        Count its own guesses and, if `shared`, also those of logins without a sessionId. If `spent`, count a code that
        a login has spent as if it could be redeemed.
        """

    def redeem(self, phone: Phone, challenge_id: str, attempt: Attempt) -> Call[Redemption]:
        """Compare a guess with a code, and spend the code if the guess is right."""

    def unredeem(self, phone: Phone, challenge_id: str, login_id: str, *, refunded: bool) -> Call[bool]:
        """Make the code valid again that `login_id` spent, itself or as a repeat.

        Return False if the record is gone, or if another of these logins may have succeeded. If the reservations were
        `refunded`, or may have been, the next login refunds none of them.
        """

    def forget(self, phone: Phone, challenge_id: str) -> Call[None]:
        """Delete a spent challenge; the counts against abuse stay."""
