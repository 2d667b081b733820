"""Processes that fork after their first request, as web servers do that load the application first."""

import os
import weakref
from collections.abc import Callable
from typing import Any


def in_child(held: Any, forget: Callable[[Any], object]) -> None:
    """Call `forget(held)` in each child that is forked while `held` lives.

    A child must not use its parent's connections, on which the answers to both would mix, nor write its counts again.
    To close a connection there is harmless, as long as nothing is sent or shut down.
    """
    reference = weakref.ref(held)
    os.register_at_fork(after_in_child=lambda: (found := reference()) is None or forget(found))
