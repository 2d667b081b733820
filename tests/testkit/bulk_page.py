"""The example of docs/bulk.md, followed step by step against a stand-in of Tencent Cloud, and its pictures."""

import html
import io
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import time_machine
import xlsxwriter
from rich.cells import cell_len
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from local.describe_sms import MARKETING, Catalogue, Sign, Template
from local.tencent import TencentStandIn
from tests.testkit.admin import Done, admin
from tests.testkit.bulk import KEYS, SIGN
from tests.testkit.project import ROOT
from tests.testkit.shown import Shown, shown

PAGES = {"bulk.md": "C", "bulk.zh-CN.md": "zh_CN.UTF-8"}  # each with its locale
PICTURED = ("preview", "send", "report")  # the commands that have a picture
_WISH = "尊敬的{1}，公司A祝您{2}快乐！拒收请回复R"
_NOON = 1_801_800_150  # 2027-02-05 12:02:30 in China, the day before New Year's Eve; a slow test stays in the minute
_MEMBERS = [
    ["手机号码", "变量1", "变量2"],
    ["必填", "姓名", "节日"],
    ["13800138001", "王小明", "春节"],
    ["13800138002", "李雷", "春节"],
    ["13800138003", "韩梅梅", "春节"],
    ["13800138004", "赵六", "春节"],
    ["'13800138001", "王小明", "春节"],
    ["1.38E+10", "孙七", "春节"],
]
_CELL = 12.2  # px: the width of a character in Rich's pictures
# Rich's own, without the fonts that it fetches from the network, and without the frame of a window.
_SVG = """<svg viewBox="0 28 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font: {char_height}px "Fira Code", "Noto Sans Mono CJK SC", monospace; line-height: {line_height}px
}}
{styles}
</style>
<defs>{lines}</defs>
<rect y="28" width="100%" height="100%" rx="8" fill="#0c0c0c"/>
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def follow(
    name: str, folder: Path, patch: pytest.MonkeyPatch, terminal: Mapping[str, str], *, slow: bool = False
) -> Iterator[tuple[Shown, Done]]:
    """Run the commands of a page in their order, in `folder`; yield each with its end. No number gets two messages.

    `terminal` has variables of a terminal, such as its width; if `slow`, the task takes a second for each request.
    """
    patch.chdir(folder)
    patch.setattr("sms_admin.bulk.draft.new_id", lambda: "wkfqrt")
    catalogue = Catalogue([Template(1000001, _WISH, sms_type=MARKETING)], [Sign(1, SIGN)])
    key = {"secret_id": KEYS["TENCENTCLOUD_SECRETID"], "secret_key": KEYS["TENCENTCLOUD_SECRETKEY"]}
    with time_machine.travel(_NOON, tick=True), TencentStandIn(**key, catalogue=catalogue) as cloud:  # type: ignore[arg-type] # two texts
        cloud.fates.refused["+8613800138003"] = "FailedOperation.PhoneNumberInBlacklist"
        cloud.fates.reply("+8613800138004", "R", _NOON)
        environ = KEYS | {
            "SMS_ENDPOINT": cloud.url,
            "BULK_SDKAPPID": "1400000001",
            "XDG_STATE_HOME": str(folder),
            "LANG": PAGES[name],
            **terminal,
        }
        for step in shown((ROOT / "docs" / name).read_text(encoding="utf-8")):
            program, *arguments = shlex.split(step.command, comments=True)
            assert program == "sms-admin", step.command
            slowly = ["--rate", "1"] if slow and "--yes" in arguments else []
            done = admin(environ, *arguments, *slowly)
            yield step, done._replace(out=done.out.replace(str(folder), "~/.local/state"))
            if arguments[:2] == ["bulk", "template"]:
                _fill_in(folder / arguments[2])
        assert set(cloud.fates.counts.values()) == {1}


def picture_of(command: str, name: str) -> str | None:
    """Return the name of the picture of a command on a page, None if it has none."""
    words = command.split()
    if words[2] in PICTURED and "--dry-run" not in words and "--test" not in words:
        return name.replace(".md", ".svg").replace("bulk", f"bulk-{words[2]}")
    return None


def picture(command: str, printed: str) -> str:
    """Return a terminal with a command and its output, which may have colours, as SVG."""
    lines = [Text(f"$ {command}", "bold"), *Text.from_ansi(printed).split()]
    width = max(cell_len(line.plain) for line in lines)
    console = Console(record=True, file=io.StringIO(), width=width, force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(line, soft_wrap=True)
    svg = console.export_svg(title="", theme=MONOKAI, code_format=_SVG, unique_id="bulk")
    svg = re.sub(r'(viewBox="0 28 \S+) ([0-9.]+)', lambda box: f"{box[1]} {float(box[2]) - 28:.0f}", svg)
    return re.sub(r'textLength="[0-9.]+"([^>]*)>([^<]*)<', _as_wide_as_its_cells, svg)


def lines_of(svg: str) -> list[str]:
    """Return the lines of text in such a picture."""
    found: dict[int, str] = {}
    for line, text in re.findall(r"<text [^>]*line-(\d+)\)\"[^>]*>([^<]*)</text>", svg):
        found[int(line)] = found.get(int(line), "") + html.unescape(text)
    return [found[line].replace("\xa0", " ").strip() for line in sorted(found)]


def _as_wide_as_its_cells(text: re.Match[str]) -> str:
    """Return a text of a picture with its width: Rich gives a Chinese character that of a Latin one."""
    return f'textLength="{cell_len(html.unescape(text[2])) * _CELL:.1f}"{text[1]}>{text[2]}<'


def _fill_in(path: Path) -> None:
    """Fill the sheet in, as the reader of the page does."""
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for place, row in enumerate(_MEMBERS):
            sheet.write_row(place, 0, row)
