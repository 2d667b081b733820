"""A handler behind the local gateway, and calls to the gateway."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from local.gateway import Gateway


class Recorder:
    """A handler that records its arguments and answers `answer`."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.contexts: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"isBase64Encoded": False, "statusCode": 200, "headers": {}, "body": ""}

    def __call__(self, event: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        """Record one call."""
        self.events.append(event)
        self.contexts.append(context)
        return self.answer


def call(
    gateway: Gateway, method: str, target: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Make one request; return status, headers and body."""
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=10)
    try:
        connection.request(method, target, body, {name.replace("_", "-"): text for name, text in headers.items()})
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()
    finally:
        connection.close()


def call_json(gateway: Gateway, method: str, target: str) -> tuple[int, Any]:
    """Make one request to the gateway's own paths; return status and JSON."""
    status, headers, body = call(gateway, method, target)
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    return status, json.loads(body)
