"""Attacks on codes and limits, through the whole app: their exact yield, and that no victim is harmed."""

from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import time_machine
from msgspec.structs import replace

from tests.testkit.attacks import CARRIER, FORGED, HALF_A_DAY, HOME, KEY, VICTIM, abroad, ask, counted, guess, mobile
from tests.testkit.backends import Backend
from tests.testkit.races import outcomes, race
from tests.testkit.world import OTHER_PHONE, REVIEW_CODE, REVIEW_PHONE, World


@pytest.fixture(name="world")
def guarded(backend: Backend, clock: time_machine.Traveller) -> World:
    """A login service with the default limits."""
    return World(backend, clock, ip=HOME)


@pytest.fixture
def addresses() -> Iterator[str]:
    """An endless supply of addresses for an attacker."""
    return (f"198.51.{i // 250}.{i % 250}" for i in count())


def about(seconds: int) -> Any:
    """Match a wait within 5 s: the clock of a real Redis runs on during the test."""
    return pytest.approx(seconds, abs=5)


# Guessing.


def test_brute_force_of_one_code(world: World, addresses: Iterator[str]) -> None:
    """Without the sessionId all addresses share one set of guesses at a code; the victim's own guesses remain."""
    session = ask(world)["data"]["sessionId"]
    answers = [guess(world, world.wrong, ip=next(addresses)) for _ in range(100)]
    guesses = world.rules.guesses
    assert outcomes(answers) == {"CodeIsError": guesses, "CodeHasValid": 100 - guesses}
    answers = [guess(world, world.outbox.code, ip=next(addresses), session=s) for s in (None, FORGED)]
    assert outcomes(answers) == {"CodeHasValid": 1, "SessionMismatch": 1}
    assert world.failures() == str(guesses)
    lefts = [guess(world, world.wrong, session=session)["data"]["attemptsLeft"] for _ in range(guesses - 1)]
    assert lefts == list(range(guesses - 1, 0, -1))
    assert guess(world, world.outbox.code, session=session)["codeStr"] == "Success"


def guess_for(
    hours: int, world: World, addresses: Iterator[str], *, resends: bool
) -> tuple[Counter[str], Counter[str]]:
    """Send and guess as often as allowed for `hours`, with and without the sessionId; return the outcomes of both."""
    asked, guessed, session = [], [], None
    for _ in range(hours):
        for tries in (1, world.rules.guesses + 1) if resends else (world.rules.guesses + 1,):
            asked.append(ask(world, ip=next(addresses), session=session))
            session = asked[-1]["data"].get("sessionId", session)
            sessions = [session, None] * tries
            guessed += [guess(world, world.wrong, ip=next(addresses), session=its) for its in sessions]
            world.cool_down()
        world.wait(3600 - (world.rules.cooldown + 1) * (2 if resends else 1))
    return outcomes(asked), outcomes(guessed)


def test_brute_force_across_codes(world: World, addresses: Iterator[str]) -> None:
    """Ten codes allow 60 guesses a day, and 100 failures in a row lock the number for a day."""
    asked, guessed = guess_for(12, world, addresses, resends=False)
    assert asked == {"Ok": 10, "TooManyRequests": 2}
    assert guessed == {"CodeIsError": 60, "CodeHasValid": 20, "CodeHasExpired": 16}
    assert world.failures() == "60"
    asked, guessed = guess_for(24, world, addresses, resends=False)
    assert asked == {"Ok": 7, "Locked": 17}
    assert guessed == {"CodeIsError": 40, "CodeHasValid": 12, "Locked": 4 + 17 * 8}
    assert len(world.outbox.sent) == 17
    locked = ask(world)
    assert (locked["codeStr"], locked["retryAfter"]) == ("Locked", about(86_400 - 18 * 3600))
    world.wait(86_401 - 18 * 3600)
    session = ask(world)["data"]["sessionId"]
    assert guess(world, world.outbox.code, session=session)["codeStr"] == "Success"


