"""Load on a web server: its process, and clients in another."""

import json
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from benchmarks.cloud import Event
from benchmarks.deployed import ROOT, Deployed
from tests.testkit.ports import reserved_port
from tests.testkit.servers import until

OURS = "from sms_login.http.wsgi import main; main()"

Start = Callable[[Mapping[str, str]], "subprocess.Popen[bytes]"]


@dataclass(frozen=True)
class Load:
    """The results of one round: `p50` and `p99` are durations of a request in ms, `bodies` the answers."""

    per_second: float
    p50: float
    p99: float
    bodies: list[str]


def medians(loads: Sequence[Load]) -> tuple[float, float, float]:
    """Return the medians of requests per second, p50 and p99."""
    columns = zip(*((load.per_second, load.p50, load.p99) for load in loads), strict=True)
    per_second, p50, p99 = (statistics.median(column) for column in columns)
    return per_second, p50, p99


def side_by_side(*rounds: Sequence[Load]) -> list[str]:
    """Return cells with the medians of each one's rounds: requests per second, p50 and p99."""
    forms = (".0f", ".1f", ".1f")
    columns = zip(*map(medians, rounds), strict=True)
    return [" : ".join(f"{value:{form}}" for value in column) for column, form in zip(columns, forms, strict=True)]


def http_request(event: Event) -> str:
    """Return the request of an event as it goes over the wire."""
    body = event["body"]
    fields = {"Host": "localhost", **event["headers"], "Content-Length": len(body.encode())}
    if address := event.get("requestContext", {}).get("sourceIp"):
        fields["X-Forwarded-For"] = address
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST / HTTP/1.1\r\n{head}\r\n{body}"


def put(port: int, clients: int, count: int, requests: Sequence[str]) -> Load:
    """Put load on a server: `count` of the requests, in a cycle. Raises RuntimeError for any answer other than 200."""
    command = [sys.executable, "-m", "benchmarks.clients", str(port), str(clients), str(count)]
    sent = json.dumps(requests).encode()
    done = json.loads(subprocess.run(command, cwd=ROOT, input=sent, stdout=subprocess.PIPE, check=True).stdout)
    if done["errors"]:
        raise RuntimeError(f"{done['errors']} errors of {count}")
    percents = statistics.quantiles(done["ms"], n=100)
    return Load(len(done["ms"]) / done["seconds"], percents[49], percents[98], done["bodies"])


@contextmanager
def serve_ours(deployed: Deployed, environ: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """Run the web function; gives its port and its process."""
    with serve(lambda port: deployed.start(OURS, {**environ, **port})) as server:
        yield server


@contextmanager
def serve(start: Start) -> Iterator[tuple[int, int]]:
    """Run the server that `start` starts with an environment with PORT; gives its port and its process."""
    with reserved_port() as port, start({"PORT": str(port)}) as process:
        try:
            _wait_for(process, port)
            yield port, process.pid
        finally:
            process.terminate()


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait until a server answers. Raises RuntimeError with its errors if it has ended."""
    until(lambda: process.poll() is not None or _answers(port), 20)
    if process.poll() is not None:
        raise RuntimeError((process.communicate()[1] or b"").decode())


def _answers(port: int) -> bool:
    with suppress(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/?method=health", timeout=5).close()
        return True
    return False
