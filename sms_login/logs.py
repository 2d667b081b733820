"""Log lines as JSON on standard output, one per request, and the redaction that keeps secrets out of them.

Phone and Secret print masked by themselves; `redact` catches values that slip past them in a library's message or in a
traceback.
"""

import contextlib
import itertools
import json
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from sms_login import __version__

_log = logging.getLogger("sms_login")
_facts: ContextVar[dict[str, Any] | None] = ContextVar("facts", default=None)
_requests = itertools.count()  # of this process
_MOST = 4096  # bytes that a pipe writes atomically (PIPE_BUF): threads need no lock to keep their lines whole

# The order matters: later patterns would redact a token piece by piece. Compiled when first needed: a cold start that
# redacts nothing does not pay for them.
_SECRETS = (
    # A key of ours in Redis, with a number or a sessionId.
    (r"(otp|user|session|change|budget):\{[^}\s]*\}?[^\s'\",]*", r"<\1 key>"),
    (r"rt_[A-Za-z0-9_-]{40,}", "<token>"),
    (r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*", "<token>"),
    (r"(://[^:/@\s]*:)[^/\s]*@", r"\1****@"),  # the password in a URL
    (r"(?i)(authorization['\"]?\s*[:=]\s*['\"]?)[^'\"\r\n]+", r"\1****"),
    (r"(?i)((?:password|secret\w*|token|key|digest|nonce)['\"]?\s*[:=]\s*['\"]?)[^\s'\",}]+", r"\1****"),
    # A phone number, but not a block of a UUID.
    (r"(?<!-[0-9a-fA-F]{4}-)(?<![0-9a-fA-F.])\+?[0-9]{8,15}(?![0-9a-fA-F])(?!-[0-9a-fA-F]{4}-)", "<number>"),
    # A code, but not a fraction of a second, or a part of a time or an address.
    (r"(?<![0-9][.:-])(?<![0-9a-fA-F])[0-9]{6}(?![0-9a-fA-F])(?![.:-][0-9])", "******"),
)

_encode = json.JSONEncoder(default=lambda value: redact(str(value))).encode


def redact(text: str) -> str:
    """Return `text` with everything masked that looks like a token, a key, a phone number or a code."""
    for pattern, mask in _SECRETS:
        text = re.sub(pattern, mask, text)
    return text


@lru_cache(maxsize=1)
def _clock(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _line(seconds: float, level: str, event: str, facts: Mapping[str, Any], exc_info: Any = None) -> str:
    """Return one JSON object without a newline: `time` (UTC), `level`, `event`, then the facts."""
    clock = f"{_clock(int(seconds))}.{int(seconds * 1000) % 1000:03d}Z"
    line = {"time": clock, "level": level, "event": event, **facts}
    if exc_info:
        line["traceback"] = redact("".join(traceback.format_exception(*exc_info)))
    encoded = _encode(line)
    if exc_info and len(encoded) >= _MOST:
        line["traceback"] = line["traceback"][len(encoded) - _MOST + 1 :]  # the end of a traceback is most useful
        encoded = _encode(line)
    return encoded


def _write(line: str) -> None:
    """Write a line atomically: with a lock, all threads of a busy web function would queue behind one another."""
    data = f"{line}\n".encode()
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, AttributeError):  # a test or a tool has replaced it
        sys.stdout.write(data.decode())
        sys.stdout.flush()
        return
    while data:
        data = data[os.write(descriptor, data) :]


class _Stdout(logging.Handler):
    """Writes to the current standard output, a line for each record."""

    def emit(self, record: logging.LogRecord) -> None:
        facts = getattr(record, "facts", {})
        if record.name != _log.name:
            facts = {"logger": record.name, **facts}
        try:
            _write(_line(record.created, record.levelname, redact(record.getMessage()), facts, record.exc_info))
        except Exception:  # noqa: BLE001 - logging's own contract: a handler never raises
            self.handleError(record)


def set_up(level: str) -> None:
    """Send all logging of this process, the libraries' included, through one handler at `level`."""
    logging.basicConfig(level=level, handlers=[_Stdout()], force=True)
    logging.raiseExceptions = False  # a record that cannot be formatted must not print its arguments


def begin() -> None:
    """Start collecting the facts of a request; the first one of a process is a cold start, and names the version."""
    _facts.set({"cold_start": True, "version": __version__} if next(_requests) == 0 else {})


def detach() -> None:
    """Leave the current request, in a thread that has its context: its line is not this thread's to change."""
    _facts.set(None)


def note(**facts: Any) -> None:
    """Add facts to the line of the current request."""
    if (collected := _facts.get()) is not None:
        collected.update(facts)


def spent(name: str, started: float) -> None:
    """Add one call of an outside party to the line of the present request, with its milliseconds since `started`.

    `started` is a time of `time.perf_counter`.
    """
    facts, ms = _facts.get(), (time.perf_counter() - started) * 1000
    if facts is not None:
        facts[f"{name}_calls"] = facts.get(f"{name}_calls", 0) + 1
        facts[f"{name}_ms"] = round(facts.get(f"{name}_ms", 0.0) + ms, 1)


def alert(name: str, **facts: Any) -> None:
    """Add an alert for the operator to the line of the current request."""
    collected = _facts.get() or {}
    note(alerts=[*collected.get("alerts", []), {"alert": name, **facts}])


def end(level: int, *, error: BaseException | None = None) -> Mapping[str, Any]:
    """Write the line of the current request, and return its facts.

    Its facts are known to be safe, so it bypasses `logging` except for the level: a log record costs twice as much.
    """
    facts = _facts.get() or {}
    _facts.set(None)
    if "alerts" in facts:
        level = max(level, logging.WARNING)
    if _log.isEnabledFor(level):
        exc_info = error and (type(error), error, error.__traceback__)
        with contextlib.suppress(Exception):  # a log that cannot be written must not fail a login
            _write(_line(time.time(), logging.getLevelName(level), "request", facts, exc_info))
    return facts


def problem(event: str, **facts: Any) -> None:
    """Write a separate line for an error outside any request."""
    _log.error(event, extra={"facts": facts})
