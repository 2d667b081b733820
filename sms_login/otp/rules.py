"""The rules of a code, with their defaults and sources."""

from msgspec import Struct


class Rules(Struct, frozen=True):
    """The rules of a code."""

    life: int = 300  # s that a code works after its last sending
    age: int = 600  # s after its first sending at which it ends, however often it is sent: NIST SP 800-63B-4, 3.1.3.2
    guesses: int = 3  # wrong ones per code, and as many again shared by all logins without a sessionId
    cooldown: int = 30  # s between two sendings to one number
    daily: int = 10  # sendings to one number per calendar day
    alert_at: int = 50  # failures in a row on one number that are logged as an alert
    lock_at: int = 100  # failures in a row that lock a number: NIST SP 800-63B-4, section 3.2.2
    lock_for: int = 86400  # s without a failure after which failures are forgotten
    repeat_for: int = 60  # s in which a login may be repeated under its Idempotency-Key
