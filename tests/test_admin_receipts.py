"""`receipts pull`: from Tencent Cloud's queue into a real Redis, here, in the admin function and by its timer."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from local.cloud import ADMIN, Cloud, local_cloud
from local.inbox import Message
from sms_admin import function
from sms_login import wiring
from tests.testkit.admin import admin
from tests.testkit.events import gateway_json
from tests.testkit.servers import RedisServer

PHONE = "+8613800138000"
TIMER = {"Type": "Timer", "TriggerName": "receipts", "Time": "2026-11-28T00:00:00Z", "Message": ""}
LOG: list[str] = []  # of the function


class Deployed:
    """The function of `make run`, and its operator; the stand-in's clock can be moved."""

    def __init__(self, server: RedisServer) -> None:
        self.now = time.time()
        self.environ = {"REDIS_HOST": server.host, "REDIS_PORT": str(server.port)}
        self.cloud: Cloud

    def ask(self, phone: str = PHONE) -> dict[str, Any]:
        """Ask for a code; return the request for its status."""
        data: dict[str, Any] = self._call(method="getSms", phone=phone)
        return {"method": "getSmsStatus", "phone": phone, "sessionId": data["sessionId"], "serialNo": data["serialNo"]}

    def status(self, asked: dict[str, Any]) -> str:
        """Return the status of a message as the person who waits sees it."""
        return str(self._call(**asked)["status"])

    def pull(self, *arguments: str) -> list[dict[str, Any]]:
        """Run `receipts pull`, and return its rows."""
        done = admin(self.cloud.environ, "receipts", "pull", "--json", *arguments)
        assert (done.code, done.err) == (0, "")
        return [json.loads(line) for line in done.out.splitlines()]

    def _call(self, **parameters: Any) -> Any:
        answer = wiring.assemble(self.cloud.environ).handle(gateway_json(parameters, {}), None)
        return json.loads(answer["body"])["data"]


@pytest.fixture
def deployed(redis_server: RedisServer) -> Iterator[Deployed]:
    """A deployment on an empty Redis."""
    with redis.Redis(redis_server.host, redis_server.port) as client:
        client.flushall()
    deployed = Deployed(redis_server)
    LOG.clear()
    with local_cloud(deployed.environ, clock=lambda: deployed.now, on_log=LOG.append) as deployed.cloud:
        yield deployed


def row(receipts: int, noted: int, application: str = "1400000000") -> dict[str, Any]:
    """Return the row of an answer in which every message was delivered."""
    return {"application": application, "receipts": receipts, "noted": noted, "delivered": receipts, "failed": 0}


NONE_ABROAD = row(0, 0, "1400000001")


def test_receipts_are_pulled_once_and_told_to_the_person_who_waits(deployed: Deployed) -> None:
    """A receipt comes a second after its message, is noted with Tencent's own time, and is given once."""
    asked = deployed.ask()
    assert deployed.pull() == [row(0, 0), NONE_ABROAD]
    assert deployed.status(asked) == "sent"
    deployed.now += 5
    assert deployed.pull() == [row(1, 1), NONE_ABROAD]
    assert deployed.status(asked) == "delivered"
    assert deployed.pull() == [row(0, 0), NONE_ABROAD]
    table = admin(deployed.cloud.environ, "receipts", "pull").out.splitlines()
    assert table[1].split() == ["application", "receipts", "noted", "delivered", "failed"]


def test_receipts_are_pulled_in_the_admin_function_and_by_its_timer(deployed: Deployed) -> None:
    """The rows are the same; the timer takes all that wait, also more than one answer holds, and logs their count."""
    asked = deployed.ask()
    deployed.now += 5
    assert deployed.pull("--function", ADMIN) == [row(1, 1), NONE_ABROAD]
    assert deployed.status(asked) == "delivered"
    statuses = [{"Code": "Ok", "PhoneNumber": "+8613912345678", "SerialNo": str(i)} for i in range(251)]
    for status in statuses:
        deployed.cloud.tencent.receipts.sent(Message(status["PhoneNumber"], "", [], 0, status["SerialNo"]))
    deployed.cloud.tencent.pulls.sent("1400000000", statuses[1:])
    deployed.cloud.tencent.pulls.sent("1400000001", [{**statuses[0], "PhoneNumber": "+12025550123"}])
    deployed.now += 5
    answer = function.answer(TIMER, {}, deployed.cloud.environ, LOG.append)
    assert answer["rows"] == [{"receipts": 251}]
    assert json.loads(LOG[-1]) == {"event": "admin", "action": "receipts.pull", "by": "timer", "receipts": 251}


def test_nothing_is_pulled_that_cannot_be_noted(deployed: Deployed) -> None:
    """Each receipt is given once: if Redis gives no answer, the queue is left alone, and the failure is said."""
    deployed.ask()
    deployed.now += 5
    away = {**deployed.cloud.environ, "REDIS_PORT": "1"}
    done = admin(away, "receipts", "pull")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("no answer from Redis or the database: ")
    assert function.answer(TIMER, {}, away, LOG.append)["failed"][0] == done.err.strip()
    assert deployed.cloud.tencent.requests("PullSmsSendStatus") == 0
    assert deployed.pull() == [row(1, 1), NONE_ABROAD]


def test_a_failure_is_told_with_its_reason(deployed: Deployed) -> None:
    """The description of a receipt is read as the code of a callback is."""
    deployed.cloud.tencent.fail("unreachable", 1, "Receipt")
    asked = deployed.ask()
    deployed.now += 5
    (mainland, _) = deployed.pull()
    assert mainland == {**row(1, 1), "delivered": 0, "failed": 1}
    assert deployed.status(asked) == "failed"


def test_following_ends_with_an_interrupt_and_waits_between_looks(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty queue is looked at every five seconds; Ctrl-C ends it."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        deployed.now += seconds
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("sms_admin.receipts.sleep", sleep)
    deployed.ask()
    done = admin(deployed.cloud.environ, "receipts", "pull", "--follow", "--json")
    assert (done.code, slept) == (1, [5.0, 5.0, 5.0])
    assert [json.loads(line) for line in done.out.splitlines()] == [row(1, 1), NONE_ABROAD]
