"""Implementations of getSms and login to measure beside each other, each in a process that makes one call at a time."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks.cloud import CONTEXT, Cloud, Event, event
from benchmarks.deployed import deploy
from benchmarks.sms_sink import SmsSink

# A line of events comes in on standard input, a line of answers goes out on standard error: standard output is the log.
LOOP = """
import json, sys, time
for line in sys.stdin:
    events = json.loads(line)
    cpu, wall = time.process_time(), time.perf_counter()
    bodies = [call(event) for event in events]
    times = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps([*times, bodies]), file=sys.stderr, flush=True)
"""
FUNCTION = f"""
import index
def call(event):
    return index.main_handler(event, {CONTEXT!r})["body"]
"""
# The least that a login by SMS can do: keep a code and send it; compare it, delete it and sign a token.
FLOOR = """
import json, os, time
import jwt, redis, requests
client = redis.Redis(port=int(os.environ["REDIS_PORT"]), protocol=2, driver_info=None)
keep = client.register_script("redis.call('SET', KEYS[1], ARGV[1], 'EX', 300) return 1")
take = client.register_script(
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
)
session, url = requests.Session(), os.environ["SMS_ENDPOINT"]
def call(event):
    phone = event["phone"]
    if event["method"] == "getSms":
        keep(keys=["code:" + phone], args=["123456"])
        session.post(url, json={"PhoneNumberSet": [phone], "TemplateParamSet": ["123456"]})
        return '{"codeStr": "Ok"}'
    if take(keys=["code:" + phone], args=[event["code"]]) == 1:
        token = jwt.encode({"sub": phone, "exp": int(time.time()) + 7200}, os.environ["JWT_SECRET"], "HS256")
        return json.dumps({"codeStr": "Success", "token": token})
"""
DEMO = Path(__file__).with_name("demo.js")
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]  # on a Mac nothing is pinned
CALLERS, SERVERS = set(CORES[-1:]), set(CORES[:-1] or CORES)

OTHERS = {"beside": "the other commit", "demo": "Tencent's demo"}

MakeEvent = Callable[..., Event]


@dataclass(frozen=True)
class Round:
    """The cost of one call, the mean of a round: seconds by the clock, and of the CPU in the caller's process."""

    wall: float
    cpu: float


class Caller:
    """A process that makes calls, one after another, each with an event that `make_event(method, phone, …)` returns."""

    def __init__(self, process: "subprocess.Popen[bytes]", sink: SmsSink, make_event: MakeEvent = event) -> None:
        self._process, self._sink, self._make_event = process, sink, make_event
        self._asked: dict[str, str | None] = {}

    def get_sms(self, phones: Sequence[str]) -> Round:
        """Have codes sent."""
        cost, bodies = self._make([self._make_event("getSms", phone) for phone in phones])
        self._asked = dict(zip(phones, map(session_of, bodies), strict=True))
        return cost

    def login(self) -> Round:
        """Log in with the codes of the last round."""
        asked, self._asked = self._asked.items(), {}
        codes = [self._sink.code(phone) for phone, _ in asked]
        events = [
            self._make_event("login", phone, code=code, sessionId=session)
            for (phone, session), code in zip(asked, codes, strict=True)
        ]
        return self._make(events)[0]

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _make(self, events: list[Event]) -> tuple[Round, list[str]]:
        if not self._process.stdin or not self._process.stderr:
            raise TypeError("the process has no pipes")
        self._process.stdin.write(json.dumps(events).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stderr.readline()
        if not line.startswith(b"[") or not line.endswith(b"]\n"):
            raise RuntimeError((line + self._process.stderr.read()).decode())
        wall, cpu, bodies = json.loads(line)
        return Round(wall / len(events), cpu / len(events)), bodies


def session_of(body: str) -> str | None:
    """Return the sessionId of an answer, if it has one. Raises RuntimeError for a refusal."""
    answer: dict[str, Any] = json.loads(body)
    if answer.get("codeStr") not in ("Ok", "Success"):
        raise RuntimeError(f"a benchmark's request was refused: {answer}")
    session: str | None = answer.get("data", {}).get("sessionId")
    return session


def demo_event(method: str, phone: str, **params: str | None) -> Event:
    """Return an event for Tencent's demo, which reads a form, and knows nothing of sessions."""
    body = urlencode({"method": method, "phone": phone.strip("+"), "code": params.get("code", "")})
    return {"httpMethod": "POST", "headers": {"Content-Type": "application/x-www-form-urlencoded"}, "body": body}


def floor_event(method: str, phone: str, **params: str | None) -> Event:
    """Return what the floor reads: nothing is left to parse."""
    return {"method": method, "phone": phone, **params}


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """Give the processes that are started in the block these cores."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def callers(cloud: Cloud, sink: SmsSink, redis_port: int) -> Iterator[dict[str, Caller]]:
    """Start the function and the floor, and the other checkout and the demo of the cloud, if it has them."""
    environ = environment(cloud, sink, redis_port)
    with ExitStack() as stack, pinned(CALLERS):
        build = stack.enter_context(deploy())
        started = {
            "function": Caller(build.start(FUNCTION + LOOP, environ), sink),
            "floor": Caller(build.start(FLOOR + LOOP, environ), sink, floor_event),
        }
        if cloud.beside:
            other = stack.enter_context(deploy(cloud.beside))
            started["beside"] = Caller(other.start(FUNCTION + LOOP, environ), sink)
        if cloud.demo:
            started["demo"] = Caller(start_demo(cloud.demo, environ), sink, demo_event)
        for caller in started.values():
            stack.callback(caller.close)
        with pinned(SERVERS):
            yield started


@contextmanager
def functions(cloud: Cloud, sink: SmsSink, *redis_ports: int, floor: bool = False) -> Iterator[list[Caller]]:
    """Start the function, or the floor, in a process for each port of a Redis, all on the callers' core."""
    code, make_event = (FLOOR, floor_event) if floor else (FUNCTION, event)
    with ExitStack() as stack, pinned(CALLERS):
        build = stack.enter_context(deploy())
        started = []
        for port in redis_ports:
            started.append(Caller(build.start(code + LOOP, environment(cloud, sink, port)), sink, make_event))
            stack.callback(started[-1].close)
        with pinned(SERVERS):
            yield started


def environment(cloud: Cloud, sink: SmsSink, redis_port: int) -> dict[str, str]:
    """Return the environment of a function that sends to a sink, and never reaches its budget."""
    own = {"REDIS_PORT": str(redis_port), "SMS_ENDPOINT": sink.url, "DAILY_BUDGET": "1000000000"}
    return {**cloud.environ, **own}


def start_demo(directory: Path, environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start Tencent's demo, with the pipes of `Deployed.start`."""
    command, pipe = ["node", str(DEMO), str(directory)], subprocess.PIPE
    return subprocess.Popen(command, env=environ, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe)
