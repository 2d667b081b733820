"""The client of a request, from a source that the client cannot forge."""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache

from sms_login.limits.client import UNKNOWN, Client

_LONGEST = 64  # characters of an address that are read, so that forged ones fill no cache
_ONE_CUSTOMER = 64  # bits: the prefix of an IPv6 address that a provider gives to one customer


def client_of(source: str, platform: str, headers: Mapping[str, str]) -> Client:
    """Return the client of a request.

    `source` "platform" trusts the platform: the event's `platform` address, else the header X-SCF-Remote-Addr.
    "forwarded:N" trusts the N-th address from the right of X-Forwarded-For, behind N proxies of one's own; any client
    can have written the addresses left of it. "none" trusts nothing, so no limit counts clients.
    """
    if source == "none":
        return Client(_parsed(platform))
    if source == "platform":
        ip = _parsed((platform or headers.get("x-scf-remote-addr", ""))[:_LONGEST])
    else:
        hops, nth = headers.get("x-forwarded-for", "").split(","), int(source.partition(":")[2])
        ip = _parsed(hops[-nth].strip()[:_LONGEST]) if nth <= len(hops) else ""
    if not ip:
        return Client("", UNKNOWN)
    if ":" in ip:
        return Client(ip, str(ipaddress.ip_network(f"{ip}/{_ONE_CUSTOMER}", strict=False)))
    return Client(ip, ip)


@lru_cache(maxsize=1024)  # a client sends more than one request
def _parsed(text: str) -> str:
    """Return an address in its canonical spelling, without port, brackets and zone; "" for any other text."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)
