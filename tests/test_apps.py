"""docs/apps.md: the client for Mini Programs logs in exactly as it is printed there."""

import json
import re
import shutil
import subprocess
from typing import Any

import time_machine

from local.cloud import local_cloud
from local.gateway import Gateway
from sms_login import wiring
from sms_login.otp.rules import Rules
from tests.testkit.backends import NOON
from tests.testkit.events import PHONE
from tests.testkit.project import ROOT
from tests.testkit.servers import require, until

TEXT = (ROOT / "docs" / "apps.md").read_text(encoding="utf-8")
DEADLINE = 30  # seconds for a whole login; far more than it takes
# What WeChat provides, with the headers that wx.request sends on a computer, and without what Mini Programs lack.
WECHAT = """
import { createInterface } from "node:readline/promises";
import { randomBytes } from "node:crypto";
import http from "node:http";
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const ask = async () => (await lines.next()).value;
const storage = new Map();
const browser = { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors",
  Referer: "https://servicewechat.com/wx0123456789abcdef/18/page-frame.html" };
const wx = {
  getRandomValues: ({ length, success }) => success({ randomValues: new Uint8Array(randomBytes(length)).buffer }),
  getStorageSync: (name) => storage.get(name) ?? "",
  setStorageSync: (name, value) => storage.set(name, structuredClone(value)),
  removeStorageSync: (name) => storage.delete(name),
  request({ url, method, header, data, timeout, success, fail }) {
    const request = http.request(url, { method, headers: { ...header, ...browser }, timeout }, async (response) => {
      let data = "";
      for await (const chunk of response) data += chunk;
      try { data = JSON.parse(data); } catch {}
      success({ data, statusCode: response.statusCode });
    });
    request.on("error", fail).end(data);
  },
};
for (const name of ["fetch", "crypto", "AbortSignal", "AbortController", "localStorage"])
  Object.defineProperty(globalThis, name, { value: undefined });
"""


def test_the_mini_program_loses_an_answer_sends_again_and_outlives_its_token() -> None:
    """A lost answer costs no second SMS, an expired token is refreshed, and two refreshes at once are one."""
    require(shutil.which("node") is not None, "node")
    log: list[tuple[str, str]] = []  # method and codeStr of each request
    with time_machine.travel(NOON) as clock, local_cloud({}) as cloud:
        app = wiring.build(cloud.environ)

        def handle(event: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
            answer = app.handle(event, context)
            log.append((json.loads(event["body"])["method"], json.loads(answer["body"])["codeStr"]))
            if len(log) == 1:  # it is lost, and a proxy answers
                return {**answer, "statusCode": 502, "body": "<html><body>Bad Gateway</body></html>"}
            if log[-1] == ("getSms", "Ok"):
                clock.shift(Rules().cooldown + 1)
            if log[-1] == ("login", "Success"):
                clock.shift(7200 + 61)  # TOKEN_TTL, and the tolerance for clocks
            return answer

        with Gateway(handle, cloud.tencent, port=0) as gateway:
            client = "\n".join(re.findall(r"```js\n(.*?)```", TEXT, re.DOTALL))
            client = client.replace("https://login.example.com/", gateway.url)
            script = WECHAT + client.replace("await logOut", "await Promise.all([refresh(), refresh()]);\nawait logOut")
            with subprocess.Popen(  # noqa: S603 - our own document
                ["node", "--input-type=module", "-e", script],  # noqa: S607 - wherever it is installed
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            ) as program:
                try:
                    until(lambda: log.count(("getSms", "Ok")) == 3 or program.poll() is not None, DEADLINE)
                    printed, _ = program.communicate(cloud.tencent.inbox(PHONE)[0].params[0] + "\n", DEADLINE)
                finally:
                    program.kill()
        codes = [message.params[0] for message in cloud.tencent.inbox(PHONE)]
    assert PHONE in printed
    assert len(codes) == 2
    assert len(set(codes)) == 1
    assert log == [
        ("getSms", "Ok"),
        ("getSms", "Ok"),  # the repeat under the same key
        ("getSms", "Ok"),
        ("login", "Success"),
        ("getUserInfo", "TokenExpired"),
        ("refresh", "Success"),
        ("getUserInfo", "Success"),
        ("refresh", "Success"),  # one for both that the test asks for at once
        ("logout", "Success"),
    ]
