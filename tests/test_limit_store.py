"""The limit store: the promises that the guard relies on, on every kind of Redis."""

import socket
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import redis
import time_machine

from sms_login.adapters.redis.client import RedisClient, connect
from sms_login.adapters.redis.limits import RedisLimits
from sms_login.errors import ServiceUnavailable
from sms_login.limits.store import Reserved, Subject, Verdict, Window, WindowNames, verdict
from tests.testkit.backends import Backend, patient
from tests.testkit.cases import each_case
from tests.testkit.races import outcomes, race
from tests.testkit.relay import Relay
from tests.testkit.servers import RedisServer, find_redis_server, require, until
from tests.testkit.world import World

ANN, BOB, ALL = "ip:203.0.113.7", "range:+861380013", "all"
FULL, CAPTCHA = [Reserved(Verdict.FULL, wait_ms=3_600_000)], [Reserved(Verdict.CAPTCHA, counts=[])]


def hour(limit: int | None = 3, captcha_at: int | None = None, *, counts: bool = True) -> Window:
    """Return a window that ends in an hour."""
    return Window("hour:1", limit, 3_600_000, captcha_at, counts)


def day(limit: int | None = 100, captcha_at: int | None = None) -> Window:
    """Return a window that ends in a day."""
    return Window("day:1", limit, 86_400_000, captcha_at)


def reserved(*counts: int) -> list[Reserved]:
    """Return the store's answer to a successful reservation."""
    return [Reserved(Verdict.RESERVED, counts=list(counts))]


def key(subject: str, window: str) -> str:
    """Return the key of a counter."""
    return f"budget:{{{subject}}}:{window}"


def lost(answers: Sequence[Reserved], why: str) -> list[bool]:
    """Tell for each subject whether the store got no answer, for this reason."""
    return [answer.verdict is Verdict.NO_ANSWER and why in answer.detail for answer in answers]


def reserve(world: World, *windows: Window, subject: str = ANN) -> list[Reserved]:
    """Reserve one in the windows of a subject."""
    return reserve_all(world.limit_store, [Subject(subject, windows)])


def reserve_all(store: RedisLimits, subjects: Sequence[Subject]) -> list[Reserved]:
    """Reserve one for each of the subjects, in one batch."""
    calls = [store.reserve(subject) for subject in subjects]
    store.redis.send(*calls)
    return [*map(verdict, calls)]


def refund(store: RedisLimits, *windows: WindowNames) -> None:
    """Refund windows, in one batch."""
    calls = store.refund(*windows)
    store.redis.send(*calls)
    for call in calls:
        call.answer()


# Reserving.


def test_a_reservation_counts_in_every_window_of_its_subject(world: World) -> None:
    """A reservation adds one to each window, and returns the counts in the order of the windows."""
    world.backend.client.set(key(ANN, "day:1"), 7)
    assert reserve(world, hour(), day()) == reserved(1, 8)
    assert reserve(world, day(), hour()) == reserved(9, 2)
    assert world.backend.dump() == {key(ANN, "hour:1"): "2", key(ANN, "day:1"): "9"}


@pytest.mark.parametrize("full", [0, 1])
def test_a_reservation_that_finds_one_window_full_counts_in_none(world: World, full: int) -> None:
    """A reservation counts in all windows or in none, and a window holds its limit and no more."""
    windows = [hour(3), Window("day:1", 100, 3_600_000)]
    world.backend.client.set(key(ANN, windows[full].name), (windows[full].limit or 0) - 1)
    before = reserve(world, *windows)[0]
    dump = world.backend.dump()
    assert before.verdict is Verdict.RESERVED
    assert [reserve(world, *windows) for _ in range(3)] == [FULL] * 3
    assert world.backend.dump() == dump


