"""The client's address, from a source that the client cannot forge."""

import ipaddress
from collections.abc import Mapping

from sms_login.limits.client import UNKNOWN, Address

_ONE_CUSTOMER = 64  # bits of an IPv6 address that a provider hands to one customer


def client(source: str, platform: str, headers: Mapping[str, str]) -> Address:
    """Return the client's address.

    `source` "platform" trusts the platform: the event's field `platform`, else the header X-SCF-Remote-Addr.
    "forwarded:N" trusts the N-th address from the right of X-Forwarded-For, for N proxies of the operator's; a client
    can forge the addresses left of it. "none" trusts no source.
    """
    if source == "none":
        return Address(_parsed(platform))
    if source == "platform":
        ip = _parsed(platform or headers.get("x-scf-remote-addr", ""))
    else:
        hops = headers.get("x-forwarded-for", "").split(",")
        nth = int(source.partition(":")[2])
        ip = _parsed(hops[-nth]) if nth <= len(hops) else ""
    if not ip:
        return Address("", UNKNOWN)
    if ":" in ip:
        return Address(ip, str(ipaddress.ip_network(f"{ip}/{_ONE_CUSTOMER}", strict=False)))
    return Address(ip, ip)


def _parsed(text: str) -> str:
    """Return an address without port, brackets and zone, in canonical form; "" if `text` holds none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
