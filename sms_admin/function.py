"""The admin function: runs operations inside the VPC, for operators that Tencent Cloud's Invoke lets through.

It is an event function without a URL. An event of Invoke is `{"smsAdmin": request}` and nothing else, the event of a
timer has the keys of cloud.tencent.com/document/product/583/9708, and every other event is refused: a caller over HTTP
chooses values of an event, but none of its top-level keys. The platform logs each answer (RetMsg): numbers in it are
masked.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import msgspec

from sms_admin import operations
from sms_admin.failures import Failed
from sms_admin.place import Place
from sms_admin.receipts import Pull, pull_receipts
from sms_admin.rows import mask_numbers, plain
from sms_admin.statistics.alerts import FindAlerts, find_alerts
from sms_login import __version__
from sms_login.logs import redact
from sms_login.secret import Masked

EVENT = "smsAdmin"
_TIMER = {"Type", "TriggerName", "Time", "Message"}
RECEIPTS, ALERTS = "receipts", "alerts"  # the names of the timers
_LONGEST = 40.0  # s for a timer's receipts: the next timer takes the rest
MOST = 900_000  # bytes of an answer: the operator's client reads at most 1 MiB


class Request(Masked, frozen=True, forbid_unknown_fields=True):
    """A page of an operation: the version of the operator's commands, and `by`, who asks by CAM's own words."""

    version: str
    operation: str
    asked: Any
    cursor: Any
    by: str


def main_handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer an event of the platform; see `answer`."""
    return answer(event, context, os.environ)


def answer(
    event: Any, context: Any, environ: Mapping[str, str], write: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Return `rows` and `cursor`, or `failed` with a sentence in each language; `write` keeps a line of the log."""
    write = write or _print
    keys = set(event) if isinstance(event, dict) else set[str]()
    try:
        if keys == {EVENT}:
            return _page(event[EVENT], environ, write, _request_id(context))
        if keys == _TIMER and event["Type"] == "Timer" and event["TriggerName"] in _TIMERS:
            with closing(Place(environ, "timer", write)) as place:
                return _TIMERS[event["TriggerName"]](place, write)
    except Failed as failed:
        return _refusal(redact(failed.english), redact(failed.chinese))
    write(json.dumps({"event": "admin", "alert": "refused_event", "keys": sorted(map(str, keys))[:20]}))
    return _refusal(
        "only Invoke and the timers of receipts and alerts may call this function",
        "只接受 Invoke 以及回执、告警定时器的调用",
    )


def _page(asked: Any, environ: Mapping[str, str], write: Callable[[str], None], request_id: str) -> dict[str, Any]:
    try:
        request = msgspec.convert(asked, Request)
    except msgspec.ValidationError as error:
        raise Failed(f"the request is malformed: {error}", f"请求格式错误：{error}") from None
    if request.version != __version__:
        raise Failed(
            f"these commands are version {request.version}, the admin function is {__version__}: deploy it anew, or "
            "use the checkout that it was built from",
            f"命令的版本是 {request.version}，管理函数是 {__version__}：请重新部署函数，或使用构建它的那份代码",
        )
    found = operations.find(request.operation)
    with closing(Place(environ, f"{request.by} ({request_id})", write)) as place:
        page = operations.page_of(found, place, operations.read(found, request.asked), request.cursor)
    rows = mask_numbers(plain(page.rows, clear=False))
    shown = {"version": __version__, "rows": rows, "cursor": plain(page.cursor, clear=False)}
    if len(json.dumps(shown)) > MOST:
        raise Failed("the page is too large: please report it", "分页过大：请反馈此问题")
    return shown


def _pull(place: Place, write: Callable[[str], None]) -> dict[str, Any]:
    """Pull receipts until there are no more, or the time is up; return and log how many there were."""
    cursor, pulled, end = None, 0, time.monotonic() + _LONGEST
    while True:
        page = operations.page_of(pull_receipts, place, Pull(), cursor)
        pulled, cursor = pulled + sum(row.receipts for row in page.rows), page.cursor
        if cursor is None or time.monotonic() > end:
            write(json.dumps({"event": "admin", "action": "receipts.pull", "by": "timer", "receipts": pulled}))
            return {"version": __version__, "rows": [{"receipts": pulled}], "cursor": None}


def _alert(place: Place, write: Callable[[str], None]) -> dict[str, Any]:
    """Log each alert of the statistics, and return how many there were."""
    cursor, found = None, 0
    while True:
        page = operations.page_of(find_alerts, place, FindAlerts(time.time()), cursor)
        for row in plain(page.rows, clear=False):
            write(json.dumps({"event": "admin", "level": "WARNING", **row}))
        found, cursor = found + len(page.rows), page.cursor
        if cursor is None:
            return {"version": __version__, "rows": [{"alerts": found}], "cursor": None}


_TIMERS = {RECEIPTS: _pull, ALERTS: _alert}


def _refusal(english: str, chinese: str) -> dict[str, Any]:
    return {"version": __version__, "failed": [english, chinese]}


def _request_id(context: Any) -> str:
    return str(context.get("request_id", "")) if isinstance(context, dict) else ""


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
