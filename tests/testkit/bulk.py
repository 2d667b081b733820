"""A bulk task against the stand-in of Tencent Cloud, and a process that sends it and can be killed."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from local.describe_sms import ABROAD, MARKETING, NOTICE, Catalogue, Sign, Template
from local.tencent import TencentStandIn
from sms_admin.bulk.account import Account
from sms_admin.bulk.journal import Journal
from sms_admin.bulk.recipients import Recipient
from sms_admin.bulk.running import run
from sms_admin.bulk.task import Folder, Task, new_id
from sms_admin.bulk.texts import Text
from sms_admin.failures import Failed
from tests.testkit.project import ROOT

KEYS = {"TENCENTCLOUD_SECRETID": "local-id", "TENCENTCLOUD_SECRETKEY": "local-key"}
WISH = "尊敬的会员{1}，公司A祝您{2}快乐！拒收请回复R"
SIGN = "公司A"
CATALOGUE = Catalogue(
    [
        Template(1, WISH, sms_type=MARKETING),
        Template(2, "Dear {1}, happy {2}!", ABROAD, sms_type=NOTICE),
        Template(3, WISH, sms_type=NOTICE),  # the stand-in takes it at any hour
    ],
    [Sign(1, SIGN)],
)
FIRST = 8613800000000  # the numbers of a task follow one another


def stand_in(**options: Any) -> TencentStandIn:
    """Return a stand-in for an account with a wish on each side of the border."""
    return TencentStandIn(
        secret_id=KEYS["TENCENTCLOUD_SECRETID"],
        secret_key=KEYS["TENCENTCLOUD_SECRETKEY"],
        catalogue=CATALOGUE,
        **options,
    )


def account(url: str, timeout: float = 5) -> Account:
    """Return the account that a stand-in serves."""
    return Account(KEYS, region="ap-guangzhou", endpoint=url, timeout=timeout)


def make_task(folder: Folder, recipients: list[Recipient], **fields: Any) -> str:
    """Make a task of recipients, ready to be sent at any hour; return its name."""
    fields = {"marketing": False, "rate": 100_000.0, "parallel": 8} | fields
    task = Task(
        id=new_id(), sheet="members.xlsx", digest="0", created=int(time.time()), app_id="1400000001", template_id="3",
        text=Text(WISH, SIGN), abroad_app_id="1400000002", abroad_template_id="2", rows=len(recipients), **fields,
    )  # fmt: skip
    journal = Journal.create(folder.file(task.id, "new"))
    with journal.changes():
        journal.add(recipients)
        journal.task = task
    journal.publish(folder.file(task.id))
    return task.id


def members(count: int) -> list[Recipient]:
    """Return recipients with names of their own, a tenth of which share a request with others."""
    return [
        Recipient(row, FIRST + row, ["会员" if row % 10 == 0 else f"王{row}", "春节"]) for row in range(1, count + 1)
    ]


class Sending:
    """A process that sends a task; it can be killed."""

    def __init__(self, server: "subprocess.Popen[str]", request: str) -> None:
        self._server = server
        assert server.stdin
        server.stdin.write(f"{request}\n")
        server.stdin.flush()
        self.pid = int(self._line())

    def kill(self) -> None:
        """End the process as a power cut would, and wait for it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.join()

    def join(self) -> None:
        """Wait for the end of the process."""
        self._line()

    def _line(self) -> str:
        assert self._server.stdout
        return self._server.stdout.readline()


@contextmanager
def sendings() -> Iterator[Callable[..., Sending]]:
    """Give a function that starts a process: `start(folder, task, url, **options)`, forked from one that is warm."""
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:  # noqa: S603 - our own module

        def start(folder: Folder, task: str, url: str, *, most: int = 0, **options: Any) -> Sending:
            return Sending(server, json.dumps([str(folder.path), task, url, most, options]))

        yield start
        assert server.stdin
        server.stdin.close()


def serve() -> None:
    """Fork a process for each line of standard input; print its id, and its exit code at its end."""
    import tencentcloud.sms.v20210111.sms_client  # noqa: F401, PLC0415 - so that no process has to import it

    for line in sys.stdin:
        folder, task, url, most, options = json.loads(line)
        pid = os.fork()
        if pid == 0:
            if most:  # bytes of a file: it stands for a full disk
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            with suppress(Failed):
                run(Folder(Path(folder)), task, account(url), stop=threading.Event(), **options)
            os._exit(0)
        print(pid, flush=True)  # noqa: T201 - to the test
        print(os.waitpid(pid, 0)[1], flush=True)  # noqa: T201 - to the test


if __name__ == "__main__":
    serve()
