"""Counters against abuse: what the store promises to the guard, on every kind of Redis."""

import socket
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import redis
import time_machine

from sms_login.adapters.redis.client import RedisClient, connect
from sms_login.adapters.redis.limits import RedisLimits
from sms_login.errors import ServiceUnavailable
from sms_login.limits.store import Reserved, Subject, Verdict, Window
from tests.testkit.races import outcomes, race
from tests.testkit.relay import Relay
from tests.testkit.servers import RedisServer, find_redis_server, require, until
from tests.testkit.world import Backend, World

ANN, BOB, ALL = "ip:203.0.113.7", "range:+861380013", "all"
FULL, ASK = [Reserved(Verdict.FULL, wait_ms=3_600_000)], [Reserved(Verdict.CAPTCHA, counts=[])]


def hour(limit: int | None = 3, captcha_at: int | None = None, *, counts: bool = True) -> Window:
    """Return a window that ends in an hour."""
    return Window("hour:1", limit, 3_600_000, captcha_at, counts)


def day(limit: int | None = 100, captcha_at: int | None = None) -> Window:
    """Return a window that ends in a day."""
    return Window("day:1", limit, 86_400_000, captcha_at)


def taken(*counts: int) -> list[Reserved]:
    """Return what the store answers where it has taken one."""
    return [Reserved(Verdict.RESERVED, counts=list(counts))]


def key(subject: str, window: str) -> str:
    """Return the key of a counter."""
    return f"budget:{{{subject}}}:{window}"


def lost(answers: Sequence[Reserved], why: str) -> list[bool]:
    """Tell of each answer whether it is lost, for this reason."""
    return [answer.verdict is Verdict.NO_ANSWER and why in answer.detail for answer in answers]


def take(world: World, *windows: Window, subject: str = ANN) -> list[Reserved]:
    """Subject from the windows of a subject."""
    return list(world.limit_store.reserve([Subject(subject, windows)]))


# Taking.


def test_a_take_counts_in_every_window_of_its_subject(world: World) -> None:
    """The counts come back in the order of the windows."""
    world.backend.client.set(key(ANN, "day:1"), 7)
    assert take(world, hour(), day()) == taken(1, 8)
    assert take(world, day(), hour()) == taken(9, 2)
    assert world.backend.dump() == {key(ANN, "hour:1"): "2", key(ANN, "day:1"): "9"}


@pytest.mark.parametrize("full", [0, 1])
def test_a_take_that_finds_one_window_full_counts_in_none(world: World, full: int) -> None:
    """All or nothing, wherever the full one stands; a window holds as many as it says, and no more."""
    windows = [hour(3), Window("day:1", 100, 3_600_000)]
    world.backend.client.set(key(ANN, windows[full].name), (windows[full].limit or 0) - 1)
    before = take(world, *windows)[0]
    dump = world.backend.dump()
    assert before.verdict is Verdict.RESERVED
    assert [take(world, *windows) for _ in range(3)] == [FULL] * 3
    assert world.backend.dump() == dump


def test_a_full_window_says_when_it_ends_and_of_two_the_later_end_counts(world: World) -> None:
    """Whoever waits as long as that finds room in both."""
    world.backend.client.set(key(ANN, "hour:1"), 3)
    assert take(world, hour(3), day(3)) == [Reserved(Verdict.FULL, wait_ms=3_600_000)]
    world.backend.client.set(key(ANN, "day:1"), 3)
    assert take(world, hour(3), day(3)) == [Reserved(Verdict.FULL, wait_ms=86_400_000)]
    assert take(world, day(3), hour(3)) == [Reserved(Verdict.FULL, wait_ms=86_400_000)]


def test_a_window_asks_for_a_captcha_from_its_mark_on(world: World) -> None:
    """Nothing is counted then; what is full says so first."""
    assert [take(world, hour(3, captcha_at=2)) for _ in range(3)] == [taken(1), taken(2), ASK]
    assert take(world, hour(3), day(captcha_at=0)) == ASK
    assert take(world, hour(3)) == taken(3)
    assert take(world, hour(3, captcha_at=2)) == FULL
    assert take(world, hour(3), day(captcha_at=0)) == FULL
    assert world.backend.dump() == {key(ANN, "hour:1"): "3"}


def test_a_window_that_does_not_count_is_only_looked_at(world: World) -> None:
    """It says no like any other, and is neither counted in nor made."""
    assert take(world, hour(3, counts=False), day()) == taken(1)
    world.backend.client.set(key(ANN, "hour:1"), 2)
    assert take(world, hour(3, counts=False), day()) == taken(2)
    assert take(world, hour(3, captcha_at=2, counts=False), day()) == ASK
    world.backend.client.set(key(ANN, "hour:1"), 3)
    assert take(world, hour(3, counts=False), day()) == FULL
    assert world.backend.dump() == {key(ANN, "hour:1"): "3", key(ANN, "day:1"): "2"}


