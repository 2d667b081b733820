"""`sms-admin number`: what stands against a number, and lifting it, on a real Redis and on a cluster."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import time_machine

from sms_login.adapters.redis.client import connect
from sms_login.errors import CodeIsError, Locked, TooManyRequests
from sms_login.limits.policy import Limits
from sms_login.phone import Phone
from tests.testkit.admin import admin
from tests.testkit.backends import Backend
from tests.testkit.limits import ABROAD
from tests.testkit.world import ENVIRON, OTHER_PHONE, PHONE, REVIEW_PHONE, World

FREE = {
    "phone": str(PHONE),
    "country": "CN",
    "testNumber": False,
    "cooldown": 0,
    "sentToday": 0,
    "dailyLimit": 10,
    "failures": 0,
    "lock": 0,
    "code": 0,
    "fullBudgets": [],
    "sessions": 0,
    "userId": None,
    "banned": False,
}


class Desk(NamedTuple):
    """A service on a real Redis, and the environment that leads an operator to it."""

    world: World
    environ: dict[str, str]

    def number(self, command: str, phone: Phone = PHONE, *options: str) -> dict[str, Any]:
        """Run `sms-admin number --json`; return its one row."""
        done = admin(self.environ, "number", command, phone.e164, "--json", *options)
        assert (done.code, done.err) == (0, "")
        (row,) = map(json.loads, done.out.splitlines())
        return dict(row)


@pytest.fixture(params=["redis_server", "redis_cluster"])
def desk(request: pytest.FixtureRequest, clock: time_machine.Traveller, tmp_path: Path) -> Iterator[Desk]:
    """A service without users, whose range of numbers may have three messages a day."""
    server, cluster = request.getfixturevalue(request.param), request.param == "redis_cluster"
    client = connect("127.0.0.1", server.port, cluster=cluster)
    client.flushall()
    place = {"REDIS_PORT": str(server.port), "REDIS_CLUSTER": str(int(cluster)), "XDG_STATE_HOME": str(tmp_path)}
    limits = {"RANGE_DAILY_BUDGET": "3", "COUNTRY_DAILY_BUDGET": "1"}
    world = World(Backend(client), clock, limits=Limits(range_total=3, country_total=1))
    yield Desk(world, ENVIRON | place | limits)
    client.close()


def test_a_number_that_nothing_stands_against(desk: Desk) -> None:
    """Its row says so, and asking changes nothing."""
    assert desk.number("show") == FREE
    assert desk.number("show", PHONE, "--clear")["phone"] == PHONE.e164
    assert desk.number("show", REVIEW_PHONE)["testNumber"]
    assert desk.number("show", Phone.from_e164("+447700900123"))["country"] == "GB"  # is reserved
    assert desk.world.backend.dump() == {}
    assert admin(desk.environ, "number", "show", "13800138000").code == 2


def test_the_row_names_all_that_a_sending_and_a_login_leave(desk: Desk) -> None:
    """A code and its cooldown, then a session; wrong guesses count as failures."""
    session = desk.world.get_sms().session_id
    sent = desk.number("show")
    assert 28 <= sent.pop("cooldown") <= 30
    assert 295 <= sent.pop("code") <= 300
    assert sent.items() <= (FREE | {"sentToday": 1}).items()
    with pytest.raises(CodeIsError):
        desk.world.log_in(session, desk.world.wrong)
    assert desk.number("show")["failures"] == 1
    user = desk.world.log_in(session, desk.world.outbox.code)
    row = desk.number("show")
    assert (row["failures"], row["code"], row["sessions"], row["userId"]) == (0, 0, 1, user.user_id)


def test_full_budgets_are_named(desk: Desk) -> None:
    """They are those of the range, the country and the day, which other numbers have used up."""
    for _ in range(3):
        desk.world.get_sms()
        desk.world.cool_down()
    assert desk.number("show", Phone.from_e164(f"{PHONE.e164[:-4]}9999"))["fullBudgets"] == ["range"]
    assert desk.number("show", OTHER_PHONE)["fullBudgets"] == (
        ["range"] if OTHER_PHONE.e164[:-4] == PHONE.e164[:-4] else []
    )
    desk.world.get_sms(phone=ABROAD)
    assert desk.number("show", ABROAD)["fullBudgets"] == ["country"]
    before = desk.world.backend.dump()
    assert desk.number("show")["fullBudgets"] == ["range"]
    assert desk.world.backend.dump() == before


def test_an_unlocked_number_may_ask_and_log_in_at_once(desk: Desk) -> None:
    """Cooldown, day and lock are lifted; the code, the sessions and the budgets stay, and the log has the change."""
    world = desk.world
    session = world.get_sms().session_id
    world.lock(seconds=3600)
    with pytest.raises(Locked):
        world.log_in(session, world.outbox.code)
    with pytest.raises((Locked, TooManyRequests)):
        world.get_sms()
    row = desk.number("show")
    assert 3590 <= row["lock"] <= 3600
    assert row["failures"] == world.rules.lock_at
    assert desk.number("unlock", PHONE, "--operator", "xiao wang") == {
        "phone": str(PHONE),
        "cooldown": True,
        "sentToday": True,
        "failures": True,
    }
    after = desk.number("show")
    assert after.pop("code") > 0
    assert after.items() <= FREE.items()
    assert world.log_in(session, world.outbox.code).token
    assert world.get_sms().session_id
    line = json.loads(Path(desk.environ["XDG_STATE_HOME"], "sms-admin/changes.jsonl").read_text())
    assert line.pop("time").startswith("2026-11-21T04:00:0")
    assert line == {
        "event": "admin",
        "action": "number.unlock",
        "by": "xiao wang",
        "phone": str(PHONE),
        "cooldown": True,
        "sentToday": True,
        "failures": True,
    }


def test_an_unlock_of_a_free_number_lifts_nothing(desk: Desk) -> None:
    """The answer says so in words, too."""
    lifted = {"phone": str(PHONE), "cooldown": False, "sentToday": False, "failures": False}
    assert desk.number("unlock") == lifted
    out = admin(desk.environ, "number", "unlock", PHONE.e164).out
    assert [line.split()[-1] for line in out.splitlines()][1:] == ["no"] * 3
    shown = admin(desk.environ, "number", "show", PHONE.e164).out
    assert "failures in a row" in shown
    assert PHONE.e164 not in shown
