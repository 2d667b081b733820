"""The meaning of an answer: which rows are decided, which may be sent again, and when the whole task must pause."""

from collections.abc import Sequence
from typing import NamedTuple

from sms_admin.bulk.account import Trouble
from sms_admin.bulk.journal import Result, State
from sms_admin.bulk.recipients import Recipient

# Codes of the API of 2021-01-11, document 382/55981: after one of these every other row would be refused too, and
# nothing was sent, so the row waits again and the task pauses.
_OPERATOR = (
    "AuthFailure",
    "UnauthorizedOperation",
    "UnsupportedOperation",
    "NoCredentials",
    "FailedOperation.InsufficientBalanceInSmsPackage",
    "FailedOperation.MarketingSendTimeConstraint",
    "FailedOperation.SignatureIncorrectOrUnapproved",
    "FailedOperation.TemplateIncorrectOrUnapproved",
    "FailedOperation.TemplateUnapprovedOrNotExist",
    "FailedOperation.ForbidAddMarketingTemplates",
    "InvalidParameterValue.SdkAppIdNotExist",
    "LimitExceeded.App",
    "ConnectionRefusedError",
    "gaierror",
    "SSLCertVerificationError",
)
_TOO_FAST = ("RequestLimitExceeded", "LimitExceeded.GlobalSmsSendingRateLimit", "LimitExceeded.DeliveryFrequencyLimit")
_PILE = 30  # requests in a row without an accepted number: something is wrong with all of them


class Verdict(NamedTuple):
    """The results to write; `again` has rows that surely were not sent, `pause` the code for which the task pauses."""

    results: list[Result]
    again: list[Recipient]
    too_fast: bool = False
    pause: str = ""


class Judge:
    """Judges the answers of one run, and notices when failures pile up."""

    def __init__(self) -> None:
        self._failures = 0

    def judge(self, recipients: Sequence[Recipient], answer: list[Result] | Trouble) -> Verdict:
        """Return the meaning of one request's answer."""
        if isinstance(answer, Trouble):
            state = State.UNKNOWN if answer.sent else State.REFUSED
            answer = [Result(one.row, state, reason=answer.code) for one in recipients]
        operators = {one.row: one.reason for one in answer if one.state == State.REFUSED and _is(one, _OPERATOR)}
        fast = {one.row for one in answer if one.state == State.REFUSED and _is(one, _TOO_FAST)}
        again = [one for one in recipients if one.row in operators or one.row in fast]
        waiting = [Result(one.row, State.WAITING) for one in again]
        decided = [one for one in answer if one.row not in operators and one.row not in fast]
        accepted = any(one.state == State.ACCEPTED for one in decided)
        self._failures = 0 if accepted or not decided else self._failures + 1
        pause = next(iter(operators.values()), "")
        if not pause and self._failures >= _PILE:
            pause = decided[-1].reason or "errors"
        return Verdict(waiting + decided, again, bool(fast), pause)


def _is(result: Result, codes: tuple[str, ...]) -> bool:
    return result.reason.startswith(codes)
