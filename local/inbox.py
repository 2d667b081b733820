"""The SMS that the stand-in has accepted, for people and tests to read."""

import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

SIZE = 1000  # messages; older ones are forgotten


@dataclass(frozen=True, repr=False)
class Message:
    """An accepted SMS, or a call. ``phone`` is E.164, ``sent_at`` in epoch seconds."""

    phone: str
    text: str
    params: list[str]
    sent_at: float
    serial_no: str
    channel: str = "sms"  # or "voice"

    def as_json(self) -> dict[str, Any]:
        """Return the message for the inbox; ``sentAt`` is ISO 8601, in UTC, with milliseconds."""
        sent_at = datetime.fromtimestamp(self.sent_at, timezone.utc).isoformat(timespec="milliseconds")
        return {
            "phone": self.phone,
            "text": self.text,
            "params": self.params,
            "serialNo": self.serial_no,
            "channel": self.channel,
            "sentAt": sent_at.replace("+00:00", "Z"),
        }


class Inbox:
    """The last messages; thread-safe."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque(maxlen=SIZE)
        self._lock = threading.Lock()

    def put(self, message: Message) -> None:
        """Keep a message."""
        with self._lock:
            self._messages.appendleft(message)

    def get(self, phone: str | None) -> list[Message]:
        """Return the messages, newest first; with ``phone`` (E.164) only those to that number."""
        with self._lock:
            return [message for message in self._messages if phone in (None, message.phone)]
