"""Bulk messages under hard conditions: `python -m benchmarks.bulk kills|disk [NUMBER]`.

kills    kill -9 at NUMBER random moments of a task of 5,000 rows, with lost answers and refusals (100)
disk     the same on a file system that fills up, NUMBER times; needs root, for the mount (10)
"""

import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from local.tencent import TencentStandIn
from sms_admin.bulk.journal import Journal, State
from sms_admin.bulk.running import run
from sms_admin.bulk.task import Folder
from sms_admin.failures import Failed
from tests.testkit.bulk import FIRST, account, make_task, members, sendings, stand_in

ROWS = 5_000
PARALLEL = 16
_SURE = {State.ACCEPTED: 1, State.REFUSED: 0, State.WAITING: 0, State.SKIPPED: 0}


def check(folder: Folder, task: str, cloud: TencentStandIn) -> Counter[str]:
    """Hold the journal against the accepted messages; return the number of rows in each state."""
    journal = Journal(folder.file(task))
    rows = journal.db.execute("SELECT phone, state FROM recipients").fetchall()
    journal.close()
    for phone, state in rows:
        count = cloud.fates.counts.get(f"+{phone}", 0)
        if count > 1 or count != _SURE.get(State(state), count):
            raise AssertionError(f"{State(state).name} and {count} messages")
    return Counter(State(state).name.lower() for _, state in rows)


def trouble(cloud: TencentStandIn) -> None:
    """Lose answers, refuse numbers, and let some carriers return no receipt."""
    cloud.lose_every = 97
    cloud.fates.refused |= {f"+{FIRST + row}": "LimitExceeded.PhoneNumberDailyLimit" for row in range(7, ROWS, 40)}
    cloud.fates.silent |= {f"+{FIRST + row}" for row in range(3, ROWS, 5)}


def kills(number: int) -> None:
    """Kill the sender at random moments; a task that is finished is followed by a new one."""
    moments, unknown = random.Random(19), 0  # noqa: S311 - no secret
    with tempfile.TemporaryDirectory() as path, stand_in() as cloud, sendings() as start:
        trouble(cloud)
        folder = Folder(Path(path))
        task = make_task(folder, members(ROWS), parallel=PARALLEL)
        for _ in range(number):
            process = start(folder, task, cloud.url, look_ups=10_000.0)
            time.sleep(moments.uniform(0.02, 0.3))
            process.kill()
            check(folder, task, cloud)
        before = check(folder, task, cloud)
        cloud.lose_every = 0
        start(folder, task, cloud.url, look_ups=10_000.0).join()
        after = check(folder, task, cloud)
        unknown = after["unknown"]
        print(f"{number} kills: then {dict(before)}; in the end {dict(after)}, {unknown} listed; no number twice")


def disk(number: int) -> None:
    """Let the journal's file system fill up; each run has a little more space than the one before."""
    with tempfile.TemporaryDirectory() as path, stand_in() as cloud:
        trouble(cloud)
        _mount(path, 6)
        try:
            folder, stops = Folder(Path(path)), 0
            task = make_task(folder, members(ROWS), parallel=PARALLEL)
            for extra in range(number):
                try:
                    run(folder, task, account(cloud.url), stop=threading.Event(), look_ups=10_000.0)
                except Failed:
                    stops += 1
                found = check(folder, task, cloud)
                if stops and not found["waiting"]:
                    break
                _mount(path, 6 + (extra + 1) / 8, again=True)
            _mount(path, 64, again=True)
            run(folder, task, account(cloud.url), stop=threading.Event(), look_ups=10_000.0)
            print(f"a full disk: {stops} clean stops; in the end {dict(check(folder, task, cloud))}; no number twice")
        finally:
            subprocess.run(["umount", path], check=True)  # noqa: S607 - the system's


def _mount(path: str, mebibytes: float, *, again: bool = False) -> None:
    options = f"size={int(mebibytes * 1024)}k" + (",remount" if again else "")
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)  # noqa: S607 - the system's


if __name__ == "__main__":
    runs: dict[str, tuple[Callable[[int], None], int]] = {"kills": (kills, 100), "disk": (disk, 10)}
    if len(sys.argv) < 2 or sys.argv[1] not in runs:
        sys.exit(__doc__)
    chosen, usual = runs[sys.argv[1]]
    chosen(int(sys.argv[2]) if len(sys.argv) > 2 else usual)
