"""The cloud to measure in: a real Redis, the stand-in for SendSms, and events as the platform makes them."""

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from local.cloud import local_cloud
from local.tencent import TencentStandIn
from sms_login import wiring
from sms_login.wiring import Handler
from tests.testkit.servers import RedisServer

Event = dict[str, Any]

CONTEXT = {"request_id": "5e4e5a2c-0d5b-4a3f-9d6f-6d6e7a8b9c0d"}  # the only field that the function reads


@dataclass
class Cloud:
    """`environ` is the whole environment of the function.

    `beside` is a checkout of another commit, `demo` one of Tencent's demo, to measure beside; None if there is none.
    """

    redis: RedisServer
    environ: dict[str, str]
    tencent: TencentStandIn
    beside: Path | None = None
    demo: Path | None = None
    _count: Iterator[int] = field(default_factory=itertools.count)

    def new_phone(self) -> str:
        """Return an unused number in a range of its own, so that no limit is reached."""
        i = next(self._count)
        return f"+86138{i % 10_000:04}{i // 10_000:04}"

    def app(self, **environ: str) -> Handler:
        """Return a new app, as a new instance creates it."""
        return wiring.build(self.environ | environ)

    def code(self, phone: str) -> str:
        """Return the last code that was sent to a number."""
        return self.tencent.inbox(phone)[0].params[0]

    def send(self, app: Handler, phone: str) -> Event:
        """Have a code sent, and return the login with it."""
        return self.login(phone, call(app, event("getSms", phone))["sessionId"])

    def login(self, phone: str, session: str | None) -> Event:
        """Return the right login for the last code of a number."""
        return event("login", phone, code=self.code(phone), sessionId=session)


@contextmanager
def open_cloud(beside: Path | None = None, demo: Path | None = None) -> Iterator[Cloud]:
    """Start an empty cloud."""
    # Of our own environment only PATH: it may have settings of the developer.
    environ = {"PATH": os.environ.get("PATH", "")}
    with RedisServer() as redis:
        environ |= {"REDIS_HOST": redis.host, "REDIS_PORT": str(redis.port)}
        with local_cloud(environ) as local:
            yield Cloud(redis, local.environ, local.tencent, beside, demo)


def event(method: str, phone: str, **params: str | None) -> Event:
    """Return a Function URL event with a JSON body, from an address that belongs to the number alone."""
    high, low = divmod(int(phone[-8:]), 256)
    body = {"method": method, "phone": phone} | {name: value for name, value in params.items() if value is not None}
    return {
        "httpMethod": "POST",
        "path": "/",
        "headers": {"Content-Type": "application/json", "Accept-Language": "zh-CN", "User-Agent": "benchmark"},
        "queryString": {},
        "requestContext": {"sourceIp": f"10.{high // 256 % 256}.{high % 256}.{low}"},
        "body": msgspec.json.encode(body).decode(),
        "isBase64Encoded": False,
    }


def call(app: Handler, event: Event) -> Any:
    """Return the data of the answer to an event. Raises RuntimeError for a refusal."""
    return check(app.handle(event, CONTEXT))


def check(answer: Mapping[str, Any]) -> Any:
    """Return the data of an answer. Raises RuntimeError for a refusal."""
    envelope = msgspec.json.decode(answer["body"])
    if envelope["errorCode"] != 0:
        raise RuntimeError(f"a benchmark's request was refused: {envelope}")
    return envelope["data"]
