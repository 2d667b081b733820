"""The same handler behind HTTP: as an SCF web function, in a container, and on a developer's machine.

The platform logs the answers of an event function, tokens included, but not those of a web function (Tencent Cloud
document 583/56125). `python -m sms_login.http.wsgi` listens on PORT, or 9000; with `--scf` it trusts the headers that
the platform adds for a web function.
"""

import base64
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

from msgspec import Struct

from sms_login import wiring
from sms_login.http.bodies import read_form
from sms_login.http.server import Server

Handle = Callable[[Any, Any], dict[str, Any]]
WSGIEnvironment = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]

_MAX_PORT = 65535

# The platform adds these headers to each request, if the web function has an execution role.
_CREDENTIALS = {
    "HTTP_X_SCF_SECRET_ID": "TENCENTCLOUD_SECRETID",
    "HTTP_X_SCF_SECRET_KEY": "TENCENTCLOUD_SECRETKEY",
    "HTTP_X_SCF_SESSION_TOKEN": "TENCENTCLOUD_SESSIONTOKEN",
}
_of_request: ContextVar[Mapping[str, str]] = ContextVar("credentials", default={})  # noqa: B039 - never changed


class RequestEnviron(Mapping[str, str]):
    """`environ`, overridden by the credentials of the current request.

    A web function is one process for hours: the credentials in its environment date from its start, and expire.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        return _of_request.get().get(name) or self._environ[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)


class Application(Struct, frozen=True):
    """`handle(event, context)` as a WSGI application (PEP 3333); several threads may call it at once.

    With `scf`, credentials, request id and client address come from the platform's headers; without it, the client's
    address is that of the connection.
    """

    handle: Handle
    scf: bool = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Answer one request."""
        if self.scf:
            sent = {name: environ.get(header, "") for header, name in _CREDENTIALS.items()}
            # All or none: an id with another id's key would fail, while the environment's may still work.
            _of_request.set(sent if all(sent.values()) else {})
        request_id = environ.get("HTTP_X_SCF_REQUEST_ID") if self.scf else None
        answer = self.handle(self._event(environ), {"request_id": request_id})
        status = HTTPStatus(answer["statusCode"])
        text: str = answer.get("body") or ""
        body = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
        headers = [*answer["headers"].items(), ("Content-Length", str(len(body)))]
        start_response(f"{status.value} {status.phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]  # RFC 9110, section 9.3.2

    def _event(self, environ: WSGIEnvironment) -> dict[str, Any]:
        """Return the event that the platform would make of a request; names of headers are in lower case."""
        # PEP 3333 has bytes as latin-1. Bytes that are not UTF-8 become lone surrogates, which are refused later.
        query = environ.get("QUERY_STRING", "").encode("latin-1").decode(errors="surrogateescape")
        return {
            "httpMethod": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
            "headers": _headers(environ),
            "queryString": read_form(query),
            "requestContext": {} if self.scf else {"sourceIp": environ["REMOTE_ADDR"]},
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


def port_of(environ: Mapping[str, str]) -> int:
    """Return PORT, or 9000. Exits with one sentence if it is not a port."""
    port = environ.get("PORT") or "9000"
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) > _MAX_PORT:
        sys.exit(f"PORT is {port!r}, but a port is a number from 0 to {_MAX_PORT}.")
    return int(port)


def cannot_listen(port: int, error: OSError) -> str:
    """Return a sentence that says why a port cannot be used, and how to choose another."""
    return f"Cannot listen on port {port} ({os.strerror(error.errno or 0)}): choose another one, as in PORT=9001."


def main() -> None:
    """Serve the function that the environment describes, until SIGTERM or SIGINT."""
    scf = sys.argv[1:] == ["--scf"]
    if sys.argv[1:] and not scf:
        sys.exit("usage: [PORT=9000] python -m sms_login.http.wsgi [--scf]")
    port = port_of(os.environ)
    app = wiring.build(RequestEnviron(os.environ))
    try:
        server = Server(Application(app.handle, scf=scf), "0.0.0.0", port)  # noqa: S104 - the platform asks for it
    except OSError as error:
        sys.exit(cannot_listen(port, error))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    server.serve()


if __name__ == "__main__":
    main()
