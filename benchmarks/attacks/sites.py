"""The targets: the product, and for comparison the rules of Tencent's demo of 2024."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import time_machine

from sms_login.errors import CodeIsError, InvalidPhone, Refusal
from sms_login.limits.client import Client
from sms_login.limits.guard import Caller
from sms_login.limits.policy import Limits
from sms_login.otp.verify import Guess
from sms_login.phone import Phone
from tests.testkit.backends import Backend
from tests.testkit.world import World


@dataclass
class Sent:
    """A code on its way to `phone`. The attacker knows the code only so as not to guess it."""

    phone: Phone
    session: str
    code: str
    tried: int = 0

    def guess(self, count: int) -> list[str]:
        """Return new guesses, all wrong."""
        tries = [f"{(int(self.code) + self.tried + i + 1) % 1_000_000:06}" for i in range(count)]
        self.tried += count
        return tries


class Product:
    """The product itself: its sender and its login, with their guard and their scripts."""

    def __init__(self, backend: Backend, clock: time_machine.Traveller, captcha_mode: str) -> None:
        self._world = World(backend, clock, limits=Limits(total=50_000), captcha_mode=captcha_mode)
        self._tickets = 0

    def ask(self, ip: str, phone: Phone, ticket: str = "") -> Sent:
        """Have a code sent. Raises a Refusal."""
        sent = self._world.sender.get_sms(phone, None, None, Caller(Client(ip, ip), ticket, "randstr"))
        return Sent(phone, sent.session_id, self._world.outbox.sent.pop()[1])

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Let SendSms refuse, as it does for a number whose owner has unsubscribed there."""
        self._world.outbox.refuse = [InvalidPhone()]
        yield
        self._world.outbox.refuse = []

    def log_in(self, ip: str, sent: Sent, code: str, key: str | None = None) -> None:
        """Log in with a session. Raises a Refusal."""
        self._world.login.log_in(Guess(sent.phone, code, sent.session, key, Client(ip, ip)))

    def guess(self, ip: str, phone: Phone, codes: Sequence[str], session: str | None) -> int:
        """Send wrong guesses at one moment, and return how many of them counted against a code.

        One after the other: the scripts are atomic, so simultaneous guesses achieve no more.
        """

        def is_evaluated(code: str) -> bool:
            try:
                self._world.login.log_in(Guess(phone, code, session, None, Client(ip, ip)))
            except Refusal as refusal:
                return isinstance(refusal, CodeIsError)
            raise RuntimeError("the guess was right")

        return len(list(itertools.takewhile(is_evaluated, codes)))

    def ticket(self) -> str:
        """Return a captcha ticket, as for a solved captcha."""
        self._tickets += 1
        self._world.captchas.good.add(str(self._tickets))
        return str(self._tickets)


class Demo:
    """The rules of Tencent's demo, over the same store: get, compare, set, expire.

    A number has one code and three tries; asking again makes a new code with three tries, as often as one likes. A
    wrong guess writes the code back with one try less and its full lifetime. The four steps are not atomic: of
    simultaneous guesses, each reads the code before any has written. Neither addresses nor messages are counted.
    """

    def __init__(self, redis: Any) -> None:
        self._redis = redis

    def ask(self, ip: str, phone: Phone) -> Sent:  # noqa: ARG002 - the demo ignores the address
        """Have a code sent; the attacker has no preference."""
        self._put(phone, "000000", 3)
        return Sent(phone, "", "000000")

    def guess(self, ip: str, phone: Phone, codes: Sequence[str], session: str | None) -> int:  # noqa: ARG002 - nor here
        """Send wrong guesses at one moment, and return how many of them counted against a code."""
        evaluated = 0
        for read in [self._redis.get(phone.e164) for _ in codes]:
            code, _, left = (read or "").partition(" ")
            if left and int(left):
                evaluated += 1
                self._put(phone, code, int(left) - 1)
        return evaluated

    def _put(self, phone: Phone, code: str, left: int) -> None:
        self._redis.set(phone.e164, f"{code} {left}")
        self._redis.expire(phone.e164, 300)
