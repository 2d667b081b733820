"""docs/clients.md: each client whose language is installed logs in exactly as it is printed there."""

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
# The functions that the document leaves to its reader: they ask for the code, and keep the tokens.
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
# Answers that replace a lost one: from the function, from the platform before it, from a proxy before both.
LOST = {
    "ours": '{"errorCode": -1500, "codeStr": "ServiceUnavailable", "errorMessage": "", "requestId": "", "data": {}}',
    "the platform's": '{"errorCode": -1, "errorMessage": "Function invocation failed", "statusCode": 503}',
    "a proxy's": "<html><body>Service Unavailable</body></html>",
}
PATIENCE = r"timeout\(([0-9_]+)\)|timeout=([0-9]+)|timeoutInterval: ([0-9]+)|readTimeout = ([0-9_]+)"


class Service:
    """The function; a cooldown passes after each SMS, and a token's life after a login.

    With `bad_luck`, this text replaces the first answer, and SendSms does not answer to the second SMS.
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
            self.clock.shift(7200 + 61)  # TOKEN_TTL, and the tolerance for clocks
        return answer


@contextmanager
def service() -> Iterator[tuple[Service, str]]:
    """Run the function on this machine, and yield it with its address."""
    with (
        time_machine.travel(NOON) as clock,
        local_cloud({"SMS_TIMEOUT": "0.2"}) as cloud,
    ):
        service = Service(cloud, clock)
        with Gateway(service, cloud.tencent, port=0) as gateway:
            yield service, gateway.url


def blocks(language: str) -> str:
    """Return the document's code blocks in one language."""
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL))


def run(language: str, service: Service, url: str) -> str:
    """Run the document's client, type in the code of the second SMS, and return its output."""
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
    """A lost answer and an expired token cost no additional SMS and no new code, and the user notices neither."""
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


def test_the_curl_commands_make_a_whole_login() -> None:
    """The commands run line by line, with a second SMS, an expired token and a refresh."""
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
def test_a_client_repeats_a_refresh_in_time(language: str) -> None:
    """Its timeout ends before the repeat of a refresh would look like a stolen token."""
    (found,) = re.findall(PATIENCE, blocks(language))
    patience = float("".join(found).removesuffix("_000"))
    assert patience < SessionRules().repeat_for


@pytest.mark.parametrize("language", ["python", "js", "swift", "kotlin"])
def test_every_client_knows_the_necessary_names(language: str) -> None:
    """Clients that no test can run name these headers, parameters and errors, too."""
    words = ["Idempotency-Key", "getSms", "SendUnknown", "sessionId", "TokenExpired", "ServiceUnavailable", "logout"]
    assert [word for word in [*words, "captchaTicket", "refreshToken"] if word not in blocks(language)] == []