def test_a_full_window_tells_the_wait_until_its_end(world: World) -> None:
    """If two windows are full, the wait lasts until the later end."""
    world.backend.client.set(key(ANN, "hour:1"), 3)
    assert reserve(world, hour(3), day(3)) == [Reserved(Verdict.FULL, wait_ms=3_600_000)]
    world.backend.client.set(key(ANN, "day:1"), 3)
    assert reserve(world, hour(3), day(3)) == [Reserved(Verdict.FULL, wait_ms=86_400_000)]
    assert reserve(world, day(3), hour(3)) == [Reserved(Verdict.FULL, wait_ms=86_400_000)]


def test_a_window_requires_a_captcha_from_its_threshold_on(world: World) -> None:
    """A reservation that requires a captcha counts nothing, and a full window comes first."""
    assert [reserve(world, hour(3, captcha_at=2)) for _ in range(3)] == [reserved(1), reserved(2), CAPTCHA]
    assert reserve(world, hour(3), day(captcha_at=0)) == CAPTCHA
    assert reserve(world, hour(3)) == reserved(3)
    assert reserve(world, hour(3, captcha_at=2)) == FULL
    assert reserve(world, hour(3), day(captcha_at=0)) == FULL
    assert world.backend.dump() == {key(ANN, "hour:1"): "3"}


def test_a_window_that_does_not_count_is_only_checked(world: World) -> None:
    """Such a window refuses like any other, but is neither counted in nor created."""
    assert reserve(world, hour(3, counts=False), day()) == reserved(1)
    world.backend.client.set(key(ANN, "hour:1"), 2)
    assert reserve(world, hour(3, counts=False), day()) == reserved(2)
    assert reserve(world, hour(3, captcha_at=2, counts=False), day()) == CAPTCHA
    world.backend.client.set(key(ANN, "hour:1"), 3)
    assert reserve(world, hour(3, counts=False), day()) == FULL
    assert world.backend.dump() == {key(ANN, "hour:1"): "3", key(ANN, "day:1"): "2"}


def test_a_window_without_a_limit_is_never_full(world: World) -> None:
    """A window without a limit counts on, and can still require a captcha."""
    world.backend.client.set(key(ANN, "hour:1"), 10**12)
    assert reserve(world, hour(None)) == reserved(10**12 + 1)
    assert reserve(world, hour(None, captcha_at=5)) == CAPTCHA


def test_a_subject_names_the_windows_to_refund(world: World) -> None:
    """A refund covers the counted windows, and none that was only checked."""
    one = Subject(ANN, [hour(counts=False), day()])
    assert one.counted() == {ANN: ["day:1"]}
    reserve_all(world.limit_store, [one])
    refund(world.limit_store, one.counted())
    assert world.backend.dump() == {}


def test_each_subject_is_reserved_by_itself(world: World) -> None:
    """A full subject does not keep the others from being reserved; answers are in the order of the subjects."""
    world.backend.client.set(key(BOB, "hour:1"), 3)
    requested = [
        Subject(ANN, [hour(), day()]),
        Subject(BOB, [hour()]),
        Subject(ALL, [day(captcha_at=0)]),
        Subject("country:GB", [day()]),
    ]
    assert reserve_all(world.limit_store, requested) == [*reserved(1, 1), *FULL, *CAPTCHA, *reserved(1)]
    counted = {key(ANN, "hour:1"): "1", key(ANN, "day:1"): "1", key("country:GB", "day:1"): "1"}
    assert world.backend.dump() == {key(BOB, "hour:1"): "3", **counted}


def test_a_subject_that_is_named_twice_is_reserved_twice(world: World) -> None:
    """Each reservation of a call sees the counts of the one before it."""
    one = Subject(ANN, [hour(2)])
    assert reserve_all(world.limit_store, [one] * 3) == [*reserved(1), *reserved(2), *FULL]


# Expiry.


