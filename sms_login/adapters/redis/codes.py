"""Codes in Redis: one Lua script per decision.

Keys of a number share a hash tag, so that a script finds them all in one slot of a cluster. Every key expires.

    otp:{+86…}:<session>      hash    a code, see lua/issue.lua and lua/redeem.lua
    otp:{+86…}:latest         string  session in which the latest code was sent
    otp:{+86…}:cooldown       string  mark of the latest sending
    otp:{+86…}:day:20261121   int     sendings of the day
    otp:{+86…}:failures       int     failures in a row
    otp:{+86…}:sent:<key>     string  session that a getSms with this Idempotency-Key was answered with

Read only, of `redis_sessions`:

    session:{+86…}:generation int     how often all sessions were ended: a login before that is not repeated
"""

from collections.abc import Sequence
from typing import Any

from sms_login.adapters.redis.client import RedisClient
from sms_login.otp.rules import Rules
from sms_login.otp.store import Ask, Code, Guess, Look, May, Redeemed, Sending
from sms_login.phone import Phone


class RedisCodes:
    """`otp.store.Codes` on Redis."""

    def __init__(self, redis: RedisClient, rules: Rules) -> None:
        self._redis = redis
        self._rules = rules

    def look(self, ask: Ask) -> Look:
        """See `otp.store.Codes.look`."""
        return _look(ask, self._issue("look", ask, Code("-", "", ""), ""))

    def issue(self, ask: Ask, new: Code, mark: str) -> Look | Sending:
        """See `otp.store.Codes.issue`."""
        answer = self._issue("record", ask, new, mark)
        match answer:
            case ["same", *_]:
                return Sending(ask.session or "", same=True)
            case ["new", *_]:
                return Sending(new.session, same=False)
        return _look(ask, answer)

    def _issue(self, purpose: str, ask: Ask, new: Code, mark: str) -> list[Any]:
        rules, phone = self._rules, ask.phone
        tail_ms = rules.repeat_for * 1000  # a spent code is remembered for as long as its login may be repeated
        keys = [
            _key(phone, ask.session or new.session),
            _key(phone, new.session),
            _key(phone, "latest"),
            _key(phone, "cooldown"),
            _key(phone, f"day:{ask.day}"),
            _key(phone, "failures"),
            _key(phone, f"sent:{ask.key}" if ask.key else "cooldown"),
        ]
        args = [
            purpose,
            ask.session or "",
            new.session,
            ask.stale or "",
            1 if ask.key else 0,
            rules.life * 1000,
            rules.age * 1000 + tail_ms,
            tail_ms,
            rules.guesses,
            rules.lock_at,
            rules.daily,
            ask.day_ms,
            rules.cooldown * 1000,
            new.nonce,
            new.digest,
            mark,
            ask.toll,
        ]
        answer: list[Any] = self._redis.run("issue", keys, args)
        return answer

    def undo(self, ask: Ask, session: str, mark: str, *, issued: bool) -> bool:
        """See `otp.store.Codes.undo`."""
        phone, asked = ask.phone, ask.session or session
        keys = [
            _key(phone, asked),
            _key(phone, session),
            _key(phone, "latest"),
            _key(phone, "cooldown"),
            _key(phone, f"day:{ask.day}"),
            _key(phone, f"sent:{ask.key}" if ask.key else "cooldown"),
        ]
        word = self._redis.run("undo", keys, [mark, asked, session])
        # What was on record and is no more was spent to delete the account, and forgotten.
        return word == "verified" or (issued and word == "gone")

    def latest(self, phone: Phone) -> str | None:
        """See `otp.store.Codes.latest`."""
        session: str | None = self._redis.command("get", _key(phone, "latest"))
        return session

    def life_ms(self, phone: Phone, session: str, *, shared: bool) -> int:
        """See `otp.store.Codes.life_ms`."""
        return int(self._redis.run("life", [_key(phone, session)], [self._rules.guesses, 1 if shared else 0]))

    def redeem(
        self, phone: Phone, session: str, digests: Sequence[str], *, shared: bool, login: str, key: str | None
    ) -> Redeemed:
        """See `otp.store.Codes.redeem`."""
        rules = self._rules
        args = [
            "open" if shared else "wrong",
            rules.guesses,
            rules.lock_at,
            rules.lock_for * 1000,
            login,
            key or "",
            rules.repeat_for * 1000,
            *digests,
        ]
        keys = [_key(phone, session), _key(phone, "failures"), f"session:{{{phone.e164}}}:generation"]
        word, *rest = self._redis.run("redeem", keys, args)
        guess = Guess(word)  # an unknown word is a crash, not a login
        match guess:
            case Guess.WRONG:
                return Redeemed(guess, left=rest[0], failures=rest[1])
            case Guess.LOCKED:
                return Redeemed(guess, wait_ms=rest[0])
            case Guess.RIGHT | Guess.REPEAT:
                return Redeemed(guess, login=rest[0], tolls=rest[1:])
        return Redeemed(guess)

    def forget(self, phone: Phone, session: str) -> None:
        """See `otp.store.Codes.forget`."""
        self._redis.run("forget", [_key(phone, session), _key(phone, "latest")], [session])

    def unredeem(self, phone: Phone, session: str, login: str) -> bool:
        """See `otp.store.Codes.unredeem`."""
        keys = [_key(phone, session), _key(phone, "failures")]
        return bool(self._redis.run("unredeem", keys, [login]) == "good")


def _key(phone: Phone, name: str) -> str:
    return f"otp:{{{phone.e164}}}:{name}"


def _look(ask: Ask, answer: list[Any]) -> Look:
    may = May(answer[0])  # an unknown word is a crash, not a sending
    match may:
        case May.REPEAT:
            return Look(may, wait_ms=answer[2], session=answer[1])
        case May.SAME:
            return Look(may, code=Code(ask.session or "", answer[2], answer[3]), today=answer[1])
        case May.NEW:
            return Look(may, today=answer[1])
    return Look(may, wait_ms=answer[1])
