"""Challenges in Redis: one Lua script per decision.

The keys of a number share a hash tag, so a script finds them in one slot of a cluster. Every key expires.

    otp:{+86…}:<challenge id>  hash    a challenge; lua/issue.lua explains its fields
    otp:{+86…}:latest          string  ids of the latest sendings and of their challenges
    otp:{+86…}:cooldown        string  id of the latest sending
    otp:{+86…}:day:20261121    int     sendings of the day
    otp:{+86…}:failures        int     failures in a row
    otp:{+86…}:receipts        hash    delivery receipts of the latest sendings, by serial number
    otp:{+86…}:sent:<key>      string  id of the challenge that a getSms with this Idempotency-Key was answered with

The last of them and `latest` are the login's; those of another purpose end with `:<purpose>`.

Of `sessions`:

    session:{+86…}:index       hash    tells a repeated login whether all sessions have ended since
"""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from sms_login.adapters.redis.client import RedisCall, RedisClient, nothing
from sms_login.limits.policy import Reservation
from sms_login.otp.purposes import LOGIN
from sms_login.otp.rules import Rules
from sms_login.otp.store import Attempt, Challenge, GuessOutcome, Redemption, SendDecision, SendOutcome, SendRequest
from sms_login.phone import Phone

_RESERVATION = re.compile(r"([0-9]+) ([0-9]{8}) ([0-9a-z.:/-]+)")
_NO_CLIENT = "-"
_DRY_RUN = Challenge("-", "", "")


class RedisChallenges:
    """`otp.store.ChallengeStore` on Redis."""

    def __init__(self, redis: RedisClient, rules: Rules) -> None:
        self._redis = redis
        self._rules = rules

    def check(self, request: SendRequest) -> RedisCall[SendDecision]:
        """See `otp.store.ChallengeStore.check`."""
        return self._issue("check", request, _DRY_RUN)

    def issue(
        self, request: SendRequest, new: Challenge, reservation: Reservation, sending_id: str
    ) -> RedisCall[SendDecision]:
        """See `otp.store.ChallengeStore.issue`."""
        return self._issue("issue", request, new, sending_id, _encode(reservation))

    def _issue(
        self, mode: str, request: SendRequest, new: Challenge, sending_id: str = "", reservation: str = ""
    ) -> RedisCall[SendDecision]:
        rules, key, purpose = self._rules, request.idempotency_key, _word(request.purpose.name)
        tail_ms = rules.repeat_for * 1000  # a spent code is kept for as long as its login may be repeated
        latest, sent = _of(purpose, "latest"), _of(purpose, f"sent:{key}") if key else "cooldown"
        requested, day = request.challenge_id or "", f"day:{request.day.name}"
        names = (requested or new.id, new.id, latest, "cooldown", day, "failures", sent)
        keys = [otp_key(request.phone, name) for name in names]
        ids = (requested, new.id, request.stale_id or "")
        keyed, call = 1 if key else 0, 1 if request.call else 0
        texts = (mode, *ids, keyed, new.nonce, new.digest, purpose, sending_id, reservation, call)
        lives = (rules.life * 1000, rules.age * 1000 + tail_ms, tail_ms)
        limits = (rules.guesses, rules.lock_at, rules.daily, request.day.left_ms, rules.cooldown * 1000)
        return self._redis.script("issue", keys, [*texts, *lives, *limits], partial(_decision, request, new))

    def undo(self, request: SendRequest, challenge_id: str, sending_id: str, *, issued: bool) -> RedisCall[bool]:
        """See `otp.store.ChallengeStore.undo`."""
        requested, key = request.challenge_id or challenge_id, request.idempotency_key
        purpose = _word(request.purpose.name)
        latest, sent = _of(purpose, "latest"), _of(purpose, f"sent:{key}") if key else "cooldown"
        names = (requested, challenge_id, latest, "cooldown", f"day:{request.day.name}", sent)
        keys = [otp_key(request.phone, name) for name in names]
        # A recorded sending that is gone was spent to delete the account, and then forgotten.
        verified = {"verified", "gone"} if issued else {"verified"}
        return self._redis.script("undo", keys, [sending_id, requested, challenge_id], verified.__contains__)

    def note_serial(self, phone: Phone, challenge_id: str, serial_no: str) -> None:
        """See `otp.store.ChallengeStore.note_serial`."""
        self._redis.ride(self._redis.script("note_serial", [otp_key(phone, challenge_id)], [serial_no], nothing))

    def recent(self, phone: Phone, purpose: str) -> RedisCall[Sequence[str]]:
        """See `otp.store.ChallengeStore.recent`."""
        return self._redis.command("GET", otp_key(phone, _of(_word(purpose), "latest")), read=_challenges)

    def remaining_ms(self, phone: Phone, challenge_id: str, *, shared: bool, spent: bool = False) -> RedisCall[int]:
        """See `otp.store.ChallengeStore.remaining_ms`."""
        args = [1 if shared else 0, self._rules.guesses, 1 if spent else 0]
        return self._redis.script("remaining", [otp_key(phone, challenge_id)], args, int)

    def redeem(self, phone: Phone, challenge_id: str, attempt: Attempt) -> RedisCall[Redemption]:
        """See `otp.store.ChallengeStore.redeem`."""
        rules = self._rules
        keys = [otp_key(phone, challenge_id), otp_key(phone, "failures"), f"session:{{{phone.e164}}}:index"]
        field, key = "shared_guesses" if attempt.shared else "guesses", attempt.idempotency_key or ""
        texts = (field, attempt.login_id, key, _word(attempt.purpose.name))
        limits = (rules.guesses, rules.lock_at, rules.lock_for * 1000, rules.repeat_for * 1000)
        return self._redis.script("redeem", keys, [*texts, *limits, *attempt.digests], _redemption)

    def unredeem(self, phone: Phone, challenge_id: str, login_id: str, *, refunded: bool) -> RedisCall[bool]:
        """See `otp.store.ChallengeStore.unredeem`."""
        keys = [otp_key(phone, challenge_id), otp_key(phone, "failures")]
        return self._redis.script("unredeem", keys, [login_id, 1 if refunded else 0], "valid".__eq__)

    def forget(self, phone: Phone, challenge_id: str) -> RedisCall[None]:
        """See `otp.store.ChallengeStore.forget`."""
        keys = [otp_key(phone, challenge_id), otp_key(phone, "latest")]
        return self._redis.script("forget", keys, [challenge_id], nothing)


