"""Reading a sheet into a journal: every row is decided before a cent is spent."""

from collections.abc import Collection
from pathlib import Path

from msgspec import Struct, field

from sms_admin.bulk import sheets
from sms_admin.bulk.account import MOST
from sms_admin.bulk.journal import ABROAD, Journal
from sms_admin.bulk.recipients import Reader, Recipient, Rejected
from sms_admin.bulk.safe_csv import SafeCsv
from sms_admin.bulk.texts import Rules, Text
from sms_admin.language import tr

_BATCH = 2000  # rows
_SAMPLES = 3


class Sample(Struct, rename="camel"):
    """A message as the phone shows it, and the number of messages that it is charged as."""

    row: int
    text: str
    messages: int


class Count(Struct, rename="camel"):
    """The rows of a sheet: `recipients` get a message, the others are in the file of rejected rows, with the reason.

    `messages` is the number that is charged if all are accepted; `heads` has the rows of titles.
    """

    recipients: int = 0
    abroad: int = 0
    rejected: int = 0
    duplicates: int = 0
    excluded: int = 0
    empty: int = 0
    heads: list[int] = field(default_factory=list)
    messages: int = 0
    requests: int = 0
    samples: list[Sample] = field(default_factory=list)


class Texts(Struct, frozen=True):
    """The texts for both sides of the border, without one no number of that side is taken; and the rules of values."""

    mainland: Text
    abroad: Text | None
    rules: Rules

    def of(self, recipient: Recipient) -> Text | None:
        """Return the text for a recipient."""
        return self.abroad if recipient.abroad else self.mainland


class Intake:
    """Puts the recipients of a sheet into a journal, and the rejected rows into a file."""

    def __init__(self, journal: Journal, texts: Texts, excluded: Collection[int], rejected: SafeCsv) -> None:
        self._journal, self._texts, self._excluded, self._rejected = journal, texts, excluded, rejected
        self._batch: list[Recipient] = []
        self._longest: Sample | None = None
        self.count = Count()

    def read(self, path: Path, sheet: str = "") -> Count:
        """Read all rows. Raises Failed, also if not even one row is good."""
        reader = Reader(self._texts.rules)
        with self._journal.changes():
            for item in reader.read(sheets.lines(path, sheet)):
                if isinstance(item, Rejected):
                    self._reject(item)
                else:
                    self._take(item)
            self._flush()
        self.count.heads, self.count.empty = reader.heads, reader.empty
        if self._longest and self._longest not in self.count.samples:
            self.count.samples.append(self._longest)
        self.count.requests = _requests(self._journal)
        return self.count

    def _take(self, recipient: Recipient) -> None:
        text = self._texts.of(recipient)
        messages = text.messages(recipient.values) if text else 0
        if recipient.phone in self._excluded:
            self.count.excluded += 1
            self._name(recipient, tr("on the exclusion list", "在排除名单中"))
        elif text is None:
            why = tr(
                "abroad: set BULK_INTL_SDKAPPID and give --intl-template",
                "境外号码：请设置 BULK_INTL_SDKAPPID 并指定 --intl-template",
            )
            self._reject(Rejected(recipient.row, _cells(recipient), why))
        elif not messages:
            why = tr("the message has more than 500 characters", "短信超过 500 个字符")
            self._reject(Rejected(recipient.row, _cells(recipient), why))
        else:
            self.count.messages += messages
            self._sample(recipient, text, messages)
            self._batch.append(recipient)
            if len(self._batch) == _BATCH:
                self._flush()

    def _sample(self, recipient: Recipient, text: Text, messages: int) -> None:
        """Keep the first messages and the longest one."""
        first = len(self.count.samples) < _SAMPLES
        if not first and self._longest and messages <= self._longest.messages:
            return
        sample = Sample(recipient.row, text.render(recipient.values), messages)
        if first:
            self.count.samples.append(sample)
        if self._longest is None or messages > self._longest.messages:
            self._longest = sample

    def _flush(self) -> None:
        twice = self._journal.add(self._batch)
        for recipient in self._batch:
            if recipient.row not in twice:
                self.count.recipients += 1
                self.count.abroad += recipient.abroad
                continue
            self.count.duplicates += 1
            text = self._texts.of(recipient)
            self.count.messages -= text.messages(recipient.values) if text else 0
            first = twice[recipient.row]
            self._name(
                recipient,
                tr(f"the same number as row {first}, which is kept", f"与第 {first} 行号码相同，保留第 {first} 行"),
            )
        self._batch.clear()

    def _reject(self, rejected: Rejected) -> None:
        self.count.rejected += 1
        self._rejected.write(str(rejected.row), rejected.why, *rejected.cells)

    def _name(self, recipient: Recipient, why: str) -> None:
        self._rejected.write(str(recipient.row), why, *_cells(recipient))


def _cells(recipient: Recipient) -> list[str]:
    return [f"+{recipient.phone}", *recipient.values]


def _requests(journal: Journal) -> int:
    """Return the number of requests that the recipients need."""
    size = f"SELECT sum((size + {MOST - 1}) / {MOST}) FROM (SELECT count(*) AS size FROM recipients WHERE "  # noqa: S608 - constants
    (mainland,) = journal.db.execute(f"{size} NOT ({ABROAD}) GROUP BY vals)").fetchone()
    (abroad,) = journal.db.execute(f"{size} {ABROAD})").fetchone()
    return int(mainland or 0) + int(abroad or 0)
