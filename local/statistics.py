"""The actions with an account's statistics, and ReportConversion, API version 2021-01-11.

They count what SendSms has accepted, and the receipts that were given out. Hours are China's, as in the console.
"""

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from local import parameters
from local.errors import ApiError
from local.receipts import FATES

A_SECOND = 10  # requests for each action: document 382/52077
PACKAGE = 10_000  # messages that an account has bought
_DAY, _CHINA = 86_400, timezone(timedelta(hours=8))
_CREATED, _LIFE = 30 * _DAY, 365 * _DAY  # s before the start of the stand-in; s from then on
_MOST_DAYS = 32
_TIMES = {"BeginTime": parameters.string, "EndTime": parameters.string, "SmsSdkAppId": parameters.string}
_TYPES = _TIMES | {"Limit": parameters.integer, "Offset": parameters.integer}
_CONVERSION = {"SmsSdkAppId": parameters.string, "SerialNo": parameters.string, "ConversionTime": parameters.integer}
# The count of a failure, by the reason that getSmsStatus tells.
FAILURES = {
    "unreachable": "ShutdownErrorCount",
    "noSuchNumber": "InvalidNumberCount",
    "blocked": "BlackListCount",
    "limited": "FrequencyLimitCount",
    "carrier": "InternalErrorCount",
}
_FATES = {code: fate for fate, code in FATES.items()}

Counts = Counter[str]


class Statistics:
    """Counts by application and hour. Thread-safe.

    `clock` returns epoch seconds, `code` the carrier's code of a message by its serial number, "" if no receipt comes.
    """

    def __init__(self, clock: Callable[[], float], code: Callable[[str], str]) -> None:
        self._code = code
        self._clock, self._started, self._lock = clock, clock(), threading.Lock()
        self._counts: defaultdict[tuple[str, str], Counts] = defaultdict(Counter)
        self._asked: defaultdict[str, deque[float]] = defaultdict(lambda: deque([0.0] * A_SECOND, maxlen=A_SECOND))
        self.conversions: list[dict[str, Any]] = []

    def add(self, application: str, at: float | None = None, **counts: int) -> None:
        """Add counts, by their names in the API, to the hour of an epoch second; without one, to the present hour."""
        with self._lock:
            self._counts[application, _hour(self._clock() if at is None else at)].update(counts)

    def sent(self, application: str, statuses: Iterable[dict[str, Any]]) -> None:
        """Count the answer of SendSms."""
        for status in statuses:
            accepted = int(status["Code"] == "Ok")
            self.add(application, RequestCount=1, RequestSuccessCount=accepted, FeeCount=status["Fee"])
            if accepted and (code := self._code(status["SerialNo"])):
                self._receive(application, _FATES.get(code, "carrier"))

    def _receive(self, application: str, fate: str) -> None:
        failed = [] if fate == "delivered" else ["CallbackFailCount", FAILURES.get(fate, "InternalErrorCount")]
        names = ["CallbackCount", *(failed or ["CallbackSuccessCount"])]
        self.add(application, **dict.fromkeys(names, 1))

    def send_status(self, body: Any) -> dict[str, Any]:
        """Answer SendStatusStatistics; raises ApiError with the platform's code."""
        found = self._sum("SendStatusStatistics", body, None)
        return {
            "SendStatusStatistics": {name: found[name] for name in ("FeeCount", "RequestCount", "RequestSuccessCount")}
        }

    def callback_status(self, body: Any) -> dict[str, Any]:
        """Answer CallbackStatusStatistics; raises ApiError with the platform's code."""
        found = self._sum("CallbackStatusStatistics", body, _MOST_DAYS)
        names = (
            "CallbackCount",
            "RequestSuccessCount",
            "CallbackFailCount",
            "CallbackSuccessCount",
            *FAILURES.values(),
        )
        return {"CallbackStatusStatistics": {name: found[name] for name in names}}

    def packages(self, body: Any) -> dict[str, Any]:
        """Answer SmsPackagesStatistics with one package; raises ApiError with the platform's code."""
        params = parameters.check(body, _TYPES, tuple(_TYPES))
        begin, end = _span(params)
        created, used = int(self._started - _CREATED), 0
        with self._lock:
            used = sum(
                counts["FeeCount"]
                for (application, _), counts in self._counts.items()
                if application == params["SmsSdkAppId"]
            )
        package = {
            "PackageCreateTime": created,
            "PackageEffectiveTime": created,
            "PackageExpiredTime": created + _LIFE,
            "PackageAmount": PACKAGE,
            "PackageType": 1,
            "PackageId": 1,
            "CurrentUsage": used,
        }
        return {"SmsPackagesStatisticsSet": [package] if begin <= _hour(created) <= end else []}

    def convert(self, body: Any) -> dict[str, Any]:
        """Answer ReportConversion; raises ApiError with the platform's code."""
        params = parameters.check(body, _CONVERSION, tuple(_CONVERSION))
        with self._lock:
            self.conversions.append(params)
        return {"ReportConversionStatus": {"Code": "ok", "Message": "ok"}}

    def _sum(self, action: str, body: Any, most_days: int | None) -> Counts:
        params = parameters.check(body, _TYPES, tuple(_TYPES))
        begin, end = _span(params)
        if params["Limit"] or params["Offset"]:
            raise ApiError("InvalidParameterValue.LimitVerifyFail", "Limit and Offset must be 0.")
        if most_days and _moment(end) - _moment(begin) > timedelta(days=most_days):
            raise ApiError("InvalidParameterValue.EndTimeVerifyFail", f"A span has at most {most_days} days.")
        with self._lock:
            self._take(action)
            hours = [
                counts
                for (application, hour), counts in self._counts.items()
                if application == params["SmsSdkAppId"] and begin <= hour <= end
            ]
            return sum(hours, Counter())

    def _take(self, action: str) -> None:
        """Count a request of the present second. Raises ApiError if there are too many."""
        asked, now = self._asked[action], time.monotonic()
        if now - asked[0] < 1:
            raise ApiError("RequestLimitExceeded", f"More than {A_SECOND} requests a second.")
        asked.append(now)


def _span(params: dict[str, Any]) -> tuple[str, str]:
    begin, end = params["BeginTime"], params["EndTime"]
    for name, text in (("Begin", begin), ("End", end)):
        if _moment(text) is None:
            raise ApiError(f"InvalidParameterValue.{name}TimeVerifyFail", f"`{name}Time` is not yyyymmddhh.")
    if end < begin:
        raise ApiError("InvalidParameterValue.EndTimeVerifyFail", "`EndTime` is before `BeginTime`.")
    return begin, end


def _moment(text: str) -> Any:
    try:
        return datetime.strptime(text, "%Y%m%d%H").replace(tzinfo=_CHINA)
    except ValueError:
        return None


def _hour(at: float) -> str:
    return f"{datetime.fromtimestamp(at, _CHINA):%Y%m%d%H}"
