"""Delivery receipts as Tencent Cloud SMS posts them to a callback (document 382/59178)."""

from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from sms_login.adapters.tencent.receipt_codes import reason_of
from sms_login.errors import InvalidParam, InvalidPhone
from sms_login.otp.delivery import DeliveryReceipt
from sms_login.phone import Phone

_MAX_BODY = 64 * 1024  # bytes; a receipt has about 250
_Digits = Annotated[str, Meta(pattern=r"\A[0-9]{1,15}\Z")]


class _Receipt(Struct):
    """A receipt: `sid` is the SerialNo of SendSms, `mobile` has no country code, `errmsg` is the carrier's code."""

    nationcode: _Digits
    mobile: _Digits
    report_status: Literal["SUCCESS", "FAIL"]
    sid: Annotated[str, Meta(pattern=r"\A[\x21-\x7e]{1,64}\Z")]
    errmsg: Annotated[str, Meta(max_length=256)] | None = None


def read(body: bytes) -> tuple[list[DeliveryReceipt], int]:
    """Return the receipts of a callback for numbers that can receive SMS, and the count of unreadable receipts.

    Raises InvalidParam unless the body is a JSON array of at most 100.
    """
    try:
        items = msgspec.json.decode(body[:_MAX_BODY], type=Annotated[list[Any], Meta(max_length=100)])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise InvalidParam(
            "the body is not a JSON array of at most 100 receipts", "请求体不是至多 100 条回执的 JSON 数组"
        ) from None
    receipts, unreadable = list[DeliveryReceipt](), 0
    for item in items:
        try:
            found = msgspec.convert(item, _Receipt)
        except msgspec.ValidationError:
            unreadable += 1
            continue
        reason = None if found.report_status == "SUCCESS" else reason_of(found.errmsg or "")
        with suppress(InvalidPhone):  # we have sent nothing to it
            phone = Phone.from_e164(f"+{found.nationcode}{found.mobile}")
            receipts.append(DeliveryReceipt(phone, found.sid, reason))
    return receipts, unreadable
