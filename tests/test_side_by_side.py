"""During a deployment, instances of two versions serve the same users: here, two instances of this version."""

import itertools
from typing import Any

import pytest
import time_machine

from sms_login.http import messages
from tests.testkit.backends import Backend
from tests.testkit.limits import IP
from tests.testkit.receipts import receipt
from tests.testkit.world import OTHER_PHONE, PHONE, World

NUMBER = PHONE.e164


class Pair:
    """Two instances on one Redis that take turns; `called` has the methods that one of them has answered."""

    def __init__(self, backend: Backend, clock: time_machine.Traveller, first: int) -> None:
        worlds = [World(backend, clock, ip=IP) for _ in range(2)]
        self._turns = itertools.cycle([worlds[first], worlds[1 - first]])
        self.called: set[str] = set()
        self.world = worlds[0]  # the last one that answered

    def call(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Send a request to the instance whose turn it is; return the body of the answer."""
        self.world = next(self._turns)
        self.called.add(method)
        return self.world.call(method, **params)

    def data(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Return the data of an answer, which must be a success."""
        answer = self.call(method, **params)
        assert answer["errorCode"] == 0, answer
        return dict(answer["data"])

    def receive(self, serial_no: str) -> None:
        """Send the receipt of a delivered message to the instance whose turn it is."""
        self.world = next(self._turns)
        self.called.add("smsReceipt")
        assert self.world.receive([receipt(serial_no)])[0] == 200

    def code(self, **params: str) -> dict[str, str]:
        """Request a code; return the parameters of a login with it."""
        phone = params.pop("phone", NUMBER)
        sent = self.data("getSms", phone=phone, **params)
        return {"phone": phone, "sessionId": sent["sessionId"], "code": self.world.outbox.code}


@pytest.mark.parametrize("first", [0, 1])
def test_every_method_works_across_two_instances(backend: Backend, clock: time_machine.Traveller, first: int) -> None:
    """A code that one instance sent logs in at the other, and the same holds for every later step."""
    pair = Pair(backend, clock, first)
    assert pair.data("health")["redis"] == "ok"
    assert pair.call("jwks") == {"keys": []}
    login = pair.code()
    pair.receive("serial-1")
    waiting = {"phone": NUMBER, "sessionId": login["sessionId"], "serialNo": "serial-1"}
    assert pair.data("getSmsStatus", **waiting)["status"] == "delivered"
    user = pair.data("login", **login)
    assert pair.call("login", **login)["codeStr"] == "CodeHasValid"
    assert pair.data("login", phone=NUMBER, token=user["token"])["userId"] == user["userId"]
    assert pair.data("setNickname", token=user["token"], name="Ming")["name"] == "Ming"
    assert pair.data("getUserInfo", token=user["token"])["name"] == "Ming"
    fresh = pair.data("refresh", refreshToken=user["refreshToken"])
    fresh = pair.data("refresh", refreshToken=fresh["refreshToken"])
    assert pair.data("getUserInfo", token=fresh["token"])["userId"] == user["userId"]
    assert pair.data("logout", refreshToken=fresh["refreshToken"]) == {}
    assert pair.call("getUserInfo", token=fresh["token"])["codeStr"] == "TokenInvalid"

    pair.world.wait(pair.world.rules.cooldown + 1)
    user = pair.data("login", **pair.code())
    pair.world.wait(pair.world.rules.cooldown + 1)
    login = pair.code()
    assert pair.data("deleteAccount", token=user["token"], code=login["code"], sessionId=login["sessionId"]) == {}
    assert pair.call("getUserInfo", token=user["token"])["codeStr"] == "TokenInvalid"

    pair.world.wait(pair.world.rules.cooldown + 1)
    pay = {"purpose": "pay", "detail": "99.00"}
    assert pair.call("login", **(verify := pair.code(**pay)))["codeStr"] == "SessionMismatch"
    assert pair.data("verify", **verify, **pay)["proof"]

    pair.world.wait(pair.world.rules.cooldown + 1)
    user = pair.data("login", **pair.code())
    pair.world.wait(pair.world.rules.cooldown + 1)
    change = {"purpose": "changePhone"}
    proof = pair.data("verify", **pair.code(**change), **change)["proof"]
    new = OTHER_PHONE.e164
    moving = {**pair.code(**change, phone=new), "token": user["token"], "proof": proof}
    assert pair.data("changePhone", **moving)["userId"] == user["userId"]
    assert pair.called == messages.METHODS.keys()


@pytest.mark.parametrize("first", [0, 1])
def test_limits_count_across_two_instances(backend: Backend, clock: time_machine.Traveller, first: int) -> None:
    """Both instances apply the same cooldown and guesses, and resend the same code."""
    pair = Pair(backend, clock, first)
    login = pair.code()
    assert pair.call("getSms", phone=NUMBER)["codeStr"] == "TooManyRequests"
    wrong = {**login, "code": f"{(int(login['code']) + 1) % 10**6:06}"}
    left = [pair.call("login", **wrong)["data"].get("attemptsLeft") for _ in range(2)]
    assert left == [2, 1]
    pair.world.wait(pair.world.rules.cooldown + 1)
    assert pair.code(sessionId=login["sessionId"]) == login
    assert pair.call("login", **wrong)["data"] == {"attemptsLeft": 0}
    assert pair.call("login", **login)["codeStr"] == "CodeHasValid"
