"""The requests of a task: which waiting rows travel together."""

from array import array
from collections import deque
from collections.abc import Sequence

from sms_admin.bulk.account import MOST
from sms_admin.bulk.journal import Journal
from sms_admin.bulk.recipients import Recipient

Request = Sequence[Recipient]


class Plan:
    """The waiting rows, as requests: rows of mainland China with equal values share one, and any rows abroad.

    It keeps 12 bytes a row in memory; the journal has the rest.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._rows, self._sizes = array("q"), array("q")
        self._next, self._request = 0, 0
        self._again: deque[Request] = deque()
        before: tuple[bool, str] | None = None
        for row, abroad, values in journal.waiting():
            kind = (abroad, "" if abroad else values)
            if kind != before or self._sizes[-1] == MOST:
                self._sizes.append(0)
            before = kind
            self._rows.append(row)
            self._sizes[-1] += 1

    @property
    def left(self) -> int:
        """The number of requests that are left."""
        return len(self._sizes) - self._request + len(self._again)

    def take(self, most: int) -> list[Request]:
        """Return the next requests, at most `most`."""
        taken: list[Request] = []
        while len(taken) < most and self.left:
            if self._again:
                taken.append(self._again.popleft())
                continue
            size = self._sizes[self._request]
            rows = self._rows[self._next : self._next + size]
            self._next, self._request = self._next + size, self._request + 1
            taken.append([self._journal.recipient(row) for row in rows])
        return taken

    def put_back(self, request: Request) -> None:
        """Take a request back that surely was not sent."""
        if request:
            self._again.append(request)
