"""The printed text, before and after redaction, and the secrets in it."""

import json
import logging
import re
from typing import Any

from sms_login import wiring


class Raw(logging.Handler):
    """Keeps log messages before redaction."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep message, facts and exception."""
        self.text += f"{record.getMessage()} {getattr(record, 'facts', '')} {record.exc_info}\n"

    def line(self, _seconds: float, *args: Any) -> str:
        """Keep the facts of a request's line, but not its time: a microsecond has six digits, like a code."""
        self.text += f"{args}\n"
        return ""


def leaked(secrets: list[str], printed: str) -> list[str]:
    """Return the secrets that were printed, except in serial numbers, which may contain any six digits."""
    rest = re.sub(r"\b2019:[0-9]{30,39}\b", "2019:", printed)
    return [secret for secret in secrets if secret in rest]


def call(handler: wiring.Handler, method: str, /, **params: Any) -> dict[str, Any]:
    """Return the body of the answer to a call that repeats its text parameters in its query string."""
    event = {
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json", "X-Forwarded-For": "192.0.2.1"},
        "queryString": {name: value for name, value in params.items() if isinstance(value, str)},
        "body": json.dumps({"method": method, **params}),
    }
    body: dict[str, Any] = json.loads(handler.handle(event, {"request_id": "request-1"})["body"])
    return body
