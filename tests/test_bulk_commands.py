"""The commands of bulk messages, from an empty sheet to a finished task, against the stand-in of Tencent Cloud."""

import csv
import json
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from local.describe_sms import PENDING, REFUSED, Sign, Template
from local.tencent import TencentStandIn
from sms_admin.bulk import hours, making, working
from sms_admin.bulk.journal import Journal
from sms_admin.bulk.task import Folder, Phase
from tests.testkit.admin import Done, admin
from tests.testkit.bulk import FIRST, KEYS, SIGN, WISH, make_task, members, sendings, stand_in
from tests.testkit.cases import each_case
from tests.testkit.servers import until


class Desk:
    """An operator's machine: its environment, its files, and the commands that are typed there."""

    def __init__(self, cloud: TencentStandIn, path: Path) -> None:
        self.cloud, self.path = cloud, path
        self.environ = KEYS | {
            "SMS_ENDPOINT": cloud.url,
            "SMS_SDKAPPID": "1400000000",
            "SMS_SIGN": SIGN,
            "BULK_SDKAPPID": "1400000001",
            "XDG_STATE_HOME": str(path),
        }

    def __call__(self, *words: str, code: int = 0, **environ: str) -> Done:
        """Run a command of `bulk` and compare its exit code."""
        done = admin(self.environ | environ, "bulk", *words)
        assert done.code == code, done
        return done

    def json(self, *words: str, code: int = 0, **environ: str) -> list[dict[str, Any]]:
        """Return the rows that a command prints as JSON."""
        return [json.loads(line) for line in self(*words, "--json", code=code, **environ).out.splitlines()]

    def sheet(self, rows: list[list[Any]], name: str = "members.xlsx") -> str:
        """Write a sheet; return its path."""
        with xlsxwriter.Workbook(self.path / name) as book:
            sheet = book.add_worksheet()
            for place, row in enumerate([["手机号码", "变量1", "变量2"], *rows]):
                sheet.write_row(place, 0, row)
        return str(self.path / name)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An operator's machine, whose templates are notices: they may be sent at the hour of the test."""
    with stand_in() as cloud:
        yield Desk(cloud, tmp_path)


ROWS: list[list[Any]] = [
    [13800138000, "王小明", "春节"],
    ["+86 138 0013 8001", "会员", "春节"],
    ["13800138002", "会员", "春节"],
    ["'13800138001", "李雷", "春节"],  # twice
    ["1.39E+10", "韩", "春节"],
    ["13800138003", "韩梅梅韩梅梅梅", "春节"],
    ["+447400123456", "Ann", "year"],
]
NOTICE = ("--template", "3", "--notice")


def test_a_preview_decides_about_every_row_before_anything_is_sent(desk: Desk) -> None:
    """Rejected rows and duplicates go into a file whose numbers a spreadsheet leaves alone; nothing is sent."""
    sheet = desk.sheet(ROWS)
    (found,) = desk.json("preview", sheet, *NOTICE)
    assert {key: found[key] for key in ("recipients", "abroad", "rejected", "duplicates", "messages", "requests")} == {
        "recipients": 3, "abroad": 0, "rejected": 3, "duplicates": 1, "messages": 3, "requests": 2,
    }  # fmt: skip
    assert found["heads"] == [1]
    assert found["samples"][0] == {
        "row": 2, "text": f"【{SIGN}】尊敬的会员王小明，公司A祝您春节快乐！拒收请回复R", "messages": 1,
    }  # fmt: skip
    with Path(found["rejectedFile"]).open(encoding="utf-8-sig") as file:
        head, *rejected = csv.reader(file)
    assert head == ["row", "reason", "phone"]
    assert [(row[0], row[2]) for row in rejected] == [
        ("'6", "'1.39E+10"), ("'7", "'13800138003"), ("'8", "'+447400123456"), ("'5", "'+8613800138001"),
    ]  # fmt: skip
    assert rejected[3][1] == "the same number as row 3, which is kept"
    assert (desk.cloud.fates.counts, list(desk.path.glob("sms-admin/*.sqlite"))) == ({}, [])
    (abroad,) = desk.json("preview", sheet, *NOTICE, "--intl-template", "2", BULK_INTL_SDKAPPID="1400000002")
    assert (abroad["recipients"], abroad["abroad"], abroad["requests"]) == (4, 1, 3)
    words = desk("preview", sheet, *NOTICE).out
    assert "messages charged" in words
    assert "13800138000" not in words


