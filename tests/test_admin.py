"""The operator's commands: their help, languages, options, questions, and the libraries that they bring."""

import ast
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width

import click
import pytest
from msgspec import Struct

from deploy.pins import read
from deploy.sources import BASE, OPTIONS, deployed
from local.env_file import env_file
from sms_admin import commands
from sms_admin import env_file as reader
from sms_admin.cli import COMMANDS, cli
from sms_admin.failures import Failed
from sms_admin.operations import Page, find, operation
from sms_admin.output import Column, Output, moment
from sms_admin.place import Place
from sms_admin.run import Run
from sms_login.phone import Phone
from tests.compile_locale import SOURCE, compiled, target
from tests.testkit.admin import LEAVES, admin
from tests.testkit.cases import each_case
from tests.testkit.project import ROOT

PHONE = Phone.from_e164("+8613800138000")
CHINESE = {"LANG": "zh_CN.UTF-8"}


@each_case("path", LEAVES, ids=" ".join)
def test_every_command_has_a_help_with_an_example_and_the_common_options(path: tuple[str, ...]) -> None:
    """The example is a call of this very command, and its options exist."""
    done = admin({}, *path, "--help")
    assert done.code == 0
    for option in ("--json", "--clear", "--yes", "--env-file"):
        assert f"  {option} " in done.out
    (example,) = [line.strip() for line in done.out.split("\nExample:\n")[1].splitlines() if " sms-admin" in f" {line}"]
    assert example.startswith(f"sms-admin {' '.join(path)}")
    words = [word for word in example.split() if word.startswith("--")]
    assert [word for word in words if word.split("=")[0] not in done.out.split("\nExample:\n")[0]] == []
    assert "Exit code: 0 done" in done.out


