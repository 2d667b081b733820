"""Honest users, and the tally of a day."""

import random
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.attacks.day import DAY, HOUR, Day, Person
from benchmarks.attacks.sites import Product, Sent
from sms_login.errors import CaptchaRequired, Refusal
from sms_login.phone import Phone

# Requests per hour from midnight, relative to each other: few at night, most in the evening.
CURVE = (3, 2, 1, 1, 1, 1, 2, 4, 6, 8, 9, 9, 9, 8, 8, 8, 8, 8, 9, 10, 11, 11, 9, 6)
# The first three digits of mainland mobile numbers; the four after them are the region's, then four for each customer.
PREFIXES = [
    str(p) for p in (*range(130, 140), *range(150, 154), *range(155, 160), *range(180, 190), 166, 176, 177, 198)
]


@dataclass
class Tally:
    """The attacker's gains of the day, and the damage to honest users."""

    guesses: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # when, by number not his
    sms: Counter[str] = field(default_factory=Counter)  # on the day, to "others" and to his "own" phones
    users: int = 0
    captchas: int = 0
    hindered: Counter[str] = field(default_factory=Counter)  # users, by the refusal that they met first

    def in_a_day(self) -> int:
        """Return the guesses at the number that had most of them on the day."""
        return max((sum(0 <= at < DAY for at in times) for times in self.guesses.values()), default=0)

    def in_24_hours(self) -> int:
        """Return the same for the 24 hours that had most of them."""
        return max(
            (i + 1 - bisect_right(times, at - DAY) for times in self.guesses.values() for i, at in enumerate(times)),
            default=0,
        )

    def in_all(self) -> int:
        """Return the guesses of the day at all numbers."""
        return sum(0 <= at < DAY for times in self.guesses.values() for at in times)


def number(chance: random.Random, begin: str = "") -> Phone:
    """Return a mainland number that begins like this, a country code apart."""
    begin = begin or chance.choice(PREFIXES)
    return Phone("+86" + begin + "".join(chance.choices("0123456789", k=11 - len(begin))), "CN")


def come(
    day: Day,
    site: Product,
    tally: Tally,
    chance: random.Random,
    phones: Sequence[Phone],
    ips: Sequence[str],
    tell: Callable[[Sent], object] | None,
) -> None:
    """Let a user come for each phone, at some time of the day; `tell` hears of each code that is asked for."""
    tally.users = len(phones)
    for i, phone in enumerate(phones):
        at = chance.choices(range(24), CURVE)[0] * HOUR + chance.randrange(HOUR)
        after, logs_in, mistypes = chance.randint(5, 60), chance.random() >= 0.05, chance.random() < 0.05
        login = [(after, False), (8, True)] if mistypes else [(after, True)]
        day.add(at, _user(site, tally, phone, ips[i % len(ips)], login if logs_in else [], tell))


def _user(
    site: Product,
    tally: Tally,
    phone: Phone,
    ip: str,
    login: Sequence[tuple[int, bool]],
    tell: Callable[[Sent], object] | None,
) -> Person:
    """Ask for a code and log in; `login` is after how many seconds something is typed, and whether rightly."""
    try:
        try:
            sent = site.ask(ip, phone)
        except CaptchaRequired:
            tally.captchas += 1
            yield 10
            sent = site.ask(ip, phone, site.ticket())
        if tell:
            tell(sent)
        for after, right in login:
            yield after
            if right:
                site.log_in(ip, sent, sent.code)
            else:
                site.guess(ip, phone, sent.guess(1), sent.session)
    except Refusal as refusal:
        tally.hindered[f"{refusal.name} {refusal.detail}".strip()] += 1
