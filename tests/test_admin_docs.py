"""Each command in docs/admin.md runs as the page shows it, against the stand-in of `make run`."""

import re
import shlex
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from local.cloud import Cloud, local_cloud
from sms_login import wiring
from sms_login.adapters.redis.client import connect
from tests.testkit.admin import LEAVES, admin
from tests.testkit.events import PHONE, call, gateway_json
from tests.testkit.project import ROOT
from tests.testkit.servers import RedisServer
from tests.testkit.shown import differences, shown

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40) + b"IEND\xaeB`\x82"
PAGE = (ROOT / "docs/admin.md").read_text(encoding="utf-8")


class Clock:
    """The stand-in's clock: nobody waits for it."""

    def __init__(self) -> None:
        self.now = time.time()

    def sleep(self, seconds: float) -> None:
        """Move it."""
        self.now += seconds


@pytest.fixture(scope="module")
def cloud(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The environment of `make run`, on a real Redis, with a clock that the commands move instead of waiting.

    One person has asked for a code a minute ago, and has logged in.
    """
    clock = Clock()
    with closing(connect(redis_server.host, redis_server.port)) as client:
        client.flushall()  # other tests may have asked for a code too
    state = str(tmp_path_factory.mktemp("state"))
    environ = {"REDIS_HOST": redis_server.host, "REDIS_PORT": str(redis_server.port), "XDG_STATE_HOME": state}
    log: list[str] = []  # of the admin function
    opened = local_cloud(environ, clock=lambda: clock.now, on_log=log.append)
    with opened as cloud, pytest.MonkeyPatch.context() as patch:
        for module in ("reviews", "tencent"):
            patch.setattr(f"sms_admin.{module}.sleep", clock.sleep)
        handler = wiring.assemble(cloud.environ)
        session_id = call(handler, gateway_json, method="getSms", phone=PHONE)[2]["data"]["sessionId"]
        code = cloud.tencent.inbox(PHONE)[0].params[0]
        call(handler, gateway_json, method="login", phone=PHONE, code=code, sessionId=session_id)
        clock.sleep(60)
        yield cloud


def test_every_command_on_the_page_prints_what_the_page_shows(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands run in the order of the page, without a terminal; `# exit 1` behind one names its exit code."""
    monkeypatch.chdir(tmp_path)
    Path("licence.png").write_bytes(PNG)
    for command, lines in shown(PAGE):
        program, *arguments = shlex.split(command, comments=True)
        assert program == "sms-admin", command
        done = admin(cloud.environ, *arguments)
        expected = re.findall(r"# exit ([0-9])$", command)
        assert str(done.code) == (expected[0] if expected else "0"), f"{command}\n{done.out}{done.err}"
        missing = differences(lines, done.out + done.err)
        assert missing == [], f"{command}\n{done.out}{done.err}"


def test_the_page_has_every_command_and_every_subcommand() -> None:
    """A new command is shown on the page, or on that of bulk messages, in a block that a test runs."""
    pages = PAGE + (ROOT / "docs/bulk.md").read_text(encoding="utf-8")
    on_page = {tuple(shlex.split(command, comments=True)[1:]) for command, _ in shown(pages)}
    assert [path for path in LEAVES if not any(words[: len(path)] == path for words in on_page)] == []