def test_a_sending_asks_for_a_yes_and_reaches_each_number_once(desk: Desk) -> None:
    """The yes names recipients and fee; the same sheet is not sent twice; list and show tell the fate."""
    sheet = desk.sheet(ROWS)
    refused = desk("send", sheet, *NOTICE, code=2)
    assert "Send to 3 recipients, 3 messages charged?" in refused.err
    (shown,) = desk.json("send", sheet, *NOTICE, "--dry-run")
    assert Path(shown["rejectedFile"]) == desk.path / "members.rejected.csv"  # it stays, as that of a preview
    assert Path(shown["rejectedFile"]).exists()
    assert (desk.cloud.fates.counts, desk.json("list")) == ({}, [])
    desk.cloud.fates.refused["+8613800138002"] = "FailedOperation.PhoneNumberInBlacklist"
    (done,) = [row for row in desk.json("send", sheet, *NOTICE, "--yes", "--test", "+8613800138009") if "task" in row]
    assert {key: done[key] for key in ("state", "rows", "accepted", "refused", "unknown", "waiting", "rejected")} == {
        "state": "finished", "rows": 3, "accepted": 2, "refused": 1, "unknown": 0, "waiting": 0, "rejected": 4,
    }  # fmt: skip
    assert desk.cloud.fates.counts == {"+8613800138000": 1, "+8613800138001": 1, "+8613800138009": 1}
    assert desk.json("list") == [done]
    with closing(Journal(Folder.of(desk.environ, None).file(done["task"]))) as journal:
        assert len(journal.task.tests) == 1
    assert (
        f"the task {done['task']} has this sheet and this template" in desk("send", sheet, *NOTICE, "--yes", code=1).err
    )
    _, row = desk.json("show", done["task"][:5])
    assert (row["phone"], row["state"], row["reason"]) == (
        "+86138****8002", "refused", "FailedOperation.PhoneNumberInBlacklist",
    )  # fmt: skip
    assert "no task xyz" in desk("show", "xyz", code=1).err
    assert "accepted" in desk("list").out


def test_the_conditions_of_a_task_are_checked_before_it_is_made(desk: Desk, clock: Any) -> None:
    """Template, signature, application, kind and hour: each problem is a sentence, and nothing is sent."""
    clock.move_to(1_801_843_200, tick=True)  # 2027-02-06 00:00 in China
    sheet = desk.sheet(ROWS[:1])
    templates, signs = desk.cloud.catalogue.templates, desk.cloud.catalogue.signs
    wish = ("--template", "1")
    cases: list[tuple[tuple[str, ...], dict[str, str], str]] = [
        (("--template", "x"), {}, "is not a number"),
        (("--template", "99"), {}, "no template 99"),
        (("--template", "7"), {}, "the template 7 is still being reviewed"),
        (("--template", "8"), {}, "the template 8 was refused (为什么)"),
        ((*wish, "--sign", "别人"), {}, "no signature 别人"),
        (wish, {"SMS_SIGN": ""}, "there is no signature"),
        (wish, {"BULK_SDKAPPID": ""}, "set BULK_SDKAPPID"),
        (wish, {"BULK_SDKAPPID": "1400000000"}, "the login's own application"),
        (wish, {}, "the next possible time is 2027-02-06 08:00:00"),
        ((*wish, "--at", "2027-02-06 22:00"), {}, "the next possible time is 2027-02-07 08:00:00"),
        ((*wish, "--at", "2027-02-05 23:59:59"), {}, "is past in Asia/Shanghai: it is 2027-02-06 00:00:0"),
        ((*wish, "--at", "2027-03-20 09:00"), {}, "more than a month ahead"),
        ((*wish, "--at", "noon"), {}, "'noon' is not a time"),
        ((*wish, "--at", "0001-01-01 00:00:00"), {}, "'0001-01-01 00:00:00' is not a time"),
        ((*wish, "--at", "9999-12-31 23:59", "--zone", "America/New_York"), {}, "'9999-12-31 23:59' is not a time"),
        ((*wish, "--at", "2027-02-06 09:00", "--zone", "Mars"), {}, "no time zone Mars"),
        ((*wish, "--at", "2027-02-06 09:00", "--expires", "2027-02-06 08:00"), {}, "expires before it begins"),
        (("--template", "9", "--marketing", "--at", "2027-02-06 09:00"), {}, "must end with 拒收请回复R"),
    ]
    try:
        more = [
            Template(7, WISH, status=PENDING),
            Template(8, WISH, status=REFUSED, reply="为什么"),
            Template(9, "{1}好{2}"),
        ]
        desk.cloud.catalogue.templates = [*templates, *more]
        for words, environ, why in cases:
            found = desk("send", sheet, *words, "--yes", code=1, **environ)
            assert why in " ".join((found.out + found.err).split()), (words, found)
        good = desk("preview", sheet, *wish, "--at", "2027-02-06 09:00").out
        assert "2027-02-06 09:00:00 Asia/Shanghai (in 8 h 59 min" in good or "(in 9 h" in good
        notice = desk("preview", sheet, "--template", "9").out
        assert "so this counts as a notice" in " ".join(notice.split())
        desk.cloud.fail("UnauthorizedOperation.RequestPermissionDeny", action="DescribeSmsTemplateList")
        desk.cloud.fail("UnauthorizedOperation.RequestPermissionDeny", action="DescribeSmsSignList")
        assert "--text" in desk("preview", sheet, *NOTICE, code=1).err
        given = desk("preview", sheet, *NOTICE, "--text", WISH).out
        assert "was not checked: UnauthorizedOperation.RequestPermissionDeny" in " ".join(given.split())
    finally:
        desk.cloud.catalogue.templates, desk.cloud.catalogue.signs = templates, signs
    assert desk.cloud.fates.counts == {}
    assert isinstance(signs[0], Sign)


