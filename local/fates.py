"""Receipts and replies: the actions PullSmsSendStatusByPhoneNumber and PullSmsReplyStatus, API version 2021-01-11."""

import threading
from collections import Counter, deque
from datetime import timedelta
from typing import Any

import phonenumbers

from local import parameters
from local.errors import ApiError

MAX_PULLED = 100  # items of one answer
_DAYS = timedelta(days=7).total_seconds()


class Fates:
    """The fate of each accepted message, and the replies to it; thread-safe.

    ``counts`` has the number of accepted messages by number. Assign to the others to change a number's fate:
    ``refused`` has the code with which SendSms refuses it, ``failed`` the description of its undelivered messages, and
    a number of ``silent`` has no receipt, as if its carrier returned none.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._receipts: dict[str, list[dict[str, Any]]] = {}
        self._replies: deque[dict[str, Any]] = deque()
        self.counts: Counter[str] = Counter()
        self.refused: dict[str, str] = {}
        self.silent: set[str] = set()
        self.failed: dict[str, str] = {}

    def accept(self, phone: str, serial_no: str, at: float) -> None:
        """Keep the receipt of an accepted message; ``at`` is in epoch seconds."""
        with self._lock:
            self.counts[phone] += 1
            self._receipts.setdefault(phone, []).append({"SerialNo": serial_no, "UserReceiveTime": int(at)})

    def reply(self, phone: str, text: str, at: float) -> None:
        """Keep the reply of a person; ``at`` is in epoch seconds."""
        with self._lock:
            self._replies.append(
                {**_number(phone), "ExtendCode": "", "SignName": "", "ReplyContent": text, "ReplyTime": int(at)}
            )

    def by_number(self, body: Any, now: float) -> dict[str, Any]:
        """Answer PullSmsSendStatusByPhoneNumber; raises ApiError with the platform's code."""
        integers = dict.fromkeys(("BeginTime", "EndTime", "Offset", "Limit"), parameters.integer)
        types = integers | dict.fromkeys(("PhoneNumber", "SmsSdkAppId"), parameters.string)
        params = parameters.check(body, types, ("BeginTime", "Offset", "Limit", "PhoneNumber", "SmsSdkAppId"))
        if not 0 < params["Limit"] <= MAX_PULLED:
            raise ApiError("InvalidParameterValue.LimitVerifyFail", f"`Limit` is 1 to {MAX_PULLED}.")
        if params["BeginTime"] < now - _DAYS:
            raise ApiError("InvalidParameterValue.BeginTimeVerifyFail", "`BeginTime` is more than 7 days ago.")
        phone = params["PhoneNumber"]
        with self._lock:
            found = [] if phone in self.silent else self._receipts.get(phone, [])
            span = range(params["BeginTime"], params.get("EndTime", int(now)) + 1)
            return {
                "PullSmsSendStatusSet": [self._status(phone, one) for one in found if one["UserReceiveTime"] in span]
            }

    def replies(self, body: Any) -> dict[str, Any]:
        """Answer PullSmsReplyStatus; raises ApiError with the platform's code."""
        types = {"Limit": parameters.integer, "SmsSdkAppId": parameters.string}
        limit = parameters.check(body, types, types)["Limit"]
        if not 0 < limit <= MAX_PULLED:
            raise ApiError("InvalidParameterValue.LimitVerifyFail", f"`Limit` is 1 to {MAX_PULLED}.")
        with self._lock:
            return {"PullSmsReplyStatusSet": [self._replies.popleft() for _ in range(min(limit, len(self._replies)))]}

    def _status(self, phone: str, receipt: dict[str, Any]) -> dict[str, Any]:
        failed = self.failed.get(phone)
        report = {"ReportStatus": "FAIL" if failed else "SUCCESS", "Description": failed or "用户短信接收成功"}
        return {**_number(phone), **receipt, **report, "SessionContext": ""}


def _number(phone: str) -> dict[str, str]:
    """Return a number as these actions answer it, in E.164 and in parts."""
    parsed = phonenumbers.parse(phone)
    country, national = str(parsed.country_code), str(parsed.national_number)
    return {"PhoneNumber": phone, "CountryCode": country, "SubscriberNumber": national}
