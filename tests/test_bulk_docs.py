"""Each command in docs/bulk.md runs as the page shows it, against a stand-in of Tencent Cloud."""

import re
import shlex
from pathlib import Path

import pytest
import time_machine
import xlsxwriter

from local.describe_sms import MARKETING, Catalogue, Sign, Template
from local.tencent import TencentStandIn
from tests.testkit.admin import admin
from tests.testkit.bulk import KEYS, SIGN
from tests.testkit.project import ROOT
from tests.testkit.shown import differences, shown

WISH = "尊敬的{1}，公司A祝您{2}快乐！拒收请回复R"
NOON = 1_801_800_150  # 2027-02-05 12:02:30 in China, the day before New Year's Eve; a slow test stays in the minute
MEMBERS = [
    ["手机号码", "变量1", "变量2"],
    ["必填", "姓名", "节日"],
    ["13800138001", "王小明", "春节"],
    ["13800138002", "李雷", "春节"],
    ["13800138003", "韩梅梅", "春节"],
    ["13800138004", "赵六", "春节"],
    ["'13800138001", "王小明", "春节"],
    ["1.38E+10", "孙七", "春节"],
]


def fill_in(path: Path) -> None:
    """Fill the sheet in, as the reader of the page does."""
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for place, row in enumerate(MEMBERS):
            sheet.write_row(place, 0, row)


@pytest.mark.parametrize(("name", "language"), [("bulk.md", "C"), ("bulk.zh-CN.md", "zh_CN.UTF-8")])
def test_every_command_on_the_page_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, language: str
) -> None:
    """The commands run in the order of the page, without a terminal; `# exit 1` behind one names its exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sms_admin.bulk.draft.new_id", lambda: "wkfqrt")
    catalogue = Catalogue([Template(1000001, WISH, sms_type=MARKETING)], [Sign(1, SIGN)])
    key = {"secret_id": KEYS["TENCENTCLOUD_SECRETID"], "secret_key": KEYS["TENCENTCLOUD_SECRETKEY"]}
    with time_machine.travel(NOON, tick=True), TencentStandIn(**key, catalogue=catalogue) as cloud:  # type: ignore[arg-type] # two texts
        cloud.fates.refused["+8613800138003"] = "FailedOperation.PhoneNumberInBlacklist"
        cloud.fates.reply("+8613800138004", "R", NOON)
        environ = KEYS | {
            "SMS_ENDPOINT": cloud.url,
            "BULK_SDKAPPID": "1400000001",
            "XDG_STATE_HOME": str(tmp_path),
            "LANG": language,
        }
        page = (ROOT / "docs" / name).read_text(encoding="utf-8")
        for command, lines in shown(page):
            program, *arguments = shlex.split(command, comments=True)
            assert program == "sms-admin", command
            done = admin(environ, *arguments)
            expected = re.findall(r"# exit ([0-9])$", command)
            assert str(done.code) == (expected[0] if expected else "0"), f"{command}\n{done.out}{done.err}"
            missing = differences(lines, done.out + done.err)
            assert missing == [], f"{command}\n{done.out}{done.err}"
            if arguments[:2] == ["bulk", "template"]:
                fill_in(tmp_path / arguments[2])
        assert set(cloud.fates.counts.values()) == {1}
