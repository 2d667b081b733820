"""Each person once: a task that is killed, stopped, refused, or out of disk space reaches all and repeats none."""

import fcntl
import os
import random
import shutil
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from local.tencent import TencentStandIn
from sms_admin.bulk.exclusions import Exclusions
from sms_admin.bulk.journal import Journal, JournalFull, Result, State
from sms_admin.bulk.receipts import Mailbox, Receipt
from sms_admin.bulk.recipients import Recipient
from sms_admin.bulk.running import run
from sms_admin.bulk.sender import End
from sms_admin.bulk.task import Folder, Phase
from sms_admin.bulk.unknown import look_up
from sms_admin.failures import Failed
from tests.testkit.admin import admin
from tests.testkit.bulk import FIRST, KEYS, account, make_task, members, sendings, stand_in
from tests.testkit.ports import reserved_port


@pytest.fixture
def cloud() -> Iterator[TencentStandIn]:
    """A stand-in of Tencent Cloud."""
    with stand_in() as tencent:
        yield tencent


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder of journals."""
    return Folder.of({}, tmp_path / "journals")


def sent(folder: Folder, task: str, cloud: TencentStandIn, timeout: float = 5, **options: Any) -> End:
    """Send a task in this process."""
    given: dict[str, Any] = {"stop": threading.Event(), "look_ups": 10_000.0} | options
    return run(folder, task, account(cloud.url, timeout), **given)


def states(folder: Folder, task: str) -> dict[str, int]:
    """Return the number of rows in each state that has some."""
    journal = Journal(folder.file(task))
    counts = {state.name: count for state, count in journal.counts().items() if count}
    journal.close()
    return counts


def rows(folder: Folder, task: str) -> dict[int, tuple[State, str]]:
    """Return state and reason of each number."""
    journal = Journal(folder.file(task))
    found = journal.db.execute("SELECT phone, state, reason FROM recipients").fetchall()
    journal.close()
    return {phone: (State(state), reason) for phone, state, reason in found}


def check_nobody_twice(folder: Folder, task: str, cloud: TencentStandIn) -> None:
    """Compare the journal with the messages that the stand-in has accepted."""
    for phone, (state, _) in rows(folder, task).items():
        count = cloud.fates.counts.get(f"+{phone}", 0)
        assert count <= 1
        assert (state, count) in {
            (State.ACCEPTED, 1), (State.REFUSED, 0), (State.WAITING, 0), (State.UNKNOWN, 0), (State.UNKNOWN, 1),
            (State.SENDING, 0), (State.SENDING, 1),
        }  # fmt: skip


def trouble(cloud: TencentStandIn, count: int) -> None:
    """Lose answers, refuse some numbers, and let the carriers of some return no receipt."""
    cloud.lose_every = 40
    cloud.fates.refused |= {f"+{FIRST + row}": "LimitExceeded.PhoneNumberDailyLimit" for row in range(7, count, 30)}
    cloud.fates.silent |= {f"+{FIRST + row}" for row in range(3, count, 3)}


def test_a_task_that_is_killed_again_and_again_reaches_each_number_once(folder: Folder, cloud: TencentStandIn) -> None:
    """After kill -9 at random moments, lost answers and refusals, no number has two messages, and no row waits."""
    count, moments = 600, random.Random(19)  # noqa: S311 - no secret
    trouble(cloud, count)
    task = make_task(folder, members(count))
    with sendings() as start:
        for _ in range(12):
            process = start(folder, task, cloud.url, look_ups=10_000.0)
            time.sleep(moments.uniform(0.02, 0.12))  # the random moment of the kill
            process.kill()
            check_nobody_twice(folder, task, cloud)
    assert sent(folder, task, cloud) == End(Phase.FINISHED)
    check_nobody_twice(folder, task, cloud)
    cloud.lose_every = 0
    assert sent(folder, task, cloud) == End(Phase.FINISHED)  # which looks up the rest
    unknown = {f"+{phone}" for phone, (state, _) in rows(folder, task).items() if state == State.UNKNOWN}
    assert unknown
    assert {phone for phone in unknown if phone in cloud.fates.counts} <= cloud.fates.silent
    assert set(states(folder, task)) == {"ACCEPTED", "REFUSED", "UNKNOWN"}


def test_rows_share_a_request_if_their_values_are_equal_and_abroad_in_any_case(
    folder: Folder, cloud: TencentStandIn
) -> None:
    """A request has at most 200 numbers: 450 equal rows are three requests, three unequal ones abroad are one."""
    equal = [Recipient(row, FIRST + row, ["会员", "春节"]) for row in range(450)]
    unequal = [Recipient(1000 + row, FIRST + 1000 + row, [f"王{row}", "春节"]) for row in range(5)]
    abroad = [Recipient(2000 + row, 447400123450 + row, [f"A{row}", "year"]) for row in range(3)]
    task = make_task(folder, equal + unequal + abroad)
    assert sent(folder, task, cloud) == End(Phase.FINISHED)
    requests = [cloud._actions[name].failures.requests for name in ("SendSms", "SendMultiGlobalSms")]  # noqa: SLF001 - counts
    assert (states(folder, task), requests) == ({"ACCEPTED": 458}, [3 + 5, 1])
    assert {message.text for message in cloud.inbox("+447400123451")} == {"[sms-login] Dear A1, happy year!"}
    assert folder.file(task).stat().st_size < 200 * 458 + 40_000


def test_the_platforms_refusals_are_written_or_sent_again_or_pause_the_task(
    folder: Folder, cloud: TencentStandIn
) -> None:
    """A number's refusal is final; one of the rate is repeated; one that every row would get pauses the task."""
    task = make_task(folder, members(30), parallel=2)
    cloud.fates.refused[f"+{FIRST + 3}"] = "FailedOperation.PhoneNumberInBlacklist"
    cloud.fail("RequestLimitExceeded", 2)
    assert sent(folder, task, cloud) == End(Phase.FINISHED)
    assert states(folder, task) == {"ACCEPTED": 29, "REFUSED": 1}
    assert rows(folder, task)[FIRST + 3] == (State.REFUSED, "FailedOperation.PhoneNumberInBlacklist")
    for code in ("FailedOperation.InsufficientBalanceInSmsPackage", "AuthFailure.SecretIdNotFound"):
        task = make_task(folder, members(90), parallel=2)
        before = sum(cloud.fates.counts.values())
        cloud.fail(code)
        assert sent(folder, task, cloud) == End(Phase.PAUSED, code)
        assert (states(folder, task), sum(cloud.fates.counts.values())) == ({"WAITING": 90}, before)
        cloud.fail("off")
        assert sent(folder, task, cloud) == End(Phase.FINISHED)
        assert states(folder, task)["ACCEPTED"] == 89