def test_brute_force_across_resends(world: World, addresses: Iterator[str]) -> None:
    """A resent code has no additional guesses: a day's ten sendings are five codes, each sent twice."""
    asked, guessed = guess_for(12, world, addresses, resends=True)
    assert asked == {"Ok": 10, "TooManyRequests": 14}
    assert guessed["CodeIsError"] == 5 * 2 * world.rules.guesses
    assert len({code for _, code in world.outbox.sent}) == 5
    assert world.failures() == str(5 * 2 * world.rules.guesses)


def test_replay_of_a_used_code(world: World, addresses: Iterator[str]) -> None:
    """After the login, an attacker with the code, the sessionId or both gets no token; the victim's token works."""
    session = ask(world)["data"]["sessionId"]
    token = guess(world, world.outbox.code, session=session)["data"]["token"]
    answers = [guess(world, world.outbox.code, ip=next(addresses), session=s) for s in (session, None, FORGED)]
    answers.append(world.call("login", KEY, phone=VICTIM, code=world.outbox.code, sessionId=session))
    assert outcomes(answers) == {"CodeHasValid": 3, "CodeHasExpired": 1}
    assert world.call("getUserInfo", token=token)["data"]["phone"] == VICTIM


def test_parallel_replay(world: World) -> None:
    """Of forty simultaneous correct codes, half of them without the sessionId, exactly one gets a token."""
    session = ask(world)["data"]["sessionId"]
    answers = race(40, lambda i: guess(world, world.outbox.code, session=session if i % 2 else None))
    assert outcomes(answers) == {"Success": 1, "CodeHasValid": 39}
    assert sum("token" in answer["data"] for answer in answers) == 1
    assert counted(world, f"ip:{HOME}")["guesses"] == 39


# Locking the victim out.