def test_excluded_numbers_get_nothing(desk: Desk) -> None:
    """A list of the operator's own, which must be readable to the last row."""
    sheet, excluded = desk.sheet(ROWS[:3]), desk.sheet([["13800138002"]], "excluded.xlsx")
    (found,) = desk.json("preview", sheet, *NOTICE, "--exclude", excluded)
    assert (found["recipients"], found["excluded"]) == (2, 1)
    broken = desk.sheet([["13800138002"], ["1380013800"]], "broken.xlsx")
    assert "broken.xlsx, row 3: " in desk("preview", sheet, *NOTICE, "--exclude", broken, code=1).err


def test_a_task_is_resumed_shown_and_cancelled(desk: Desk) -> None:
    """An interrupted task goes on where it surely sent nothing; a cancelled one never does."""
    folder = Folder.of(desk.environ, desk.path / "sms-admin")
    task = make_task(folder, members(5))
    journal = Journal(folder.file(task))
    journal.claim([1], time.time())
    journal.change(phase=Phase.RUNNING)
    journal.close()
    desk.cloud.fates.silent.add(f"+{FIRST + 1}")
    (before,) = desk.json("list")
    assert (before["state"], before["unknown"], before["waiting"]) == ("interrupted", 1, 4)
    done = desk("resume", task, code=1)
    assert "Rows of unknown fate: 1." in " ".join(done.out.split())
    assert "who may have got the message?" in desk("resume", task, "--unknown", "send", code=2).err
    (after,) = desk.json("resume", task, "--unknown", "send", "--yes")
    assert (after["state"], after["accepted"]) == ("finished", 5)
    other = make_task(folder, members(2))
    desk("cancel", other, code=2)
    assert desk.json("cancel", other, "--yes")[0]["state"] == "cancelled"
    assert "was cancelled" in desk("resume", other, code=1).err
    assert set(desk.cloud.fates.counts.values()) == {1}


def test_a_scheduled_task_is_cancelled_while_its_process_waits(desk: Desk) -> None:
    """The process is told to stop; nothing is sent."""
    folder = Folder.of(desk.environ, desk.path / "sms-admin")
    task = make_task(folder, members(2), at=int(time.time()) + 3600)
    with sendings() as start:
        process = start(folder, task, desk.cloud.url)
        until(lambda: folder.holder(task) > 0, 60)
        assert desk.json("list")[0]["state"] == "scheduled"
        assert desk.json("cancel", task, "--yes")[0]["state"] == "cancelled"
        process.join()
    assert desk.cloud.fates.counts == {}


def test_the_sheet_to_fill_in_is_written(desk: Desk) -> None:
    """A wrong name, or a file that exists, is an error."""
    path = desk.path / "new.xlsx"
    assert "ready to be filled in" in desk("template", str(path), "--variables", "2").out
    assert "exists" in desk("template", str(path), code=1).err
    assert "must end in .xlsx" in desk("template", str(desk.path / "new.csv"), code=1).err
    (found,) = desk.json("preview", str(path), *NOTICE, code=1)
    assert (found["recipients"], found["problems"]) == (0, ["no row can be sent"])


@pytest.mark.parametrize("language", ["en_US.UTF-8", "zh_CN.UTF-8"])
def test_the_words_of_every_state_exist_in_both_languages(desk: Desk, language: str) -> None:
    """A table in Chinese has no English word of a state or a column."""
    folder = Folder.of(desk.environ, desk.path / "sms-admin")
    for phase in Phase:
        task = make_task(folder, members(2))
        journal = Journal(folder.file(task))
        journal.change(phase=phase)
        journal.close()
        words = desk("show", task, "--state", "waiting", LANG=language).out
        assert ("waiting" in words) == (language == "en_US.UTF-8")


