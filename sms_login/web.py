"""The same handler behind HTTP: as SCF web function, in a container, and on a developer's machine.

A web function's answers are not logged by the platform; those of an event function are, tokens included (Tencent Cloud
document 583/56125). `python -m sms_login.web` listens on PORT, or 9000; with `--scf` it believes the headers that the
platform adds for a web function.
"""

import base64
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import waitress
from waitress import wasyncore

from sms_login import wiring

Handle = Callable[[Any, Any], dict[str, Any]]
WSGIEnvironment = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]

THREADS = 32  # more than one core needs, since an SMS that hangs holds its thread for SMS_TIMEOUT
CONNECTIONS = 1_000  # at once; idle and slow ones cost no thread
IDLE = 30  # s without a byte, after which a connection is closed
GRACE = 8  # s for the requests under way when told to stop; containers are killed after 10
MAX_HEADERS = 16 * 1024  # bytes
MAX_BODY = 64 * 1024  # bytes: above what the function takes, so that it is the function that says so

# What the platform adds to a request of a web function whose role has credentials.
_CREDENTIALS = {
    "HTTP_X_SCF_SECRET_ID": "TENCENTCLOUD_SECRETID",
    "HTTP_X_SCF_SECRET_KEY": "TENCENTCLOUD_SECRETKEY",
    "HTTP_X_SCF_SESSION_TOKEN": "TENCENTCLOUD_SESSIONTOKEN",
}
_of_request: ContextVar[Mapping[str, str]] = ContextVar("credentials", default={})  # noqa: B039 - never changed


class RequestEnviron(Mapping[str, str]):
    """`environ`, in which the credentials that came with the present request go before those of the process.

    A web function is one process for hours: the credentials in its environment are those of its start, and expire.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        return _of_request.get().get(name) or self._environ[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)


class Application:
    """`handle(event, context)` as a WSGI application (PEP 3333); several threads may call it at once.

    With `scf` the credentials, the request's id and the client's address come from the platform's headers. Without, the
    client is whoever has connected.
    """

    def __init__(self, handle: Handle, *, scf: bool = False) -> None:
        self._handle = handle
        self._scf = scf

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Answer one request."""
        if self._scf:
            sent = {name: environ.get(header, "") for header, name in _CREDENTIALS.items()}
            # All or none: an id with the key of another is worse than those of the environment.
            _of_request.set(sent if all(sent.values()) else {})
        answer = self._handle(self._event(environ), {"request_id": environ.get("HTTP_X_SCF_REQUEST_ID")})
        status = HTTPStatus(answer["statusCode"])
        text: str = answer.get("body") or ""
        body = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
        headers = [*answer["headers"].items(), ("Content-Length", str(len(body)))]
        start_response(f"{status.value} {status.phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]  # RFC 9110, section 9.3.2

    def _event(self, environ: WSGIEnvironment) -> dict[str, Any]:
        """Return the event that the platform would make of a request; names of headers are in lower case."""
        query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
        return {
            "httpMethod": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
            "headers": _headers(environ),
            "queryString": {name: values[0] if len(values) == 1 else values for name, values in query.items()},
            "requestContext": {} if self._scf else {"sourceIp": environ["REMOTE_ADDR"]},
            **_body(environ["wsgi.input"].read()),
        }


def _headers(environ: WSGIEnvironment) -> dict[str, str]:
    names = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}
    names |= {key: key[5:].replace("_", "-").lower() for key in environ if key.startswith("HTTP_")}
    return {name: environ[key] for key, name in names.items() if key in environ and key not in _CREDENTIALS}


def _body(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


class Server:
    """Serves a WSGI application on `host` and `port` (0 takes a free one), within the limits above.

    It takes connections from construction on, and answers while `serve` runs. What is no HTTP, or beyond the limits, is
    refused by waitress, in plain text. Raises OSError if the port cannot be had.
    """

    def __init__(self, application: Application, host: str, port: int) -> None:
        # Bound here, because waitress leaves threads and sockets behind when it fails to bind.
        listener = socket.create_server((host, port), backlog=CONNECTIONS)
        self.port: int = listener.getsockname()[1]
        self._sockets: dict[int, Any] = {}
        self._server = waitress.create_server(
            application,
            map=self._sockets,
            sockets=[listener],
            threads=THREADS,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE,
            cleanup_interval=IDLE // 3,
            max_request_header_size=MAX_HEADERS,
            max_request_body_size=MAX_BODY + 1,  # waitress refuses what is not smaller
            clear_untrusted_proxy_headers=False,  # X-Forwarded-For is the function's to judge
            ident="",
        )
        # It warns of each request that has to wait for a thread, which says nothing that the request's line does not.
        self._server.task_dispatcher.queue_logger.setLevel(logging.ERROR)
        self._stopping = False
        self._ending = threading.RLock()  # of stop() in one thread, and of serve() in another

    def serve(self) -> None:
        """Answer until `stop` is called; then the requests under way, for GRACE seconds at most. Only once."""
        while not self._stopping:
            self._loop(IDLE / 3)
        wasyncore.dispatcher.close(self._server)  # listens no more
        deadline = time.monotonic() + GRACE
        self._loop(0)  # what has already arrived counts as under way
        while self._busy() and time.monotonic() < deadline:
            self._loop(0.1)
        self._server.task_dispatcher.shutdown(timeout=1)
        with self._ending:
            wasyncore.close_all(self._sockets)

    def stop(self) -> None:
        """Let `serve` come to its end; from any thread, or a signal handler, and as often as one likes."""
        with self._ending:
            if not self._stopping:
                self._stopping = True
                self._server.pull_trigger()

    def _loop(self, seconds: float) -> None:
        # Not waitress's own run(), which ends without answering anybody; poll, since select() ends at 1,024 sockets.
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._sockets, count=1)

    def _busy(self) -> bool:
        return any(channel.requests or channel.total_outbufs_len for channel in self._server.active_channels.values())


def main() -> None:
    """Serve the function that the environment describes, until SIGTERM or SIGINT."""
    scf = sys.argv[1:] == ["--scf"]
    if sys.argv[1:] and not scf:
        sys.exit("usage: [PORT=9000] python -m sms_login.web [--scf]")
    port = os.environ.get("PORT") or "9000"
    if not port.isdecimal() or int(port) not in range(65536):
        sys.exit(f"PORT is {port!r}, but a port is a number from 0 to 65535.")
    app = wiring.build(RequestEnviron(os.environ))
    server = Server(Application(app.handle, scf=scf), "0.0.0.0", int(port))  # noqa: S104 - the platform asks for it
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    server.serve()


if __name__ == "__main__":
    main()
