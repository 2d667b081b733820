"""docs/clients.md: the clients whose language is on this machine log in, as they stand there."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import time_machine

from local.cloud import Cloud, local_cloud
from local.gateway import Gateway
from sms_login import wiring
from sms_login.otp.rules import Rules
from sms_login.sessions.store import SessionRules
from tests.testkit.backends import NOON
from tests.testkit.events import PHONE
from tests.testkit.project import ROOT
from tests.testkit.servers import require, until

TEXT = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
DEADLINE = 30  # seconds for a whole login; far more than it takes
# What the document leaves to its reader: where the code is typed in, and where tokens are kept.
BEFORE = {
    "python": "ask, save = lambda prompt: input(), lambda tokens: None\n",
    "js": (
        'import { createInterface } from "node:readline/promises";\n'
        "const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();\n"
        "const ask = async () => (await lines.next()).value, save = () => {};\n"
    ),
    "sh": "set -eu\n",
}
PROGRAM = {
    "python": [sys.executable, "-X", "dev", "-W", "error", "-c"],
    "js": ["node", "--input-type=module", "-e"],
    "sh": ["sh", "-c"],
}
# What comes in place of a lost answer: from the function, from the platform before it, from a proxy before both.
LOST = {
    "ours": '{"errorCode": -1500, "codeStr": "ServiceUnavailable", "errorMessage": "", "requestId": "", "data": {}}',
    "the platform's": '{"errorCode": -1, "errorMessage": "Function invocation failed", "statusCode": 503}',
    "a proxy's": "<html><body>Service Unavailable</body></html>",
}
PATIENCE = r"timeout\(([0-9_]+)\)|timeout=([0-9]+)|timeoutInterval: ([0-9]+)|readTimeout = ([0-9_]+)"


class Service:
    """The function. Half a minute passes after an SMS, and a token's life after a login.

    With bad luck something else comes in place of the first answer, and SendSms does not answer to the second SMS.
    """

    def __init__(self, cloud: Cloud, clock: time_machine.Traveller) -> None:
        self.cloud, self.clock = cloud, clock
        self.bad_luck = ""
        self.log: list[tuple[str, str]] = []  # method and codeStr of each request
        self._app = wiring.build(cloud.environ)

    def __call__(self, event: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        """Answer one event."""
        answer = self._app.handle(event, context)
        self.log.append((json.loads(event["body"])["method"], json.loads(answer["body"])["codeStr"]))
        if self.bad_luck and len(self.log) == 1:
            return {**answer, "statusCode": 503, "body": self.bad_luck}
        if self.log[-1] == ("getSms", "Ok"):
            self.clock.shift(Rules().cooldown + 1)
            if self.bad_luck:
                self.cloud.tencent.fail("timeout", 1)
        if self.log[-1] == ("login", "Success"):
            self.clock.shift(7200 + 61)  # TOKEN_TTL, and by how much clocks may differ
        return answer


@contextmanager
def service() -> Iterator[tuple[Service, str]]:
    """Run the function on this machine; give it and its address."""
    with (
        time_machine.travel(NOON) as clock,
        local_cloud({"SMS_TIMEOUT": "0.2"}) as cloud,
    ):
        service = Service(cloud, clock)
        with Gateway(service, cloud.tencent, port=0) as gateway:
            yield service, gateway.url


def blocks(language: str) -> str:
    """Return the code blocks of the document in one language."""
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL))


def run(language: str, service: Service, url: str) -> str:
    """Run the client of the document, type in the code of the second SMS, and return what it prints."""
    *program, option = PROGRAM[language]
    require(shutil.which(program[0]) is not None, program[0])
    script = BEFORE[language] + blocks(language).replace("https://login.example.com/", url)
    with subprocess.Popen(  # noqa: S603 - our own document
        [*program, option, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as client:
        try:
            until(lambda: len(service.cloud.tencent.inbox(PHONE)) == 2 or client.poll() is not None, DEADLINE)
            printed, _ = client.communicate(service.cloud.tencent.inbox(PHONE)[0].params[0] + "\n", DEADLINE)
        finally:
            client.kill()
    assert client.returncode == 0
    return printed


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("language", ["python", "js"])
def test_a_client_loses_an_answer_sends_again_and_outlives_its_token(language: str, lost: str) -> None:
    """One SMS per tap, one code, and nothing that the user would notice."""
    with service() as (function, url):
        function.bad_luck = LOST[lost]
        printed = run(language, function, url)
        codes = {message.params[0] for message in function.cloud.tencent.inbox(PHONE)}
    assert function.log == [
        ("getSms", "Ok"),
        ("getSms", "Ok"),  # the repeat under the same key
        ("getSms", "SendUnknown"),
        ("login", "Success"),
        ("getUserInfo", "TokenExpired"),
        ("refresh", "Success"),
        ("getUserInfo", "Success"),
        ("logout", "Success"),
    ]
    assert len(codes) == 1
    assert PHONE in printed


def test_curl_goes_all_the_way() -> None:
    """Line by line, with a second SMS, an expired token and a refresh."""
    with service() as (function, url):
        printed = run("sh", function, url)
    assert [name for _, name in function.log] == [
        "Ok",
        "Ok",
        "Success",
        "TokenExpired",
        "Success",
        "Success",
        "Success",
    ]
    assert function.log[-1] == ("logout", "Success")
    assert "401" in printed


@pytest.mark.parametrize("language", ["python", "js", "swift", "kotlin"])
def test_a_client_repeats_a_refresh_while_it_may(language: str) -> None:
    """It gives up on an answer before the repeat of a refresh would look like a copied token."""
    (found,) = re.findall(PATIENCE, blocks(language))
    patience = float("".join(found).removesuffix("_000"))
    assert patience < SessionRules().repeat_for


@pytest.mark.parametrize("language", ["python", "js", "swift", "kotlin"])
def test_every_client_knows_what_it_has_to(language: str) -> None:
    """Also those that no test can run."""
    words = ["Idempotency-Key", "getSms", "SendUnknown", "sessionId", "TokenExpired", "ServiceUnavailable", "logout"]
    assert [word for word in [*words, "captchaTicket", "refreshToken"] if word not in blocks(language)] == []
