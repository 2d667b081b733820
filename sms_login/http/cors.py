"""Browsers: which web pages may call us. A page of a foreign site must not make its visitors ask for codes.

An app sends no Origin. A browser does, and says in Sec-Fetch-Site whose page sent the request, also where it sends no
Origin (Fetch standard, section 3.2; Fetch Metadata).
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
    """Those that are `allowed`, besides our own host: "https://app.example.com", "capacitor://localhost", "null"."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed

    def check(self, headers: Mapping[str, str], *, preflight: bool) -> dict[str, str]:
        """Return the headers that let the page read our answer. Raises OriginNotAllowed for a foreign one."""
        origin = headers.get("origin", "")
        if origin.lower() in self._allowed:
            allow = {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "Retry-After"}
            return {**allow, "Vary": "Origin", **(_PREFLIGHT if preflight else {})}
        # Same-site is foreign as well: the functions of all the platform's customers may share one site.
        foreign = headers.get("sec-fetch-site") in {"cross-site", "same-site"}
        if foreign or (origin and not _is_host(origin, headers.get("host", ""))):
            raise OriginNotAllowed
        return {}


def _is_host(origin: str, host: str) -> bool:
    try:
        return bool(host) and urlsplit(origin.lower()).netloc == host.lower()
    except ValueError:  # brackets that hold no address
        return False