def test_a_report_has_receipts_reasons_and_each_row(desk: Desk) -> None:
    """Receipts are pulled or read from callbacks; people who unsubscribe are excluded from later tasks."""
    phones = [f"+{FIRST + row}" for row in range(1, 5)]
    folder = Folder.of(desk.environ, desk.path / "sms-admin")
    task = make_task(folder, members(4), parallel=1)
    desk.cloud.fates.refused[phones[3]] = "FailedOperation.PhoneNumberInBlacklist"
    desk.cloud.receipts.fates.set("none")  # no carrier answers
    desk("resume", task)
    (before,) = desk.json("report", task)
    assert (before["accepted"], before["pending"], before["refused"], before["charged"]) == (3, 3, 1, 3)
    with closing(Journal(folder.file(task))) as journal:
        serials = dict(journal.db.execute("SELECT phone, serial FROM recipients"))
    call = {
        "user_receive_time": "2027-02-06 09:00:00",
        "nationcode": "86",
        "report_status": "FAIL",
        "errmsg": "MK:0001",
    }
    called = [call | {"mobile": phones[0][3:], "sid": serials[FIRST + 1]}, call | {"mobile": "13900000000", "sid": "1"}]
    reply = {"nationcode": "86", "mobile": phones[1][3:], "text": " 退订。", "time": 1_800_000_000, "sign": SIGN}
    callbacks = desk.path / "callbacks.jsonl"
    callbacks.write_text(f"{json.dumps(called)}\n\n{json.dumps(reply)}\n")
    for phone, text in ((phones[2], "r"), (phones[0], "谢谢")):
        desk.cloud.fates.reply(phone, text, time.time())
    page, table = desk.path / "report.html", desk.path / "rows.csv"
    files = ("--callbacks", str(callbacks), "--csv", str(table), "--html", str(page))
    words = " ".join(desk("report", task, "--pull", *files).out.split())
    assert "receipts noted: 1, of other messages: 1; unsubscribed: 2" in words
    assert "undelivered MK:0001 1" in words
    (after,) = desk.json("report", task)
    assert (after["undelivered"], after["pending"], len(after["reasons"])) == (1, 2, 2)
    with table.open(encoding="utf-8-sig") as file:
        heads, first, *_ = csv.reader(file)
    assert heads[6] == "time (Asia/Shanghai)"
    assert first[6] == f"'{hours.shown(after['begun'], hours.CHINA)}"  # whatever the zone of the machine
    assert (first[1], first[2], first[3], first[7]) == (f"'{phones[0]}", "accepted", "MK:0001", "no")
    drawn = page.read_text(encoding="utf-8")
    assert drawn.count("<svg") == 2
    assert f"– {hours.named(after['ended'], 'Asia/Shanghai')}</p>" in drawn
    assert f"last sent {hours.named(after['ended'], 'Asia/Shanghai')}" in words
    assert "not delivered" not in drawn
    assert "<script" not in drawn
    assert "://" not in drawn
    excluded = (desk.path / "sms-admin/excluded.csv").read_text().splitlines()
    assert sorted(line.split(",")[0] for line in excluded) == [phone[1:] for phone in phones[1:3]]
    callbacks.write_text("{}\n")
    assert "line 1 is not a callback" in desk("report", task, "--callbacks", str(callbacks), code=1).err
    desk.cloud.fail("UnauthorizedOperation.RequestPermissionDeny", action="PullSmsSendStatus")
    assert "cannot be pulled" in desk("report", task, "--pull", code=1).err


def test_a_receipt_of_a_lost_answer_decides_its_row(desk: Desk) -> None:
    """A serial number that no task knows belongs to the unknown row of its number."""
    folder = Folder.of(desk.environ, desk.path / "sms-admin")
    task = make_task(folder, members(1), parallel=1)
    desk.cloud.lose_every = 1
    desk("resume", task, code=1)
    desk.cloud.lose_every = 0
    call = {
        "nationcode": "86",
        "mobile": f"{FIRST + 1}"[2:],
        "report_status": "SUCCESS",
        "errmsg": "DELIVRD",
        "sid": "7",
    }
    (desk.path / "a.jsonl").write_text(json.dumps([call]))
    (found,) = desk.json("report", task, "--callbacks", str(desk.path / "a.jsonl"))
    assert (found["accepted"], found["delivered"], found["unknown"]) == (1, 1, 0)


