"""A port for a server that must be told its number before it starts."""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def reserved_port(bus_offset: int = 0) -> Iterator[int]:
    """Give a port of loopback that the kernel gives to no other process; a server that is told its number can bind it.

    A node of Redis Cluster takes another port for the cluster's bus, `bus_offset` above the first: that one is reserved
    too. Raises OSError if none are free.

    A socket stays bound to the port, so the kernel passes it over. That socket does not listen, so a server with
    SO_REUSEADDR can have the same port. Only Linux allows this: elsewhere the port is free, and not reserved.
    """
    for _ in range(100):
        with ExitStack() as stack:
            try:
                port = _bind(stack, 0)
                if bus_offset:
                    _bind(stack, port + bus_offset)
            except (OSError, OverflowError):  # the second is taken, or above the highest
                continue
            if sys.platform != "linux":
                stack.close()
            yield port
            return
    raise OSError("no port is free")


def _bind(stack: ExitStack, port: int) -> int:
    reserved = stack.enter_context(socket.socket())
    reserved.bind(("127.0.0.1", port))  # without SO_REUSEADDR yet: it must not be another's reserved port
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return int(reserved.getsockname()[1])
