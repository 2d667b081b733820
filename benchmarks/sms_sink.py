"""A server for SendSms that answers at once and keeps the codes: `python -m benchmarks.sms_sink`.

Unlike the stand-in of `local`, it checks nothing, so that a measured client waits for little but itself. It prints its
port. `GET /` returns the codes by number, and forgets them.
"""

import asyncio
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Mapping
from contextlib import AbstractContextManager
from urllib.parse import parse_qs

_SENT = {
    "SendStatusSet": [
        {
            "SerialNo": "2019:538884",
            "PhoneNumber": "",
            "Fee": 1,
            "SessionContext": "",
            "Code": "Ok",
            "Message": "send success",
            "IsoCode": "CN",
        }
    ],
    "RequestId": "5e4e5a2c-0d5b-4a3f-9d6f-6d6e7a8b9c0d",
}


class SmsSink(AbstractContextManager["SmsSink"]):
    """The server as a process of its own, from construction to the end of the block."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benchmarks.sms_sink"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int((self._process.stdout or sys.stdin).readline())}"
        self._codes: dict[str, str] = {}
        self._lock = threading.Lock()

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def code(self, phone: str) -> str:
        """Return the code of a number, once. Several threads may call it."""
        with self._lock:
            if phone not in self._codes:
                with urllib.request.urlopen(self.url, timeout=10) as answer:  # noqa: S310 - a URL of our own
                    self._codes |= json.load(answer)
            return self._codes.pop(phone)


class _Connection(asyncio.Protocol):
    def __init__(self, codes: dict[str, str]) -> None:
        self._codes = codes
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        length = int(lengths[0].partition(b":")[2]) if lengths else 0
        if not end or len(rest) < length:
            return
        self._received = rest[length:]
        self._answer(self._reply(head, rest[:length]))

    def _reply(self, head: bytes, body: bytes) -> Mapping[str, object]:
        if head.startswith(b"GET "):
            codes = dict(self._codes)
            self._codes.clear()
            return codes
        if body.startswith(b"{"):
            sent = json.loads(body)
            phone, code = sent["PhoneNumberSet"][0], sent["TemplateParamSet"][0]
        else:  # version 2019-07-11
            form = parse_qs(body.decode())
            phone, code = form["PhoneNumberSet.0"][0], form["TemplateParamSet.0"][0]
        self._codes[phone] = code
        return {"Response": _SENT}

    def _answer(self, reply: Mapping[str, object]) -> None:
        body = json.dumps(reply).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)  # type: ignore[attr-defined] # it is a WriteTransport


async def _serve() -> None:
    codes: dict[str, str] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(codes), "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # the end of the parent, or of its block


if __name__ == "__main__":
    asyncio.run(_serve())
