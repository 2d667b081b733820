"""Sending a task: one thread writes the journal, many threads send. Nothing is sent whose claim is not on the disk."""

import contextlib
import threading
import time
from collections.abc import Callable
from enum import Enum
from queue import Empty, SimpleQueue
from typing import NamedTuple

from sms_admin.bulk import hours
from sms_admin.bulk.account import Account, Trouble
from sms_admin.bulk.journal import Journal, JournalFull, Result, State
from sms_admin.bulk.pace import Pace
from sms_admin.bulk.plan import Plan, Request
from sms_admin.bulk.task import Phase, Task
from sms_admin.bulk.verdicts import Judge

_BLINK = 0.05  # s between two looks at the clock while answers are awaited
_NAP = 30.0  # s between two looks at the clock while a task waits for its time

Answered = tuple[Request, list[Result] | Trouble]


class End(NamedTuple):
    """The end of a run: the task's phase, and the reason of a pause."""

    phase: Phase
    reason: str = ""


class Wait(Enum):
    """The reason why a task waits."""

    SCHEDULED = "scheduled"
    NIGHT = "night"


class Sender:
    """Sends the rows that wait in a journal. `stop` ends it cleanly.

    `prepare` is called before the first request and after each wait, `reserve` if the disk is full: it should free some
    space. `on_results` hears of each decided row, `on_wait` of a wait and its end in epoch seconds.
    """

    def __init__(
        self,
        journal: Journal,
        account: Account,
        *,
        stop: threading.Event,
        prepare: Callable[[], None] = lambda: None,
        reserve: Callable[[], None] = lambda: None,
        on_results: Callable[[list[Result]], None] = lambda _: None,
        on_wait: Callable[[Wait, float], None] = lambda *_: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal, self._account, self._stop = journal, account, stop
        self._prepare, self._reserve = prepare, reserve
        self._on_results, self._on_wait, self._clock = on_results, on_wait, clock
        self._task: Task = journal.task
        self._requests: SimpleQueue[Request | None] = SimpleQueue()
        self._answers: SimpleQueue[Answered] = SimpleQueue()
        self._judge = Judge()
        self._flying = 0

    def run(self) -> End:
        """Send until no row waits, or something ends it. Raises JournalFull, after writing what can be written."""
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._task.parallel)]
        for thread in threads:
            thread.start()
        try:
            return self._run(Pace(self._task.rate, time.monotonic()))
        finally:
            for _ in threads:
                self._requests.put(None)

    def _run(self, pace: Pace) -> End:
        plan, end = self._plan(), None
        answered: list[Answered] = []
        most = self._task.parallel + max(1, self._task.parallel // 4)  # so that no thread waits for the journal
        while True:
            end = end or self._must_end()
            if end:
                self._call_back(plan)
            elif self._flying == 0 and not answered and plan.left and self._is_night():
                plan = self._plan()
            fresh = [] if end or self._is_night() else plan.take(pace.take(most - self._flying, time.monotonic()))
            end = self._write(plan, pace, answered, fresh) or end
            if self._flying == 0 and (end or not plan.left):
                return end or End(Phase.FINISHED)
            answered = self._await(pace, waiting=bool(plan.left) and not end and self._flying < most)

    def _plan(self) -> Plan:
        """Wait for the task's hour, then return the requests that are left."""
        self._wait_for_the_hour()
        self._prepare()
        return Plan(self._journal)

    def _must_end(self) -> End | None:
        if self._stop.is_set():
            return End(Phase.PAUSED, "stopped")
        if self._task.expires and self._clock() >= self._task.expires:
            return End(Phase.EXPIRED)
        return None

    def _is_night(self) -> bool:
        now = self._clock()
        return now < self._task.at or (self._task.marketing and hours.possible(now) > now)

    def _wait_for_the_hour(self) -> None:
        """Wait for the task's time, and for the morning if it is marketing; return early if the task must end."""
        while self._is_night() and not self._must_end():
            now = self._clock()
            until = max(now, self._task.at)
            until = hours.possible(until) if self._task.marketing else until
            self._on_wait(Wait.SCHEDULED if now < self._task.at else Wait.NIGHT, until)
            until = min(until, self._task.expires or until)
            self._stop.wait(min(_NAP, max(_BLINK, until - now)))

    def _write(self, plan: Plan, pace: Pace, answered: list[Answered], fresh: list[Request]) -> End | None:
        """Write the results and the claims in one transaction, then hand the claimed requests to the threads."""
        verdicts = [self._judge.judge(*one) for one in answered]
        results = [result for verdict in verdicts for result in verdict.results]
        if results or fresh:
            try:
                with self._journal.changes():
                    self._journal.record(results)
                    self._journal.claim((one.row for request in fresh for one in request), self._clock())
            except JournalFull:
                self._save(results)
                raise
        for request in fresh:
            self._requests.put(request)
        self._flying += len(fresh)
        for verdict in verdicts:
            plan.put_back(verdict.again)
            if verdict.too_fast:
                pace.slow_down(time.monotonic())
        if results:
            self._on_results([one for one in results if one.state != State.WAITING])
        reason = next((verdict.pause for verdict in verdicts if verdict.pause), "")
        return End(Phase.PAUSED, reason) if reason else None

    def _save(self, results: list[Result]) -> None:
        """Free the reserved space of a full disk, await the requests on their way, and write their results."""
        self._reserve()
        with contextlib.suppress(JournalFull):
            for request in self._unsent():
                results += [Result(one.row, State.WAITING) for one in request]
            while self._flying:
                request, answer = self._answers.get()
                self._flying -= 1
                results += self._judge.judge(request, answer).results
            with self._journal.changes():
                self._journal.record(results)

    def _unsent(self) -> list[Request]:
        """Take the requests back that no thread has begun."""
        taken: list[Request] = []
        with contextlib.suppress(Empty):
            while request := self._requests.get_nowait():
                taken.append(request)
        self._flying -= len(taken)
        return taken

    def _call_back(self, plan: Plan) -> None:
        taken = self._unsent()
        if taken:
            with self._journal.changes():
                self._journal.record([Result(one.row, State.WAITING) for request in taken for one in request])
            for request in taken:
                plan.put_back(request)

    def _await(self, pace: Pace, *, waiting: bool) -> list[Answered]:
        """Return the answers that are there, after a moment; `waiting`: more could be sent then."""
        answered: list[Answered] = []
        moment = min(_BLINK, max(0.001, pace.wait(time.monotonic()))) if waiting else _BLINK
        with contextlib.suppress(Empty):
            answered.append(self._answers.get(timeout=moment))
            while True:
                answered.append(self._answers.get_nowait())
        self._flying -= len(answered)
        return answered

    def _work(self) -> None:
        while request := self._requests.get():
            answer: list[Result] | Trouble
            try:
                answer = self._account.send(self._task, request)
            except Trouble as trouble:
                answer = trouble
            except Exception as error:  # noqa: BLE001 - whatever it was, the request may be sent
                answer = Trouble(type(error).__name__, sent=True)
            self._answers.put((request, answer))
