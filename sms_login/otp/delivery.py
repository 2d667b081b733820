"""Delivery receipts: the fate of a message, for the person who waits for it."""

import hmac
import time
from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Literal, Protocol

from msgspec import Struct

from sms_login import logs
from sms_login.calls import Call, Send
from sms_login.errors import CodeHasExpired, ReceiptKeyInvalid
from sms_login.phone import Phone
from sms_login.secret import Masked
from sms_login.statistics import Statistics

Reason = Literal["unreachable", "noSuchNumber", "blocked", "limited", "rejected", "carrier"]


class DeliveryReceipt(Struct, frozen=True):
    """The fate of the message `serial_no`: the `reason` why it failed, None if it was delivered."""

    phone: Phone
    serial_no: str
    reason: Reason | None


class SmsStatus(Struct, frozen=True):
    """The fate of a message: `reason` is null unless it failed, `at` (epoch s) is null until its receipt comes."""

    status: Literal["sent", "delivered", "failed"]
    reason: Reason | None = None
    at: int | None = None


class NoteOutcome(Enum):
    """The store's decision on a receipt."""

    NOTED = "noted"
    REPEATED = "repeated"  # nothing new, also a failure after a delivery
    UNKNOWN = "unknown"  # the number has asked for no code lately


class ReceiptStore(Protocol):
    """Receipts by number and serial number, kept for as long as the challenges of the number's latest sendings."""

    def note(self, receipt: DeliveryReceipt, at: int) -> Call[NoteOutcome]:
        """Note a receipt that came `at` an epoch second; forget it if nothing is known of the number."""

    def status(self, phone: Phone, challenge_id: str, serial_no: str) -> Call[SmsStatus | None]:
        """Return the fate of a message; None if the number has no such challenge."""


class Deliveries(Masked, frozen=True, kw_only=True, eq=False):
    """Takes the provider's receipts, and tells the fate of a message. Thread-safe.

    `read` returns the receipts in a callback's body and the count of unreadable ones; `keys` are the valid ones of the
    callback's URL.
    """

    store: ReceiptStore
    read: Callable[[bytes], tuple[Sequence[DeliveryReceipt], int]]
    keys: Sequence[bytes]
    send: Send
    statistics: Statistics

    def take(self, key: str, body: Callable[[], bytes]) -> None:
        """Note the receipts in the `body` of a callback, which is read if the key is right. Twice the same is once.

        Raises ReceiptKeyInvalid, InvalidParam for a body of another form, and ServiceUnavailable.
        """
        if True not in [hmac.compare_digest(key.encode(), known) for known in self.keys]:  # takes the same time
            raise ReceiptKeyInvalid("" if self.keys else "SMS_RECEIPT_KEY is not set")
        receipts, unreadable = self.read(body())
        notes = [self.store.note(receipt, int(time.time())) for receipt in receipts]
        self.send(*notes)
        outcomes = [note.answer() for note in notes]
        new = [receipt for receipt, is_new in zip(receipts, outcomes, strict=True) if is_new is NoteOutcome.NOTED]
        for receipt in new:
            self.statistics.count_receipt(receipt.phone.region, receipt.reason)
        logs.note(receipts=len(receipts), fates=Counter(receipt.reason or "delivered" for receipt in new))
        if unreadable:
            logs.alert("receipts_unreadable", count=unreadable)

    def status(self, phone: Phone, challenge_id: str, serial_no: str) -> SmsStatus:
        """Return the fate of a message to the holder of a challenge. Raises CodeHasExpired and ServiceUnavailable."""
        status = self.store.status(phone, challenge_id, serial_no).answer()
        if status is None:
            raise CodeHasExpired
        return status
