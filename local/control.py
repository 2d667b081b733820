"""Paths beside the function's: the page, and under /_local/ the inbox, Redis, captcha tickets and failures."""

import contextlib
import ipaddress
import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from local import redis_view
from local.page_files import page_file
from local.tencent import TencentStandIn

_SWITCHES = ("SendSms", "DescribeCaptchaResult", "Receipt")


class Control:
    """Answers events for paths that are not the function's, in the function's format.

    ``environ`` is the function's environment, which leads to its Redis.
    """

    def __init__(self, tencent: TencentStandIn, environ: Mapping[str, str] = os.environ) -> None:
        self._tencent = tencent
        self._environ = environ
        self._routes: dict[str, Callable[[dict[str, Any]], Any]] = {
            "GET /_local/inbox": self._inbox,
            "GET /_local/fail": self._failing,
            "POST /_local/fail": self._fail,
            "GET /_local/failures": self._failures,
            "POST /_local/captcha": self._captcha,
            "GET /_local/redis": self._redis,
            "GET /_local/countries": self._countries,
        }

    def answer(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Answer one event, or return None if its path is the function's."""
        path: str = event["path"]
        if not path.startswith("/_local/"):
            return page_file(event)
        if not _from_here(event["headers"]):
            return _json({"error": "only pages and programs of this machine may request this"}, 403)
        route = self._routes.get(f"{event['httpMethod']} {path}")
        if route is None:
            return _json({"error": f"there are {', '.join(self._routes)}"}, 404)
        try:
            return _json(route(event["queryString"]))
        except ValueError as error:  # of the stand-in, which lists the valid values
            return _json({"error": str(error)}, 400)
        except ConnectionError as error:  # of Redis
            return _json({"error": str(error)}, 503)

    def _inbox(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        phone = query.get("phone")
        e164 = None if phone is None else redis_view.e164(str(phone))
        return [message.as_json() for message in self._tencent.inbox(e164)]

    def _fail(self, query: dict[str, Any]) -> dict[str, Any]:
        # A missing mode does not mean "off", nor "two" all: both are refused, with the list of valid values.
        mode, times = str(query.get("mode", "")), query.get("times")
        number = int(str(times)) if re.fullmatch("[0-9]{1,9}", str(times)) else 0
        self._tencent.fail(mode, None if times is None else number, _action(query))
        return self._failing(query)

    def _failing(self, query: dict[str, Any]) -> dict[str, Any]:
        mode, times = self._tencent.failing_of(_action(query))
        return {"mode": mode, "times": times}

    def _failures(self, _query: dict[str, Any]) -> dict[str, str]:
        """Return the mode of each action for which the page has a switch."""
        return {action: self._tencent.failing_of(action)[0] for action in _SWITCHES}

    def _captcha(self, query: dict[str, Any]) -> dict[str, Any]:
        ticket, randstr = self._tencent.captcha_ticket(str(query.get("kind", "good")))
        return {"ticket": ticket, "randstr": randstr}

    def _redis(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        return redis_view.keys_of(redis_view.e164(str(query.get("phone", ""))), self._environ)

    def _countries(self, _query: dict[str, Any]) -> list[str]:
        """Return the ISO codes of ALLOWED_COUNTRIES, or * for all."""
        return re.findall(r"[A-Z]{2}|\*", self._environ.get("ALLOWED_COUNTRIES", "").upper()) or ["CN"]


def _from_here(headers: Mapping[str, str]) -> bool:
    """Return whether a program or our own page sent the request: a foreign web page must not read codes.

    A browser names the page's site in Sec-Fetch-Site, and in Origin if the page could read the answer. A foreign name
    that resolves to this machine (DNS rebinding) shows in Host. Any IP address is accepted: it cannot be redirected,
    and an emulator has its own for this machine.
    """
    host, origin = headers.get("host", ""), headers.get("origin")
    ours = _is_address(host) and origin in (None, f"http://{host}")
    return ours and headers.get("sec-fetch-site", "none") in {"none", "same-origin"}


def _is_address(host: str) -> bool:
    name = re.fullmatch(r"(\[[0-9a-f:]+\]|[a-z0-9.]+)(:[0-9]{1,5})?", host.lower())
    if name is None:
        return False
    with contextlib.suppress(ValueError):
        return name[1] == "localhost" or bool(ipaddress.ip_address(name[1].strip("[]")))
    return False


def _action(query: dict[str, Any]) -> str:
    return str(query.get("action", "SendSms"))


def _json(value: Any, status: int = 200) -> dict[str, Any]:
    return {
        "isBase64Encoded": False,
        "statusCode": status,
        "headers": {
            "Content-Type": "application/json; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
        "body": json.dumps(value, ensure_ascii=False),
    }
