"""The client that a limit counts."""

from msgspec import Struct


class Address(Struct, frozen=True):
    """A client: the `ip` ("" if unknown), and as what it is `counted`: the address itself, of IPv6 its /64.

    All clients of unknown address are counted as "unknown". None: no limit counts clients.
    """

    ip: str = ""
    counted: str | None = None


UNKNOWN = "unknown"
