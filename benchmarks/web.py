"""The web function under load, compared with the bare WSGI server answering a constant."""

import json
import socket
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from benchmarks.cloud import Cloud, call
from benchmarks.deployed import ROOT, Deployed, deploy
from benchmarks.memory import resident
from benchmarks.tables import Ratio, Table
from sms_login.http.server import THREADS
from tests.testkit.servers import until

CLIENTS = (1, 8, 64)
ROUNDS = 5
REQUESTS = 2_000  # in each round
FLAT = 60_000  # requests: ten minutes at a hundred a second
MOST_GROWTH = 1  # MiB, from a tenth of them to the end

HOW = f"""\
Both servers are processes with only the deployed packages, the clients another one, on loopback, with connections kept
open. getUserInfo asks Redis twice. The bare server is waitress with the
same {THREADS} threads and a constant answer. {ROUNDS} rounds of {REQUESTS:,} requests, ours and the bare one in turn:
requests per second, and the p50 and p99 of one, all medians of the rounds."""
BARE = """
import waitress
def constant(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json; charset=utf-8"), ("Content-Length", "2")])
    return [b"{{}}"]
waitress.serve(constant, host="127.0.0.1", port={port}, threads={threads}, connection_limit=1000, ident="")
"""
OURS = "from sms_login.http.wsgi import main; main()"


@dataclass(frozen=True)
class Load:
    """The results of one round."""

    per_second: float
    p50: float  # ms
    p99: float


def measure(cloud: Cloud) -> Table:
    """Put load on both servers, and check that the memory of ours stays constant."""
    app, phone = cloud.app(), cloud.new_phone()
    token = call(app, cloud.send(app, phone))["token"]
    request = http_request({"method": "getUserInfo", "token": token})
    table = Table("Web function", HOW, ("clients", "ours / bare", "requests/s", "p50, ms", "p99, ms"))
    with deploy() as deployed, serve_ours(deployed, cloud) as (ours, pid), _bare(deployed) as bare:
        for clients in CLIENTS:
            loads = [tuple(put(port, clients, REQUESTS, request) for port in (ours, bare)) for _ in range(ROUNDS)]
            mine, theirs = zip(*loads, strict=True)
            ratio = Ratio([load.per_second for load in mine], [load.per_second for load in theirs])
            table.add(str(clients), str(ratio), *_medians(mine, theirs), target="0 errors")  # put() raises for one
        put(ours, 8, FLAT // 10, request)
        before = resident(pid)
        put(ours, 8, FLAT, request)
        growth = resident(pid) - before
        grown = f"{before:.0f} MiB, after {FLAT:,} requests more {growth:+.1f}"
        table.add("RSS", grown, "", "", "", target=f"<= {MOST_GROWTH} MiB", met=growth <= MOST_GROWTH)
    return table


def _medians(mine: Sequence[Load], theirs: Sequence[Load]) -> list[str]:
    """Return requests per second, p50 and p99, of ours and of the bare server."""
    return [
        " : ".join(f"{statistics.median(getattr(load, what) for load in loads):{form}}" for loads in (mine, theirs))
        for what, form in (("per_second", ".0f"), ("p50", ".1f"), ("p99", ".1f"))
    ]


def http_request(params: dict[str, Any]) -> bytes:
    """Return a request as it goes over the wire."""
    body = json.dumps(params).encode()
    head = (
        f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def put(port: int, clients: int, requests: int, request: bytes) -> Load:
    """Put load on a server. Raises RuntimeError for any answer other than 200."""
    command = [sys.executable, "-m", "benchmarks.clients", str(port), str(clients), str(requests)]
    done = json.loads(subprocess.run(command, cwd=ROOT, input=request, stdout=subprocess.PIPE, check=True).stdout)
    if done["errors"]:
        raise RuntimeError(f"{done['errors']} errors of {requests}")
    percents = statistics.quantiles(done["ms"], n=100)
    return Load(len(done["ms"]) / done["seconds"], percents[49], percents[98])


@contextmanager
def serve_ours(deployed: Deployed, cloud: Cloud, **settings: str) -> Iterator[tuple[int, int]]:
    """Run the web function; gives its port and its process."""
    port = _free_port()
    with deployed.start(OURS, {**cloud.environ, **settings, "PORT": str(port)}) as process:
        try:
            _wait_for(process, port)
            yield port, process.pid
        finally:
            process.terminate()


@contextmanager
def _bare(deployed: Deployed) -> Iterator[int]:
    port = _free_port()
    with deployed.start(BARE.format(port=port, threads=THREADS), {}) as process:
        try:
            _wait_for(process, port)
            yield port
        finally:
            process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait until a server answers. Raises RuntimeError if it has ended: another process may have its port."""
    until(lambda: process.poll() is not None or _answers(port), 20)
    if process.poll() is not None:
        raise RuntimeError((process.communicate()[1] or b"").decode())


def _answers(port: int) -> bool:
    with suppress(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/?method=health", timeout=5).close()
        return True
    return False
