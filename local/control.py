"""The paths under /_local/: see which SMS were sent, and make the next ones fail."""

import json
import re
from typing import Any

from local.tencent import TencentStandIn


class Control:
    """Answers, in the same shapes as the function, for the paths that are not the function's."""

    def __init__(self, tencent: TencentStandIn) -> None:
        self._tencent = tencent

    def answer(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Answer one event, or return None if its path is the function's."""
        path: str = event["path"]
        if not path.startswith("/_local/"):
            return None
        query: dict[str, Any] = event["queryString"]
        route = f"{event['httpMethod']} {path}"
        if route == "GET /_local/inbox":
            return self._inbox(query.get("phone"))
        if route == "GET /_local/fail":
            return self._failing()
        if route == "POST /_local/fail":
            return self._fail(query.get("mode"), query.get("times"))
        return _json({"error": "there are GET /_local/inbox, GET /_local/fail, POST /_local/fail"}, 404)

    def _inbox(self, phone: Any) -> dict[str, Any]:
        # The plus of a number in a URL arrives as a space, unless it was written as %2B.
        e164 = None if phone is None else "+" + str(phone).strip().lstrip("+")
        return _json([message.as_json() for message in self._tencent.inbox(e164)])

    def _fail(self, mode: Any, times: Any) -> dict[str, Any]:
        try:
            # No mode is not "off", and "two" is not "all": both are refused, with the list of what there is.
            number = int(times) if re.fullmatch("[0-9]{1,9}", str(times)) else 0
            self._tencent.fail(str(mode or ""), None if times is None else number)
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        return self._failing()

    def _failing(self) -> dict[str, Any]:
        mode, times = self._tencent.failing
        return _json({"mode": mode, "times": times})


def _json(value: Any, status: int = 200) -> dict[str, Any]:
    return {
        "isBase64Encoded": False,
        "statusCode": status,
        "headers": {"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"},
        "body": json.dumps(value, ensure_ascii=False),
    }
