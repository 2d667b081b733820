"""A port for a server that must be told its number before it starts, or for no server at all."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Iterator[int]:
    """Give a port of loopback that the kernel gives to no other process; a server that is told its number can bind it.

    A socket stays bound to the port, so the kernel passes it over. That socket does not listen, so a server with
    SO_REUSEADDR can have the same port.
    """
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]
