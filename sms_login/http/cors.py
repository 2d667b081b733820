"""CORS: the web pages that may call the function. A foreign page must not request codes in its visitors' name.

Browsers send Origin with every request that a page makes by another method than GET and HEAD (Fetch standard, section
3.2), and Sec-Fetch-Site with every request over HTTPS (Fetch Metadata). A page can change neither; it can leave out
Referer, but not forge it. An app sends none of the three. A WeChat Mini Program on a computer sends Sec-Fetch-Site and
Referer, but no Origin.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from sms_login.errors import OriginNotAllowed

MINI_PROGRAMS = "https://servicewechat.com"  # where WeChat runs all Mini Programs; it hosts nothing else
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_OURS = {"", "none", "same-origin"}  # values of Sec-Fetch-Site that no foreign page causes; "none" is the address bar
_NO_REFERER = "ALLOWED_ORIGINS cannot list a page that sends neither Origin nor Referer"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Accept-Language, Authorization, Content-Type, Idempotency-Key",
    "Access-Control-Max-Age": "7200",
}


def from_page(verb: str, headers: Mapping[str, str]) -> bool:
    """Return whether a page may have caused a request. A POST without Origin comes from a program."""
    return bool(headers.get("origin")) or (verb != "POST" and "sec-fetch-site" in headers)


class Origins:
    """The `allowed` origins, such as "https://app.example.com", "capacitor://localhost", "null", and our own host."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = frozenset(map(_canonical, allowed | {MINI_PROGRAMS}))

    def allows(self, origin: str) -> bool:
        """Return whether pages of an origin may call; it is in small letters, without a default port."""
        return origin in self._allowed

    def check(self, headers: Mapping[str, str], *, preflight: bool) -> dict[str, str]:
        """Return the headers that let the page read our answer. Raises OriginNotAllowed for a foreign one."""
        origin, site = headers.get("origin", ""), headers.get("sec-fetch-site", "")
        if origin and self.allows(_canonical(origin)):
            allow = {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "Retry-After"}
            return {**allow, "Vary": "Origin", **(_PREFLIGHT if preflight else {})}
        if origin:
            # A proxy may have replaced Host, so the browser's word comes first. Same-site counts as foreign: functions
            # of all the platform's customers may share one site.
            ours = site == "same-origin" or (site in _OURS and _is_host(origin, headers.get("host", "")))
        else:
            origin = "/".join(headers.get("referer", "").split("/")[:3])  # scheme://host:port
            ours = site in _OURS or self.allows(_canonical(origin))
        if ours:
            return {}
        # The log says how to allow it. The origin comes last, since it may be long.
        raise OriginNotAllowed(f"ALLOWED_ORIGINS does not list {origin}" if origin else _NO_REFERER)


def _canonical(origin: str) -> str:
    origin = origin.lower()
    return origin.removesuffix(_DEFAULT_PORTS.get(origin.partition("://")[0], ""))


def _is_host(origin: str, host: str) -> bool:
    try:
        scheme, netloc, *_ = urlsplit(origin)
    except ValueError:  # brackets without an address
        return False
    return bool(host) and _canonical(f"{scheme}://{netloc}") == _canonical(f"{scheme}://{host}")
