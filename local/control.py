"""The paths under /_local/: see which SMS were sent, get a captcha's ticket, and make the next calls fail."""

import json
import re
from collections.abc import Callable
from typing import Any

from local.tencent import TencentStandIn


class Control:
    """Answers, in the same shapes as the function, for the paths that are not the function's."""

    def __init__(self, tencent: TencentStandIn) -> None:
        self._tencent = tencent
        self._routes: dict[str, Callable[[dict[str, Any]], Any]] = {
            "GET /_local/inbox": self._inbox,
            "GET /_local/fail": self._failing,
            "POST /_local/fail": self._fail,
            "POST /_local/captcha": self._captcha,
        }

    def answer(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Answer one event, or return None if its path is the function's."""
        path: str = event["path"]
        if not path.startswith("/_local/"):
            return None
        route = self._routes.get(f"{event['httpMethod']} {path}")
        if route is None:
            return _json({"error": f"there are {', '.join(self._routes)}"}, 404)
        try:
            return _json(route(event["queryString"]))
        except ValueError as error:  # of the stand-in, which then lists what there is
            return _json({"error": str(error)}, 400)

    def _inbox(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        phone = query.get("phone")
        # The plus of a number in a URL arrives as a space, unless it was written as %2B.
        e164 = None if phone is None else "+" + str(phone).strip().lstrip("+")
        return [message.as_json() for message in self._tencent.inbox(e164)]

    def _fail(self, query: dict[str, Any]) -> dict[str, Any]:
        # No mode is not "off", and "two" is not "all": both are refused, with the list of what there is.
        mode, times = str(query.get("mode", "")), query.get("times")
        number = int(str(times)) if re.fullmatch("[0-9]{1,9}", str(times)) else 0
        self._tencent.fail(mode, None if times is None else number, _action(query))
        return self._failing(query)

    def _failing(self, query: dict[str, Any]) -> dict[str, Any]:
        mode, times = self._tencent.failing_of(_action(query))
        return {"mode": mode, "times": times}

    def _captcha(self, query: dict[str, Any]) -> dict[str, Any]:
        ticket, randstr = self._tencent.captcha_ticket(str(query.get("kind", "good")))
        return {"ticket": ticket, "randstr": randstr}


def _action(query: dict[str, Any]) -> str:
    return str(query.get("action", "SendSms"))


def _json(value: Any, status: int = 200) -> dict[str, Any]:
    return {
        "isBase64Encoded": False,
        "statusCode": status,
        "headers": {"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"},
        "body": json.dumps(value, ensure_ascii=False),
    }