def test_failures_that_pile_up_pause_the_task(folder: Folder, cloud: TencentStandIn) -> None:
    """Thirty requests in a row without an accepted number end a run, with any code."""
    task = make_task(folder, members(200), parallel=2)
    cloud.fail("FailedOperation.ContainSensitiveWord")
    assert sent(folder, task, cloud) == End(Phase.PAUSED, "FailedOperation.ContainSensitiveWord")
    assert states(folder, task)["WAITING"] > 100
    cloud.fail("off")
    away = make_task(folder, members(50), parallel=2)
    with reserved_port() as port:
        gone = stand_in(port=port)
        gone.close()
        assert sent(folder, away, gone) == End(Phase.PAUSED, "ConnectionRefusedError")
    assert states(folder, away) == {"WAITING": 50}  # no connection: surely not sent


def test_an_unknown_row_is_left_to_the_operator_by_name(folder: Folder, cloud: TencentStandIn) -> None:
    """A receipt proves that it was sent; without one it is neither sent again nor forgotten until somebody decides."""
    task = make_task(folder, members(9), parallel=1)
    cloud.fates.silent |= {f"+{FIRST + row}" for row in range(1, 6)}
    cloud.lose_every = 1
    assert sent(folder, task, cloud).phase == Phase.FINISHED
    assert states(folder, task) == {"UNKNOWN": 9}  # the answers of the look-up were lost too
    cloud.lose_every = 0
    assert sent(folder, task, cloud) == End(Phase.FINISHED)
    assert states(folder, task) == {"UNKNOWN": 5, "ACCEPTED": 4}
    check_nobody_twice(folder, task, cloud)
    other = make_task(folder, members(2), parallel=1)
    cloud.lose_every = 1
    sent(folder, other, cloud)
    cloud.lose_every = 0
    cloud.fates.silent.add(f"+{FIRST + 1}")
    assert sent(folder, other, cloud, unknown="skip") == End(Phase.FINISHED)
    assert "UNKNOWN" not in states(folder, other)
    before = cloud.fates.counts[f"+{FIRST + 1}"]
    assert sent(folder, task, cloud, unknown="send") == End(Phase.FINISHED)
    assert states(folder, task) == {"ACCEPTED": 9}
    assert cloud.fates.counts[f"+{FIRST + 1}"] == before + 1


def test_a_second_process_is_refused(folder: Folder, cloud: TencentStandIn) -> None:
    """The lock is the system's, so a killed process leaves none behind; a free lock names no process."""
    task = make_task(folder, members(3))
    with folder.locked(task):
        assert folder.holder(task) == os.getpid()
        with pytest.raises(Failed, match="another process works on the task"):
            sent(folder, task, cloud)
    assert (folder.holder(task), sent(folder, task, cloud)) == (0, End(Phase.FINISHED))
    assert folder.file(task, "lock").read_bytes() == b""


