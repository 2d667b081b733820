"""Rows of unknown fate: the platform's receipts may know that they were sent. A row without a receipt stays unknown."""

import time
from collections.abc import Callable

from sms_admin.bulk.account import Account, Trouble
from sms_admin.bulk.journal import Journal, Result, State
from sms_admin.bulk.pace import Pace
from sms_admin.bulk.recipients import CHINA

_DAYS = 7 * 86400 - 60  # s: older receipts cannot be asked for
_EARLY, _LATE = 60, 3 * 86400  # s around the request: clocks differ; a phone that was off gets it within three days
RATE = 15.0  # requests a second; the API allows 20
_TRIES = 5  # failures in a row: the API is not there


def look_up(
    journal: Journal,
    account: Account,
    *,
    rate: float = RATE,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], object] = time.sleep,
) -> int:
    """Mark the unknown rows as accepted that have a receipt; return their number. Raises JournalFull.

    A receipt counts if its time is near that of the request, and if it names neither another task nor a test message.
    """
    task, pace, found, failures = journal.task, Pace(rate, time.monotonic()), 0, 0
    query = "SELECT row, phone, at FROM recipients WHERE state = ? AND at > ?"
    now = int(clock())
    for row, phone, at in journal.db.execute(query, (State.UNKNOWN, now - _DAYS)).fetchall():
        while not pace.take(1, time.monotonic()):
            sleep(pace.wait(time.monotonic()))
        app = task.app_id if CHINA[0] <= phone <= CHINA[1] else task.abroad_app_id
        try:
            receipts = account.receipts(app, phone, at - _EARLY, min(now, at + _LATE))
            failures = 0
        except Trouble:  # the row stays unknown, and the next look may find it
            failures += 1
            if failures == _TRIES:
                break
            continue
        ours = [one for one in receipts if one.SessionContext in (None, "", task.id) and one.SerialNo not in task.tests]
        if ours:
            accept(
                journal,
                Result(row, State.ACCEPTED, str(ours[0].SerialNo or ""), fee=1),
                ours[0].ReportStatus == "SUCCESS",
            )
            found += 1
    return found


def accept(journal: Journal, result: Result, delivered: bool) -> None:  # noqa: FBT001 - a field of the row
    """Write that an unknown row was accepted."""
    update = (
        "UPDATE recipients SET state = ?, serial = ?, reason = NULL, fee = ?, delivered = ? WHERE row = ? AND state = ?"
    )
    with journal.changes():
        journal.write(update, [(result.state, result.serial, result.fee, delivered, result.row, State.UNKNOWN)])