def test_a_sheet_is_split_into_sheets_that_share_no_number(desk: Desk) -> None:
    """Two spellings of a number are in one part; titles are in each; broken rows stay broken."""
    rows = [[f"1380013{row:04}", "王", "春节"] for row in range(300)]
    sheet = desk.sheet([*rows, ["+86 138 0013 0007", "李", "春节"], ["1.39E+10", "x", "y"]])
    said = desk("split", sheet, "--parts", "3").out
    parts = [str(desk.path / f"members.{part}.csv") for part in (1, 2, 3)]
    found = [desk.json("preview", part, *NOTICE)[0] for part in parts]
    assert sum(one["recipients"] for one in found) == 300
    assert sum(one["duplicates"] for one in found) == sum(one["rejected"] for one in found) == 1
    assert {tuple(one["heads"]) for one in found} == {(1,)}
    assert min(one["recipients"] for one in found) > 50
    assert "members.3.csv" in said
    assert "cannot be made" in desk("split", sheet, "--parts", "3", code=1).err


def test_two_processes_that_send_one_sheet_make_one_task(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sheet is looked for again after the yes: a second process may have sent it meanwhile."""
    sheet = desk.sheet(ROWS)
    ask, asked = making._ask, 0  # noqa: SLF001 - the moment between preview and yes

    def ask_after_another(*given: Any) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            desk("send", sheet, *NOTICE, "--yes")
        ask(*given)

    monkeypatch.setattr(making, "_ask", ask_after_another)
    assert "has this sheet and this template" in desk("send", sheet, *NOTICE, "--yes", code=1).err
    assert (len(desk.json("list")), set(desk.cloud.fates.counts.values())) == (1, {1})


def test_a_killed_preview_leaves_nothing_and_a_damaged_journal_hides_no_other(desk: Desk) -> None:
    """The next preview deletes unpublished journals, which have numbers, but not those that are being made."""
    folder = Folder.of({}, desk.path / "sms-admin")
    task = make_task(folder, members(1))
    for name in ("killed", "living"):
        folder.file(name, "new").write_text("13800138000")
    folder.file("killed", "rejected.csv").write_text("13800138000")
    with folder.locked("living"):
        desk("preview", desk.sheet(ROWS), *NOTICE)
    left = sorted(path.name for path in folder.path.iterdir() if not path.name.startswith(task))
    assert left == ["living.lock", "living.new"]
    folder.file("broken").write_text("no journal")
    found = {row["task"]: row["state"] for row in desk.json("list")}
    assert found == {task: "interrupted", "broken": "unusable"}
    assert "broken.sqlite is damaged" in desk("send", desk.sheet(ROWS), *NOTICE, "--yes", code=1).err
    desk("resume", "broken", code=1)
    desk("cancel", "broken", "--yes", code=1)
    desk("report", "broken", code=1)


def test_names_and_texts_from_outside_reach_neither_terminal_nor_page_as_they_are(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sheet's name cannot move the cursor of a terminal; a report's page escapes it, and forbids scripts."""
    name = "\x1b[2J\x9b31m<script>alert(1)</script>".replace("/", "")
    sheet = Path(desk.sheet(ROWS)).rename(desk.path / name)
    shown = desk("preview", str(sheet), *NOTICE, "--sheet-name", "\x1b[31m", code=1)
    assert "\x1b" not in shown.out + shown.err
    assert "\x1b" not in desk("send", str(sheet), *NOTICE, "--yes").out
    (task,) = (row["task"] for row in desk.json("list"))
    desk("report", task, "--html", str(desk.path / "report.html"))
    page = (desk.path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "Content-Security-Policy" in page
    gap = desk("preview", str(sheet), "--template", "9", "--text", "您好{2}", code=1)
    assert "no template 9" in gap.err
    monkeypatch.setattr(desk.cloud.catalogue, "templates", [Template(9, "您好{2}")])
    assert "without a gap" in desk("preview", str(sheet), "--template", "9", code=1).err


@each_case("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_cleanly_unless_the_process_ignores_it(number: signal.Signals) -> None:
    """A lost connection hangs the terminal up, and leaves no row of unknown fate; under nohup it is not heard."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with working._stoppable() as stop:  # noqa: SLF001 - the signals of a command
            signal.raise_signal(number)
        assert not stop.is_set()
        signal.signal(number, signal.default_int_handler)
        with working._stoppable() as stop:  # noqa: SLF001 - as above
            signal.raise_signal(number)
            assert stop.is_set()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
    finally:
        signal.signal(number, before)