def test_every_counter_expires_at_its_windows_end(world: World) -> None:
    """A counter expires with its window, however often it is counted up or down."""
    for _ in range(2):
        reserve(world, hour(), day())
    refund(world.limit_store, {ANN: ["hour:1", "day:1"]})
    hour_ms, day_ms = (world.backend.expiries()[key(ANN, name)] for name in ("hour:1", "day:1"))
    assert 3_598_000 < hour_ms <= 3_600_000
    assert 86_398_000 < day_ms <= 86_400_000
    world.wait(3601)
    assert world.backend.dump() == {key(ANN, "day:1"): "1"}
    world.wait(86_400 - 3600)
    assert world.backend.dump() == {}


def test_a_later_reservation_corrects_the_expiry(world: World) -> None:
    """A clock that was wrong once does not keep a counter forever."""
    reserve(world, hour())
    reserve(world, Window("hour:1", 3, 1000))
    assert world.backend.expiries()[key(ANN, "hour:1")] <= 1000


# Refunding.


def test_a_refunded_window_can_be_reserved_again(world: World) -> None:
    """A refund subtracts one for each named window, of any number of subjects at once, and leaves the rest."""
    for _ in range(3):
        reserve_all(world.limit_store, [Subject(ANN, [hour(), day()]), Subject(BOB, [hour(), day()])])
    refund(world.limit_store, {ANN: ["hour:1", "day:1"], BOB: ["hour:1"]}, {ANN: ["hour:1"]}, {})
    assert world.backend.dump() == {
        key(ANN, "hour:1"): "1",
        key(ANN, "day:1"): "2",
        key(BOB, "hour:1"): "2",
        key(BOB, "day:1"): "3",
    }
    assert [reserve(world, hour()) for _ in range(3)] == [reserved(2), reserved(3), FULL]


def test_a_window_is_never_counted_below_zero(world: World) -> None:
    """Too many refunds delete the counter, and the next reservation begins with one."""
    for _ in range(2):
        reserve(world, hour())
    refund(world.limit_store, {ANN: ["hour:1"] * 5})
    assert world.backend.expiries() == {}
    refund(world.limit_store, {ANN: ["hour:1"]})
    assert world.backend.expiries() == {}
    assert reserve(world, hour()) == reserved(1)


def test_a_refund_creates_no_counter(world: World) -> None:
    """A refund of a window that was never counted creates no key, which would never expire."""
    refund(world.limit_store, {ANN: ["hour:1"], BOB: ["hour:1", "day:1"]})
    refund(world.limit_store, {})
    refund(world.limit_store)
    assert world.backend.expiries() == {}


def test_a_window_that_has_ended_is_not_refunded_to_the_next_one(world: World) -> None:
    """A refund of the last hour leaves this hour's counter unchanged."""
    reserve(world, hour(), day())
    world.wait(3601)
    reserve(world, Window("hour:2", 3, 3_600_000), day())
    refund(world.limit_store, {ANN: ["hour:1", "day:1"]})
    assert world.backend.dump() == {key(ANN, "hour:2"): "1", key(ANN, "day:1"): "1"}


# Broken counters lift no limit.

POISONS = ["text", "nan", "-nan", "inf", "-inf", "-5", "1.5", "", " ", "0x1", "1e0", " 1", "9" * 30]


@pytest.mark.parametrize("limit", [10, None])
def test_a_broken_counter_counts_as_full(world: World, limit: int | None) -> None:
    """A counter that holds no whole number is full, with a limit or without one."""
    opened = []
    for poison in POISONS:
        world.backend.client.set(key(ANN, "hour:1"), poison, px=60_000)
        verdicts = {reserve(world, hour(limit))[0].verdict for _ in range(8)}
        if verdicts != {Verdict.FULL} or world.backend.dump() != {key(ANN, "hour:1"): poison}:
            opened.append(poison)
    assert opened == []


def test_a_broken_counter_leaves_the_other_windows_unchanged(world: World) -> None:
    """A reservation counts in all windows or in none, even if one of them is broken."""
    changed = []
    for poison in POISONS:
        world.backend.client.flushall()
        world.backend.client.set(key(ANN, "day:1"), poison, px=60_000)
        verdict = reserve(world, hour(), day(), Window("total:1", 5, 1000))[0].verdict
        if verdict is not Verdict.FULL or world.backend.dump() != {key(ANN, "day:1"): poison}:
            changed.append(poison)
    assert changed == []


