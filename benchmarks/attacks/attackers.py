"""The attacks: guess at one number, send and guess at a million, and hinder honest users.

Each is the worst that the rules allow, as far as we can argue; its docstring has the argument.
"""

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence

from benchmarks.attacks.day import HOUR, Day, Person
from benchmarks.attacks.people import Tally, number
from benchmarks.attacks.sites import Demo, Product, Sent
from sms_login.errors import CaptchaRequired, Refusal, TooManyRequests
from sms_login.limits.policy import Limits
from sms_login.otp.rules import Rules
from sms_login.phone import Phone

RULES, LIMITS = Rules(), Limits()
COOLDOWN = RULES.cooldown + 1  # exactly after the cooldown, Redis may still have the key


class Targets:
    """Numbers to send to, from some ranges. A full range is skipped until its limit ends."""

    def __init__(self, chance: random.Random, ranges: Sequence[str]) -> None:
        self._chance = chance
        self._open = list(ranges)
        self._full: list[tuple[float, str]] = []

    def pick(self, now: float) -> Phone | None:
        """Return a number, None if every range is full."""
        self._open += [range_ for until, range_ in self._full if until <= now]
        self._full = [(until, range_) for until, range_ in self._full if until > now]
        return number(self._chance, self._chance.choice(self._open)) if self._open else None

    def fill(self, phone: Phone, until: float) -> None:
        """Skip a number's range until a time."""
        range_ = phone.e164[3:-4]
        self._open.remove(range_)
        self._full.append((until, range_))

    @property
    def next_at(self) -> float:
        """The time when the first of the full ranges has room again."""
        return min(self._full)[0]


