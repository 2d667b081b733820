"""A primary dies whose last answers never reached the replica that takes over."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import redis
import time_machine

from sms_admin.users_table import create
from sms_login.adapters.redis.client import connect
from sms_login.adapters.sql.client import SqlClient
from sms_login.adapters.sql.client import connect as connect_sql
from sms_login.adapters.sql.users import SqlUsers
from sms_login.phone import Phone
from tests.testkit.backends import Backend
from tests.testkit.devices import Device
from tests.testkit.relay import Relay
from tests.testkit.servers import RedisServer, find_redis_server, require, until
from tests.testkit.world import UNLIMITED, World

EACH = 12  # numbers of each kind


class Pair:
    """A primary, its replica behind a link that can be cut, and the address at which clients find the primary."""

    def __init__(self, stack: ExitStack) -> None:
        self.primary, self.replica = (stack.enter_context(RedisServer()) for _ in range(2))
        self.address, self.link = (stack.enter_context(closing(Relay(self.primary.port))) for _ in range(2))
        self._admins = [
            stack.enter_context(redis.Redis(server.host, server.port, protocol=2))
            for server in (self.primary, self.replica)
        ]
        self._admins[0].config_set("repl-diskless-sync-delay", 0)
        self._admins[1].replicaof("127.0.0.1", self.link.port)
        until(lambda: self._admins[1].info("replication")["master_link_status"] == "up", 20)

    def cut(self) -> None:
        """Wait until the replica has all that was written, then let it miss the rest."""
        self._admins[0].config_set("repl-ping-replica-period", 3600)
        offset = self._admins[0].info("replication")["master_repl_offset"]
        until(lambda: self._admins[1].info("replication")["slave_repl_offset"] >= offset, 20)
        self.link.mute = True

    def promote(self) -> None:
        """Make the replica the primary, and lead new connections to it."""
        self._admins[1].execute_command("REPLICAOF", "NO", "ONE")
        self.address.target = self.replica.port


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A primary and its replica."""
    require(find_redis_server() is not None, "redis-server")
    with ExitStack() as stack:
        yield Pair(stack)


@pytest.mark.parametrize("in_sql", [False, True])
def test_a_failover_that_loses_writes(
    pair: Pair, clock: time_machine.Traveller, tmp_path: Path, *, in_sql: bool
) -> None:
    """Codes spent, sessions ended and numbers locked since the link was cut are as before; nothing else is.

    Meanwhile the only refusals are 503. No user is made twice, and a user who had signed in before stays the same.
    """
    with ExitStack() as stack:
        sql = stack.enter_context(closing(SqlClient(connect_sql(f"sqlite:///{tmp_path / 'users.db'}"))))
        create(sql)
        client = stack.enter_context(closing(connect("127.0.0.1", pair.address.port)))
        world = World(Backend(client), clock, limits=UNLIMITED, other_users=SqlUsers(sql) if in_sql else None)
        fail_over(world, pair, in_sql=in_sql)


def fail_over(world: World, pair: Pair, *, in_sql: bool) -> None:
    """Play the failover, and hold it against the promises."""
    numbers = iter(Phone.parse(f"+86138001{i:05}", "CN") for i in range(10 * EACH))
    staying, leaving, refreshing = ([Device(world, next(numbers)) for _ in range(EACH)] for _ in range(3))
    ids = {device.phone.e164: device.user_id for device in (*staying, *leaving, *refreshing)}
    early, late, last = ([code_for(world, next(numbers)) for _ in range(EACH)] for _ in range(3))
    locked = [next(numbers) for _ in range(EACH)]
    for login in early:
        ids[login["phone"]] = world.call("login", **login)["data"]["userId"]
    pair.cut()

    lost = {}  # the users who sign up after it
    for login in late:
        lost[login["phone"]] = world.call("login", **login)["data"]["userId"]
    assert {device.call("logout") for device in leaving} == {"Success"}
    assert {device.refresh() for device in refreshing} == {"Success"}
    for phone in locked:
        world.lock(phone, seconds=86_400)
    statuses = load(world, pair, last)
    assert statuses.keys() <= {200, 503}
    assert statuses[503]
    until(lambda: world.call("health")["codeStr"] == "Success", 30)

    again = {login["phone"]: world.call("login", **login) for login in (*early, *late, *last)}
    outcomes = [Counter(again[login["phone"]]["codeStr"] for login in part) for part in (early, late, last)]
    counts = {
        "spent codes live again": sum(outcome["Success"] for outcome in outcomes[:2]),
        "ended sessions back": sum(device.is_in for device in leaving),
        "locks gone": sum(world.failures(phone) is None for phone in locked),
        "users signed up anew": sum(again[number]["data"]["userId"] != lost[number] for number in lost),
        "refused with 503": statuses[503],
    }
    print(counts)  # noqa: T201 - docs/security.md has these numbers
    assert outcomes == [{"CodeHasValid": EACH}, {"Success": EACH}, {"Success": EACH}]
    assert [*counts.values()][:3] == [EACH] * 3
    assert counts["users signed up anew"] == (0 if in_sql else EACH)
    assert all(device.is_in for device in staying)
    assert {device.refresh() for device in (*staying, *refreshing)} == {"Success"}
    assert {login["phone"]: world.call("login", **login)["codeStr"] for login in late} == dict.fromkeys(
        lost, "CodeHasValid"
    )

    world.cool_down()
    for number, user_id in ids.items():
        assert Device(world, Phone.parse(number, "CN")).user_id == user_id
    everyone = [world.users.find(Phone.parse(number, "CN")).answer() for number in (*ids, *again)]
    assert len({user.id for user in everyone if user}) == len({*ids, *again})


def code_for(world: World, phone: Phone) -> dict[str, str]:
    """Send a code; return the parameters of the login with it."""
    session = world.get_sms(phone=phone).session_id
    return {"phone": phone.e164, "code": world.outbox.code, "sessionId": session}


def load(world: World, pair: Pair, logins: list[dict[str, str]]) -> Counter[int]:
    """Log in on eight threads while the primary dies, then let the replica take over; return how often each status."""
    some_are_in, down = threading.Event(), threading.Event()

    def log_in(login: dict[str, str]) -> list[int]:
        statuses = [world.answer("login", **login)["statusCode"]]
        some_are_in.set()
        down.wait(20)
        return [*statuses, world.answer("login", **{**login, "code": "000000"})["statusCode"]]

    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(log_in, login) for login in logins]
        assert some_are_in.wait(20)
        pair.primary.kill()
        down.set()
        statuses = Counter(status for answer in answers for status in answer.result())
    pair.promote()
    return statuses
