"""CORS: the web pages that may call the function. A foreign page must not request codes in its visitors' name.

An app sends no Origin. A browser sends Origin for most requests and Sec-Fetch-Site for all of them (Fetch standard,
section 3.2; Fetch Metadata).
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from sms_login.errors import OriginNotAllowed

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Accept-Language, Authorization, Content-Type, Idempotency-Key",
    "Access-Control-Max-Age": "7200",
}


class Origins:
    """The `allowed` origins, such as "https://app.example.com", "capacitor://localhost", "null", and our own host."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed

    def check(self, headers: Mapping[str, str], *, preflight: bool) -> dict[str, str]:
        """Return the headers that let the page read our answer. Raises OriginNotAllowed for a foreign one."""
        origin = headers.get("origin", "")
        if origin.lower() in self._allowed:
            allow = {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "Retry-After"}
            return {**allow, "Vary": "Origin", **(_PREFLIGHT if preflight else {})}
        # Same-site counts as foreign: functions of all the platform's customers may share one site.
        foreign = headers.get("sec-fetch-site") in {"cross-site", "same-site"}
        if foreign or (origin and not _is_host(origin, headers.get("host", ""))):
            raise OriginNotAllowed
        return {}


def _is_host(origin: str, host: str) -> bool:
    try:
        return bool(host) and urlsplit(origin.lower()).netloc == host.lower()
    except ValueError:  # brackets without an address
        return False
