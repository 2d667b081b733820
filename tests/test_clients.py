"""The clients of clients/ log in to the function, and lose no SMS, code or session to a lost answer."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import time_machine
import tree_sitter_dart
import tree_sitter_swift
from tree_sitter import Language, Parser

from deploy import component
from local.cloud import Cloud, local_cloud
from local.gateway import Gateway
from sms_login import wiring
from sms_login.otp.rules import Rules
from sms_login.sessions.store import SessionRules
from tests.testkit.backends import NOON
from tests.testkit.events import PHONE
from tests.testkit.java import JAVA
from tests.testkit.project import ROOT
from tests.testkit.servers import require, until

CLIENTS = ROOT / "clients"
FILES = {
    "dart": "sms_login.dart",
    "kotlin": "SmsLogin.kt",
    "miniprogram": "sms-login.js",
    "python": "client.py",
    "swift": "SmsLogin.swift",
    "typescript": "client.ts",
}
DEADLINE = 30  # seconds for a whole login; far more than it takes
# Answers that replace a lost one: from the function, from the platform before it, from a proxy before both.
LOST = {
    "ours": '{"errorCode": -1500, "codeStr": "ServiceUnavailable", "errorMessage": "", "requestId": "", "data": {}}',
    "the platform's": '{"errorCode": -1, "errorMessage": "Function invocation failed", "statusCode": 503}',
    "a proxy's": "<html><body>Service Unavailable</body></html>",
}
PATIENCE = (
    r"abort\(\), ([0-9_]+)\)|timeout=([0-9]+)|timeout: ([0-9]+)|timeoutInterval: ([0-9]+)|readTimeout = ([0-9_]+)"
    r"|timeout\(const Duration\(seconds: ([0-9]+)\)\)"
)


class Service:
    """The function; a cooldown passes after each SMS, and a token's life after a login.

    With `bad_luck`, this text replaces the first answer, SendSms does not answer to the second SMS, and two requests
    with an expired token are answered together. `resendAfter` is always `wait`, in seconds.
    """

    def __init__(self, cloud: Cloud, clock: time_machine.Traveller) -> None:
        self.cloud, self.clock = cloud, clock
        self.bad_luck, self.wait = "", 0
        self.log: list[tuple[str, str]] = []  # method and codeStr of each request
        self._app = wiring.build(cloud.environ)
        self._expired = threading.Barrier(2, timeout=DEADLINE)

    def __call__(self, event: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        """Answer one event."""
        answer = self._app.handle(event, context)
        body = json.loads(answer["body"])
        entry = (event["path"].strip("/"), body["codeStr"])
        self.log.append(entry)
        if self.bad_luck and len(self.log) == 1:
            return {**answer, "statusCode": 503, "body": self.bad_luck}
        if entry == ("getSms", "Ok"):
            self.clock.shift(Rules().cooldown + 1)
            body["data"]["resendAfter"] = self.wait
            if self.bad_luck:
                self.cloud.tencent.lose_every = 2
        if entry == ("login", "Success"):
            self.clock.shift(7200 + 61)  # TOKEN_TTL, and the tolerance for clocks
        if entry == ("getUserInfo", "TokenExpired") and self.bad_luck:
            self._expired.wait()
        return {**answer, "body": json.dumps(body, separators=(",", ":"))}


@contextmanager
def service() -> Iterator[tuple[Service, str]]:
    """Run the function on this machine, and yield it with its address."""
    with time_machine.travel(NOON) as clock, local_cloud({}) as cloud:
        service = Service(cloud, clock)
        with Gateway(service, cloud.tencent, port=0) as gateway:
            yield service, gateway.url


@pytest.fixture(scope="module")
def python() -> list[str]:
    """Return the command of the client in Python."""
    return [sys.executable, "-X", "dev", "-W", "error", str(CLIENTS / "python" / "login.py")]


@pytest.fixture(scope="module")
def miniprogram() -> list[str]:
    """Return the command of the Mini Program, under node."""
    require(shutil.which("node") is not None, "node")
    return ["node", str(ROOT / "tests" / "testkit" / "miniprogram.js")]


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Type the client from the description, compile it strictly, and return its command.

    A client that once compiled is not compiled again until its files, the description or the compiler change.
    """
    home, there = CLIENTS / "typescript", tmp_path_factory.mktemp("typescript")
    try:
        component.install(home)
    except component.Unavailable as reason:
        require(False, f"TypeScript: {reason};")  # noqa: FBT003 - reads well enough
    tools, description = home / "node_modules", ROOT / "docs/openapi.json"
    files = [home / name for name in ("client.ts", "login.ts", "package.json", "tsconfig.json")]
    made_from = b"".join(path.read_bytes() for path in (*files, home / "package-lock.json", description))
    made = tools / f".compiled-{hashlib.sha256(made_from).hexdigest()}"
    if not made.exists():
        for file in files:
            shutil.copy(file, there)
        (there / "node_modules").symlink_to(tools)
        run("node", tools / "openapi-typescript/bin/cli.js", description, "-o", there / "api.d.ts")
        run("node", tools / "typescript/bin/tsc", "-p", there)
        with tempfile.TemporaryDirectory(dir=tools) as new:
            for path in (*there.glob("*.js"), there / "package.json"):
                shutil.copy(path, new)
            Path(new).rename(made)
    return ["node", str(made / "login.js")]


