"""The days that are simulated."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import time_machine

from benchmarks.attacks.attackers import COOLDOWN, RULES, Attacker, Targets
from benchmarks.attacks.day import DAY, HOUR, MIDNIGHT, Day, Person, dice
from benchmarks.attacks.faketime import real_redis
from benchmarks.attacks.people import Tally, come, number
from benchmarks.attacks.sites import Demo, Product
from sms_login.phone import Phone
from tests.testkit.backends import Backend, fake_backend
from tests.testkit.world import PHONE

EVENING = -(RULES.daily - 1) * COOLDOWN - 1  # ten sendings before midnight, all alive after it
BLOCK = [str(1_371_230 + i) for i in range(10)]  # ranges that a fraudster was handed: a hundred thousand numbers
TOLD = {"a million numbers", "a block of numbers"}  # attacks in which honest users' codes are guessed at besides
BOUND = {"nobody", "one number", "one number, whose owner logs in", *TOLD}
OWN = 20  # phones of his own, if the attacker has any
TOGETHER = 200  # guesses that reach the demo before one of them is written


@dataclass(frozen=True)
class Scenario:
    """A day with one of the attacks in `_attack`, from `k` addresses."""

    attack: str
    k: int = 0
    phones: bool = False  # the attacker has some of his own
    captcha: bool = False
    carrier: bool = False  # his addresses are the first of the honest users'
    guesses: bool = True  # else he only sends
    users: int = 10_000
    addresses: int = 20  # of the honest users

    @property
    def bound(self) -> bool:
        """Whether it has targets; the others only inform."""
        return self.attack in BOUND and self.k <= 10 and not self.carrier and self.addresses == 20


def simulate(scenario: Scenario, *, real: bool = False) -> Tally:
    """Run a day on fakeredis, or on a real Redis under libfaketime."""
    tally, chance = Tally(), dice("honest users")
    carriers = [f"100.64.{i}.1" for i in range(scenario.addresses)]
    ips = carriers[: scenario.k] if scenario.carrier else [f"10.{i >> 8}.{i & 255}.1" for i in range(scenario.k)]
    with _clock(real=real) as (backend, clock, day):
        site = Product(backend, clock, "adaptive" if scenario.captcha else "off")
        attacker = Attacker(day, site, tally, ips, together=RULES.guesses if scenario.guesses else 0)
        attacker.own([number(dice(f"own {i}")) for i in range(OWN * scenario.phones)])
        users = [number(chance) for _ in range(scenario.users)]
        for at, person in _attack(scenario, attacker, site, ips, users):
            day.add(at, person)
        come(day, site, tally, chance, users, carriers, attacker.told if scenario.attack in TOLD else None)
        day.run(DAY)
    return tally


def simulate_demo(k: int, *, guesses: bool) -> Tally:
    """Run an hour against the demo's rules: one request a second from each of `k` addresses.

    The attack is `many_numbers`; if he guesses, there is only one number.
    """
    tally, ips = Tally(), [f"10.0.0.{i}" for i in range(k)]
    with _clock(real=False) as (backend, _, day):
        attacker = Attacker(day, Demo(backend.client), tally, ips, together=TOGETHER if guesses else 0, pace=1)
        for ip in ips:
            day.add(0, attacker.many_numbers(ip, Targets(dice(ip), [PHONE.e164[3:] if guesses else ""])))
        day.run(HOUR)
    return tally


def _attack(
    scenario: Scenario, attacker: Attacker, site: Product, ips: Sequence[str], users: Sequence[Phone]
) -> Iterator[tuple[float, Person]]:
    """Return the attackers, and the time when each begins."""
    chance = dice("ranges")
    of_all = sorted({number(chance).e164[3:-4] for _ in range(100_000)})
    targets = Targets(dice("numbers"), BLOCK if "block" in scenario.attack else of_all)
    own = scenario.attack == "a block of his own, logging in"
    victims = iter(users)
    match scenario.attack:
        case "one number":
            yield EVENING, attacker.one_number(PHONE, hold=True)
        case "one number, whose owner logs in":
            yield EVENING, attacker.one_number(PHONE, hold=False)
            yield COOLDOWN - 1, _owner(attacker, site)
        case "honest users' numbers":
            yield from ((0, attacker.spoil_numbers(ip, victims)) for ip in ips)
        case "honest users' addresses":
            yield from ((0, attacker.spoil_address(ip, site, PHONE)) for ip in ips)
        case _:
            yield from ((0, attacker.many_numbers(ip, targets, verifies=own)) for ip in ips)


def _owner(attacker: Attacker, site: Product) -> Person:
    """Log in as early as possible after midnight, which clears the count of failures."""
    ip = "192.0.2.1"
    sent = site.ask(ip, PHONE)
    attacker.told(sent)
    yield 20
    site.log_in(ip, sent, sent.code)


@contextmanager
def _clock(*, real: bool) -> Iterator[tuple[Backend, time_machine.Traveller, Day]]:
    """Give a Redis, and a day that sets its clock and Python's."""
    evening = MIDNIGHT - HOUR
    with time_machine.travel(evening, tick=False) as python:
        if not real:
            yield fake_backend(), python, Day([python.move_to])
            return
        with real_redis(evening) as (backend, move_to):
            yield backend, python, Day([python.move_to, move_to])
