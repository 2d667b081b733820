"""The web pages that may call `make run`: those of an app under development, wherever its development server runs."""

import ipaddress
from urllib.parse import urlsplit

from sms_login.http.cors import Origins

_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)


class LocalOrigins(Origins):
    """Also allows every page of this machine and of the local network, on any port."""

    def allows(self, origin: str) -> bool:
        """Return whether pages of an origin may call."""
        return super().allows(origin) or _is_local(origin)


def _is_local(origin: str) -> bool:
    try:
        host = urlsplit(origin).hostname or ""
    except ValueError:  # brackets without an address
        return False
    if host == "localhost" or host.endswith((".localhost", ".local")):  # RFC 6761 and RFC 6762: no public name ends so
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _NETWORKS)