def otp_key(phone: Phone, name: str) -> str:
    """Return one of the keys of a number that are listed above."""
    return f"otp:{{{phone.e164}}}:{name}"


def _word(purpose: str) -> str:
    """Return the word for a purpose: "" for a login, whose records are older than other purposes."""
    return "" if purpose == LOGIN.name else purpose


def _of(purpose: str, name: str) -> str:
    """Return the name of a key that each purpose has for itself."""
    return f"{name}:{purpose}" if purpose else name


def _challenges(sendings: str | None) -> Sequence[str]:
    return [*dict.fromkeys(sending.partition(":")[0] for sending in (sendings or "").split(" ") if sending)]


def _decision(request: SendRequest, new: Challenge, answer: list[Any]) -> SendDecision:
    word, *facts = answer
    outcome = SendOutcome(word)  # an unknown word is a crash, not a sending
    requested = request.challenge_id or ""
    match outcome:
        case SendOutcome.NEW:
            return SendDecision(outcome, new.id, sent_today=facts[0])
        case SendOutcome.RESEND:
            return SendDecision(outcome, requested, Challenge(requested, facts[1], facts[2]), sent_today=facts[0])
        case SendOutcome.REPEAT:
            return SendDecision(outcome, facts[0], wait_ms=facts[1])
    return SendDecision(outcome, wait_ms=facts[0])


def _redemption(answer: list[Any]) -> Redemption:
    word, *facts = answer
    outcome = GuessOutcome(word)  # an unknown word is a crash, not a login
    match outcome:
        case GuessOutcome.WRONG:
            return Redemption(outcome, attempts_left=facts[0], failures=facts[1])
        case GuessOutcome.LOCKED:
            return Redemption(outcome, wait_ms=facts[0])
        case GuessOutcome.RIGHT:
            login_id, called, generation, left_ms, serial_no, *reservations = facts
            taken = [*filter(None, map(_decode, reservations))]
            right = Redemption(outcome, login_id=login_id, called=bool(called), generation=generation)
            return replace(right, left_ms=left_ms, serial_no=serial_no, reservations=taken)
        case GuessOutcome.REPEAT:
            return Redemption(outcome, login_id=facts[0], called=bool(facts[1]), generation=facts[2])
    return Redemption(outcome)


def _encode(reservation: Reservation) -> str:
    return f"{reservation.hour} {reservation.day} {reservation.client or _NO_CLIENT}"


def _decode(text: str) -> Reservation | None:
    """Return a reservation; None if the record is corrupt."""
    match = _RESERVATION.fullmatch(text)
    return match and Reservation(match[1], match[2], None if match[3] == _NO_CLIENT else match[3])
