"""The HTTP entry of the platform on loopback: a request becomes a Function URL event, the handler's answer HTTP."""

import base64
import logging
import socket
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import waitress
from waitress import wasyncore

from local.control import Control

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from local.tencent import TencentStandIn

Handler = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]

MAX_BODY = 6 * 1024 * 1024  # bytes, as on the platform
THREADS = 16  # so that the paths under /_local/ still answer while logins wait for an SMS that hangs


class Gateway(AbstractContextManager["Gateway"]):
    """Serve ``handler(event, context)`` at ``url`` from construction to ``close()``; also a context manager.

    Paths under ``/_local/`` show and steer ``tencent`` instead (see control.py). Port 0 takes a free one. Raises
    OSError if the port is taken.
    """

    def __init__(self, handler: Handler, tencent: "TencentStandIn", *, port: int) -> None:
        self._handler = handler
        self._control = Control(tencent)
        # Bound here, because waitress leaves threads and sockets behind when it fails to bind.
        listener = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._sockets: dict[int, Any] = {}
        self._server = waitress.create_server(
            self._wsgi,
            map=self._sockets,
            sockets=[listener],
            threads=THREADS,
            max_request_body_size=MAX_BODY + 1,  # waitress refuses what is not smaller
            clear_untrusted_proxy_headers=False,  # X-Forwarded-For is the function's to judge
        )
        # It warns of each request that has to wait for a thread, which nobody at this terminal can do anything about.
        self._server.task_dispatcher.queue_logger.setLevel(logging.ERROR)
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="gateway", daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, after at most five seconds for the requests under way; may be called twice."""
        if self._closing:
            return
        self._closing = True
        self._server.pull_trigger()  # The loop wakes up, if it has not ended by itself already.
        self._thread.join()
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._sockets)

    def _serve(self) -> None:
        # Not waitress's own run(): that one cannot be ended from another thread.
        while not self._closing:
            wasyncore.loop(timeout=60, map=self._sockets, count=1)

    def _wsgi(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
        event = to_event(environ)
        answer = self._control.answer(event) or self._handler(event, _context(event))
        status = HTTPStatus(answer["statusCode"])
        body: str = answer.get("body") or ""
        headers = [(name, str(value)) for name, value in answer.get("headers", {}).items()]
        start_response(f"{status.value} {status.phrase}", headers)
        return [base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()]


def to_event(environ: "WSGIEnvironment") -> dict[str, Any]:
    """Return the event that the platform would hand to a function; names of headers are in lower case."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    return {
        "httpMethod": method,
        "path": path,
        "headers": _headers(environ),
        "queryString": {name: values[0] if len(values) == 1 else values for name, values in query.items()},
        **_body(environ["wsgi.input"].read()),
        "requestContext": {
            "httpMethod": method,
            "path": path,
            "sourceIp": environ["REMOTE_ADDR"],
            "requestId": str(uuid.uuid4()),
            "serviceId": "service-local",
            "stage": "release",
            "identity": {},
        },
    }


def _headers(environ: "WSGIEnvironment") -> dict[str, str]:
    names = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}
    names |= {key: key[5:].replace("_", "-").lower() for key in environ if key.startswith("HTTP_")}
    return {name: environ[key] for key, name in names.items() if key in environ}


def _body(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def _context(event: dict[str, Any]) -> dict[str, Any]:
    return {
        "request_id": event["requestContext"]["requestId"],
        "function_name": "sms-login",
        "function_version": "$LATEST",
        "namespace": "default",
        "tencentcloud_region": "ap-guangzhou",
        "memory_limit_in_mb": 128,
        "time_limit_in_ms": 15_000,
    }
