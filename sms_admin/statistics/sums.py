"""The sums of spans at Tencent Cloud: one a call, and ten calls a second of each action.

The sums of closed spans are kept in a file, and the rest are asked for within two seconds: first the sum of the whole,
then the spans in which the login has counted messages, the newest first, until nothing of the whole is left. Without
calls for all of them, the others share a sum.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sms_admin.statistics.cache import Cache, Sums
from sms_admin.statistics.calls import A_SECOND, Action, Calls
from sms_admin.statistics.spans import HOUR, Span
from sms_admin.tencent import Account

_MOST = 32 * 24  # hours of a call

Group = tuple[Span, Span]  # the first and the last of the spans that share a sum


class _Part:
    """The past spans of an application that one call can cover: those whose sums are known, and the `open` ones.

    `left` is the sum of the open ones; `busy` are the spans in which the login has counted messages.
    """

    def __init__(
        self, application: str, spans: Sequence[Span], known: Mapping[Span, Sums], busy: Collection[Span]
    ) -> None:
        unknown = [i for i, span in enumerate(spans) if span not in known]
        covered = spans[unknown[0] : unknown[-1] + 1] if unknown else []
        self.application, self.busy = application, busy
        self.known = {span: known[span] for span in covered if span in known}
        self.open = sorted(
            (span for span in covered if span not in known), key=lambda span: (span not in busy, -span.begin)
        )
        self.left: Sums = {}
        self.end = 0  # of the whole

    @property
    def open_busy(self) -> list[Span]:
        """The open spans in which the login has counted messages, but the last one to ask for."""
        return [span for span in self.open[:-1] if span in self.busy]

    @property
    def whole(self) -> Span:
        """The period of all these spans."""
        first, last = min(self.open, key=_begin), max(self.open, key=_begin)
        return Span("", first.begin, last.end)

    def begin(self, whole: Sums) -> None:
        """Note the sum of the whole."""
        self.left, self.end = dict(whole), self.whole.end
        for sums in self.known.values():
            self._take(sums)

    def note(self, span: Span, sums: Sums) -> None:
        """Note the sum of an open span."""
        self.open.remove(span)
        self._take(sums)

    def _take(self, sums: Sums) -> None:
        self.left = {name: max(0, count - sums[name]) for name, count in self.left.items()}


def sums_of(
    account: Account,
    action: Action,
    applications: Mapping[str, Collection[Span]],
    spans: Sequence[Span],
    now: float,
    *,
    complete: bool,
) -> list[tuple[Group, Sums]]:
    """Return the sums of consecutive spans at each application, of which older ones may share one unless `complete`.

    `applications` has the spans in which the login has counted messages, `now` is the epoch second. Raises Failed.
    """
    caches = {application: Cache(application, action.name) for application in applications}
    past = [span for span in spans if span.end * HOUR <= now]
    # The present span grows meanwhile, so a whole leaves it out.
    present = [(name, span) for name in applications for span in spans if span.begin * HOUR <= now < span.end * HOUR]
    known = {name: {span: sums for span in past if (sums := cache.get(span))} for name, cache in caches.items()}
    found = [((span, span), sums) for of_one in known.values() for span, sums in of_one.items()]

    def note(part: _Part, span: Span, sums: Sums, end: int) -> None:
        """Note a sum; keep it if all until `end` was closed, so that nothing it was worked out of can have grown."""
        part.note(span, sums)
        found.append(((span, span), sums))
        if (end + action.closed) * HOUR < now:
            caches[part.application].put(span, sums)

    calls = Calls(account, action, complete=complete)
    parts = _parts(applications, past, known, calls.left - len(present))
    answers = iter(calls.ask([*present, *((part.application, part.whole) for part in parts)]))
    found += [((span, span), next(answers)) for _, span in present]
    for part, whole in zip(parts, answers, strict=True):
        part.begin(whole)
    while batch := _next(parts, calls.left):
        answers = iter(calls.ask([(part.application, span) for part, span in batch]))
        for (part, span), sums in zip(batch, answers, strict=True):
            note(part, span, sums, span.end)
    for part in parts:
        while part.open and (len(part.open) == 1 or not any(part.left.values())):
            note(part, part.open[0], part.left, part.end)
        if part.open:
            found.append(((min(part.open, key=_begin), max(part.open, key=_begin)), part.left))
    for cache in caches.values():
        cache.write()
    return found


def _parts(
    applications: Mapping[str, Collection[Span]], past: Sequence[Span], known: Mapping[str, Any], calls: int
) -> list[_Part]:
    """Return the parts to ask for, cut so that the calls suffice for the newer ones, if the login has counted well."""

    def of(spans: Sequence[Span]) -> list[_Part]:
        parts = [
            _Part(application, chunk, known[application], busy)
            for application, busy in applications.items()
            for chunk in _chunks(spans)
        ]
        return [part for part in parts if part.open]

    for older in range(len(past) + 1):
        newer, rest = of(past[older:]), of(past[:older])
        if len(newer) + len(rest) + sum(len(part.open_busy) for part in newer) <= calls:
            break
    return [*newer, *rest]


def _next(parts: Sequence[_Part], most: int) -> list[tuple[_Part, Span]]:
    """Return the spans to ask for next, those in which the login has counted messages first; at most so many."""
    parts = [part for part in parts if any(part.left.values())]
    busy = [(part, span) for part in parts for span in part.open_busy]
    others = [(part, span) for part in parts for span in part.open[:-1]]
    return sorted(busy or others, key=lambda each: -each[1].begin)[: min(most, len(busy) or A_SECOND)]


def _chunks(spans: Sequence[Span]) -> Iterator[Sequence[Span]]:
    """Yield the spans in parts that one call can cover, the newest part first."""
    while spans:
        part = [span for span in spans if spans[-1].end - span.begin <= _MOST]
        yield part
        spans = spans[: -len(part)]


def _begin(span: Span) -> int:
    return span.begin
