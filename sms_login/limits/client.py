"""The client behind a request, as limits count it."""

from msgspec import Struct

UNKNOWN = "unknown"  # all clients without a known address


class Client(Struct, frozen=True):
    """A client's `ip` ("" if unknown), and the name that limits count it under.

    `counted_as` is the address itself, for IPv6 its /64 network, `UNKNOWN` if the address is unknown, and None if no
    limit counts clients (CLIENT_IP_SOURCE=none).
    """

    ip: str = ""
    counted_as: str | None = None
