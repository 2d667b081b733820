"""Receipts as Tencent Cloud posts them to a callback: of SMS (document 382/59178), and of voice calls (1128)."""

from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from sms_login.adapters.tencent.receipt_codes import reason_of
from sms_login.errors import InvalidParam, InvalidPhone
from sms_login.otp.delivery import DeliveryReceipt, Reason
from sms_login.phone import Phone
from sms_login.secret import Masked

_MAX_BODY = 64 * 1024  # bytes; a receipt has about 250
_Digits = Annotated[str, Meta(pattern=r"\A[0-9]{1,15}\Z")]
_Id = Annotated[str, Meta(pattern=r"\A[\x21-\x7e]{1,64}\Z")]


class _Number(Masked, frozen=True):
    nationcode: _Digits
    mobile: _Digits  # without the country code


class _Sms(_Number, frozen=True):
    """`sid` is the SerialNo of SendSms, `errmsg` the carrier's code."""

    sid: _Id
    report_status: Literal["SUCCESS", "FAIL"]
    errmsg: Annotated[str, Meta(max_length=256)] | None = None

    def reason(self) -> Reason | None:
        return None if self.report_status == "SUCCESS" else reason_of(self.errmsg or "")


class _Call(_Number, frozen=True):
    """`callid` is the CallId of SendCodeVoice; `result` 0 is an answered call, 1 an unanswered one."""

    sid: _Id = msgspec.field(name="callid")
    result: str = ""
    failure_code: int = 0

    def reason(self) -> Reason | None:
        return None if self.result == "0" else reason_of(f"CALL {self.failure_code or 'R' + self.result}")


def read(body: bytes) -> tuple[list[DeliveryReceipt], int]:
    """Return the receipts of a callback for numbers that can receive SMS, and the count of unreadable receipts.

    Raises InvalidParam unless the body is a JSON array of at most 100, or the JSON object of a call.
    """
    try:
        items = msgspec.json.decode(body[:_MAX_BODY], type=Annotated[list[Any], Meta(max_length=100)] | dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        items = {}
    kinds: list[tuple[type[_Sms | _Call], Any]] = [(_Sms, item) for item in items]
    if isinstance(items, dict):
        kinds = [(_Call, items[name]) for name in ("voicecode_callback", "voice_failure_callback") if name in items]
    if isinstance(items, dict) and not kinds:
        raise InvalidParam(
            "the body is not a JSON array of at most 100 receipts", "请求体不是至多 100 条回执的 JSON 数组"
        )
    receipts, unreadable = list[DeliveryReceipt](), 0
    for kind, item in kinds:
        try:
            found = msgspec.convert(item, kind)
        except msgspec.ValidationError:
            unreadable += 1
            continue
        with suppress(InvalidPhone):  # we have sent nothing to it
            phone = Phone.from_e164(f"+{found.nationcode}{found.mobile}")
            receipts.append(DeliveryReceipt(phone, found.sid, found.reason()))
    return receipts, unreadable