def test_a_window_without_a_limit_has_no_end(world: World) -> None:
    """It counts on, and can still ask for a captcha."""
    world.backend.client.set(key(ANN, "hour:1"), 10**12)
    assert take(world, hour(None)) == taken(10**12 + 1)
    assert take(world, hour(None, captcha_at=5)) == ASK


def test_a_take_says_what_it_takes_from(world: World) -> None:
    """What is given back is what was counted, and nothing that was only looked at."""
    wish = Subject(ANN, [hour(counts=False), day()])
    assert wish.counted() == {ANN: ["day:1"]}
    world.limit_store.reserve([wish])
    world.limit_store.refund(wish.counted())
    assert world.backend.dump() == {}


def test_each_subject_is_taken_from_by_itself(world: World) -> None:
    """One that says no keeps nothing from the others; answers are in the order of the wishes."""
    world.backend.client.set(key(BOB, "hour:1"), 3)
    wishes = [
        Subject(ANN, [hour(), day()]),
        Subject(BOB, [hour()]),
        Subject(ALL, [day(captcha_at=0)]),
        Subject("country:GB", [day()]),
    ]
    assert world.limit_store.reserve(wishes) == [*taken(1, 1), *FULL, *ASK, *taken(1)]
    counted = {key(ANN, "hour:1"): "1", key(ANN, "day:1"): "1", key("country:GB", "day:1"): "1"}
    assert world.backend.dump() == {key(BOB, "hour:1"): "3", **counted}


def test_one_subject_twice_in_a_call_is_taken_from_twice(world: World) -> None:
    """Each wish sees what the one before it took."""
    wish = Subject(ANN, [hour(2)])
    assert world.limit_store.reserve([wish] * 3) == [*taken(1), *taken(2), *FULL]


# Ends.


def test_every_counter_expires_at_its_windows_end(world: World) -> None:
    """However often it is counted in, up or down."""
    for _ in range(2):
        take(world, hour(), day())
    world.limit_store.refund({ANN: ["hour:1", "day:1"]})
    hour_ms, day_ms = (world.backend.expiries()[key(ANN, name)] for name in ("hour:1", "day:1"))
    assert 3_598_000 < hour_ms <= 3_600_000
    assert 86_398_000 < day_ms <= 86_400_000
    world.wait(3601)
    assert world.backend.dump() == {key(ANN, "day:1"): "1"}
    world.wait(86_400 - 3600)
    assert world.backend.dump() == {}


def test_a_later_take_moves_the_expiry_to_what_is_left_of_the_window(world: World) -> None:
    """A clock that was wrong once does not keep a counter for ever."""
    take(world, hour())
    take(world, Window("hour:1", 3, 1000))
    assert world.backend.expiries()[key(ANN, "hour:1")] <= 1000


# Giving back.


def test_what_is_given_back_can_be_taken_again(world: World) -> None:
    """One for each time that a window is named, of however many subjects at once; the rest stays."""
    for _ in range(3):
        world.limit_store.reserve([Subject(ANN, [hour(), day()]), Subject(BOB, [hour(), day()])])
    world.limit_store.refund({ANN: ["hour:1", "day:1"], BOB: ["hour:1"]}, {ANN: ["hour:1"]}, {})
    assert world.backend.dump() == {
        key(ANN, "hour:1"): "1",
        key(ANN, "day:1"): "2",
        key(BOB, "hour:1"): "2",
        key(BOB, "day:1"): "3",
    }
    assert [take(world, hour()) for _ in range(3)] == [taken(2), taken(3), FULL]


def test_a_window_is_never_counted_below_nothing(world: World) -> None:
    """What is given back too often is gone, and the next take begins with one."""
    for _ in range(2):
        take(world, hour())
    world.limit_store.refund({ANN: ["hour:1"] * 5})
    assert world.backend.expiries() == {}
    world.limit_store.refund({ANN: ["hour:1"]})
    assert world.backend.expiries() == {}
    assert take(world, hour()) == taken(1)


def test_a_window_that_was_never_counted_in_is_not_made(world: World) -> None:
    """Giving back makes no key, which would have no end."""
    world.limit_store.refund({ANN: ["hour:1"], BOB: ["hour:1", "day:1"]})
    world.limit_store.refund({})
    world.limit_store.refund()
    assert world.backend.expiries() == {}


