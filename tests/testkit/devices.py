"""The app on a user's phone: it signs in, and keeps the tokens that it receives."""

import base64
import json
from typing import Any

import pytest

from sms_login.phone import Phone
from tests.testkit.world import PHONE, World


class Device:
    """An app that has signed in with a code. A `copy` of it is a thief with the same tokens."""

    def __init__(self, world: World, phone: Phone = PHONE) -> None:
        self.world = world
        self.phone = phone
        session = world.get_sms(phone=phone).session_id
        self.keep(world.call("login", phone=phone.e164, code=world.outbox.code, sessionId=session)["data"])
        self.user_id: str = self.data["userId"]
        self.key = session_key(self.token)

    def keep(self, data: dict[str, Any]) -> None:
        """Keep the tokens of an answer."""
        self.data = data
        self.token: str = data["token"]
        self.refresh_token: str = data["refreshToken"]

    def refresh(self, token: str | None = None) -> str:
        """Refresh with the device's token or with another one; keep the new tokens, and return the outcome."""
        answer = self.world.call("refresh", refreshToken=token or self.refresh_token)
        if answer["codeStr"] == "Success":
            self.keep(answer["data"])
        return str(answer["codeStr"])

    def call(self, method: str, **params: Any) -> str:
        """Call a method with `params`, by default the access token; return the outcome."""
        return str(self.world.call(method, **(params or {"token": self.token}))["codeStr"])

    @property
    def is_in(self) -> bool:
        """Whether the access token is valid."""
        return self.call("getUserInfo") == "Success"

    def tries(self) -> set[str]:
        """Return the outcomes of every method that needs a token, for a device that is no longer signed in."""
        access = {"token": self.token}
        calls: list[tuple[str, dict[str, Any]]] = [
            ("getUserInfo", access),
            ("setNickname", {**access, "name": "name"}),
            ("login", {**access, "phone": self.phone.e164}),
            ("deleteAccount", {**access, "code": "123456"}),
            ("logout", access),
            ("logout", {**access, "everywhere": True}),
            ("logout", {"refreshToken": self.refresh_token}),
            ("logout", {"refreshToken": self.refresh_token, "everywhere": True}),
            ("refresh", {"refreshToken": self.refresh_token}),
        ]
        return {self.call(method, **params) for method, params in calls}


def devices(world: World, count: int) -> list[Device]:
    """Sign the same user in on `count` devices, one after the other."""
    signed_in = []
    for _ in range(count):
        signed_in.append(Device(world))
        world.cool_down()
    return signed_in


def session_key(token: str) -> str:
    """Return the key in Redis of an access token's session."""
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return f"session:{{{claims['phone']}}}:{claims['sid']}"


def session_keys(world: World) -> set[str]:
    """Return the keys of the sessions in Redis, without the indexes of numbers."""
    keys = {key for key in world.backend.expiries() if key.startswith("session:")}
    return {key for key in keys if not key.endswith("}:index")}


def alerts(printed: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the alerts of the log lines since the last call."""
    lines = map(json.loads, printed.readouterr().out.splitlines())
    return [alert for line in lines for alert in line.get("alerts", [])]
