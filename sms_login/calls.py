"""A call of an outside party as a value: the core decides which calls travel together, and judges their answers."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Call(Protocol[T_co]):
    """A call that may travel with others. It is made once at most."""

    def answer(self) -> T_co:
        """Return the answer; make the call alone if it was not sent before. Raises ServiceUnavailable without one."""


class Send(Protocol):
    """Sends calls together."""

    def __call__(self, *calls: Call[Any]) -> None:
        """Send the calls in one round trip; each then has its answer or its failure. Never raises.

        A batch is no transaction: each call is true alone, and one may fail while another one does not. Calls of
        another outside party cannot travel along, and are made first; if one of them fails, the rest is not sent.
        """


class Joint(Struct, Generic[T], eq=False):
    """Several calls with one `answer`, which is made of theirs."""

    calls: Sequence[Call[Any]]
    answer: Callable[[], T]


class Later(Generic[T]):
    """A call that cannot travel with others: `make` is the whole call."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._answers: list[T] = []
        self._failure: Exception | None = None

    def made(self) -> bool:
        """Make the call unless it is made already; return whether it has an answer."""
        if not self._answers and self._failure is None:
            try:
                self._answers.append(self._make())
            except Exception as error:  # noqa: BLE001 - `answer` raises it
                self._failure = error
        return self._failure is None

    def answer(self) -> T:
        """See `Call.answer`."""
        if not self.made() and self._failure is not None:
            raise self._failure
        return self._answers[0]


def each(calls: Sequence[Call[Any]]) -> Iterator[Call[Any]]:
    """Yield the calls, and in place of a Joint its own ones."""
    for call in calls:
        if isinstance(call, Joint):
            yield from each(call.calls)
        else:
            yield call
