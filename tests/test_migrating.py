"""docs/migrating.md: an app that was written for one of Tencent's demos keeps working."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from tests.testkit.backends import fake_backend
from tests.testkit.events import gateway_query
from tests.testkit.project import ROOT
from tests.testkit.world import PHONE, World

DIGITS = PHONE.e164.removeprefix("+86")
PAGE = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
Get = Callable[..., dict[str, Any]]


@pytest.fixture
def world(clock: time_machine.Traveller) -> World:
    """The function on a Redis in memory."""
    return World(fake_backend(), clock)


@pytest.fixture
def get(world: World) -> Get:
    """Call as the apps of both demos do, by the query string; the call returns the answer."""

    def call(path: str = "/release/sms", **params: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(world.app.handle({**gateway_query(params, {}), "path": path}, {})["body"])
        return answer

    return call


def test_an_app_of_the_2020_demo_keeps_working(world: World, get: Get) -> None:
    """Eleven digits, two methods at paths of their own, a login by token that returns it, the demo's numbers."""
    session = get(method="getSms", phone=DIGITS)["data"]["sessionId"]
    code = world.outbox.code
    login = {"method": "login", "phone": DIGITS, "sessionId": session}
    assert get(**login, code=world.wrong)["errorCode"] == -1102
    user = get(**login, code=code)["data"]
    still = get(method="login", phone=DIGITS, token=user["token"])
    assert (still["errorCode"], still["data"]["token"]) == (0, user["token"])
    named = get("/release/setNickname", token=user["token"], name="Li")
    seen = get("/release/getUserInfo", token=user["token"], userId="somebody else's")
    assert (named["errorCode"], seen["errorCode"], seen["data"]) == (0, 0, named["data"])
    assert (seen["data"]["userId"], seen["data"]["name"]) == (user["userId"], "Li")
    assert get(**login, code=code)["errorCode"] == -1100  # spent


def test_an_app_of_the_2024_demo_keeps_working(world: World, get: Get) -> None:
    """Area code and number, no session, the demo's names."""
    phone = f"86{DIGITS}"
    assert get(method="getSms", phone=phone)["codeStr"] == "Ok"
    code = world.outbox.code
    assert get(method="login", phone=phone)["codeStr"] == "MissingCode"
    assert get(method="login", phone=phone, code=world.wrong)["codeStr"] == "CodeIsError"
    assert get(method="login", phone=phone, code=code)["codeStr"] == "Success"
    assert get(method="login", phone=phone, code=code)["codeStr"] == "CodeHasValid"


def test_the_page_names_the_differences_that_remain(world: World, get: Get) -> None:
    """Answers have the number in E.164, `codeStr` outside `data`, and the user's id is the token's `sub`."""
    session = get(method="getSms", phone=DIGITS)
    assert "codeStr" not in session["data"]
    code, given = world.outbox.code, session["data"]["sessionId"]
    user = get(method="login", phone=DIGITS, code=code, sessionId=given)["data"]
    payload = user["token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert (claims["sub"], "userId" in claims, user["phone"]) == (user["userId"], False, PHONE.e164)
    rows = PAGE.split("\n## From the MySQL demo (2020)\n")[1]
    assert [
        row for row in ("| `codeStr` |", "| the claims of a token |", "| `phone` in answers |") if row not in rows
    ] == []
