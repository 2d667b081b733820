"""Memory: of an instance after many logins, of Redis for a number, and the size of the package."""

import json
import os
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import redis

from benchmarks.cloud import CONTEXT, Cloud, Event, call, check, event
from benchmarks.deployed import deploy
from benchmarks.tables import Table

LOGINS = 1_000
STEP = 100
MOST_RSS = 40  # MiB
MOST_GROWTH = 1  # MiB, from the first step to the last
MOST_REDIS = 700  # bytes
MOST_ZIPPED = 4.6  # MB

HOW = """\
RSS of a process with only the deployed packages: getSms and login in turn, a new number each time, SendSms through the
SDK. Redis: MEMORY USAGE of all keys of a number, counters against abuse among them, after its first getSms, without
Idempotency-Key, after the login with that code, and after its logout."""

# Requests come in on standard input, answers go out on standard error: the log has standard output.
SERVE = """
import sys, index, msgspec
for line in sys.stdin.buffer:
    answer = index.main_handler(msgspec.json.decode(line), {context!r})
    sys.stderr.write(answer["body"] + "\\n")
    sys.stderr.flush()
"""


def measure(cloud: Cloud) -> Table:
    """Measure both memories."""
    table = Table("Memory", HOW, ("", "measured"))
    rss, zipped = _rss(cloud)
    most, growth = max(rss), rss[-1] - rss[0]
    steps = " ".join(f"{mib:.1f}" for mib in rss)
    table.add(
        f"RSS, MiB, after {STEP}, {2 * STEP} ... {LOGINS} logins", steps, target=f"<= {MOST_RSS}", met=most <= MOST_RSS
    )
    table.add("growth over these, MiB", f"{growth:.2f}", target=f"< {MOST_GROWTH}", met=growth < MOST_GROWTH)
    table.add("build.zip, MB", f"{zipped:.2f}", target=f"<= {MOST_ZIPPED}", met=zipped <= MOST_ZIPPED)
    phone, app = cloud.new_phone(), cloud.app()
    session = call(app, event("getSms", phone))["sessionId"]
    used, keys = _redis(cloud, phone)
    title = f"Redis, bytes, {keys} keys of a number with a code"
    table.add(title, str(used), target=f"<= {MOST_REDIS}", met=used <= MOST_REDIS)
    token = call(app, cloud.login(phone, session))["token"]
    used, keys = _redis(cloud, phone)
    table.add(f"Redis, bytes, {keys} keys after a login", str(used))
    call(app, event("logout", phone, token=token))
    used, keys = _redis(cloud, phone)
    table.add(f"Redis, bytes, {keys} keys after the logout", str(used))
    return table


def _rss(cloud: Cloud) -> tuple[list[float], float]:
    """Return the MiB after each STEP logins, and the MB of build.zip."""
    rss = []
    with deploy() as deployed, deployed.start(SERVE.format(context=CONTEXT), cloud.environ) as process:
        for i in range(1, LOGINS + 1):
            phone = cloud.new_phone()
            session = _ask(process, event("getSms", phone))["sessionId"]
            _ask(process, cloud.login(phone, session))
            if i % STEP == 0:
                rss.append(resident(process.pid))
        process.communicate()
        return rss, deployed.zipped / 1e6


def _ask(process: "subprocess.Popen[bytes]", event: Event) -> Any:
    if not process.stdin or not process.stderr:
        raise TypeError("the process has no pipes")
    process.stdin.write(json.dumps(event).encode() + b"\n")
    process.stdin.flush()
    line = process.stderr.readline()
    if not line.startswith(b"{"):
        raise RuntimeError((line + process.stderr.read()).decode())
    return check({"body": line})


def resident(pid: int) -> float:
    """Return the resident memory of a process in MiB. Raises RuntimeError if it has ended."""
    statm = Path(f"/proc/{pid}/statm")
    if statm.exists():
        mib = int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    else:  # not Linux
        mib = int(subprocess.check_output(["/bin/ps", "-o", "rss=", "-p", str(pid)])) / 1024
    if not mib:
        raise RuntimeError(f"process {pid} has ended")
    return mib


def _redis(cloud: Cloud, phone: str) -> tuple[int, int]:
    """Return the bytes and the number of keys that a number has."""
    with closing(redis.Redis(port=cloud.redis.port, protocol=2)) as client:
        keys = list(client.scan_iter(f"*{phone}*", count=10_000))
        return sum(client.memory_usage(key) or 0 for key in keys), len(keys)
