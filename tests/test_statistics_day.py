"""A day of people with mixed fates, whose own count the statistics must equal; and one on which Redis is killed."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest
import time_machine
from msgspec import Struct, field

from sms_login.adapters.redis.client import connect
from sms_login.adapters.redis.codes import otp_key
from sms_login.adapters.redis.statistics import stats_key
from sms_login.adapters.tencent.receipt_codes import reason_of
from sms_login.errors import SendFailed, SendUnknown, TooManyRequests
from sms_login.phone import Phone
from sms_login.statistics import OTHER
from tests.testkit.backends import Backend
from tests.testkit.receipts import receipt
from tests.testkit.servers import RedisCluster, RedisServer
from tests.testkit.world import UNLIMITED, World

PEOPLE = 6  # in an hour
KEPT = ("--appendonly", "yes", "--appendfsync", "no")  # a killed Redis has written all that it has answered
FATES = {"DELIVRD": 6, "UNDELIV": 1, "MX:0012": 1, "REJECTD": 1, "": 1}  # codes of receipts, with weights; "": none
REFUSALS = (SendFailed("reason"), SendUnknown("timeout"), TooManyRequests("limit", retry_after=30))


class Day(Struct):
    """People who ask for codes, and what they have seen: counts by hour and "CN:sent", and the fate of each message."""

    world: World
    random: random.Random
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: int = 0  # requests without an answer of Redis

    def see(self, country: str, *names: str) -> None:
        """Count in the present hour."""
        hour = self.world.sender.calendar.now().hour.name
        self.seen.update((hour, f"{country}:{name}") for name in names)

    def call(self, method: str, **params: Any) -> tuple[str, dict[str, Any]]:
        """Send a request; return its outcome and data."""
        answer = self.world.call(method, **params)
        self.failed += answer["codeStr"] in {"ServiceUnavailable", "UserStoreFailed"}
        return answer["codeStr"], answer["data"]

    def get_sms(self, phone: Phone, **params: Any) -> dict[str, Any]:
        """Ask for a code, after a captcha unless the person has none; return the answer's data."""
        country = phone.region if phone.region in {"CN", "GB"} else OTHER
        if solved := self.random.random() < 0.9:
            self.world.captchas.good.add("ticket")
            params |= {"captchaTicket": "ticket", "captchaRandstr": "r"}
        if self.random.random() < 0.1:
            self.world.outbox.refuse.append(self.random.choice(REFUSALS))
        outcome, data = self.call("getSms", phone=phone.e164, **params)
        self.world.outbox.refuse.clear()
        passed = solved and "ticket" not in self.world.captchas.good
        self.see(country, "asked", *(["captcha"] if passed else []))
        accepted = ["voice"] if "channel" in params else ["sent", "fee"]
        self.see(country, *(accepted if outcome == "Ok" else [f"refused:{outcome}"]))
        return {**data, "phone": phone, "purpose": params.get("purpose", "")} if outcome == "Ok" else {}

    def deliver(self, sent: dict[str, Any], code: str) -> None:
        """Post the receipt of a message, twice; then ask for its status."""
        phone = sent["phone"]
        status: tuple[str, str | None] = ("sent", None)
        if code:
            for _ in range(2):
                self.world.receive([receipt(sent["serialNo"], code, phone)])
            status = ("delivered", None) if code == "DELIVRD" else ("failed", reason_of(code))
            self.see(phone.region, f"failed:{status[1]}" if status[1] else "delivered")
        ids = {"sessionId": sent["sessionId"], "serialNo": sent["serialNo"]}
        outcome, told = self.call("getSmsStatus", phone=phone.e164, **ids)
        if outcome == "Success":
            assert (told["status"], told["reason"]) == status

    def log_in(self, sent: dict[str, Any], code: str) -> None:
        """Guess wrong, perhaps, then log in or verify; one login in five then deletes the account."""
        phone, login = sent["phone"], {"phone": sent["phone"].e164, "sessionId": sent["sessionId"]}
        purpose = sent["purpose"]
        method, login = ("verify", {**login, "purpose": purpose}) if purpose else ("login", login)
        wait = self.random.choice((3, 25))
        self.world.wait(wait)
        if self.random.random() < 0.3:
            wrong = f"{(int(code) + 1) % 1_000_000:06}"
            if self.call(method, **login, code=wrong)[0] == "CodeIsError":
                self.see(phone.region, "wrong")
        outcome, data = self.call(method, **login, code=code)
        if outcome == "Success":
            new = ["signed_up"] if data.get("isNewUser") else []
            self.see(phone.region, f"verified:{purpose or 'login'}", f"seconds:{5 if wait == 3 else 30}", *new)
            if not purpose and self.random.random() < 0.2:
                self.world.cool_down()
                if again := self.get_sms(phone):
                    self.delete(data["token"], again)

    def delete(self, token: str, sent: dict[str, Any]) -> None:
        """Delete the account of a token."""
        spends = {"code": self.world.outbox.code, "sessionId": sent["sessionId"]}
        if self.call("deleteAccount", token=token, **spends)[0] == "Success":
            self.see(sent["phone"].region, "verified:deleteAccount", "seconds:5")

    def hour(self, people: int = PEOPLE) -> None:
        """Let an hour pass."""
        for _ in range(people):
            number = self.random.choice(("+86138{:08}", "+86138{:08}", "+4474001{:05}", "+1201555{:04}"))
            phone = Phone.parse(number.format(self.random.randrange(10_000)), "CN")
            if sent := self.get_sms(phone, **self.random.choice(({}, {}, {}, {"purpose": "pay"}))):
                code = self.world.outbox.code
                if phone.region == "CN" and self.random.random() < 0.2:
                    self.world.cool_down()
                    purpose = {"purpose": sent["purpose"]} if sent["purpose"] else {}
                    self.get_sms(phone, **purpose, sessionId=sent["sessionId"], channel="voice")
                fate = self.random.choices(list(FATES), list(FATES.values()))[0]
                self.deliver(sent, fate)
                if fate in {"DELIVRD", ""} and self.random.random() < 0.8:
                    self.log_in(sent, code)
        self.world.wait(3600)


