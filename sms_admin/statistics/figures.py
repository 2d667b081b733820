"""Tencent Cloud's own figures: one sum a call, ten calls a second, so those of closed periods are kept in a file."""

import json
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from time import sleep
from typing import Any

from msgspec import Struct, field

from sms_admin.statistics.spans import HOUR, Span
from sms_admin.tencent import Account

SENT, RECEIVED, PACKAGES = "SendStatusStatistics", "CallbackStatusStatistics", "SmsPackagesStatistics"
# The counts of failures, by the reason that getSmsStatus tells.
REASONS = {
    "unreachable": "ShutdownErrorCount",
    "noSuchNumber": "InvalidNumberCount",
    "blocked": "BlackListCount",
    "limited": "FrequencyLimitCount",
    "carrier": "InternalErrorCount",
}
_KEPT = {  # the names of the counts, and the hours after which they change no more: a receipt may be late
    SENT: (("RequestCount", "RequestSuccessCount", "FeeCount"), 2),
    RECEIVED: (("CallbackCount", "CallbackSuccessCount", "CallbackFailCount", *REASONS.values()), 72),
}
_A_SECOND = 10  # calls of an action: document 382/52077
_MOST = 32 * 24  # hours of a call
_CHINA = timezone(timedelta(hours=8))
_PACKAGE_LIFE = 3 * 365 * 24  # hours: packages are listed by their creation

Sums = dict[str, int]


class Figures(Struct, rename="camel"):
    """Tencent's figures of a period: requests, accepted ones, messages charged, receipts and their fates."""

    requested: int = 0
    accepted: int = 0
    fee: int = 0
    delivered: int = 0
    failed: int = 0
    failed_by: dict[str, int] = field(default_factory=dict)


class Packages(Struct, rename="camel"):
    """The unexpired packages: their `count`, the messages left, and when the first of these expire (epoch s)."""

    count: int
    left: int
    expires: int | None


class Tencent:
    """The figures of the applications of an account; `now` is the present epoch second."""

    def __init__(self, environ: Mapping[str, str], applications: Sequence[str], now: float) -> None:
        self._account, self._applications, self._now = Account(environ), applications, now

    def of(self, spans: Sequence[Span]) -> dict[Span, Figures]:
        """Return the figures of each span, of all applications together. Raises Failed."""
        with ThreadPoolExecutor(len(_KEPT)) as pool:  # the limit is that of each action
            sums = list(pool.map(lambda action: self._action(action, spans), _KEPT))
        return {span: _figures(sent[span] | received[span]) for span in spans for sent, received in [sums]}

    def packages(self) -> Packages:
        """Return the packages that have not expired. Raises Failed."""
        end = int(self._now) // HOUR - 1
        left, expires, count = 0, [], 0
        for application in self._applications:
            answer = self._account.call(PACKAGES, **_parameters(application, end - _PACKAGE_LIFE, end), Limit=500)
            for package in answer.SmsPackagesStatisticsSet or []:
                count += package.PackageExpiredTime > self._now
                if package.PackageExpiredTime > self._now and package.PackageAmount > package.CurrentUsage:
                    left += package.PackageAmount - package.CurrentUsage
                    expires.append(package.PackageExpiredTime)
        return Packages(count, left, min(expires, default=None))

    def _action(self, action: str, spans: Sequence[Span]) -> dict[Span, Sums]:
        pace, total = Pace(_A_SECOND), {span: dict.fromkeys(_KEPT[action][0], 0) for span in spans}
        for application in self._applications:
            cache = Cache(application, action)
            for span, sums in self._spans(action, application, spans, cache, pace):
                total[span] = {name: total[span][name] + count for name, count in sums.items()}
            cache.write()
        return total

    def _spans(self, action: str, application: str, spans: Sequence[Span], cache: "Cache", pace: "Pace") -> Any:
        """Yield the sums of each span that has any; a month without any costs one call."""
        wanted = [span for span in spans if cache.get(span) is None and span.begin * HOUR <= self._now]
        known = [span for span in spans if cache.get(span) is not None]
        while wanted:
            part = [span for span in wanted if span.end <= wanted[0].begin + _MOST]
            wanted = wanted[len(part) :]
            left = self._sums(action, application, Span("", part[0].begin, part[-1].end), pace)
            whole = part[-1].end - part[0].begin == sum(span.end - span.begin for span in part)
            for i, span in enumerate(part):
                if not any(left.values()):  # all later ones have none
                    break
                sums = left if whole and i + 1 == len(part) else self._sums(action, application, span, pace)
                left = {name: max(0, count - sums[name]) for name, count in left.items()} if whole else left
                if (span.end + _KEPT[action][1]) * HOUR < self._now:
                    cache.put(span, sums)
                yield span, sums
        yield from ((span, cache.get(span)) for span in known)

    def _sums(self, action: str, application: str, span: Span, pace: "Pace") -> Sums:
        pace.wait()
        answer = self._account.call(action, **_parameters(application, span.begin, span.end - 1), Limit=0)
        found = getattr(answer, action)
        return {name: getattr(found, name) or 0 for name in _KEPT[action][0]}


class Pace:
    """Lets a number of calls pass in any second."""

    def __init__(self, calls: int) -> None:
        self._passed = deque([0.0] * calls, maxlen=calls)

    def wait(self) -> None:
        """Wait until a call may pass."""
        if (left := self._passed[0] + 1.02 - time.monotonic()) > 0:
            sleep(left)
        self._passed.append(time.monotonic())


class Cache:
    """The sums of closed spans of an application, in a file in $XDG_CACHE_HOME/sms-admin."""

    def __init__(self, application: str, action: str) -> None:
        root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        self._path = Path(root, "sms-admin", f"{action}-{application}.json")
        self._kept: dict[str, Sums] = {}
        self._changed = False

        with suppress(OSError, ValueError):
            self._kept = json.loads(self._path.read_text())

    def write(self) -> None:
        """Write the file, if there is anything new."""
        if not self._changed:
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(self._kept))
        beside.replace(self._path)  # at once: another command may read it

    def get(self, span: Span) -> Sums | None:
        """Return the sums of a span, None if they are not kept."""
        return self._kept.get(f"{span.begin}-{span.end}")

    def put(self, span: Span, sums: Sums) -> None:
        """Keep the sums of a span."""
        self._kept[f"{span.begin}-{span.end}"] = sums
        self._changed = True


def _parameters(application: str, first: int, last: int) -> dict[str, Any]:
    """Return the parameters of a call, for hours since 1970, the last one included."""
    begin, end = (f"{datetime.fromtimestamp(hour * HOUR, _CHINA):%Y%m%d%H}" for hour in (first, last))
    return {"SmsSdkAppId": application, "BeginTime": begin, "EndTime": end, "Offset": 0}


def _figures(sums: Sums) -> Figures:
    return Figures(
        sums["RequestCount"],
        sums["RequestSuccessCount"],
        sums["FeeCount"],
        sums["CallbackSuccessCount"],
        sums["CallbackFailCount"],
        {reason: sums[name] for reason, name in REASONS.items() if sums[name]},
    )
