"""The budgets of one sending, on its way from the check to a refund."""

from collections.abc import Sequence

from sms_login.calls import Call
from sms_login.limits.policy import Policy, Reservation
from sms_login.limits.store import LimitStore, Reserved, Subject, Verdict, WindowNames, verdict
from sms_login.periods import Now
from sms_login.phone import Phone


class Budgets:
    """The windows of one sending for a client (None: not counted); `reservation` names what it takes from them.

    A `call` is a sending by voice.
    """

    def __init__(
        self, store: LimitStore, policy: Policy, client: str | None, phone: Phone, now: Now, *, call: bool
    ) -> None:
        self.subjects: Sequence[Subject] = policy.sending(client, phone, now, call=call)
        self.reservation = Reservation(now.hour.name, now.day.name, client)
        self._store = store
        self._policy = policy
        self._phone = phone
        self._checking: Sequence[Call[Reserved]] = ()
        self._reserving: Sequence[Call[Reserved]] = ()

    def check(self) -> Sequence[Call[Reserved]]:
        """Return the calls of a dry run."""
        self._checking = [self._store.check(subject) for subject in self.subjects]
        return self._checking

    def reserve(self, *, captcha_passed: bool) -> Sequence[Call[Reserved]]:
        """Return the calls that take the sending from each subject, or nothing from it."""
        self._reserving = [self._store.reserve(subject, captcha_passed=captcha_passed) for subject in self.subjects]
        return self._reserving

    def checked(self) -> list[Reserved]:
        """Return the verdicts of the dry run."""
        return [*map(verdict, self._checking)]

    def reserved(self) -> list[Reserved]:
        """Return the verdicts of the reservation."""
        return [*map(verdict, self._reserving)]

    def taken(self, *, verified: bool) -> Sequence[WindowNames]:
        """Return the windows that were reserved; if a login has `verified` the sending, without those it refunded."""
        outcome = zip(self.subjects, self.reserved(), strict=True)
        names = {subject.name for subject, answer in outcome if answer.verdict is Verdict.RESERVED}
        parts = [self._policy.totals(self.reservation, self._phone)]
        if not verified:
            parts.append(self._policy.unverified(self.reservation, self._phone))
        return [{name: windows for name, windows in part.items() if name in names} for part in parts]
