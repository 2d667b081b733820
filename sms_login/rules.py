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


class Limits(Struct, frozen=True):
    """How many of what; a client is what `address` counts as one."""

    ip_hour: int = 20  # unverified sendings for one client
    ip_day: int = 50
    range_hour: int = 30  # unverified sendings to numbers that differ in their last four digits only
    range_day: int = 100
    range_total: int = 300  # all sendings to them in a day
    country_hour: int = 100  # unverified sendings to one country that is not the default one
    country_total: int = 1000  # all sendings to it in a day
    total: int = 10_000  # all sendings in a day, to cap the spend: OWASP API4:2023
    guesses: int = 60  # of one client in an hour
    refused: int = 30  # sendings for one client that SendSms refused because of their numbers, in an hour


LONGEST_SESSION = 10 * 365 * 86400  # s that SESSION_TTL may be


class SessionRules(Struct, frozen=True):
    """How long one stays signed in."""

    idle: int = 30 * 86400  # s without a refresh
    most: int = 365 * 86400  # s in all; NIST SP 800-63B-4, section 2.1.3, would rather have 30 days
    repeat_for: int = 10  # s in which a refresh may be repeated: an answer lost on the way, two tabs at once
