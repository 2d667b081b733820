"""WeChat Mini Programs log in wherever WeChat runs, with the headers that wx.request was seen to send there."""

import json
from typing import Any

import time_machine

from tests.testkit.backends import fake_backend
from tests.testkit.cases import each_case
from tests.testkit.world import PHONE, World

REFERER = "https://servicewechat.com/wx0123456789abcdef/18/page-frame.html"
COMPUTER = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Referer": REFERER}
WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Safari/537.36 "
    "MicroMessenger/7.0.20.1781(0x6700143B) NetType/WIFI MiniProgramEnv/Windows WindowsWechat/WMPF XWEB/{}"
)
MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/107.0.0.0 "
    "Safari/537.36 MicroMessenger/6.8.0(0x16080000) NetType/WIFI MiniProgramEnv/Mac MacWechat/WMPF XWEB/{}"
)
SEEN = {
    "Android and iOS": {"Referer": REFERER},
    **{
        f"Windows, XWEB {version}": {**COMPUTER, "User-Agent": WINDOWS.format(version)}
        for version in (11253, 11275, 13839)
    },
    "Mac, XWEB 1227": {**COMPUTER, "User-Agent": MAC.format(1227)},
    "DevTools": {**COMPUTER, "User-Agent": "wechatdevtools/1.06 MicroMessenger/8.0.5 Language/zh_CN webview/"},
    "DevTools, same-site": {**COMPUTER, "Sec-Fetch-Site": "same-site"},
    "with an Origin": {**COMPUTER, "Origin": "https://servicewechat.com"},
}


def request(world: World, verb: str, headers: dict[str, str], **params: Any) -> Any:
    """Send a request as wx.request does, and return the answer's body."""
    query = verb == "GET"
    event = {
        "httpMethod": verb,
        "headers": {"Host": "login.example.com", "content-type": "application/json", **headers},
        **({"queryString": params} if query else {"body": json.dumps(params)}),
    }
    return json.loads(world.app.handle(event, {})["body"])


@each_case("headers", SEEN.values(), ids=SEEN)
@each_case("verb", ["POST", "GET"])
def test_a_mini_program_logs_in(clock: time_machine.Traveller, verb: str, headers: dict[str, str]) -> None:
    """No setting is needed, on phones, on computers and in DevTools."""
    world = World(fake_backend(), clock)
    sent = request(world, verb, headers, method="getSms", phone=PHONE.e164)
    assert sent["codeStr"] == "Ok"
    login = {"method": "login", "phone": PHONE.e164, "code": world.outbox.code, "sessionId": sent["data"]["sessionId"]}
    token = request(world, verb, headers, **login)["data"]["token"]
    user = request(world, verb, {**headers, "Authorization": f"Bearer {token}"}, method="getUserInfo")
    assert user["data"]["phone"] == PHONE.e164