def test_a_key_of_another_type_is_an_outage(world: World) -> None:
    """A key of another type is neither reserved, nor refunded, nor repaired."""
    world.backend.client.hset(key(ANN, "hour:1"), "field", "value")
    assert lost(reserve(world, hour(), day()), "WRONGTYPE") == [True]
    with pytest.raises(ServiceUnavailable, match="WRONGTYPE"):
        refund(world.limit_store, {ANN: ["hour:1"]})
    assert world.backend.dump() == {key(ANN, "hour:1"): {"field": "value"}}


@pytest.mark.parametrize("broken", [ANN, BOB, ALL])
def test_one_broken_subject_among_several_is_an_outage(world: World, broken: str) -> None:
    """The answers tell reserved subjects from failed ones, for the refund; a cluster stops at the failure."""
    world.backend.client.hset(key(broken, "hour:1"), "field", "value")
    for _ in range(2):
        answers = reserve_all(world.limit_store, [Subject(subject, [hour()]) for subject in (ANN, BOB, ALL)])
        reservations = [answer.verdict is Verdict.RESERVED for answer in answers]
        assert lost(answers, "WRONGTYPE") == [not done for done in reservations]
        assert not reservations[(ANN, BOB, ALL).index(broken)]
        with pytest.raises(ServiceUnavailable, match="WRONGTYPE"):
            refund(world.limit_store, {subject: ["hour:1"] for subject in (ANN, BOB, ALL)})


# Races.


def test_of_100_simultaneous_reservations_30_find_room_in_a_window_of_30(world: World) -> None:
    """Exactly 30 reservations are counted, and each of them gets another count."""
    counts: list[int] = []

    def run(_: int) -> dict[str, Any]:
        answer = reserve(world, hour(30), day())[0]
        counts.extend(answer.counts[:1])
        return {"codeStr": answer.verdict.name}

    assert outcomes(race(100, run)) == {"RESERVED": 30, "FULL": 70}
    assert sorted(counts) == list(range(1, 31))
    assert world.backend.dump() == {key(ANN, "hour:1"): "30", key(ANN, "day:1"): "30"}


def test_50_simultaneous_refunds_never_count_below_zero(world: World) -> None:
    """The counter is deleted in the end, and no refund ever sees it below one."""
    for _ in range(30):
        reserve(world, hour(None))

    def run(_: int) -> dict[str, Any]:
        refund(world.limit_store, {ANN: ["hour:1"]})
        return {"codeStr": world.backend.client.get(key(ANN, "hour:1")) or "gone"}

    seen = outcomes(race(50, run))
    assert seen["gone"] >= 20
    assert all(count == "gone" or int(count) > 0 for count in seen)
    assert world.backend.expiries() == {}


def test_simultaneous_reservations_and_refunds_balance(world: World) -> None:
    """60 reservations, each with its refund, leave no key behind, and none of them finds a window of 60 full."""

    def run(_: int) -> dict[str, Any]:
        requested = [Subject(subject, [hour(60), day()]) for subject in (ANN, BOB, ALL)]
        answers = reserve_all(world.limit_store, requested)
        refund(world.limit_store, *(one.counted() for one in requested))
        return {"codeStr": " ".join(answer.verdict.name for answer in answers)}

    assert outcomes(race(60, run)) == {"RESERVED RESERVED RESERVED": 60}
    assert world.backend.expiries() == {}


# Outages.