def test_a_window_that_is_over_is_not_given_back_to_the_next_one(world: World) -> None:
    """The next hour has counted by itself."""
    take(world, hour(), day())
    world.wait(3601)
    take(world, Window("hour:2", 3, 3_600_000), day())
    world.limit_store.refund({ANN: ["hour:1", "day:1"]})
    assert world.backend.dump() == {key(ANN, "hour:2"): "1", key(ANN, "day:1"): "1"}


# What broke a counter does not open the gate.

POISONS = ["text", "nan", "-nan", "inf", "-inf", "-5", "1.5", "", " ", "0x1", "1e0", " 1", "9" * 30]


@pytest.mark.parametrize("limit", [10, None])
def test_a_count_that_is_no_count_never_opens_the_gate(world: World, limit: int | None) -> None:
    """It is full, with a limit or without one."""
    opened = []
    for poison in POISONS:
        world.backend.client.set(key(ANN, "hour:1"), poison, px=60_000)
        verdicts = {take(world, hour(limit))[0].verdict for _ in range(8)}
        if verdicts != {Verdict.FULL} or world.backend.dump() != {key(ANN, "hour:1"): poison}:
            opened.append(poison)
    assert opened == []


def test_a_count_that_is_no_count_keeps_the_other_windows_as_they_are(world: World) -> None:
    """A take is from all windows or from none, also where one of them is broken."""
    changed = []
    for poison in POISONS:
        world.backend.client.flushall()
        world.backend.client.set(key(ANN, "day:1"), poison, px=60_000)
        verdict = take(world, hour(), day(), Window("total:1", 5, 1000))[0].verdict
        if verdict is not Verdict.FULL or world.backend.dump() != {key(ANN, "day:1"): poison}:
            changed.append(poison)
    assert changed == []


def test_a_key_of_another_type_is_an_outage(world: World) -> None:
    """Neither is it taken from, nor given back to, nor mended."""
    world.backend.client.hset(key(ANN, "hour:1"), "field", "value")
    assert lost(take(world, hour(), day()), "WRONGTYPE") == [True]
    with pytest.raises(ServiceUnavailable, match="WRONGTYPE"):
        world.limit_store.refund({ANN: ["hour:1"]})
    assert world.backend.dump() == {key(ANN, "hour:1"): {"field": "value"}}


@pytest.mark.parametrize("broken", [ANN, BOB, ALL])
def test_one_broken_subject_among_several_is_an_outage(world: World, broken: str) -> None:
    """What was taken before is told from what is lost, so that it can be given back; a cluster stops there."""
    world.backend.client.hset(key(broken, "hour:1"), "field", "value")
    for _ in range(2):
        answers = world.limit_store.reserve([Subject(subject, [hour()]) for subject in (ANN, BOB, ALL)])
        taken_from = [answer.verdict is Verdict.RESERVED for answer in answers]
        assert lost(answers, "WRONGTYPE") == [not is_taken for is_taken in taken_from]
        assert not taken_from[(ANN, BOB, ALL).index(broken)]
        with pytest.raises(ServiceUnavailable, match="WRONGTYPE"):
            world.limit_store.refund({subject: ["hour:1"] for subject in (ANN, BOB, ALL)})


# Many at once.


def test_of_100_simultaneous_takes_30_find_room_in_a_window_of_30(world: World) -> None:
    """Exactly, and each of them is told another count."""
    counts: list[int] = []

    def run(_: int) -> dict[str, Any]:
        answer = take(world, hour(30), day())[0]
        counts.extend(answer.counts[:1])
        return {"codeStr": answer.verdict.name}

    assert outcomes(race(100, run)) == {"RESERVED": 30, "FULL": 70}
    assert sorted(counts) == list(range(1, 31))
    assert world.backend.dump() == {key(ANN, "hour:1"): "30", key(ANN, "day:1"): "30"}


def test_50_at_once_cannot_give_back_more_than_was_taken(world: World) -> None:
    """The counter is gone, and was never below nothing."""
    for _ in range(30):
        take(world, hour(None))

    def run(_: int) -> dict[str, Any]:
        world.limit_store.refund({ANN: ["hour:1"]})
        return {"codeStr": world.backend.client.get(key(ANN, "hour:1")) or "gone"}

    seen = outcomes(race(50, run))
    assert seen["gone"] >= 20
    assert all(count == "gone" or int(count) > 0 for count in seen)
    assert world.backend.expiries() == {}


