"""Delivery receipts, as Tencent Cloud posts them."""

from typing import Any

from sms_login.phone import Phone
from tests.testkit.world import PHONE


def receipt(serial_no: Any, code: str = "DELIVRD", phone: Phone = PHONE, **changes: Any) -> dict[str, Any]:
    """Return a receipt as document 382/59178 shows it."""
    return {
        "user_receive_time": "2015-10-17 08:03:04",
        "nationcode": phone.e164[1:3],
        "mobile": phone.e164[3:],
        "report_status": "SUCCESS" if code == "DELIVRD" else "FAIL",
        "errmsg": code,
        "description": "用户短信送达成功",
        "sid": serial_no,
    } | changes
