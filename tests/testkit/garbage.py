"""Garbage whose order is known."""

import gc
import socket
from typing import Any


def collect_socket_first(owner: list[Any], port: int) -> None:
    """Empty `owner`, and collect what it held, a socket to this port of loopback before all that leads to it.

    The garbage collector finalizes in the order in which it has last seen the objects. A ResourceWarning fails the
    test. Raises StopIteration if no such socket is open.
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