def test_takes_and_returns_at_once_balance(world: World) -> None:
    """60 that each take one and give it back leave nothing behind, and none of them finds a window of 60 full."""

    def run(_: int) -> dict[str, Any]:
        wishes = [Subject(subject, [hour(60), day()]) for subject in (ANN, BOB, ALL)]
        answers = world.limit_store.reserve(wishes)
        world.limit_store.refund(*(wish.counted() for wish in wishes))
        return {"codeStr": " ".join(answer.verdict.name for answer in answers)}

    assert outcomes(race(60, run)) == {"RESERVED RESERVED RESERVED": 60}
    assert world.backend.expiries() == {}


# Servers that forget, lose and hang.


def test_scripts_that_a_server_has_forgotten_are_sent_again_and_count_once(world: World) -> None:
    """After a SCRIPT FLUSH or a failover, in a call for one subject and in one for several."""
    for subjects in ((ANN,), (ANN, BOB, ALL)):
        world.backend.client.flushall()
        wishes = [Subject(subject, [hour(), day()]) for subject in subjects]
        for count in (1, 2):
            world.backend.client.script_flush()
            assert world.limit_store.reserve(wishes) == taken(count, count) * len(subjects)
        world.backend.client.script_flush()
        world.limit_store.refund(*(wish.counted() for wish in wishes))
        assert set(world.backend.dump().values()) == {"1"}
        assert len(world.backend.dump()) == 2 * len(subjects)


@pytest.fixture
def relayed(redis_server: RedisServer) -> Iterator[tuple[Relay, RedisLimits]]:
    """Budgets on a real Redis behind a relay."""
    relay = Relay(redis_server.port)
    client = connect("127.0.0.1", relay.port)
    client.flushall()
    yield relay, RedisLimits(RedisClient(lambda: client))
    client.close()
    relay.close()


def test_a_take_whose_answer_is_lost_was_made_once(
    relayed: tuple[Relay, RedisLimits], redis_server: RedisServer
) -> None:
    """It is an outage after the timeout, for one subject and for several, and nothing is sent a second time."""
    relay, budgets = relayed
    wishes = [Subject(subject, [hour()]) for subject in (ANN, BOB)]
    budgets.reserve(wishes)
    budgets.refund(*(wish.counted() for wish in wishes))  # now the server knows both scripts
    budgets.reserve(wishes)
    relay.mute = True
    assert lost(budgets.reserve(wishes[:1]), "Timeout") == [True]
    assert lost(budgets.reserve(wishes), "Timeout") == [True, True]
    with redis.Redis(redis_server.host, redis_server.port, decode_responses=True) as admin:
        names = [key(subject, "hour:1") for subject in (ANN, BOB)]
        until(lambda: admin.mget(names) == ["3", "2"], 20)  # Redis may be slower than the timeout
        with pytest.raises(ServiceUnavailable, match="Timeout"):
            budgets.refund(*(wish.counted() for wish in wishes))
        until(lambda: admin.mget(names) == ["2", "1"], 20)
    relay.mute = False
    assert budgets.reserve(wishes) == [*taken(3), *taken(2)]


@pytest.mark.parametrize("subjects", [(ANN,), (ANN, BOB)])
def test_a_redis_that_hangs_is_an_outage(subjects: tuple[str, ...]) -> None:
    """It takes connections and says nothing; the timeout ends it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = connect("127.0.0.1", listener.getsockname()[1])
        client.connection_pool.connection_kwargs["socket_timeout"] = 0.1
        budgets = RedisLimits(RedisClient(lambda: client))
        answers = budgets.reserve([Subject(subject, [hour()]) for subject in subjects])
        assert lost(answers, "Timeout") == [True] * len(subjects)
        with pytest.raises(ServiceUnavailable, match="Timeout"):
            budgets.refund({subject: ["hour:1"] for subject in subjects})
        client.close()


def test_a_redis_that_is_away_is_an_outage_until_it_is_back(clock: time_machine.Traveller) -> None:
    """Nobody listens, and then somebody does; the counters of a Redis that keeps nothing begin anew."""
    require(find_redis_server() is not None, "redis-server")
    with RedisServer() as server:
        world = World(Backend(connect(server.host, server.port)), clock)
        wishes = [Subject(subject, [hour()]) for subject in (ANN, BOB)]
        assert world.limit_store.reserve(wishes) == taken(1) * 2
        server.kill()
        for some in (wishes, wishes[:1]):
            assert lost(world.limit_store.reserve(some), "Connection") == [True] * len(some)
            with pytest.raises(ServiceUnavailable, match="Connection"):
                world.limit_store.refund(*(wish.counted() for wish in some))
        server.start()
        assert world.limit_store.reserve(wishes) == taken(1) * 2
        world.backend.client.close()
