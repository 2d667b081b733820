"""Delivery receipts: the stand-in posts them to a callback, as Tencent Cloud SMS does (document 382/59178)."""

import contextlib
import heapq
import http.client
import itertools
import json
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import phonenumbers

from local.failures import Failures
from local.inbox import Message

# The fates of a message, with a code of a carrier for each; "none": no receipt ever comes.
FATES = {
    "delivered": "DELIVRD",
    "unreachable": "UNDELIV",
    "noSuchNumber": "MK:0001",
    "blocked": "MX:0012",
    "limited": "MX:0003",
    "rejected": "REJECTD",
    "carrier": "UNKNOWN",
    "none": "",
}
_CALL_CODES = {"unreachable": 1, "noSuchNumber": 8, "blocked": 12, "limited": 12, "rejected": 9, "carrier": 9}
TRIES = 3
DELAY = 2.0  # s from a message to its receipt, and between two tries
_PATIENCE = 5  # s for an answer


class Receipts:
    """Posts a receipt for each message that was sent while a ``callback`` was set, ``delay`` seconds later.

    ``fates`` is the switch for the next messages. Thread-safe.
    """

    def __init__(self) -> None:
        self.callback = ""  # the URL, as it is set in the console of SMS
        self.delay = DELAY
        self.fates = Failures(tuple(FATES), codes=False)
        self._codes: dict[str, str] = {}  # of the messages whose receipts nobody has asked for, by serial number
        self._due: list[tuple[float, int, int, Any]] = []  # a heap: time, order, tries so far, receipt
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="receipts", daemon=True)
        self._thread.start()

    def sent(self, message: Message) -> None:
        """Post the receipt for a message or a call later, if the switch has one."""
        fate = self.fates.take()
        code = self._codes[message.serial_no] = FATES[fate]
        if code and self.callback:
            self._later(0, call_receipt(message, fate) if message.channel == "voice" else [receipt(message, code)])

    def code(self, serial_no: str) -> str:
        """Return the code of a message's receipt; "" if none ever comes, or if it was taken."""
        return self._codes.get(serial_no, "")

    def taken_code(self, serial_no: str) -> str:
        """Return the code of a message's receipt, once; "" if no receipt ever comes."""
        return self._codes.pop(serial_no, "")

    def close(self) -> None:
        """Post nothing more. May be called twice."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _later(self, tries: int, body: Any) -> None:
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + self.delay, next(self._order), tries, body))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closing and (not self._due or self._due[0][0] > time.monotonic()):
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._closing:
                    return
                _, _, tries, body = heapq.heappop(self._due)
            if not post(self.callback, body) and tries + 1 < TRIES:
                self._later(tries + 1, body)


def call_receipt(message: Message, fate: str) -> dict[str, dict[str, str | int]]:
    """Return the callback of a call: it was answered, or it failed."""
    about: dict[str, str | int] = {"callid": message.serial_no, **_number(message.phone)}
    if fate == "delivered":
        return {"voicecode_callback": {"result": "0", **about}}
    return {"voice_failure_callback": {"failure_code": _CALL_CODES[fate], "failure_reason": fate, **about}}


def _number(phone: str) -> dict[str, str]:
    calling = str(phonenumbers.parse(phone).country_code)
    return {"nationcode": calling, "mobile": phone.removeprefix(f"+{calling}")}


def receipt(message: Message, code: str) -> dict[str, str]:
    """Return the receipt with a carrier's code; its time is that of China, without saying so."""
    return {
        "user_receive_time": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + 8 * 3600)),
        **_number(message.phone),
        "report_status": "SUCCESS" if code == FATES["delivered"] else "FAIL",
        "errmsg": code,
        "description": code,
        "sid": message.serial_no,
    }


def post(url: str, body: Any) -> bool:
    """Post JSON, and return whether the answer is the one that Tencent Cloud wants."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.netloc, timeout=_PATIENCE)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        connection.request("POST", f"/?{place.query}", json.dumps(body), {"Content-Type": "application/json"})
        return bool(json.load(connection.getresponse()) == {"result": 0, "errmsg": "OK"})
    return False
