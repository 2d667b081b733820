"""The speed of bulk messages: `python -m benchmarks.bulk_speed million|sending [NUMBER]`.

million  the preview of NUMBER rows: time, memory, and bytes a row of the journal (1,000,000)
sending  NUMBER rows with the bare SDK, and with `bulk`, at the same parallelism, in one run (3,000)
"""

import contextlib
import itertools
import multiprocessing
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xlsxwriter
from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sms.v20210111.sms_client import SmsClient

from sms_admin.bulk.journal import Journal
from sms_admin.bulk.preview import Intake, Texts
from sms_admin.bulk.recipients import Recipient
from sms_admin.bulk.running import run
from sms_admin.bulk.safe_csv import SafeCsv
from sms_admin.bulk.task import Folder
from sms_admin.bulk.texts import Rules, Text
from tests.testkit.bulk import FIRST, KEYS, SIGN, WISH, account, make_task, stand_in
from tests.testkit.tencent_client import request

PARALLEL = 16


def million(number: int) -> None:
    """Write a workbook in a process of its own, then read it as `bulk preview` does."""
    with tempfile.TemporaryDirectory() as path:
        sheet = Path(path, "members.xlsx")
        maker = multiprocessing.get_context("spawn").Process(target=write_workbook, args=(sheet, number))
        maker.start()
        maker.join()
        began, cpu = time.perf_counter(), time.process_time()
        text = Text(WISH, SIGN)
        journal, rejected = Journal.create(Path(path, "a.new")), SafeCsv(Path(path, "rejected.csv"), ["row"])
        count = Intake(journal, Texts(text, None, Rules(text.variables)), set(), rejected).read(sheet)
        journal.close()
        took, used = time.perf_counter() - began, time.process_time() - cpu
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        folder = Folder(Path(path))
        rows = [Recipient(row, FIRST + row, ["王小明", "春节"]) for row in range(1, 20_001)]
        task = make_task(folder, rows)
        full = Journal(folder.file(task))
        full.db.execute(
            "UPDATE recipients SET state = 2, at = 1800000000, fee = 1, serial = '2019:' || hex(randomblob(16))"
        )
        full.db.execute("VACUUM")
        full.close()
        bytes_a_row = folder.file(task).stat().st_size / len(rows)
        size = sheet.stat().st_size / 1e6
        print(
            f"preview of {count.recipients:,} rows ({size:.0f} MB): {took:.0f} s, "
            f"of which {used:.0f} s of CPU, {memory:.0f} MiB"
        )
        print(f"journal: {bytes_a_row:.0f} bytes a row, all accepted")


def write_workbook(path: Path, number: int) -> None:
    """Write a workbook of names and numbers."""
    names = list(itertools.product("王李张刘陈杨黄赵吴周徐孙马朱胡林", "小大建国志文明丽", "华芳军伟英娜强杰"))
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        for row in range(number):
            sheet.write_row(row, 0, [f"138{row:08}", "".join(names[row * 7919 % len(names)]), "春节"])


@contextmanager
def another_process() -> Iterator[str]:
    """Give the URL of a stand-in in a process of its own."""
    context = multiprocessing.get_context("spawn")
    told, process = context.SimpleQueue(), None
    process = context.Process(target=_serve, args=(told,), daemon=True)
    process.start()
    yield told.get()
    process.terminate()


def _serve(told: Any) -> None:
    with stand_in() as cloud:
        told.put(cloud.url)
        threading.Event().wait()


def sending(number: int) -> None:
    """Send the same rows with the bare SDK, a client for each thread, and with a task; three times each."""
    with another_process() as url:
        rates: list[float] = []
        for _ in range(3):
            bare, ours = _rate(lambda: _bare(url, number), number), _rate(lambda: _task(url, number), number)
            rates.append(ours / bare)
            print(f"bare SDK {bare:.0f} a second, bulk {ours:.0f}: {ours / bare:.2f} ×")
        print(f"median {sorted(rates)[1]:.2f} ×")


def _rate(send: Callable[[], None], number: int) -> float:
    began = time.perf_counter()
    send()
    return number / (time.perf_counter() - began)


def _bare(url: str, number: int) -> None:
    rows, lock = iter(range(number)), threading.Lock()

    def work() -> None:
        http = HttpProfile(protocol="http", endpoint=url.removeprefix("http://"), keepAlive=True)
        keys = Credential(KEYS["TENCENTCLOUD_SECRETID"], KEYS["TENCENTCLOUD_SECRETKEY"])
        client = SmsClient(keys, "ap-guangzhou", ClientProfile(httpProfile=http))
        with contextlib.suppress(StopIteration):
            while True:
                with lock:
                    row = next(rows)
                sent = request(
                    PhoneNumberSet=[f"+{FIRST + row}"], TemplateId="3", TemplateParamSet=[f"王{row}", "春节"]
                )
                client.SendSms(sent)

    threads = [threading.Thread(target=work) for _ in range(PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _task(url: str, number: int) -> None:
    with tempfile.TemporaryDirectory() as path:
        folder = Folder(Path(path))
        rows = [Recipient(row, FIRST + row, [f"王{row}", "春节"]) for row in range(1, number + 1)]
        task = make_task(folder, rows, parallel=PARALLEL, rate=3000.0)
        run(folder, task, account(url), stop=threading.Event())


if __name__ == "__main__":
    runs: dict[str, tuple[Callable[[int], None], int]] = {"million": (million, 1_000_000), "sending": (sending, 3_000)}
    if len(sys.argv) < 2 or sys.argv[1] not in runs:
        sys.exit(__doc__)
    chosen, usual = runs[sys.argv[1]]
    chosen(int(sys.argv[2]) if len(sys.argv) > 2 else usual)
