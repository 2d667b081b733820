"""Receipts and replies, pulled or from the console's callbacks: what became of each message, and who unsubscribes.

Callbacks: documents 382/59178 (receipts, a JSON array) and 382/68704 (a reply, a JSON object).
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sms_admin.bulk.account import Account, Trouble
from sms_admin.bulk.exclusions import Exclusions
from sms_admin.bulk.journal import Journal, JournalFull, State
from sms_admin.bulk.running import full
from sms_admin.bulk.task import Folder
from sms_admin.failures import Failed

# Tencent's own list, in capitals and without spaces; R is the one that templates name today (document 382/100568).
WORDS = frozenset({"R", "T", "N", "TD", "退订", "T退订", "TD退订", "QX", "0000", "拒收", "拒收R"})
_EARLY = 60  # s that the platform's clock may be behind ours


class Receipt(NamedTuple):
    """The fate of one message: `phone` is E.164 as a whole number, `at` in epoch seconds."""

    phone: int
    serial: str
    delivered: bool
    why: str
    at: int

    def __repr__(self) -> str:
        return object.__repr__(self)  # it holds a number


class Reply(NamedTuple):
    """The answer of a person."""

    phone: int
    text: str
    at: int

    def __repr__(self) -> str:
        return object.__repr__(self)  # it holds a number

    @property
    def unsubscribes(self) -> bool:
        """Return whether the person wants no more messages."""
        return self.text.strip().replace(" ", "").strip("。.!！").upper() in WORDS


class Mailbox:
    """Notes receipts in the journals of a folder, and unsubscribing people in its exclusion list.

    `noted` counts the receipts of its tasks, `foreign` all others, `unsubscribed` the new exclusions.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.noted, self.foreign, self.unsubscribed = 0, 0, 0

    def pull(self, account: Account, applications: Iterable[str]) -> None:
        """Pull all receipts and replies of applications; each page is written before the next is asked for.

        Raises Failed, also if support has not opened the queues for the account.
        """
        try:
            for application in applications:
                for page in account.pull_receipts(application):
                    self.note([_pulled(one) for one in page])
                for page in account.pull_replies(application):
                    self.exclude(
                        [Reply(_number(one.PhoneNumber), one.ReplyContent or "", one.ReplyTime or 0) for one in page]
                    )
        except Trouble as trouble:
            raise Failed(
                f"receipts cannot be pulled: {trouble.code}. Support must open the queues for the application first",
                f"无法拉取回执：{trouble.code}。需先联系腾讯云开通拉取功能",
            ) from None

    def read(self, path: Path) -> None:
        """Note the bodies of callbacks, one JSON value a line. Raises Failed for a line that is none of them."""
        for number, line in enumerate(_lines(path), 1):
            if not self._take(line):
                raise Failed(f"{path.name}, line {number} is not a callback", f"{path.name} 第 {number} 行不是回调内容")

    def _take(self, line: str) -> bool:
        """Note one callback's body; return False if it is none."""
        try:
            value = json.loads(line)
            if isinstance(value, list):
                self.note([_called(one) for one in value])
            else:
                self.exclude([Reply(_joined(value), str(value["text"]), int(value.get("time") or time.time()))])
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
        return True

    def note(self, receipts: Sequence[Receipt]) -> None:
        """Write receipts into the journals whose messages they name; those of lost answers by number and time."""
        left = list(receipts)
        known = "UPDATE recipients SET delivered = ?, reason = ? WHERE phone = ? AND serial = ?"
        lost = (
            f"UPDATE recipients SET state = {State.ACCEPTED:d}, fee = 1, delivered = ?, reason = ?, serial = ? "  # noqa: S608 - a constant
            f"WHERE phone = ? AND state = {State.UNKNOWN:d} AND at <= ?"
        )
        for statement, values in (
            (known, lambda one: (one.delivered, one.why or None, one.phone, one.serial)),
            (lost, lambda one: (one.delivered, one.why or None, one.serial, one.phone, one.at + _EARLY)),
        ):
            for name in self._folder.tasks() if left else ():
                left = _apply(Journal(self._folder.file(name)), statement, [(one, values(one)) for one in left])
        self.noted += len(receipts) - len(left)
        self.foreign += len(left)

    def exclude(self, replies: Iterable[Reply]) -> None:
        """Put the people into the exclusion list who unsubscribe."""
        refused = [(one.phone, one.at, "unsubscribed") for one in replies if one.unsubscribes]
        self.unsubscribed += Exclusions(self._folder.path).add(refused)


def _apply(journal: Journal, statement: str, changes: list[tuple[Receipt, tuple[Any, ...]]]) -> list[Receipt]:
    """Run a statement for each receipt in a journal; return the receipts that changed no row. Raises Failed.

    The receipt of a test message changes none: a row may have its number.
    """
    try:
        tests = journal.task.tests
        with journal.changes():
            return [one for one, values in changes if one.serial in tests or not journal.write(statement, [values])]
    except JournalFull as error:
        raise full(str(error)) from None
    finally:
        journal.close()


def _pulled(one: Any) -> Receipt:
    delivered = one.ReportStatus == "SUCCESS"
    why = "" if delivered else one.Description or "?"
    return Receipt(_number(one.PhoneNumber), one.SerialNo or "", delivered, why, one.UserReceiveTime or 0)


def _called(one: dict[str, Any]) -> Receipt:
    delivered = one["report_status"] == "SUCCESS"
    why = "" if delivered else str(one.get("errmsg") or one.get("description") or "?")
    return Receipt(_joined(one), str(one["sid"]), delivered, why, int(time.time()))  # its time has no zone


def _joined(one: dict[str, Any]) -> int:
    return _number(f"{one['nationcode']}{one['mobile']}")


def _number(text: str | None) -> int:
    digits = (text or "").removeprefix("+")
    return int(digits) if digits.isdecimal() else 0


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from (line for line in file if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{path} cannot be read: {error}", f"无法读取 {path}：{error}") from None
