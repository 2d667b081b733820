"""Conversions: tells the provider which messages led to a right code, off the path of every answer."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import copy_context

from sms_login import logs
from sms_login.phone import Phone

_MOST = 1000  # conversions that wait: a provider that does not answer must not fill the memory

Report = Callable[[Phone, str, int], None]  # tells the provider of a number, a serial number, and the epoch second


class Conversions:
    """Conversions that wait for the next request. Thread-safe. Without a `report`, none is told.

    The platform freezes an instance once it has answered, so a thread that began after a login would not end. It begins
    with the next request, runs beside it, and has its credentials. What an instance has not told when it ends is lost.
    """

    def __init__(self, report: Report | None) -> None:
        self.on = report is not None
        self._report = report
        self._waiting: deque[tuple[Phone, str, int]] = deque(maxlen=_MOST)

    def add(self, phone: Phone, serial_no: str) -> None:
        """Keep a conversion of a message; "" is none."""
        if self.on and serial_no:
            self._waiting.append((phone, serial_no, int(time.time())))

    def tell(self) -> None:
        """Begin to tell of the conversions that wait, in a thread."""
        if self._waiting:
            threading.Thread(target=copy_context().run, args=[self._tell], daemon=True, name="conversions").start()

    def _tell(self) -> None:
        logs.detach()
        try:
            while self._report:
                self._report(*self._waiting.popleft())
        except IndexError:
            return
        except Exception as error:  # noqa: BLE001 - a report is not worth more than a line; the next thread goes on
            logging.getLogger(__name__).warning("a conversion was not reported: %s", error)
