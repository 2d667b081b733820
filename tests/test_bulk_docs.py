"""Each command in docs/bulk.md runs as the page shows it, in text and picture, against a stand-in of Tencent Cloud."""

import re
from pathlib import Path

import pytest

from tests.testkit.bulk_page import PAGES, PICTURED, follow, lines_of, picture, picture_of
from tests.testkit.project import ROOT
from tests.testkit.shown import differences


@pytest.mark.parametrize("name", PAGES)
def test_every_command_on_the_page_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The commands run in the order of the page, without a terminal; `# exit 1` behind one names its exit code.

    A picture has what its command prints, but for a progress bar, which needs a terminal.
    """
    page, pictures = (ROOT / "docs" / name).read_text(encoding="utf-8"), list[str]()
    for (command, lines), done in follow(name, tmp_path, monkeypatch, {"COLUMNS": "300"}):
        expected = re.findall(r"# exit ([0-9])$", command)
        assert str(done.code) == (expected[0] if expected else "0"), f"{command}\n{done.out}{done.err}"
        missing = differences(lines, done.out + done.err)
        assert missing == [], f"{command}\n{done.out}{done.err}"
        if file := picture_of(command, name):
            assert f"]({file})" in page
            first, *shown = lines_of((ROOT / "docs" / file).read_text(encoding="utf-8"))
            bars = [line for line in shown if "━" in line]
            assert (first, len(bars)) == (f"$ {command}", file.startswith("bulk-send")), "python -m tests.screenshots"
            missing = differences([line for line in shown if line not in bars], done.out)
            assert missing == [], f"python -m tests.screenshots: {file}"
            pictures.append(file)
    assert len(pictures) == len(PICTURED)


def test_a_picture_is_small_and_the_same_at_each_run() -> None:
    """It names no place on a machine and fetches nothing."""
    svg = picture("sms-admin bulk list", "a\x1b[1mb\x1b[0m 公司 <&>\n\n  c")
    assert svg == picture("sms-admin bulk list", "a\x1b[1mb\x1b[0m 公司 <&>\n\n  c")
    assert lines_of(svg) == ["$ sms-admin bulk list", "ab 公司 <&>", "", "c"]
    for path in (ROOT / "docs").glob("bulk*.svg"):
        text = path.read_text(encoding="utf-8")
        assert len(text) < 60_000
        assert re.findall(r"(?:href|src|url)\W+\w*:?//|@import|/home/|/tmp/", text) == []
    for path in (ROOT / "docs").glob("bulk*.png"):
        assert path.stat().st_size < 60_000
