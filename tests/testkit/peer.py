"""A server that a test writes byte by byte, in place of Tencent Cloud, and certificates for it."""

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.testkit.servers import require

SENT = {"SendStatusSet": [{"Code": "Ok", "SerialNo": "2019:1", "Fee": 1}], "RequestId": "r"}


def response(body: bytes | dict[str, Any], *headers: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    """Return an answer with `headers`; a dictionary is sent as the SDK expects it."""
    if isinstance(body, dict):
        body = json.dumps({"Response": body}).encode()
        headers = ("Content-Type: application/json", f"Content-Length: {len(body)}", *headers)
    return "".join(f"{line}\r\n" for line in (status, *headers, "")).encode() + body


class Peer(AbstractContextManager["Peer"]):
    """Accepts connections on loopback, reads requests and calls `serve(connection, request)` for each.

    `serve` sends the answer and returns whether the connection stays open. `closed` is released for each connection
    that has ended. With `tls`, the server speaks HTTPS.
    """

    def __init__(self, serve: Callable[[socket.socket, bytes], bool], tls: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://{'localhost' if tls else '127.0.0.1'}:{self.port}"
        self.requests: list[bytes] = []
        self.closed = threading.Semaphore(0)
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # ends the loop
        self._threads[0].join()
        self._listener.close()
        end(*self._connections)
        for thread in self._threads:
            thread.join()
        for connection in self._connections:
            connection.close()

    @property
    def connections(self) -> int:
        """The number of connections that were accepted so far."""
        return len(self._connections)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._connections.append(self._listener.accept()[0])
                self._threads.append(threading.Thread(target=self._handle, args=[self.connections - 1]))
                self._threads[-1].start()

    def _handle(self, number: int) -> None:
        connection = self._connections[number]
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if self._tls:
                connection = self._connections[number] = self._tls.wrap_socket(connection, server_side=True)
            reader = stack.enter_context(connection.makefile("rb"))
            while request := _read(reader):
                self.requests.append(request)
                if not self._serve(connection, request):
                    break
        end(connection)
        self.closed.release()


def end(*connections: socket.socket) -> None:
    """End connections without closing their sockets, which other threads may be about to use."""
    for connection in connections:
        with contextlib.suppress(OSError):  # it has ended
            connection.shutdown(socket.SHUT_RDWR)


def _read(reader: Any) -> bytes:
    """Return the next request, or b"" after the last."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = reader.readline()
        if not line:
            return b""
        head += line
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return head + bytes(reader.read(int(length.split(b":")[1])))


def certificate(directory: Path, name: str) -> Path:
    """Make `name`.pem, a certificate of its own authority for the host localhost, with `name`.key beside it."""
    require(shutil.which("openssl") is not None, "openssl")
    files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]  # made in a tenth of the time of an RSA key
    command = ["openssl", "req", "-x509", *key, "-nodes", "-days", "2", *files, *names]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)  # noqa: S603 - a program that we found
    return directory / f"{name}.pem"
