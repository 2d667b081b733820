"""Log lines as JSON on standard output, one per request, and the last net that keeps secrets out of them.

Phone and Secret print masked by themselves; what is redacted here slipped past them, in a library's message or in a
traceback.
"""

import json
import logging
import re
import sys
import time
from contextvars import ContextVar
from typing import Any

_log = logging.getLogger("sms_login")
_facts: ContextVar[dict[str, Any] | None] = ContextVar("facts", default=None)

# In this order: a token's parts would otherwise be eaten piece by piece.
_SECRETS = (
    (re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*"), "<token>"),
    (re.compile(r"(?i)(authorization['\"]?\s*[:=]\s*['\"]?)[^'\"\r\n]+"), r"\1****"),
    (re.compile(r"(?i)((?:password|secret\w*|token|key|digest|nonce)['\"]?\s*[:=]\s*['\"]?)[^\s'\",}]+"), r"\1****"),
    # A phone number, but no block of a UUID.
    (
        re.compile(r"(?<!-[0-9a-fA-F]{4}-)(?<![0-9a-fA-F.])\+?[0-9]{8,15}(?![0-9a-fA-F])(?!-[0-9a-fA-F]{4}-)"),
        "<number>",
    ),
    # A code, but no fraction of a second, no part of a time or an address.
    (re.compile(r"(?<![0-9][.:-])(?<![0-9a-fA-F])[0-9]{6}(?![0-9a-fA-F])(?![.:-][0-9])"), "******"),
)


def redact(text: str) -> str:
    """Return `text` without what looks like a token, a key, a phone number or a code."""
    for pattern, mask in _SECRETS:
        text = pattern.sub(mask, text)
    return text


class JsonLines(logging.Formatter):
    """One JSON object per record: `time` (UTC), `level`, `event`, then its facts."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "event": redact(record.getMessage()),
        }
        if record.name != _log.name:
            line["logger"] = record.name
        line.update(getattr(record, "facts", {}))
        if record.exc_info:
            line["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, default=lambda value: redact(str(value)))


class _Stdout(logging.Handler):
    """Writes to what standard output is at that moment, a line at once."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except Exception:  # noqa: BLE001 - logging's own contract: a handler never raises
            self.handleError(record)


def set_up(level: str) -> None:
    """Send all logging of this process, the libraries' included, through one handler at `level`."""
    handler = _Stdout()
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.raiseExceptions = False  # a record that cannot be formatted must not print its arguments


def begin() -> None:
    """Begin to collect the facts of a request."""
    _facts.set({})


def note(**facts: Any) -> None:
    """Add facts to the line of the present request."""
    collected = _facts.get()
    if collected is not None:
        collected.update(facts)


def alert(name: str, **facts: Any) -> None:
    """Add to the line of the present request something that an operator should look at."""
    collected = _facts.get() or {}
    note(alerts=[*collected.get("alerts", []), {"alert": name, **facts}])


def end(level: int, *, error: BaseException | None = None) -> None:
    """Write the line of the present request."""
    facts = _facts.get() or {}
    if "alerts" in facts:
        level = max(level, logging.WARNING)
    _log.log(level, "request", extra={"facts": facts}, exc_info=error)
    _facts.set(None)


def problem(event: str, **facts: Any) -> None:
    """Write a line of its own for something wrong outside any request."""
    _log.error(event, extra={"facts": facts})
