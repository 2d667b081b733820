"""An operator's day, with the commands of docs/admin.md alone: from an empty account to an exported report."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from local.cloud import ADMIN, Cloud, local_cloud
from sms_login import wiring
from tests.testkit.admin import admin
from tests.testkit.events import gateway_json
from tests.testkit.servers import RedisServer

PEOPLE = ("+8613800138000", "+8613800138001", "+8613800138002")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40) + b"IEND\xaeB`\x82"
TEXT = "您的登录验证码为 {1}，{2} 分钟内有效，请勿转发。"


class Day:
    """The cloud, the operator's settings, and the function that is deployed with them; the stand-in's clock moves."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.environ = cloud, dict(cloud.environ)
        self.instances: list[wiring.Handler] = []

    def run(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """Run a command, which must end with this exit code; return its rows."""
        done = admin(self.environ, *arguments, "--json")
        assert (done.code, done.err if not code else "") == (code, ""), done
        return [json.loads(line) for line in done.out.splitlines()]

    def deploy(self, settings: Mapping[str, str]) -> None:
        """Deploy with changed settings, as two instances."""
        self.environ |= settings
        self.instances = [wiring.assemble(self.environ) for _ in range(2)]

    def call(self, method: str, instance: int = 0, **parameters: Any) -> dict[str, Any]:
        """Return an instance's answer to an app."""
        event = gateway_json({"method": method, **parameters}, {})
        answer: dict[str, Any] = json.loads(self.instances[instance].handle(event, None)["body"])
        return answer

    def log_in(self, phone: str) -> str:
        """Log in with the code of the latest message; return the token."""
        code = self.cloud.tencent.inbox(phone)[0].params[0]
        answer = self.call("login", phone=phone, code=code)
        assert answer["codeStr"] == "Success", answer
        return str(answer["data"]["token"])


@pytest.fixture
def day(redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    """An account without a signature and a template."""
    with redis.Redis(redis_server.host, redis_server.port) as client:
        client.flushall()
    now, log = [time.time()], list[str]()

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("sms_admin.reviews.sleep", sleep)
    monkeypatch.setattr("sms_login.adapters.redis.statistics._IN", 0)  # counts travel with every batch
    monkeypatch.chdir(tmp_path)
    Path("licence.png").write_bytes(PNG)
    environ = {
        "REDIS_HOST": redis_server.host,
        "REDIS_PORT": str(redis_server.port),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    with local_cloud(environ, clock=lambda: now[0], on_log=log.append) as cloud:
        cloud.tencent.catalogue.signs = ()
        cloud.tencent.catalogue.templates = ()
        yield Day(cloud)


def test_an_operators_day(day: Day) -> None:
    """Apply, wait, deploy, watch the funnel, lift a cooldown, ban a user everywhere, and export the report."""
    assert {row["check"] for row in day.run("check", code=1) if row["state"] == "problem"} >= {
        "sms.sign",
        "sms.template",
    }

    add = ("signature", "add", "示例公司", "--kind", "company", "--document", "licence")
    (sign,) = day.run(*add, "--proof", "licence.png", "--qualification", "1234")
    assert day.run("signature", "wait", str(sign["id"]))[0]["state"] == "approved"
    (template,) = day.run("template", "add", "sign in", TEXT, "--kind", "otp")
    assert day.run("template", "wait", str(template["id"]))[0]["state"] == "approved"
    other = ("SMS_INTL_SDKAPPID", "SMS_INTL_SIGN", "SMS_INTL_TEMPLATE_ID", "SMS_INTL_PURPOSES", "SMS_PURPOSES")
    day.deploy({"SMS_SIGN": "示例公司", "SMS_TEMPLATE_ID": str(template["id"]), **dict.fromkeys(other, "")})
    assert [row for row in day.run("check") if row["state"] == "problem"] == []

    for phone in PEOPLE:
        assert day.call("getSms", phone=phone)["codeStr"] == "Ok"
    assert day.cloud.tencent.inbox(PEOPLE[0])[0].text.startswith("【示例公司】您的登录验证码为")
    token = day.log_in(PEOPLE[0])
    day.log_in(PEOPLE[1])
    day.call("health")  # the counts travel with the next batch
    total = next(row for row in day.run("stats", "--by", "country") if row.get("period") == "CN")
    assert (total["asked"], total["sent"], total["verified"], total["signedUp"]) == (3, 3, 2, 2)

    assert day.call("getSms", phone=PEOPLE[2])["codeStr"] == "TooManyRequests"
    assert day.run("number", "show", PEOPLE[2])[0]["cooldown"] > 0
    day.run("number", "unlock", PEOPLE[2])
    assert day.call("getSms", phone=PEOPLE[2])["codeStr"] == "Ok"

    (user,) = day.run("users", "show", PEOPLE[0])
    day.run("users", "ban", PEOPLE[0], "--yes", "--function", ADMIN)
    for instance in (0, 1):
        assert day.call("getUserInfo", instance, token=token)["codeStr"] == "UserBanned"
    day.run("users", "unban", str(user["userId"]), "--function", ADMIN)
    assert day.call("getUserInfo", 1, token=token)["codeStr"] == "Success"

    day.run("stats", "--html", "report.html")
    assert "<svg" in Path("report.html").read_text(encoding="utf-8")
