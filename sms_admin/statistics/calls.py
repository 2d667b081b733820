"""Calls for sums at Tencent Cloud: one sum a call, several calls at once, ten in any second."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from queue import SimpleQueue
from time import sleep
from typing import Any, NamedTuple

from sms_admin.statistics.cache import Sums
from sms_admin.statistics.spans import HOUR, Span
from sms_admin.tencent import Account

A_SECOND = 10  # calls of an action: document 382/52077
_SECOND = 1.01  # s: the platform's clock may be a little slower
_CALLS = 30  # of an action: ten at once, ten after a second, ten after another
_ALL = 1 << 30
_AT_ONCE = 5  # calls that wait for their answers
_CHINA = timezone(timedelta(hours=8))


class Action(NamedTuple):
    """An action of the API, the names of its counts, and the hours after which these change no more."""

    name: str
    counts: tuple[str, ...]
    closed: int


class Calls:
    """The calls of an action, of which `left` may follow: those of two seconds, or, if `complete`, all."""

    def __init__(self, account: Account, action: Action, *, complete: bool) -> None:
        self._account, self._action, self._pace = account, action, Pace(A_SECOND)
        self.left = _ALL if complete else _CALLS

    def ask(self, spans: Sequence[tuple[str, Span]]) -> list[Sums]:
        """Return the sum of each span of an application. Raises Failed."""
        self.left -= len(spans)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self._sums, spans))

    def _sums(self, each: tuple[str, Span]) -> Sums:
        application, span = each
        with self._pace.turn():
            answer = self._account.call(self._action.name, **parameters(application, span.begin, span.end - 1), Limit=0)
        found = getattr(answer, self._action.name)
        return {name: getattr(found, name) or 0 for name in self._action.counts}


class Pace:
    """Lets a number of calls pass in any second, whenever between its start and its answer the platform counts one."""

    def __init__(self, calls: int) -> None:
        self._turns: SimpleQueue[float] = SimpleQueue()  # the times at which the next calls may begin
        for _ in range(calls):
            self._turns.put(0.0)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until a call may pass, which is made in this context."""
        if (left := self._turns.get() - time.monotonic()) > 0:
            sleep(left)
        try:
            yield
        finally:
            self._turns.put(time.monotonic() + _SECOND)


def parameters(application: str, first: int, last: int) -> dict[str, Any]:
    """Return the parameters of a call, for hours since 1970, the last one included."""
    begin, end = (f"{datetime.fromtimestamp(hour * HOUR, _CHINA):%Y%m%d%H}" for hour in (first, last))
    return {"SmsSdkAppId": application, "BeginTime": begin, "EndTime": end, "Offset": 0}
