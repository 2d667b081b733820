"""How often a request goes to Redis, counted on the wire."""

from collections.abc import Callable
from contextlib import closing

import pytest
import time_machine

from benchmarks.wire import Wire
from sms_login.adapters.redis.client import connect
from sms_login.errors import CodeHasExpired
from sms_login.otp.purposes import CHANGE_PHONE
from sms_login.otp.verify import Guess
from sms_login.phone import Phone
from tests.testkit.backends import Backend
from tests.testkit.devices import Device
from tests.testkit.receipts import receipt
from tests.testkit.servers import RedisServer
from tests.testkit.world import OTHER_PHONE, PAY, PHONE, World

TRIPS = {
    "getSms": 2,
    "getSms again": 2,
    "getSmsStatus": 1,
    "smsReceipt": 1,  # for up to a hundred
    "login": 2,
    "login without a sessionId": 3,
    "verify": 2,
    "getUserInfo": 1,
    "login with a token": 1,
    "setNickname": 1,
    "refresh": 1,
    "health": 1,
    "a guess without a code": 2,  # the second says whether the number is locked
    "a guess at a forged sessionId": 2,  # the second: has the number another code, that is live?
    # token, user and new number; code; start; take, session and budgets; leave; clean-up
    "changePhone": 6,
    "deleteAccount": 5,  # owner of the session; code; user, session list and budgets; sessions; spent challenge
}


def test_round_trips(redis_server: RedisServer, clock: time_machine.Traveller) -> None:
    """Each method makes so many round trips as the contract promises."""
    with Wire(redis_server.port) as wire, closing(connect("127.0.0.1", wire.port)) as client:
        world = World(Backend(client), clock, ip="203.0.113.7")
        client.flushall()
        device, other = Device(world), Device(world, OTHER_PHONE)
        world.cool_down()

        def trips(call: Callable[[], object]) -> int:
            wire.count()
            call()
            return wire.count()

        def guess(session: str | None) -> None:
            with pytest.raises(CodeHasExpired):
                world.log_in(session, "123456", phone=OTHER_PHONE)

        def delete() -> None:
            spends = {"code": world.outbox.code, "sessionId": session}
            assert other.call("deleteAccount", token=other.token, **spends) == "Success"

        def log_in() -> None:
            world.log_in(session)

        counts = {"getSms": trips(world.get_sms)}
        world.cool_down()
        session = world.latest()
        counts["getSms again"] = trips(lambda: world.get_sms(session))
        waiting = {"phone": PHONE.e164, "sessionId": session, "serialNo": "serial-1"}
        counts["getSmsStatus"] = trips(lambda: world.call("getSmsStatus", **waiting))
        counts["smsReceipt"] = trips(lambda: world.receive([receipt(f"serial-{i}") for i in range(100)]))
        counts["login"] = trips(log_in)
        world.cool_down()
        world.get_sms()
        counts["login without a sessionId"] = trips(lambda: world.log_in(None))
        world.cool_down()
        pay = world.get_sms(purpose=PAY).session_id
        counts["verify"] = trips(lambda: world.prove(pay))
        counts["getUserInfo"] = trips(lambda: world.sessions.user_info(device.token))
        counts["login with a token"] = trips(lambda: world.sessions.still_logged_in(device.phone, device.token))
        counts["setNickname"] = trips(lambda: world.sessions.set_nickname(device.token, "x"))
        counts["refresh"] = trips(device.refresh)
        counts["health"] = trips(world.redis.check)
        world.wait(world.rules.age * 2)
        counts["a guess without a code"] = trips(lambda: guess(None))
        counts["a guess at a forged sessionId"] = trips(lambda: guess("A" * 22))
        proof = world.prove(world.get_sms(purpose=CHANGE_PHONE).session_id, purpose=CHANGE_PHONE).proof
        new = Phone.parse("+8613900139000", "CN")
        changing = world.get_sms(phone=new, purpose=CHANGE_PHONE).session_id
        guess_at_new = Guess(new, world.outbox.code, changing, None, world.client, CHANGE_PHONE)
        counts["changePhone"] = trips(lambda: world.login.change_phone(device.token, proof, guess_at_new))
        session = world.get_sms(phone=OTHER_PHONE).session_id
        counts["deleteAccount"] = trips(delete)
        assert counts == TRIPS
