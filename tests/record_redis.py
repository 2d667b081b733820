"""Record this version's keys in Redis: `python -m tests.record_redis` writes tests/recorded/<version>.json.

The file has every key with its type, its value and its remaining milliseconds (null: it never expires), and the values
that the apps of these numbers hold: session ids, codes, tokens. All of it is made up. `test_recorded_redis` replays it.
"""

import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import time_machine

from sms_login import __version__
from sms_login.adapters.redis.client import connect
from sms_login.errors import InvalidPhone
from sms_login.otp.rules import Rules
from sms_login.phone import Phone
from tests.testkit.backends import NOON, Backend
from tests.testkit.limits import IP, KEY, abroad, counts, stranger
from tests.testkit.receipts import receipt
from tests.testkit.servers import RedisServer
from tests.testkit.world import World

RECORDED = Path(__file__).with_name("recorded")
OTHER_KEY = "idempotency-key-2"
FAILURES, LOCKED = 3, 100  # wrong codes in a row
AWAY = 90 * 86_400  # s without a login after which a user has returned

Held = dict[str, Any]  # the values that an app holds: its `phone`, and fields of its answers


class Driver:
    """Brings numbers into every state that Redis can store; each number has a range of its own."""

    def __init__(self, world: World, apps: dict[str, Held] | None = None) -> None:
        self.world = world
        self.apps: dict[str, Held] = {} if apps is None else apps

    def call(self, method: str, key: str | None = None, /, **params: Any) -> Held:
        """Call a method, and return the data of its answer, which must be a success. `key` is an Idempotency-Key."""
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.world.call(method, headers, **params)
        assert answer["errorCode"] == 0, answer
        return dict(answer["data"])

    def app(self, state: str, phone: str = "") -> Held:
        """Return a new app with a number of its own; the recording lists it under its state."""
        self.apps[state] = {"phone": phone or stranger(len(self.apps)).e164}
        return self.apps[state]

    def send(self, app: Held, key: str | None = None) -> None:
        """Have a code sent; if the app has a sessionId, the same code is sent again."""
        given = {name: app[name] for name in ("sessionId", "purpose", "detail") if name in app}
        sent = self.call("getSms", key, phone=app["phone"], **given)
        app |= {"sessionId": sent["sessionId"], "serialNo": sent["serialNo"], "code": self.world.outbox.code}

    def guess(self, app: Held, times: int, *, shared: bool = False) -> None:
        """Send wrong codes; if `shared`, without the sessionId."""
        session = {} if shared else {"sessionId": app["sessionId"]}
        wrong = f"{(int(app['code']) + 1) % 1_000_000:06}"
        for _ in range(times):
            answer = self.world.call("login", phone=app["phone"], code=wrong, **session)
            assert answer["codeStr"] == "CodeIsError", answer

    def log_in(self, app: Held, key: str | None = None, *, name: str = "") -> None:
        """Log in with the code, and set a nickname if there is one."""
        answer = self.call("login", key, phone=app["phone"], code=app["code"], sessionId=app["sessionId"])
        app |= {field: answer[field] for field in ("userId", "token", "refreshToken")}
        if name:
            self.call("setNickname", token=app["token"], name=name)
            app["name"] = name

    def refresh(self, app: Held) -> None:
        """Rotate the refresh token, and keep the earlier one."""
        answer = self.call("refresh", refreshToken=app["refreshToken"])
        app |= {"earlierRefreshToken": app["refreshToken"]}
        app |= {field: answer[field] for field in ("token", "refreshToken")}


def drive(world: World) -> Driver:
    """Bring numbers into every state, the slow ones first. The Redis of `world` must be empty."""
    driver = Driver(world)
    _users(driver)
    driver.send(driver.app("expired"))
    lenient = World(world.backend, world.clock, rules=Rules(guesses=LOCKED))
    day = driver.app("day full")["phone"]
    while (answer := lenient.call("getSms", phone=day))["errorCode"] == 0:
        world.wait(answer["data"]["resendAfter"])
    assert answer["retryAfter"] > world.rules.cooldown, "the day's limit, not the cooldown"
    _sessions(driver)
    _messages(driver)

    locked = Driver(lenient)
    app = driver.app("locked")
    locked.send(app)
    locked.guess(app, LOCKED)
    _codes(driver)
    return driver


def _users(driver: Driver) -> None:
    """Bring users into the states that their records know."""
    world = driver.world
    away = Driver(World(world.backend, world.clock, reverify_after=AWAY), driver.apps)
    returned = driver.app("returned")
    away.send(returned)
    away.log_in(returned)
    world.wait(AWAY)
    away.send(returned)
    away.log_in(returned)

    banned = driver.app("banned")
    driver.send(banned)
    driver.log_in(banned)
    assert world.users.ban(Phone.parse(banned["phone"], "CN"), banned["userId"]).answer()

    moved = driver.app("moved")
    driver.send(moved)
    driver.log_in(moved, name="Moved")
    world.cool_down()
    old = {"phone": moved["phone"], "purpose": "changePhone"}
    sent = driver.call("getSms", **old)
    code = {"code": world.outbox.code, "sessionId": sent["sessionId"]}
    proof = driver.call("verify", **old, **code)["proof"]
    new = {"phone": stranger(98).e164}
    sent = driver.call("getSms", **new, purpose="changePhone")
    code = {"code": world.outbox.code, "sessionId": sent["sessionId"]}
    answer = driver.call("changePhone", token=moved["token"], proof=proof, **new, **code)
    moved |= {field: answer[field] for field in ("phone", "token", "refreshToken")} | {"earlierToken": moved["token"]}


