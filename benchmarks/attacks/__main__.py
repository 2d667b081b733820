"""Run the attacks: `python -m benchmarks.attacks [--quick | --real]`. Exits with 1 if a target is missed.

--quick: a tenth of the honest users, no thousand addresses. --real: two of the days, on fakeredis and on a real Redis
whose clock libfaketime moves, which must come out the same.
"""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from time import perf_counter

from benchmarks import attacks
from benchmarks.attacks.day import DAY, HOUR
from benchmarks.attacks.people import Tally
from benchmarks.attacks.scenarios import Scenario, simulate, simulate_demo
from benchmarks.tables import Table

MOST_CHANCE, MOST_SMS, MOST_HINDERED = 1e-4, 500, 0.001
TARGET = f"< {MOST_CHANCE:.0e}, <= {MOST_SMS}, < {MOST_HINDERED:.1%}"  # takeover, SMS to others, hindered
COLUMNS = (
    "attack on",
    "addresses",
    "own phones",
    "captcha",
    "most guesses at one number, on the day",
    "in 24 h",
    "takeover of it, on the day",
    "guesses in all",
    "SMS to others",
    "to his own",
    "honest users hindered",
    "asked for a captcha",
)
SCENARIOS = (
    Scenario("nobody"),
    Scenario("one number", 1),
    Scenario("one number", 10),
    Scenario("one number", 1000),
    Scenario("one number, whose owner logs in", 10),
    Scenario("a million numbers", 1),
    Scenario("a million numbers", 10),
    Scenario("a million numbers", 10, phones=True),
    Scenario("a million numbers", 10, captcha=True),
    Scenario("a million numbers", 1000, guesses=False),
    Scenario("a block of numbers", 10),
    Scenario("a block of numbers", 1000, guesses=False),
    Scenario("a block of his own, logging in", 1),
    Scenario("a million numbers", 1, carrier=True),
    Scenario("a million numbers", 1, carrier=True, captcha=True),
    Scenario("honest users' numbers", 10),
    Scenario("honest users' numbers", 10, captcha=True),
    Scenario("honest users' addresses", 1, carrier=True, captcha=True),
    Scenario("nobody", addresses=5),
)
DEMO = [(k, guesses) for guesses in (True, False) for k in (1, 10)]
TWICE = (Scenario("one number", 10), Scenario("a million numbers", 10, phones=True, captcha=True))  # with --real

Job = Callable[[], Tally]


def main(options: list[str]) -> int:
    """Print the table, and return the exit code."""
    if unknown := set(options) - {"--quick", "--real"}:
        print(f"unknown: {', '.join(sorted(unknown))}; there are --quick and --real", file=sys.stderr)
        return 2
    if "--real" in options:
        return _compare()
    scenarios: Sequence[Scenario] = SCENARIOS
    if "--quick" in options:
        scenarios = [replace(s, users=s.users // 10) for s in scenarios if s.k <= 10]
    jobs: list[Job] = [partial(simulate, scenario) for scenario in scenarios]
    tallies = _run([*jobs, *(partial(simulate_demo, k, guesses=guesses) for k, guesses in DEMO)])
    table = Table("One day under attack", attacks.__doc__ or "", COLUMNS)
    for scenario, tally in zip(scenarios, tallies, strict=False):
        _add(table, scenario, tally)
    for (k, guesses), tally in zip(DEMO, tallies[len(scenarios) :], strict=True):
        _add_demo(table, k, tally, "one number" if guesses else "a million numbers")
    print(table.markdown())
    print(f"{table.missed} target(s) missed" if table.missed else "all targets met")
    return 1 if table.missed else 0


def _compare() -> int:
    jobs: list[Job] = [partial(simulate, scenario, real=real) for scenario in TWICE for real in (False, True)]
    tallies = _run(jobs)
    for scenario, fake, real in zip(TWICE, tallies[::2], tallies[1::2], strict=True):
        print(f"{scenario.attack}: {'the same' if fake == real else f'{fake} on fakeredis, {real} on a real Redis'}")
    return 0 if tallies[::2] == tallies[1::2] else 1


def _run(jobs: Sequence[Job]) -> list[Tally]:
    """Run the jobs in parallel, one per processor."""
    started = perf_counter()
    with ProcessPoolExecutor() as pool:
        tallies = []
        for tally, seconds in pool.map(_timed, jobs):
            tallies.append(tally)
            print(f"{len(tallies)} of {len(jobs)}: {seconds:.0f} s", file=sys.stderr)
    print(f"in all: {perf_counter() - started:.0f} s", file=sys.stderr)
    return tallies


def _timed(job: Job) -> tuple[Tally, float]:
    started = perf_counter()
    return job(), perf_counter() - started


def _add(table: Table, scenario: Scenario, tally: Tally) -> None:
    hindered = sum(tally.hindered.values()) / tally.users
    chance = _chance(tally.in_a_day())
    met = chance < MOST_CHANCE and tally.sms["others"] <= MOST_SMS and hindered < MOST_HINDERED
    guesses = [str(tally.in_a_day()), str(tally.in_24_hours()), f"{chance:.1e}", str(tally.in_all())]
    table.add(
        scenario.attack + (f"; users behind {scenario.addresses}" if scenario.addresses != 20 else ""),
        f"{scenario.k}, a carrier's" if scenario.carrier else str(scenario.k),
        "20" if scenario.phones else "-",
        "adaptive" if scenario.captcha else "-",
        *(guesses if tally.guesses else ["-"] * len(guesses)),
        str(tally.sms["others"]),
        str(tally.sms["own"]),
        f"{hindered:.2%}",
        f"{tally.captchas / tally.users:.1%}",
        target=TARGET if scenario.bound else "",
        met=met or not scenario.bound,
    )


def _add_demo(table: Table, k: int, tally: Tally, attack: str) -> None:
    times = DAY // HOUR  # one hour was simulated
    guesses = tally.in_a_day() * times
    cells = [str(guesses), str(guesses), f"{_chance(guesses):.1e}", str(guesses)] if guesses else ["-"] * 4
    rest = (str(tally.sms["others"] * times), "-", "-", "-")
    table.add(f"the demo's rules: {attack}", str(k), "-", "-", *cells, *rest)


def _chance(guesses: int) -> float:
    """Return the chance that one of so many different guesses at six digits is right."""
    return float(1 - (1 - 1e-6) ** guesses)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
