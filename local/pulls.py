"""The action PullSmsSendStatus, API version 2021-01-11: a queue of receipts for each application, each given once."""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

import phonenumbers

from local import parameters
from local.errors import ApiError

DELAY = 1.0  # s from a message to its receipt
_MOST = 100  # receipts of one answer
_KEPT = 10_000  # receipts of one application; older ones are forgotten
_TYPES = {"SmsSdkAppId": parameters.string, "Limit": parameters.integer}


class Pulls:
    """The receipts that wait; `clock` returns epoch seconds, `code_of` the carrier's code of a message, "" for none.

    Thread-safe.
    """

    def __init__(self, clock: Callable[[], float], code_of: Callable[[str], str]) -> None:
        self._clock, self._code_of, self._lock = clock, code_of, threading.Lock()
        self._waiting: defaultdict[str, deque[dict[str, Any]]] = defaultdict(lambda: deque(maxlen=_KEPT))

    def sent(self, application: str, statuses: Iterable[dict[str, Any]]) -> None:
        """Queue the receipts of the messages in SendSms's answer."""
        for status in statuses:
            if status["Code"] == "Ok" and (code := self._code_of(status["SerialNo"])):
                with self._lock:
                    self._waiting[application].append(_receipt(status, code, self._clock() + DELAY))

    def pull(self, body: Any) -> dict[str, Any]:
        """Answer PullSmsSendStatus; raises ApiError with the platform's code."""
        params = parameters.check(body, _TYPES, tuple(_TYPES))
        if not 0 < params["Limit"] <= _MOST:
            raise ApiError("InvalidParameterValue.LimitVerifyFail", f"Limit must be 1 to {_MOST}.")
        with self._lock:
            waiting, found = self._waiting[params["SmsSdkAppId"]], list[dict[str, Any]]()
            while waiting and len(found) < params["Limit"] and waiting[0]["UserReceiveTime"] <= self._clock():
                found.append(waiting.popleft())
        return {"PullSmsSendStatusSet": found}


def _receipt(status: dict[str, Any], code: str, at: float) -> dict[str, Any]:
    number = phonenumbers.parse(status["PhoneNumber"])
    return {
        "UserReceiveTime": int(at),
        "CountryCode": str(number.country_code),
        "SubscriberNumber": str(number.national_number),
        "PhoneNumber": status["PhoneNumber"],
        "SerialNo": status["SerialNo"],
        "ReportStatus": "SUCCESS" if code == "DELIVRD" else "FAIL",
        "Description": code,
        "SessionContext": "",
    }