@pytest.fixture(scope="module")
def kotlin(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Compile the client with the compiler in KOTLIN_JARS, a folder of jars, and return its command."""
    if not (folder := os.environ.get("KOTLIN_JARS")):
        pytest.skip("KOTLIN_JARS is not set")
    jars = ":".join(map(str, Path(folder).rglob("*.jar")))
    there = tmp_path_factory.mktemp("kotlin")
    compiler = [*JAVA, "-cp", jars, "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-no-stdlib", "-no-reflect"]
    run(*compiler, "-Werror", "-cp", jars, "-d", there, *(CLIENTS / "kotlin").glob("*.kt"))
    return [*JAVA, "-cp", f"{there}:{jars}", "LoginKt"]


def run(*command: str | Path) -> None:
    """Run a command, and fail with its output if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own commands
    assert done.returncode == 0, done.stdout + done.stderr


def log_in(command: list[str], service: Service, url: str) -> str:
    """Run a client, type in the code of the second SMS, and return its output."""
    with subprocess.Popen([*command, url, PHONE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:  # noqa: S603 - our own clients
        try:
            until(lambda: len(service.cloud.tencent.inbox(PHONE)) == 2 or client.poll() is not None, DEADLINE)
            printed, _ = client.communicate(service.cloud.tencent.inbox(PHONE)[0].params[0] + "\n", DEADLINE)
        finally:
            client.kill()
    assert client.returncode == 0
    return printed


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("language", ["python", "typescript", "miniprogram", "kotlin"])
def test_a_client_loses_an_answer_sends_again_and_outlives_its_token(
    request: pytest.FixtureRequest, language: str, lost: str
) -> None:
    """A lost answer and an expired token cost no SMS, code or second refresh, and the user notices neither."""
    command = request.getfixturevalue(language)
    with service() as (function, url):
        function.bad_luck, function.wait = LOST[lost], int(lost == "ours")
        printed = log_in(command, function, url)
        codes = {message.params[0] for message in function.cloud.tencent.inbox(PHONE)}
    assert function.log[:4] == [
        ("getSms", "Ok"),
        ("getSms", "Ok"),  # the repeat under the same key
        ("getSms", "SendUnknown"),
        ("login", "Success"),
    ]
    assert Counter(function.log[4:-1]) == {
        ("getUserInfo", "TokenExpired"): 2,
        ("refresh", "Success"): 1,
        ("getUserInfo", "Success"): 2,
    }
    assert function.log[-1] == ("logout", "Success")
    assert len(codes) == 1
    assert PHONE in printed
    assert re.search(r"\b1 s\b|\"wait\":1", printed) or not function.wait  # the countdown


def test_the_curl_commands_make_a_whole_login() -> None:
    """The commands run line by line, with a second SMS, an expired token and a refresh."""
    require(shutil.which("curl") is not None, "curl")
    with service() as (function, url):
        printed = log_in(["sh", str(CLIENTS / "shell" / "login.sh")], function, url)
    outcomes = ["Ok", "Ok", "Success", "TokenExpired", "Success", "Success", "Success"]
    assert [name for _, name in function.log] == outcomes
    assert function.log[-1] == ("logout", "Success")
    assert "401" in printed


@pytest.mark.parametrize("language", FILES)
def test_a_client_repeats_a_refresh_in_time(language: str) -> None:
    """Its timeout ends before the repeat of a refresh would look like a stolen token."""
    (found,) = re.findall(PATIENCE, text_of(language))
    patience = float("".join(found).replace("_", "").removesuffix("000"))
    assert patience < SessionRules().repeat_for


@pytest.mark.parametrize("language", FILES)
def test_every_client_knows_the_necessary_names(language: str) -> None:
    """Clients that no test can run name these headers, parameters and errors, too."""
    words = [
        "Idempotency-Key",
        "Bearer",
        "getSms",
        "SendUnknown",
        "sessionId",
        "captchaTicket",
        "refreshToken",
        "logout",
    ]
    words += ["TokenExpired", "ServiceUnavailable", "TokenInvalid", "NotRegistered", "countdown"]
    assert [word for word in words if word not in text_of(language)] == []


@pytest.mark.parametrize("language", ["dart", "swift"])
def test_a_client_whose_compiler_is_not_to_be_had_has_the_syntax_of_its_language(language: str) -> None:
    """Each of its files is parsed without an error, while a broken file has one."""
    grammar = {"dart": tree_sitter_dart, "swift": tree_sitter_swift}[language]
    parser = Parser(Language(grammar.language()))
    files = sorted((CLIENTS / language).iterdir())
    assert [file.name for file in files if parser.parse(file.read_bytes()).root_node.has_error] == []
    assert parser.parse(files[0].read_bytes() + b"}").root_node.has_error


def test_the_page_shows_parts_of_the_clients() -> None:
    """Each example on the page is a part of a client, and the page has a link to each file that a reader copies."""
    page = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    files = [
        file for file in CLIENTS.glob("*/*") if file.suffix in {".dart", ".js", ".kt", ".py", ".sh", ".swift", ".ts"}
    ]
    files = [file for file in files if not file.name.endswith(".d.ts")]
    texts = [unindented(file.read_text(encoding="utf-8")) for file in files]
    examples = re.findall(r"```[a-z]+\n(.*?)```", page, re.DOTALL)
    assert examples
    assert [example for example in examples if not any(unindented(example) in text for text in texts)] == []
    assert [file.name for file in files if f"](../{file.relative_to(ROOT).as_posix()})" not in page] == []


def unindented(text: str) -> str:
    """Return a text without the white space at the ends of its lines."""
    return "\n".join(line.strip() for line in text.strip().splitlines())


def text_of(language: str) -> str:
    """Return the text of a client."""
    return (CLIENTS / language / FILES[language]).read_text(encoding="utf-8")
