"""Delivery receipts in Redis: a hash per number, `otp:{+86…}:receipts`, from serial number to status, time and reason.

It expires with the number's latest challenges, and receipts alone never create it.
"""

import re
from typing import Any

from sms_login.adapters.redis.client import RedisCall, RedisClient
from sms_login.adapters.redis.codes import otp_key
from sms_login.otp.delivery import DeliveryReceipt, NoteOutcome, SmsStatus
from sms_login.phone import Phone

_MOST = 32  # receipts of one number, of which ten minutes have fewer sendings
_NOTED = r"(delivered|failed) ([0-9]{1,15}) ([A-Za-z]*)"


class RedisReceipts:
    """`otp.delivery.ReceiptStore` on Redis."""

    def __init__(self, redis: RedisClient, purposes: frozenset[str]) -> None:
        self._redis = redis
        self._names = ["receipts", "latest", *(f"latest:{purpose}" for purpose in purposes)]

    def note(self, receipt: DeliveryReceipt, at: int) -> RedisCall[NoteOutcome]:
        """See `otp.delivery.ReceiptStore.note`."""
        status = "failed" if receipt.reason else "delivered"
        keys = [otp_key(receipt.phone, name) for name in self._names]
        args: list[str | int] = [receipt.serial_no, f"{status} {at} {receipt.reason or ''}", _MOST]
        return self._redis.script("note_receipt", keys, args, NoteOutcome)  # an unknown word is a crash

    def status(self, phone: Phone, challenge_id: str, serial_no: str) -> RedisCall[SmsStatus | None]:
        """See `otp.delivery.ReceiptStore.status`."""
        keys = [otp_key(phone, challenge_id), otp_key(phone, "receipts")]
        return self._redis.script("sms_status", keys, [serial_no], _status)


def _status(noted: str | None) -> SmsStatus | None:
    if noted is None:
        return None
    match: Any = re.fullmatch(_NOTED, noted)
    return SmsStatus(match[1], match[3] or None, int(match[2])) if match else SmsStatus("sent")
