"""Every number in the rules of a code and in the limits, with its source where it has one."""

from msgspec import Struct


class Rules(Struct, frozen=True):
    """The numbers in the rules of a code."""

    life: int = 300  # s a code works after it was last sent
    age: int = 600  # s after its first sending it never works: NIST SP 800-63B-4, section 3.1.3.2
    guesses: int = 3  # wrong ones per code, and as many again shared by all who guess without a session
    cooldown: int = 30  # s between two sendings to one number
    daily: int = 10  # sendings to one number per calendar day
    alert_at: int = 50  # failures in a row on one number that are worth an operator's look
    lock_at: int = 100  # failures in a row that lock a number: NIST SP 800-63B-4, section 3.2.2
    lock_for: int = 86400  # s without a failure until a count of failures is forgotten
    repeat_for: int = 60  # s in which a login may be repeated under its Idempotency-Key