def _messages(driver: Driver) -> None:
    """Bring messages into the states that their challenges and receipts know, and count what became of them."""
    world = driver.world
    counting = Driver(World(world.backend, world.clock, ip=IP, statistics=True), driver.apps)
    delivered, called = driver.app("delivered"), driver.app("called")
    for app in (delivered, called):
        counting.send(app)
    serial_no = delivered["serialNo"]
    assert counting.world.receive([receipt(serial_no, phone=Phone.parse(delivered["phone"], "CN"))])[0] == 200
    world.wait(world.rules.cooldown + 1)
    assert counting.call("getSms", phone=called["phone"], sessionId=called["sessionId"], channel="voice")
    assert counting.world.statistics_of()["sent"] == 2


def _sessions(driver: Driver) -> None:
    everywhere = driver.app("logged out everywhere")
    driver.send(everywhere)
    driver.log_in(everywhere)
    ended = {f"ended{name[0].upper()}{name[1:]}": everywhere[name] for name in ("token", "refreshToken")}
    driver.call("logout", token=everywhere["token"], everywhere=True)
    del everywhere["sessionId"]

    rotated = driver.app("rotated")
    driver.send(rotated)
    driver.log_in(rotated, name="小明")
    driver.refresh(rotated)
    driver.world.wait(60)

    driver.send(everywhere)
    driver.log_in(everywhere, name="Ming")
    everywhere |= ended


def _codes(driver: Driver) -> None:
    world = driver.world
    resent, failing, spent = driver.app("sent again"), driver.app("failures in a row"), driver.app("spent")
    lost = driver.app("answer to refresh lost")
    driver.send(resent)
    driver.send(failing)
    driver.guess(failing, FAILURES)
    world.wait(world.rules.cooldown + 1)
    driver.send(resent)
    driver.send(spent)
    driver.log_in(spent, KEY, name="Spent")
    driver.send(lost)
    driver.log_in(lost)
    world.wait(5)  # at least a full second: remaining times are recorded in seconds

    world.outbox.refuse.append(InvalidPhone())
    assert world.call("getSms", phone=stranger(99).e164)["codeStr"] == "InvalidPhone"
    paying = driver.app("paying")
    paying |= {"purpose": "pay", "detail": "order 4711"}
    driver.send(paying, KEY)
    guessed, shared = driver.app("guessed"), driver.app("guessed without a session")
    driver.send(guessed)
    driver.guess(guessed, 2)
    driver.send(shared)
    driver.guess(shared, 2, shared=True)
    driver.send(driver.app("repeatable"), OTHER_KEY)
    driver.send(driver.app("abroad", abroad(1).e164))
    driver.refresh(lost)
    driver.send(driver.app("pending"))


def record(world: World) -> Held:
    """Drive an empty Redis through every state; return the recording, as JSON has it."""
    # With a fixed seed, so that a new recording shows only real changes.
    with patch("secrets.token_bytes", random.Random(0).randbytes):  # noqa: S311 - nothing here is secret
        apps = drive(world).apps
    left, client = world.backend.expiries(), world.backend.client
    keys = {
        key: {"type": client.type(key), "value": value, "ttl": _whole_seconds(left[key])}
        for key, value in sorted(world.backend.dump().items())
    }
    return {
        "about": "Written by `python -m tests.record_redis`. All numbers and secrets are made up.",
        "version": __version__,
        "at": int(time.time()),  # epoch seconds of the moved clock
        "apps": apps,
        "budgets": dict(sorted(counts(world).items())),
        "keys": keys,
    }


def _whole_seconds(ms: int) -> int | None:
    """Return a key's remaining milliseconds, rounded up to seconds so that this machine's speed does not show."""
    return None if ms == -1 else -(-ms // 1000) * 1000


def restore(backend: Backend, keys: Mapping[str, Held]) -> None:
    """Put the keys of a recording into a Redis."""
    with backend.client.pipeline(transaction=False) as together:
        write: dict[str, Callable[[str, Any], Any]] = {
            "string": together.set,
            "hash": lambda key, fields: together.hset(key, mapping=fields),
            "list": lambda key, values: together.rpush(key, *values),
        }
        for key, entry in keys.items():
            write[entry["type"]](key, entry["value"])
            if entry["ttl"] is not None:
                together.pexpire(key, entry["ttl"])
        together.execute()


def main() -> None:
    """Run the command."""
    logging.getLogger("sms_login").setLevel(logging.ERROR)  # a locked number is intended
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer())
        client = stack.enter_context(closing(connect(server.host, server.port)))
        clock = stack.enter_context(time_machine.travel(NOON, tick=False))
        recording = record(World(Backend(client), clock, ip=IP))
    text = json.dumps(recording, indent=2, ensure_ascii=False) + "\n"
    (RECORDED / f"{__version__}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