def test_lockout_of_a_victim_who_has_a_session_id(world: World, addresses: Iterator[str]) -> None:
    """Strangers who send and guess as often as they can do not affect the victim's code, its life or its guesses."""
    session = ask(world)["data"]["sessionId"]
    code = world.outbox.code
    guessed = [guess(world, world.wrong, ip=next(addresses), session=s) for s in [None, FORGED] * 6]
    rules = world.rules
    sendings = min(rules.daily - 1, rules.life // (rules.cooldown + 1))  # during the life of the victim's code
    for _ in range(sendings):
        world.cool_down()
        attackers = ask(world, ip=next(addresses))["data"]["sessionId"]
        guessed += [guess(world, world.wrong, ip=next(addresses), session=s) for s in [attackers, None] * 6]
    assert outcomes(guessed)["CodeIsError"] == rules.guesses * (1 + 2 * sendings)
    world.wait(rules.life % (rules.cooldown + 1) // 2)
    assert guess(world, code, session=session)["codeStr"] == "Success"
    assert world.failures() is None


def test_lockout_of_a_victim_who_has_no_session_id(world: World, addresses: Iterator[str]) -> None:
    """Ten sendings in a row block new codes until midnight; the stated wait is true, and tokens still work."""
    session = ask(world)["data"]["sessionId"]
    token = guess(world, world.outbox.code, session=session)["data"]["token"]
    for _ in range(9):
        world.cool_down()
        attackers = ask(world, ip=next(addresses))["data"]["sessionId"]
        for its in [attackers, None] * world.rules.guesses:
            guess(world, world.wrong, ip=next(addresses), session=its)
    world.cool_down()
    refused, midnight = ask(world), HALF_A_DAY - 10 * (world.rules.cooldown + 1)
    assert (refused["codeStr"], refused["retryAfter"]) == ("TooManyRequests", about(midnight))
    assert guess(world, world.outbox.code)["codeStr"] == "CodeHasValid"  # the victim's own phone shows this code
    assert world.call("login", phone=VICTIM, token=token)["codeStr"] == "Success"
    world.wait(midnight)
    session = ask(world)["data"]["sessionId"]
    assert guess(world, world.outbox.code, session=session)["codeStr"] == "Success"


# Sending.


def test_bombing_of_one_number(world: World, addresses: Iterator[str]) -> None:
    """A number gets ten messages a day with a cooldown between them, from any number of addresses."""
    session, resend = None, world.rules.cooldown + 1
    for day in (1, 2):
        answers = []
        for i in range(30):
            answers += [ask(world, ip=next(addresses), session=session) for _ in range(2)]
            session = answers[0]["data"]["sessionId"] if i % 2 else None
            world.cool_down()
        assert outcomes(answers) == {"Ok": 10, "TooManyRequests": 50}
        assert answers[1]["retryAfter"] == about(world.rules.cooldown)
        assert answers[-1]["retryAfter"] == about(day * HALF_A_DAY - 29 * resend)
        assert len(world.outbox.sent) == 10 * day
        world.wait(day * HALF_A_DAY - 30 * resend)


def test_pumping_of_a_range(world: World, addresses: Iterator[str]) -> None:
    """A block of numbers gets 30 unverified messages an hour and 100 a day; other blocks are still served."""
    numbers = (mobile(i) for i in count())
    for hour, sent in enumerate([30, 30, 30, 10, 0]):
        answers = [ask(world, next(numbers), ip=next(addresses)) for _ in range(35)]
        assert outcomes(answers) == Counter({"Ok": sent, "TooManyRequests": 35 - sent}) + Counter()
        assert answers[-1]["retryAfter"] == (3600 if hour < 3 else HALF_A_DAY - hour * 3600)
        assert ask(world, mobile(hour, block=1), ip=next(addresses))["codeStr"] == "Ok"
        world.wait(3600)
    assert len(world.outbox.sent) == 100 + 5
    world.wait(HALF_A_DAY - 5 * 3600)
    assert ask(world, next(numbers))["codeStr"] == "Ok"


def test_pumping_of_a_range_with_verification(world: World, addresses: Iterator[str]) -> None:
    """A fraudster who verifies every message gets 300 messages a day from a block of numbers."""
    assert ask(world, mobile(300))["codeStr"] == "Ok"
    world.backend.client.incrby(f"budget:{{range:{mobile(0)[:-4]}}}:total:20261121", 249)  # stands for 249 sendings
    for i in range(50):
        address = next(addresses)
        assert ask(world, mobile(i), ip=address)["codeStr"] == "Ok"
        assert guess(world, world.outbox.code, mobile(i), ip=address)["codeStr"] == "Success"
    refused = ask(world, mobile(51))
    assert (refused["codeStr"], refused["retryAfter"]) == ("TooManyRequests", HALF_A_DAY)
    assert len(world.outbox.sent) == 51
    assert counted(world, f"range:{mobile(0)[:-4]}") == {"total": 300, "hour": 1, "day": 1}
    assert ask(world)["codeStr"] == "Ok"


@pytest.mark.parametrize("address", ["198.51.100.9", "2001:db8:1:2:{}::1"])
def test_pumping_of_many_ranges_from_one_client(world: World, address: str) -> None:
    """One client, or all addresses of one /64 together, gets 20 unverified messages an hour and 50 a day."""
    numbers = (mobile(i, block=i) for i in count())
    for hour, sent in enumerate([20, 20, 10, 0]):
        answers = [ask(world, next(numbers), ip=address.format(i + 1)) for i in range(25)]
        assert outcomes(answers) == Counter({"Ok": sent, "TooManyRequests": 25 - sent}) + Counter()
        assert answers[-1]["retryAfter"] == (3600 if hour < 2 else HALF_A_DAY - hour * 3600)
        assert ask(world, mobile(hour, block=999), ip="2001:db8:1:3::1")["codeStr"] == "Ok"
        world.wait(3600)
    assert len(world.outbox.sent) == 50 + 4


def test_pumping_of_a_foreign_country(world: World, addresses: Iterator[str]) -> None:
    """A country gets 100 unverified messages an hour and 1000 in total a day; other countries are still served."""
    answers = [ask(world, abroad(i), ip=next(addresses)) for i in range(105)]
    assert outcomes(answers) == {"Ok": 100, "TooManyRequests": 5}
    assert answers[-1]["retryAfter"] == 3600
    world.wait(3600)
    world.backend.client.incrby("budget:{country:GB}:total:20261121", 899)
    answers = [ask(world, abroad(i), ip=next(addresses)) for i in range(105, 110)]
    assert outcomes(answers) == {"Ok": 1, "TooManyRequests": 4}
    assert answers[-1]["retryAfter"] == HALF_A_DAY - 3600
    assert len(world.outbox.sent) == 101
    assert ask(world)["codeStr"] == "Ok"
    assert ask(world, "+33612345678")["codeStr"] == "Ok"


def test_pumping_of_a_country_that_is_not_served(backend: Backend, clock: time_machine.Traveller) -> None:
    """A country that is not allowed gets no message for any spelling of a number, and no counter changes."""
    world = World(backend, clock, ip=HOME, countries=frozenset({"CN"}))
    answers = [ask(world, spelling) for spelling in (abroad(1), abroad(1)[1:], "00" + abroad(1)[1:], "+12015550123")]
    assert outcomes(answers) == {"CountryNotAllowed": 3, "InvalidPhone": 1}  # without its plus it is no number
    assert (world.outbox.sent, backend.dump()) == ([], {})


# Refunds.


def test_laundering_with_ones_own_phones(world: World) -> None:
    """A client that verifies its own messages in between still sends only 20 to strangers in an hour."""
    strangers, own = [], []
    for i in range(30):
        own.append(ask(world, mobile(i, block=1)))
        if own[-1]["codeStr"] == "Ok":
            login = {"phone": mobile(i, block=1), "code": world.outbox.code, "sessionId": own[-1]["data"]["sessionId"]}
            repeats = [world.call("login", KEY, **login) for _ in range(3)]
            assert outcomes(repeats) == {"Success": 3}
        strangers.append(ask(world, mobile(i, block=i + 2)))
    assert outcomes(strangers) == {"Ok": 20, "TooManyRequests": 10}
    assert outcomes(own) == {"Ok": 20, "TooManyRequests": 10}
    assert counted(world, f"ip:{HOME}") == {"hour": 20, "day": 20}
    assert ask(world, ip=CARRIER)["codeStr"] == "Ok"


def test_laundering_of_another_challenges_sendings(world: World) -> None:
    """A login refunds only its own challenge's sendings, to the client that asked for them."""
    ask(world)
    world.cool_down()
    session = ask(world)["data"]["sessionId"]
    for _ in range(2):
        world.cool_down()
        assert ask(world, session=session)["data"]["sessionId"] == session
    ask(world, mobile(0), ip=CARRIER)
    assert guess(world, world.outbox.sent[-2][1], ip=CARRIER, session=session)["codeStr"] == "Success"
    assert counted(world, f"ip:{HOME}") == {"hour": 1, "day": 1}
    assert counted(world, f"ip:{CARRIER}") == {"hour": 1, "day": 1}
    assert counted(world, f"range:{VICTIM[:-4]}") == {"hour": 1, "day": 1, "total": 4}


def test_laundering_into_a_later_window(world: World) -> None:
    """A login in the next hour refunds nothing of that hour, and recreates no counter that is gone."""
    world.wait(3590)
    first = ask(world)["data"]["sessionId"]
    world.wait(20)
    code = world.outbox.code
    second = ask(world, OTHER_PHONE.e164)["data"]["sessionId"]
    assert guess(world, code, session=first)["codeStr"] == "Success"
    assert counted(world, f"ip:{HOME}") == {"hour": 1, "day": 1}
    world.backend.client.delete(*[key for key in world.backend.expiries() if key.startswith("budget:")])
    assert guess(world, world.outbox.code, OTHER_PHONE.e164, session=second)["codeStr"] == "Success"
    assert not [key for key in world.backend.expiries() if key.startswith("budget:")]


def test_laundering_with_test_numbers(world: World) -> None:
    """A test number reserves nothing, so its logins refund nothing."""
    assert [ask(world, mobile(0, block=i))["codeStr"] for i in range(20)] == ["Ok"] * 20
    before = world.backend.dump()
    answers = [ask(world, REVIEW_PHONE.e164), guess(world, REVIEW_CODE, REVIEW_PHONE.e164), ask(world, mobile(0, 99))]
    assert outcomes(answers) == {"Ok": 1, "Success": 1, "TooManyRequests": 1}
    after = world.backend.dump()
    assert after.pop(f"user:{{{REVIEW_PHONE.e164}}}")["name"] == ""
    assert {key: value for key, value in after.items() if not key.startswith("session:")} == before


# Addresses.


def test_guessing_from_the_victims_address(world: World) -> None:
    """If a stranger uses up the guesses of an address, its other users still log in with a live sessionId."""
    expired = ask(world)["data"]["sessionId"]
    world.wait(600)
    session = ask(world)["data"]["sessionId"]
    others = ask(world, OTHER_PHONE.e164)["data"]["sessionId"]
    code = world.outbox.sent[-2][1]
    answers = [guess(world, "123456", mobile(i % 20), ip=CARRIER) for i in range(60)]
    assert outcomes(answers) == {"CodeHasExpired": 60}
    before = world.backend.dump()
    for its in (None, FORGED, expired, others):
        refused = guess(world, code, ip=CARRIER, session=its)
        assert (refused["codeStr"], refused["retryAfter"]) == ("TooManyRequests", 3000)
    assert world.backend.dump() == before
    wrong = guess(world, f"{(int(code) + 1) % 10**6:06}", ip=CARRIER, session=session)
    assert wrong["data"] == {"attemptsLeft": world.rules.guesses - 1}
    assert guess(world, code, ip=CARRIER, session=session)["codeStr"] == "Success"
    assert guess(world, code, ip=CARRIER, session=session)["codeStr"] == "TooManyRequests"
    assert counted(world, f"ip:{CARRIER}") == {"guesses": 60}
    world.wait(3000)
    assert guess(world, code, ip=CARRIER)["codeStr"] == "CodeHasExpired"


def sent_with(world: World, headers: dict[str, str]) -> Counter[str]:
    """Ask for 25 codes with forged headers, in which {} is the number of the request; return the outcomes."""
    answers = []
    for i in range(25):
        forged = {name: value.replace("{}", str(i)) for name, value in headers.items()}
        answers.append(world.call("getSms", forged, phone=mobile(0, block=i)))
    return outcomes(answers)


def test_forged_address_of_the_client(world: World) -> None:
    """If the platform names the client's address, no header overrides it."""
    names = ("X-Forwarded-For", "X-Real-IP", "X-Scf-Remote-Addr", "Forwarded", "True-Client-IP", "X-Client-IP")
    assert sent_with(world, dict.fromkeys(names, "192.0.2.{}")) == {"Ok": 20, "TooManyRequests": 5}
    subjects = {key.partition("}")[0] for key in world.backend.expiries() if key.startswith("budget:{ip:")}
    assert subjects == {f"budget:{{ip:{HOME}"}


@pytest.mark.parametrize("forged", ["192.0.2.{}, 198.51.100.9", "x{}, , 192.0.2.{}:80,198.51.100.9:4{}"])
def test_forged_hops_before_the_own_proxy(world: World, forged: str) -> None:
    """Behind one proxy, only the address that this proxy has appended counts."""
    world.app = replace(world.app, client_ip_source="forwarded:1")
    headers = {"X-Forwarded-For": forged, "X-Scf-Remote-Addr": "192.0.2.{}", "X-Real-IP": "192.0.2.{}"}
    assert sent_with(world, headers) == {"Ok": 20, "TooManyRequests": 5}
    assert counted(world, "ip:198.51.100.9") == {"hour": 20, "day": 20}
    assert world.call("getSms", {"x-forwarded-for": "198.51.100.9,192.0.2.1"}, phone=VICTIM)["codeStr"] == "Ok"