def test_a_look_at_a_task_keeps_no_process_from_it(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes no lock that is free, makes no file, and knows a killed process from a living one."""
    task = make_task(folder, members(3))
    folder.file(task, "lock").unlink(missing_ok=True)
    assert (folder.holder(task), folder.file(task, "lock").exists()) == (0, False)
    with folder.locked(task):
        assert folder.holder(task) == os.getpid()
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", None)
        assert folder.holder(task) == 0
    folder.file(task, "lock").write_text(f"{os.getpid()}")
    assert folder.holder(task) == 0


def test_the_receipt_of_a_test_message_is_no_rows(folder: Folder, cloud: TencentStandIn) -> None:
    """A row of the same number whose fate is unknown stays unknown, by look-up as by receipt."""
    task = make_task(folder, members(1))
    with closing(Journal(folder.file(task))) as journal:
        (tested,) = account(cloud.url).send(journal.task, members(1))
        journal.change(tests=(tested.serial,))
        with journal.changes():
            journal.claim([1], time.time())
        journal.forget_interrupted()
        assert look_up(journal, account(cloud.url), rate=10_000.0) == 0
    mailbox = Mailbox(folder)
    mailbox.note([Receipt(FIRST + 1, tested.serial, delivered=True, why="", at=int(time.time()))])
    assert (mailbox.noted, mailbox.foreign, states(folder, task)) == (0, 1, {"UNKNOWN": 1})


def test_a_stopped_task_ends_its_requests_and_goes_on_later(folder: Folder, cloud: TencentStandIn) -> None:
    """After Ctrl-C the answers on their way are awaited, so no row is unknown."""
    task, stop = make_task(folder, members(300), parallel=4), threading.Event()
    end = sent(folder, task, cloud, stop=stop, on_results=lambda _: stop.set())
    assert (end, "UNKNOWN" in states(folder, task)) == (End(Phase.PAUSED, "stopped"), False)
    assert 0 < states(folder, task)["ACCEPTED"] < 300
    assert sent(folder, task, cloud) == End(Phase.FINISHED)
    assert states(folder, task) == {"ACCEPTED": 300}
    check_nobody_twice(folder, task, cloud)


def test_people_who_unsubscribe_while_a_task_waits_get_nothing(folder: Folder, cloud: TencentStandIn) -> None:
    """The exclusion list is read again before the first request."""
    task = make_task(folder, members(3))
    Exclusions(folder.path).add([(FIRST + 2, 0, "R"), (FIRST + 2, 0, "R"), (FIRST + 9, 0, "R")])
    assert sent(folder, task, cloud) == End(Phase.FINISHED)
    assert states(folder, task) == {"ACCEPTED": 2, "SKIPPED": 1}
    assert Exclusions(folder.path).add([(FIRST + 2, 0, "R"), (FIRST + 3, 0, "T")]) == 1


def hours_of(steps: Sequence[float]) -> Any:
    """Return a clock that shows each of these times once, then the last one."""
    left = list(steps)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_marketing_pauses_at_night_and_a_late_task_expires(
    folder: Folder, cloud: TencentStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task waits for its time, then for the morning; from its expiry on nothing is sent."""
    midnight = 1_801_843_200  # 2027-02-06 00:00 in China
    waits: list[tuple[str, float]] = []
    task = make_task(folder, members(3), marketing=True, at=midnight - 3600)
    clock = hours_of([midnight - 7200] * 6 + [midnight - 1800] * 6 + [midnight + 8 * 3600])
    stop = threading.Event()
    monkeypatch.setattr(stop, "wait", lambda _=None: stop.is_set())  # the clock moves by itself
    end = sent(folder, task, cloud, clock=clock, stop=stop, on_wait=lambda why, until: waits.append((why.value, until)))
    assert (end, states(folder, task)) == (End(Phase.FINISHED), {"ACCEPTED": 3})
    assert sorted(set(waits)) == [("night", midnight + 8 * 3600), ("scheduled", midnight + 8 * 3600)]
    late = make_task(folder, members(3), expires=midnight)
    assert sent(folder, late, cloud, clock=lambda: midnight + 1.0) == End(Phase.EXPIRED)
    assert states(folder, late) == {"WAITING": 3}


def test_a_full_disk_ends_a_task_cleanly(
    folder: Folder, cloud: TencentStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent whose claim cannot be written; the results on their way go into the reserved space."""
    task, real, full = make_task(folder, members(100), parallel=4), Journal.claim, [False]

    def claim(self: Journal, numbers: Any, at: float) -> None:
        real(self, numbers, at)
        if self.counts()[State.ACCEPTED] and not full[0]:
            raise JournalFull("database or disk is full")

    monkeypatch.setattr(Journal, "claim", claim)
    with pytest.raises(Failed, match="Free some space"):
        sent(folder, task, cloud)
    check_nobody_twice(folder, task, cloud)
    assert "UNKNOWN" not in states(folder, task)
    assert "SENDING" not in states(folder, task)
    full[0] = True
    assert sent(folder, task, cloud) == End(Phase.FINISHED)
    assert states(folder, task) == {"ACCEPTED": 100}
    check_nobody_twice(folder, task, cloud)


def test_a_disk_that_fills_up_at_any_moment_loses_nothing(folder: Folder, cloud: TencentStandIn) -> None:
    """Files that may not grow further end a run in the middle; with more space the next one goes on."""
    trouble(cloud, 300)
    task = make_task(folder, members(300))
    with sendings() as start:
        for most in range(30_000, 400_000, 60_000):
            start(folder, task, cloud.url, most=most, look_ups=10_000.0).join()
            check_nobody_twice(folder, task, cloud)
    assert sent(folder, task, cloud) == End(Phase.FINISHED)
    check_nobody_twice(folder, task, cloud)


def test_a_journal_takes_only_what_its_states_allow(folder: Folder) -> None:
    """A row that does not wait cannot be claimed, and the result of a row that is not being sent changes nothing."""
    task = make_task(folder, members(2))
    journal = Journal(folder.file(task))
    journal.claim([1], 1.0)
    with pytest.raises(JournalFull, match="does not wait"), journal.changes():
        journal.claim([2, 1], 1.0)
    journal.record([Result(2, State.ACCEPTED, "1")])
    assert journal.counts()[State.WAITING] == 1
    assert oct(folder.file(task).stat().st_mode)[-3:] == "600"
    journal.close()
    assert KEYS["TENCENTCLOUD_SECRETKEY"].encode() not in folder.file(task).read_bytes()


def test_a_published_journal_survives_a_power_cut(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is written through after the renaming: before, the task might be gone and its sheet be sent again."""
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def record_fsync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def record_replace(path: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "replace", record_replace)
    make_task(folder, members(1))
    assert steps == ["file", "rename", "folder"]


def test_a_journal_that_was_moved_is_sent_after_a_question(folder: Folder, cloud: TencentStandIn) -> None:
    """A renamed folder goes on; a copy beside its original is refused; a moved or restored one needs a yes."""
    task = make_task(folder, members(2))
    other = Folder.of({}, folder.path.with_name("other"))
    shutil.copy(folder.file(task), other.file(task))
    environ = KEYS | {"SMS_ENDPOINT": cloud.url}
    resume = ["bulk", "resume", task, "--journal", str(other.path)]
    with pytest.raises(Failed, match="this journal is a copy"):
        sent(other, task, cloud)
    beside = admin(environ, *resume, "--yes")
    assert (beside.code, "resume it there" in beside.err) == (1, True)
    folder.file(task).rename(folder.file("away", "gone"))
    with pytest.raises(Failed, match="asks whether it was moved"):
        sent(other, task, cloud)
    asked = admin(environ, *resume)
    assert (asked.code, "Was it moved" in asked.err, cloud.fates.counts) == (2, True, {})
    assert admin(environ, *resume, "--yes").code == 0
    assert sent(other, task, cloud) == End(Phase.FINISHED)  # from now on, this is the original
    renamed = Folder(other.path.rename(folder.path.with_name("renamed")))
    assert sent(renamed, task, cloud) == End(Phase.FINISHED)
    backup = folder.file("backup", "copy")
    shutil.copy(renamed.file(task), backup)
    backup.replace(renamed.file(task))
    assert admin(environ, *resume[:-1], str(renamed.path)).code == 2
    check_nobody_twice(renamed, task, cloud)


def test_a_copied_or_damaged_journal_sends_nothing(folder: Folder, cloud: TencentStandIn) -> None:
    """The rows of a copy may have been sent by its original; a damaged page may have forgotten what was sent."""
    task = make_task(folder, members(400))
    whole = folder.file(task).read_bytes()
    folder.file("copy").write_bytes(whole)
    with pytest.raises(Failed, match=f"copy is a copy of the task {task}"):
        sent(folder, "copy", cloud)
    damages = [whole[:5000], whole[:100], b"", b"x" * 9000, whole[:8192] + b"\xff" * 4096 + whole[12288:]]
    for damaged in damages:
        folder.file(task).write_bytes(damaged)
        with pytest.raises(Failed, match="is damaged"):
            sent(folder, task, cloud)
        for kind in ("sqlite-wal", "sqlite-shm"):
            folder.file(task, kind).unlink(missing_ok=True)
    assert cloud.fates.counts == {}
