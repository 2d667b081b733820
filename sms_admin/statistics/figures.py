"""Tencent Cloud's own figures, of all applications together. `sums.py` asks for them in few calls."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct, field

from sms_admin.statistics.cache import Sums
from sms_admin.statistics.calls import Action, parameters
from sms_admin.statistics.spans import HOUR, Span
from sms_admin.statistics.sums import Group, sums_of
from sms_admin.tencent import Account

PACKAGES = "SmsPackagesStatistics"
# The counts of failures, by the reason that getSmsStatus tells.
REASONS = {
    "unreachable": "ShutdownErrorCount",
    "noSuchNumber": "InvalidNumberCount",
    "blocked": "BlackListCount",
    "limited": "FrequencyLimitCount",
    "carrier": "InternalErrorCount",
}
SENT = Action("SendStatusStatistics", ("RequestCount", "RequestSuccessCount", "FeeCount"), 2)
RECEIVED = Action(
    "CallbackStatusStatistics", ("CallbackSuccessCount", "CallbackFailCount", *REASONS.values()), 72
)  # hours: a receipt may be late
_PACKAGE_LIFE = 3 * 365 * 24  # hours: packages are listed by their creation


class Figures(Struct, rename="camel", omit_defaults=True):
    """Tencent's figures of a period: requests, accepted ones, messages charged, receipts and their fates.

    `rows` of a report share a sum, this one and those before it (None: this one alone).
    """

    requested: int = 0
    accepted: int = 0
    fee: int = 0
    delivered: int = 0
    failed: int = 0
    failed_by: dict[str, int] = field(default_factory=dict)
    rows: int | None = None


class Packages(Struct, rename="camel"):
    """The unexpired packages: their `count`, the messages left, and when the first of these expire (epoch s)."""

    count: int
    left: int
    expires: int | None


class Tencent:
    """The figures of the applications of an account; `now` is the present epoch second.

    `applications` has, for each, the spans in which the login itself has counted messages.
    """

    def __init__(self, environ: Mapping[str, str], applications: Mapping[str, Collection[Span]], now: float) -> None:
        self._account, self._applications, self._now = Account(environ), applications, now

    def of(self, spans: Sequence[Span], *, complete: bool = False) -> dict[Span, Figures]:
        """Return the figures of consecutive spans, of all applications together. Raises Failed.

        Unless `complete`, older spans may share a sum, which is that of the newest of them.
        """
        with ThreadPoolExecutor(2) as pool:  # the limit is that of each action
            found = pool.map(lambda action: self._sums(action, spans, complete=complete), (SENT, RECEIVED))
            return _figures(spans, [group for groups in found for group in groups])

    def _sums(self, action: Action, spans: Sequence[Span], *, complete: bool) -> list[tuple[Group, Sums]]:
        return sums_of(self._account, action, self._applications, spans, self._now, complete=complete)

    def packages(self) -> Packages:
        """Return the packages that have not expired. Raises Failed."""
        end = int(self._now) // HOUR - 1
        left, expires, count = 0, [], 0
        for application in self._applications:
            answer = self._account.call(PACKAGES, **parameters(application, end - _PACKAGE_LIFE, end), Limit=500)
            for package in answer.SmsPackagesStatisticsSet or []:
                count += package.PackageExpiredTime > self._now
                if package.PackageExpiredTime > self._now and package.PackageAmount > package.CurrentUsage:
                    left += package.PackageAmount - package.CurrentUsage
                    expires.append(package.PackageExpiredTime)
        return Packages(count, left, min(expires, default=None))


def _figures(spans: Sequence[Span], groups: Iterable[tuple[Group, Sums]]) -> dict[Span, Figures]:
    """Return the figures of each span, or of each run of spans of which only sums are known, at its newest."""
    index, found = {span: i for i, span in enumerate(spans)}, list(groups)
    # A span goes on in the next one if a group has both: what one application tells by day, another may not.
    goes_on = {i for (first, last), _ in found for i in range(index[first], index[last])}
    figures, sums, rows = dict[Span, Figures](), Counter[str](), 0
    for i, span in enumerate(spans):
        rows += 1
        for (_, last), of_group in found:
            if last == span:
                sums.update(of_group)
        if i not in goes_on:
            figures[span] = _named(sums, rows)
            sums, rows = Counter(), 0
    return figures


def _named(sums: Counter[str], rows: int) -> Figures:
    return Figures(
        sums["RequestCount"],
        sums["RequestSuccessCount"],
        sums["FeeCount"],
        sums["CallbackSuccessCount"],
        sums["CallbackFailCount"],
        {reason: sums[name] for reason, name in REASONS.items() if sums[name]},
        rows if rows > 1 else None,
    )