def test_scripts_that_a_server_has_forgotten_are_sent_again_and_count_once(world: World) -> None:
    """After a SCRIPT FLUSH or a failover, a call for one subject or for several loads its script again."""
    for subjects in ((ANN,), (ANN, BOB, ALL)):
        world.backend.client.flushall()
        requested = [Subject(subject, [hour(), day()]) for subject in subjects]
        for count in (1, 2):
            world.backend.client.script_flush()
            assert reserve_all(world.limit_store, requested) == reserved(count, count) * len(subjects)
        world.backend.client.script_flush()
        refund(world.limit_store, *(one.counted() for one in requested))
        assert set(world.backend.dump().values()) == {"1"}
        assert len(world.backend.dump()) == 2 * len(subjects)


@pytest.fixture
def relayed(redis_server: RedisServer) -> Iterator[tuple[Relay, RedisLimits, RedisLimits]]:
    """A relay to a real Redis, a limit store behind it, and another that waits for a tenth of a second."""
    relay = Relay(redis_server.port)
    clients = [patient(connect("127.0.0.1", relay.port)), patient(connect("127.0.0.1", relay.port), 0.1)]
    clients[0].flushall()
    store, hasty = (RedisLimits(RedisClient(lambda client=client: client)) for client in clients)  # type: ignore[misc] # mypy infers no lambda with defaults
    yield relay, store, hasty
    for client in clients:
        client.close()
    relay.close()


def test_a_reservation_whose_answer_is_lost_counts_once(
    relayed: tuple[Relay, RedisLimits, RedisLimits], redis_server: RedisServer
) -> None:
    """A lost answer is an outage after the timeout, and the call is not sent again, for one subject or several."""
    relay, store, hasty = relayed
    requested = [Subject(subject, [hour()]) for subject in (ANN, BOB)]
    reserve_all(store, requested)
    refund(store, *(one.counted() for one in requested))  # now the server knows both scripts
    reserve_all(store, requested)
    relay.mute = True
    assert lost(reserve_all(hasty, requested[:1]), "Timeout") == [True]
    assert lost(reserve_all(hasty, requested), "Timeout") == [True, True]
    with redis.Redis(redis_server.host, redis_server.port, decode_responses=True) as admin:
        names = [key(subject, "hour:1") for subject in (ANN, BOB)]
        until(lambda: admin.mget(names) == ["3", "2"], 20)  # Redis may be slower than the timeout
        with pytest.raises(ServiceUnavailable, match="Timeout"):
            refund(hasty, *(one.counted() for one in requested))
        until(lambda: admin.mget(names) == ["2", "1"], 20)
    relay.mute = False
    assert reserve_all(store, requested) == [*reserved(3), *reserved(2)]


@each_case("subjects", [(ANN,), (ANN, BOB)])
def test_a_redis_that_hangs_is_an_outage(subjects: tuple[str, ...]) -> None:
    """A server that accepts connections but does not answer is an outage after the timeout."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = patient(connect("127.0.0.1", listener.getsockname()[1]), 0.1)
        store = RedisLimits(RedisClient(lambda: client))
        answers = reserve_all(store, [Subject(subject, [hour()]) for subject in subjects])
        assert lost(answers, "Timeout") == [True] * len(subjects)
        with pytest.raises(ServiceUnavailable, match="Timeout"):
            refund(store, {subject: ["hour:1"] for subject in subjects})
        client.close()


def test_a_redis_that_is_down_is_an_outage_until_it_is_back(clock: time_machine.Traveller) -> None:
    """Calls fail while the server is down, and succeed when it is back; counters that it lost begin anew."""
    require(find_redis_server() is not None, "redis-server")
    with RedisServer() as server:
        world = World(Backend(connect(server.host, server.port)), clock)
        requested = [Subject(subject, [hour()]) for subject in (ANN, BOB)]
        assert reserve_all(world.limit_store, requested) == reserved(1) * 2
        server.kill()
        for some in (requested, requested[:1]):
            assert lost(reserve_all(world.limit_store, some), "Connection") == [True] * len(some)
            with pytest.raises(ServiceUnavailable, match="Connection"):
                refund(world.limit_store, *(one.counted() for one in some))
        server.start()
        assert reserve_all(world.limit_store, requested) == reserved(1) * 2
        world.backend.client.close()
