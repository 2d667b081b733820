"""A port for a server that can only be told its number."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Iterator[int]:
    """Give a port of loopback that the kernel gives to no other process, while a server can bind it by its number.

    The kernel skips the port for the sake of a socket that is bound to it; a server with SO_REUSEADDR may share it with
    one that does not listen.
    """
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]