def test_the_help_is_in_chinese_if_the_locale_is() -> None:
    """In every command's help, only names, examples and addresses stay Latin. One process tells them all."""
    code = "from tests.test_admin import *\nfor path in LEAVES: print(admin(CHINESE, *path, '--help').out)"
    environ = {**os.environ, **CHINESE, "LANGUAGE": "", "LC_ALL": "", "LC_MESSAGES": "", "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert done.stdout.count("用法:") == len(LEAVES)
    texts = re.sub(r"(?m)^示例:\n(  .*\n)+", "", done.stdout)
    english = [line for line in texts.splitlines() if line.strip() and not re.search("[一-鿿]", line)]
    assert english == []


def test_a_groups_help_has_one_whole_line_for_each_command() -> None:
    """No list of commands is cut, or wider than 80 columns, in either language."""
    for group in sorted({path[:-1] for path in LEAVES}):
        for environ in ({}, CHINESE):
            listed = re.split(r"\n(?:Commands|命令):\n", admin(environ, *group, "--help").out)[1].split("\n\n")[0]
            for line in listed.splitlines():
                assert re.search(r"[^.。][.。]$", line), line
                assert sum(2 if east_asian_width(char) in "WF" else 1 for char in line) <= 80, line


def test_the_words_of_click_are_compiled_and_used() -> None:
    """The compiled file is that of its source, and a wrong command line is explained in Chinese."""
    assert target().read_bytes() == compiled(SOURCE.read_text(encoding="utf-8")), "python -m tests.compile_locale"
    done = admin(CHINESE, "chek")
    assert (done.code, done.out) == (2, "")
    assert "错误：没有命令 'chek'。" in done.err


def test_the_first_variable_of_the_locale_decides() -> None:
    """LANGUAGE, LC_ALL, LC_MESSAGES and LANG are asked in this order, as gettext does."""
    for environ in ({**CHINESE, "LC_ALL": "C"}, {"LANGUAGE": "en:zh", "LC_ALL": "zh_TW"}, {}):
        assert "Error: No such command" in admin(environ, "chek").err
    assert "错误：" in admin({"LC_ALL": "zh_SG", "LANG": "en"}, "chek").err


def test_nothing_of_the_operators_half_is_in_the_logins_build() -> None:
    """Neither a file of ours nor a library of requirements/admin.txt alone is deployed with the login."""
    files = deployed(ROOT, OPTIONS)
    assert [path for path in files if "sms_admin" in path.parts] == []
    login = {
        pin.name for name in (BASE, *(option.requirements for option in OPTIONS.values())) for pin in read(ROOT / name)
    }
    more = {pin.name for pin in read(ROOT / "requirements/admin.txt")} - login
    assert {"click", "rich", "tencentcloud-sdk-python-scf"} <= more


def test_a_command_imports_only_its_own_module() -> None:
    """The table names modules, so `check` starts without the libraries of the others."""
    tree = ast.parse((ROOT / "sms_admin/cli.py").read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"typing", "sms_admin.language", "sms_login"}
    assert all(
        (ROOT / "sms_admin" / Path(*entry.module.split("."))).with_suffix(".py").is_file()
        or (ROOT / "sms_admin" / Path(*entry.module.split("."))).is_dir()
        for entry in COMMANDS.values()
    )


class Numbered(Struct, rename="camel"):
    """A row with a number."""

    phone: Phone
    is_new: bool
    note: str


@commands.command("try", example="try", help="Try.", needs_redis=True)
@click.option("--ask", is_flag=True)
@click.option("--fail", is_flag=True)
def try_out(run: Run, *, ask: bool, fail: bool) -> None:
    """Print a row, after a question or a failure."""
    if ask:
        run.confirm("Spend money?")
    if fail:
        raise Failed("the number +8613800138000 is bad", "号码 +8613800138000 有误")
    columns = [Column("phone", "number"), Column("isNew", "new"), Column("note", "note")]
    run.out.rows([Numbered(PHONE, is_new=True, note="[bold]\x1b[2J")] * 2, columns)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command above, among the others."""
    monkeypatch.setattr(cli, "get_command", lambda *_: try_out)


@pytest.mark.usefixtures("tried")
def test_rows_are_a_table_or_json_with_masked_numbers() -> None:
    """Text from outside neither formats the table nor moves the cursor; --clear shows numbers."""
    row = {"phone": "+86138****8000", "isNew": True, "note": "[bold]\x1b[2J"}
    assert [json.loads(line) for line in admin({}, "try", "--json").out.splitlines()] == [row, row]
    assert json.loads(admin({}, "try", "--json", "--clear").out.splitlines()[0])["phone"] == PHONE.e164
    lines = admin({}, "try").out.splitlines()
    assert lines[0].split() == []
    assert [line.split() for line in lines[1:2] + lines[3:4]] == [
        ["number", "new", "note"],
        ["+86138****8000", "yes", "[bold]", "[2J"],
    ]
    assert "是" in admin(CHINESE, "try").out


@pytest.mark.usefixtures("tried")
def test_nothing_is_spent_without_a_yes() -> None:
    """Without a terminal and without --yes, a command that would ask ends with exit code 2 and one sentence."""
    done = admin({}, "try", "--ask")
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("Error: Spend money? There is no terminal: repeat the command with --yes\n")
    assert admin({}, "try", "--ask", "--yes").code == 0


@pytest.mark.usefixtures("tried")
def test_a_failure_is_one_sentence_without_numbers() -> None:
    """A failure has exit code 1, and is in the language of the locale."""
    assert admin({}, "try", "--fail") == (1, "", "the number <number> is bad\n")
    assert admin(CHINESE, "try", "--fail") == (1, "", "号码 <number> 有误\n")


@pytest.mark.usefixtures("tried")
def test_numbers_that_the_platform_would_log_cannot_be_asked_for() -> None:
    """--clear and --function exclude each other."""
    done = admin({}, "try", "--clear", "--function", "sms-admin")
    assert (done.code, done.out) == (2, "")
    assert "--clear and --function exclude each other" in done.err


@operation
def counted(_: Place, asked: Numbered, cursor: Any) -> Page:
    """Return three pages."""
    page = cursor or 0
    return Page([Numbered(asked.phone, is_new=False, note=str(page))], page + 1 if page < 2 else None)


def test_an_operation_is_asked_page_by_page() -> None:
    """The rows of all pages come one after another, as JSON has them."""
    run = Run({}, as_json=True, yes=False, clear=False)
    rows = list(run.rows(counted, Numbered(PHONE, is_new=True, note="")))
    assert [row["note"] for row in rows] == ["0", "1", "2"]
    assert rows[0]["phone"] == "+86138****8000"


@each_case("name", ["", "os.system", "check", "place.Place", "no_such.thing", "operations.find", "..x.y"])
def test_only_operations_can_be_found_by_name(name: str) -> None:
    """A name of anything else is refused."""
    with pytest.raises(Failed, match="no such operation"):
        find(name)


def test_the_environment_of_make_run_comes_back_from_its_file(tmp_path: Path) -> None:
    """Only the owner can read the file; it is gone after the run, unless a later run has taken it over."""
    path, environ = tmp_path / ".env.run", {"JWT_PRIVATE_KEY": "a\nb", "SMS_SIGN": '"示例"', "PATH": "/bin"}
    with env_file({**environ, "RUN_ENV_FILE": str(path)}):
        assert path.stat().st_mode & 0o777 == 0o600
        assert reader.read(path) == {"JWT_PRIVATE_KEY": "a\nb", "SMS_SIGN": '"示例"'}
        with env_file({"SMS_SIGN": "other", "RUN_ENV_FILE": str(path)}):
            pass
        assert not path.exists()
        path.write_text("of another", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "of another"


def test_nothing_but_a_regular_file_is_replaced_by_the_environment_of_make_run(tmp_path: Path) -> None:
    """A pipe, a folder and a link stay as they are: the process may be root's, and the path a device's."""
    (tmp_path / "target").write_text("mine", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "link", ""):
        before = (tmp_path / name).lstat()
        with env_file({"SMS_SIGN": "sign", "RUN_ENV_FILE": str(tmp_path / name)}):
            pass
        assert (tmp_path / name).lstat().st_ino == before.st_ino
    assert (tmp_path / "target").read_text(encoding="utf-8") == "mine"


def test_a_file_of_settings_is_read_as_the_example_is_written(tmp_path: Path) -> None:
    """Comments, quotes and `export` are known; any other line is named by its number, not by its content."""
    path = tmp_path / "env"
    path.write_text("\ufeff# c\nexport A = b c \nB='x\\n'\n\nC=\n", encoding="utf-8")
    assert reader.read(path) == {"A": "b c", "B": "x\\n", "C": ""}
    assert "REDIS_HOST" in reader.read(ROOT / "deploy/env.example")
    path.write_text("A=1\nsecret!\n", encoding="utf-8")
    with pytest.raises(Failed, match=r"env, line 2: must be NAME=value$"):
        reader.read(path)


def test_a_change_is_recorded_with_its_author(tmp_path: Path) -> None:
    """Each line of the log has time, action, author and the masked number; only the owner can read it."""
    environ = {"XDG_STATE_HOME": str(tmp_path), "PATH": ""}
    run = Run(environ, as_json=False, yes=False, clear=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path))
        run.place.record("users.ban", PHONE, reason="spam")
    file = tmp_path / "sms-admin/changes.jsonl"
    (line,) = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert (line["action"], line["phone"], line["reason"]) == ("users.ban", "+86138****8000", "spam")
    assert "@" in line["by"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_empty_list_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list is a sentence for people, and nothing for programs."""
    for as_json in (True, False):
        Output(as_json=as_json, clear=False).rows([], [Column("a", "a")])
    assert capsys.readouterr().out == "There are none.\n"


def test_times_and_progress_are_for_people(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A time is that of this machine's zone, and a progress bar is shown on a terminal alone."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    assert (moment(1_700_000_000), moment(None)) == ("2023-11-15 06:13:20", "–")
    monkeypatch.undo()
    time.tzset()
    with Output(as_json=False, clear=False).progress("sending", 2) as advance:
        advance(2)
    assert capsys.readouterr() == ("", "")


def test_a_shell_completes_commands_options_and_their_values() -> None:
    """The script of `completion` asks the program itself, which needs no settings for it."""

    def completions(words: str) -> list[str]:
        count = len(words.split(" ")) - 1
        asked = {"_SMS_ADMIN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)}
        done = admin(asked)
        assert done.err == ""
        return [line.partition(",")[2] for line in done.out.splitlines()]

    assert completions("sms-admin temp") == ["template"]
    assert completions("sms-admin template w") == ["wait"]
    assert completions("sms-admin template add --ki") == ["--kind"]
    assert completions("sms-admin template add --kind o") == ["otp"]
    for shell in ("bash", "zsh", "fish"):
        assert "_SMS_ADMIN_COMPLETE" in admin({}, "completion", shell).out
