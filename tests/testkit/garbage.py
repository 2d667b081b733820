"""Garbage whose order is known."""

import gc
import socket
from typing import Any


def collect_socket_first(owner: list[Any], port: int) -> None:
    """Take the only object out of `owner`, and let the garbage collector reach its socket to a loopback port first.

    The collector finalizes objects in the order in which it last saw them. If the socket is still open when its turn
    comes, a ResourceWarning fails the test. Raises StopIteration if no socket is connected to the port.
    """
    cycle: list[Any] = [next(each for each in gc.get_objects() if _leads_to(each, port)), [[[owner.pop()]]]]
    cycle.append(cycle)
    gc.collect()
    del cycle
    gc.collect()


def _leads_to(found: object, port: int) -> bool:
    try:
        return isinstance(found, socket.socket) and found.getpeername()[1] == port
    except OSError:
        return False