class Attacker:
    """Has addresses, and perhaps phones of his own.

    `together` is the number of simultaneous guesses, and `pace` the seconds that a request takes an address: for the
    product three and zero, since more would not be evaluated, and limits are the only brake.
    """

    def __init__(
        self,
        day: Day,
        site: Product | Demo,
        tally: Tally,
        ips: Sequence[str],
        *,
        together: int = RULES.guesses,
        pace: float = 0,
    ) -> None:
        self._day, self._site, self._tally = day, site, tally
        self._ips, self._together, self._pace = ips, together, pace
        self._guessed: Counter[tuple[str, int]] = Counter()  # by address and hour, as far as they were counted there
        self._phones: dict[Phone, float] = {}  # his own, and when each may ask again

    def own(self, phones: Sequence[Phone]) -> None:
        """Give him phones of his own."""
        self._phones = dict.fromkeys(phones, 0.0)

    def one_number(self, victim: Phone, *, hold: bool) -> Person:
        """Guess at one number, from the evening before on.

        A guess needs a code, a code a sending, and a number has ten of these a day, from whatever address. Asking again
        in a session refills nothing, so each is a new code: three guesses in its session, three without one while it is
        the latest. Sixty a day then; to have more on one day, he lets the ten codes of the evening before, asked for at
        the last moment, lie until midnight (`hold`): three in each session, and three without at the last. The next
        ten wait an hour, until a single address has guesses enough again. Phones of his own add nothing to any of it.
        """
        held: list[Sent] = []
        ips = itertools.cycle(self._ips)
        while True:
            if held and self._day.now >= 0:
                self._guess(held[-1], shared=True)
                for code in held:
                    self._guess(code)
                held = []
                yield HOUR - self._day.now % HOUR
            sent = self._ask(next(ips), victim)
            if isinstance(sent, Refusal):
                yield self._day.wait(sent)
                continue
            if hold and self._day.now < 0:
                held.append(sent)
            else:
                self._guess(sent, shared=True)
                self._guess(sent)
            yield -self._day.now if len(held) == RULES.daily else COOLDOWN

    def many_numbers(self, ip: str, targets: Targets, *, verifies: bool = False) -> Person:
        """Send to as many numbers as an address may, at once, and guess at each; or, if they are his, log in.

        A number costs at most one sending and allows at most six guesses; those without a session come first, since the
        others pass even if the address has used up its guesses. Early is best: all hours have the same limits, and less
        of the shared budgets is left for honest users. He knows by counting whether a range or the address is full;
        here he reads it off the reason, which in truth only the log has.
        """
        while True:
            self._launder(ip)
            phone = targets.pick(self._day.now)
            if phone is None:
                yield targets.next_at - self._day.now
                continue
            sent = self._ask(ip, phone, own=verifies)
            if isinstance(sent, Refusal):
                wait = self._day.wait(sent)
                if "range" in sent.detail:
                    targets.fill(phone, self._day.now + wait)
                    wait = 0
                yield wait
            elif verifies:
                self._verify(ip, sent)
                yield 0
            else:
                evaluated = self._guess(sent, ip, shared=True) + self._guess(sent, ip)
                yield (1 + evaluated) * self._pace or (COOLDOWN if self._phones else 0)

    def told(self, sent: Sent) -> None:
        """Guess at an honest user's code: without its session, from the first address that has guesses left."""
        for ip in self._ips:
            if self._guessed[ip, self._day.hour] + self._together <= LIMITS.guesses:
                self._guess(sent, ip, shared=True)
                return

    def spoil_numbers(self, ip: str, victims: Iterator[Phone]) -> Person:
        """Use up the day of one honest user's number after the other, before they come.

        Ten sendings are the least that shuts a number out for the day, and fifty an address has.
        """
        for victim in victims:
            sent = 0
            while sent < RULES.daily:
                answer = self._ask(ip, victim)
                if not isinstance(answer, Refusal):
                    sent += 1
                    yield COOLDOWN
                elif sent and isinstance(answer, CaptchaRequired):
                    break  # for this number; else it is for the address
                else:
                    yield self._day.wait(answer)

    def spoil_address(self, ip: str, site: Product, phone: Phone) -> Person:
        """Make SendSms refuse until the address reaches its limit of refused sendings, every hour.

        It costs no SMS, and takes one phone of his own, such as one that has unsubscribed from the sender. A refused
        sending is undone, so neither cooldown nor quota of the phone stops it. A captcha ends it for the hour.
        """
        while True:
            with site.refusing():
                answer = self._ask(ip, phone)
            if isinstance(answer, CaptchaRequired):
                yield HOUR - self._day.now % HOUR
            else:
                yield self._day.wait(answer) if isinstance(answer, TooManyRequests) else 0

    def _ask(self, ip: str, phone: Phone, *, own: bool = False) -> Sent | Refusal:
        try:
            sent = self._site.ask(ip, phone)
        except Refusal as refusal:
            return refusal
        self._tally.sms["own" if own else "others"] += self._day.now >= 0
        return sent

    def _guess(self, sent: Sent, ip: str = "", *, shared: bool = False) -> int:
        """Guess from an address, or from one that has guesses left; return how many were evaluated."""
        hour = self._day.hour
        ip = ip or min(self._ips, key=lambda ip: self._guessed[ip, hour])
        guesses = sent.guess(self._together)
        evaluated = self._site.guess(ip, sent.phone, guesses, None if shared else sent.session)
        self._guessed[ip, hour] = min(self._guessed[ip, hour] + evaluated, LIMITS.guesses)
        self._tally.guesses[sent.phone.e164] += [self._day.now] * evaluated
        return evaluated

    def _launder(self, ip: str) -> None:
        """Let each own phone that may ask do so from this address, and log in."""
        for phone in [phone for phone, at in self._phones.items() if at <= self._day.now]:
            sent = self._ask(ip, phone, own=True)
            if not isinstance(sent, Refusal):
                self._verify(ip, sent)
                self._phones[phone] = self._day.now + COOLDOWN
            elif not sent.detail:
                self._phones[phone] = self._day.now + self._day.wait(sent)
            else:
                return  # it is the address that is full

    def _verify(self, ip: str, sent: Sent) -> None:
        """Log in twice under one Idempotency-Key: a faulty limit might refund more than was reserved."""
        if isinstance(self._site, Product):
            for _ in range(2):
                self._site.log_in(ip, sent, sent.code, "one key for both of them")
