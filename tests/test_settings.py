"""The table of settings, and the files that `make settings` writes from it."""

import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml

from deploy import settings
from deploy.check import ADMIN_FILE, FILES
from deploy.sources import ROOT
from sms_login.secret import Secret
from sms_login.settings import kinds
from sms_login.settings.kinds import Setting
from sms_login.settings.settings import TABLE, Settings
from tests.testkit.cases import each_case

WORDS: dict[str, Any] = yaml.safe_load(settings.WORDS.read_text(encoding="utf-8"))
WRITTEN = [*FILES, ADMIN_FILE, "deploy/env.example", "docs/settings.md", "docs/settings.zh-CN.md"]
WRITTEN += ["README.md", "README.zh-CN.md"]
HINTS = get_type_hints(Settings, include_extras=True)


@each_case("path", WRITTEN)
def test_every_file_equals_the_output_of_make_settings(path: str) -> None:
    """If the table changes without `make settings`, or a written file was edited, this test fails."""
    assert (ROOT / path).read_text(encoding="utf-8") == settings.files()[path]


def test_make_settings_writes_these_files_and_no_other() -> None:
    """The test above covers every written file."""
    assert sorted(settings.files()) == sorted(WRITTEN)


def test_a_new_setting_needs_one_row_and_one_entry_of_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make settings` adds the new setting to every file, and to a README if the setting is a limit."""
    row = Setting("NEW_LIMIT", kinds.integer, 7, 1, 9, field="new")
    words = {"en": "New things per day.", "zh": "每天的新事物。"}
    limit = {"refund": {"en": "no", "zh": "否"}, "against": {"en": "a new attack", "zh": "新的攻击"}}
    monkeypatch.setattr(settings, "TABLE", (*TABLE, row))
    monkeypatch.setattr(settings, "WORDS", tmp_path / "words.yaml")
    for entry, expected in ((words, WRITTEN[:-2]), (words | limit, WRITTEN)):
        changed = {**WORDS, "settings": {**WORDS["settings"], "NEW_LIMIT": entry}}
        settings.WORDS.write_text(yaml.safe_dump(changed, allow_unicode=True), encoding="utf-8")
        lines = {
            path: [line for line in text.splitlines() if "NEW_LIMIT" in line] for path, text in settings.files().items()
        }
        assert [path for path in WRITTEN if lines[path]] == expected
    assert lines["serverless.yml"] == ["      NEW_LIMIT: ${env:NEW_LIMIT}"]
    assert lines["deploy/env.example"] == ["NEW_LIMIT=7"]
    assert lines["docs/settings.md"] == ["| `NEW_LIMIT` | 7 | 1 to 9 | New things per day. |"]
    assert lines["docs/settings.zh-CN.md"] == ["| `NEW_LIMIT` | 7 | 1 至 9 | 每天的新事物。 |"]
    assert lines["README.md"] == ["| New things per day | 7 | no | a new attack | `NEW_LIMIT` |"]
    assert lines["README.zh-CN.md"] == ["| 每天的新事物 | 7 | 否 | 新的攻击 | `NEW_LIMIT` |"]


def test_a_file_without_its_marks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In that case nothing is written, and the error names the file."""
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    (tmp_path / FILES[0]).write_text("component: scf\n")
    with pytest.raises(ValueError, match=f"^{FILES[0]} has 0 regions between"):
        settings.files()


def test_every_setting_and_every_kind_is_described() -> None:
    """The table and the file of words have the same names, in the same order."""
    assert list(WORDS["settings"]) == [row.name for row in TABLE]
    assert {row.kind.__name__ for row in TABLE} == WORDS["kinds"].keys()


def test_a_setting_is_described_by_one_sentence_in_each_language() -> None:
    """Both sentences name the same settings, values and numbers."""
    for sentences in (WORDS["settings"][row.name] for row in TABLE):
        english, chinese = sentences["en"], sentences["zh"]
        assert re.fullmatch(r"[A-Z0-9`].*[^.]\.", english)
        assert re.fullmatch(r".*[^。]。", chinese)
        assert not re.search(r"\. [A-Z]", english)
        assert "。" not in chinese[:-1]
        for words in (r"`[^`]+`", r"\]\([a-z-]+\.md\)", r"[0-9]+(?:\.[0-9]+)?"):
            assert sorted(re.findall(words, chinese)) == sorted(re.findall(words, english)), english


def test_names_are_unique() -> None:
    """Two rows with one name would read one variable into two fields."""
    assert len({row.name for row in TABLE}) == len(TABLE)


def test_the_kind_of_a_setting_determines_the_type_of_its_field() -> None:
    """A field of one setting has the setting's name and the type of its kind, which no type checker compares."""
    rows = {field: hint.__metadata__[0] for field, hint in HINTS.items() if len(hint.__metadata__) == 1}
    assert [row.name for row in rows.values()] == [field.upper() for field in rows]
    for field, row in rows.items():
        assert get_type_hints(row.kind)["return"] == HINTS[field].__origin__, field


@each_case("field", [field for field, hint in HINTS.items() if hint.__metadata__[0].field])
def test_the_settings_of_a_part_are_fields_of_it(field: str) -> None:
    """Rules, limits and routes consist of their settings; each default is read as the default of the part."""
    part = HINTS[field].__origin__
    whole = part(**{row.field: "" for row in HINTS[field].__metadata__ if row.required})
    for row in HINTS[field].__metadata__:
        assert get_type_hints(row.kind)["return"] == get_type_hints(part)[row.field]
        assert row.required or row.kind(row, str(row.default)) == getattr(whole, row.field)


def test_a_setting_that_is_read_as_a_secret_is_marked_secret() -> None:
    """The mark keeps the setting out of deployment files and out of the output of the check."""
    hidden = [row.name for row in TABLE if "Secret" in str(get_type_hints(row.kind)["return"])]
    assert {row.name for row in TABLE if row.secret} == {*hidden, "JWT_PRIVATE_KEY"}
    assert Secret.__name__ in str(get_type_hints(kinds.codes)["return"])