def written(world: World) -> Counter[tuple[str, str]]:
    """Write what waits, and return the statistics in Redis."""
    world.statistics_of()
    hours = [key for key in world.backend.expiries() if key.startswith("stats:")]
    counts = {key[7:-1]: world.backend.client.hgetall(key) for key in hours}
    return Counter({(hour, name): int(count) for hour, found in counts.items() for name, count in found.items()})


def made(backend: Backend, clock: time_machine.Traveller) -> World:
    """Return a login service for two countries, with captchas and without limits."""
    countries = frozenset({"CN", "GB"})
    return World(backend, clock, statistics=True, limits=UNLIMITED, captcha_mode="always", countries=countries)


@pytest.mark.parametrize("any_backend", ["real", "cluster"], indirect=True)
def test_the_sums_of_a_day_are_right_to_the_unit(any_backend: Backend, clock: time_machine.Traveller) -> None:
    """Every message has its status, and each count of each hour and country is what the people have seen."""
    day = Day(made(any_backend, clock), random.Random(1))  # noqa: S311 - the same day each time
    for _ in range(24):
        day.hour()
    assert written(day.world) == day.seen
    names = {name.partition(":")[2].partition(":")[0] for _, name in day.seen}
    assert names == {
        *("asked", "captcha", "refused", "sent", "fee", "delivered", "failed", "wrong", "verified", "seconds"),
        *("signed_up", "voice"),
    }
    assert {"CN:verified:login", "CN:verified:pay", "CN:verified:deleteAccount"} <= {name for _, name in day.seen}


class Killable(Struct):
    """A Redis that keeps its data when it is killed; `node_of` names the node of a key."""

    client: Any
    node_of: Callable[[str], str]
    kill: Callable[[str], None]  # the node of this name
    start: Callable[[], None]


@pytest.fixture(params=["real", "cluster"])
def killable(request: pytest.FixtureRequest) -> Iterator[Killable]:
    """One Redis, or three nodes of a cluster."""
    if request.param == "real":
        with RedisServer(*KEPT) as server, closing(connect(server.host, server.port)) as client:
            yield Killable(client, lambda _: "", lambda _: server.kill(), server.start)
        return
    with RedisCluster(*KEPT) as cluster, closing(connect("127.0.0.1", cluster.port, cluster=True)) as client:
        by_name, dead = {f"127.0.0.1:{node.port}": node for node in cluster.nodes}, list[RedisServer]()

        def kill(name: str) -> None:
            dead.append(by_name[name])
            dead[-1].kill()

        def start() -> None:
            dead[-1].start()
            cluster.settle()

        yield Killable(client, lambda key: str(client.get_node_from_key(key).name), kill, start)


def test_no_sum_is_too_high_after_redis_was_killed_twice(killable: Killable, clock: time_machine.Traveller) -> None:
    """Redis dies before a session is begun, and before a code is issued; few counts are lost, and none is too high."""
    day = Day(made(Backend(killable.client), clock), random.Random(2))  # noqa: S311 - the same day each time
    world = day.world
    for dies in ("begin_session", "issue"):
        day.hour()
        of_counts = killable.node_of(stats_key(world.sender.calendar.now().hour.name))
        phones = [Phone.parse(f"+86139123456{i}0", "CN") for i in range(10)]
        nodes = {killable.node_of(otp_key(phone, "latest")): phone for phone in phones}
        # On a cluster, the counts are written while the node of the number is dead, and then the other way round.
        node, phone = next((node, phone) for node, phone in nodes.items() if len(nodes) == 1 or node != of_counts)
        sent = day.get_sms(phone)
        world.redis.before(dies, partial(killable.kill, node if dies == "begin_session" else of_counts))
        if dies == "begin_session":
            day.log_in(sent, world.outbox.code)
        else:
            world.cool_down()
        for _ in range(3):
            day.get_sms(phone)
        assert day.failed
        killable.start()
        world.cool_down()
        day.hour()
    counted = written(world)
    assert {name: count for name, count in counted.items() if count > day.seen[name]} == {}
    assert day.seen.total() - counted.total() < 12 * day.failed
