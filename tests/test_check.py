"""`python -m sms_admin check`: its output and exit code; no check hides another, and no secret is printed."""

import ast
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from local.cloud import ADMIN, Cloud, local_cloud
from sms_admin.__main__ import main
from sms_admin.check.checks import examine
from sms_admin.check.command import Inside, check_inside, summary
from sms_admin.check.report import Check, Finding, State, ok, problem, run, warning
from sms_admin.check.settings import Net
from sms_admin.place import Place
from tests.testkit.admin import admin
from tests.testkit.cases import each_case
from tests.testkit.findings import SLOW, bad, states
from tests.testkit.servers import RedisServer

ROOT = Path(__file__).parent.parent
PASSWORD, NUMBER = "hunter2-of-redis", "+8613800138000"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """The environment of `make run`, with a real Redis that has a password."""
    with RedisServer("--requirepass", PASSWORD) as server:
        environ = {"REDIS_HOST": server.host, "REDIS_PORT": str(server.port), "REDIS_PASSWORD": PASSWORD}
        with local_cloud(environ) as cloud:
            yield cloud


SDK_ON_3_12 = "ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning"


def command(environ: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a process of its own, as an operator does."""
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-W", "error", "-W", SDK_ON_3_12, "-m", "sms_admin", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONUTF8": "1", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def summary_of(lines: list[str]) -> str:
    """Return the summary with which a report must end."""
    fine, warnings, problems = (sum(line.startswith(f"{state.value} ") for line in lines) for state in State)
    return summary(problems, warnings, fine)


def test_the_summary_has_singular_and_plural() -> None:
    """One problem is not called problems, and the example in the documents adds up."""
    assert summary(1, 1, 1) == "1 problem, 1 warning, 1 ok"
    assert summary(0, 2, 0) == "0 problems, 2 warnings, 0 ok"
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    example = page.split("```console\n")[1].split("\n```")[0].splitlines()
    assert example[-1] == summary_of(example[:-1])


def test_the_service_of_make_run_passes(cloud: Cloud) -> None:
    """Only the stand-ins cause warnings; the exit code is 0, and standard error is empty."""
    done = command(cloud.environ, "check")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.split()[1] for line in lines if line.startswith(("warning", "problem"))} - SLOW == {"sending"}
    assert lines[-1] == summary_of(lines)
    assert lines[-1].startswith("0 problems, ")
    assert {line.split()[1] for line in lines if line.startswith("ok")} | SLOW >= {
        *("settings", "keys.tokens", "keys.codes", "limits", "countries", "client-ip", "test-numbers", "users"),
        *("redis", "redis.tls", "redis.version", "redis.latency", "redis.eviction", "redis.memory", "redis.clock"),
        *("redis.cluster", "redis.scripts", "clock", "credentials", "credentials.kind", "captcha"),
        *("sms.template", "sms.parameters", "sms.sign", "sms.intl.template", "sms.intl.parameters", "sms.intl.sign"),
    }


def test_the_embedded_redis_of_make_run_passes_too() -> None:
    """Facts that the embedded Redis cannot tell are warnings, which say where to look."""
    with local_cloud({}) as cloud:
        found = bad(examine(cloud.environ))
    names = {"sending", "redis.version", "redis.eviction", "redis.memory"}
    assert found == dict.fromkeys(names, State.WARNING)


def test_json_is_one_object_per_line(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Each line has the same fields, for a pipeline, and the exit code is the same as without --json."""
    code = in_process({**cloud.environ, "REDIS_PORT": "1"}, monkeypatch, "check", "--json", "--url=http://127.0.0.1:1")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 1
    assert all(line.keys() == {"check", "state", "found", "todo"} for line in lines)
    assert [line["check"] for line in lines if line["state"] == "problem"] == ["redis", "keys.published"]
    assert all(bool(line["todo"]) == (line["state"] != "ok") for line in lines)


def in_process(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command in this process, which is faster."""
    for name in [*os.environ]:
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["sms_login", *arguments])
    return main()


@pytest.mark.parametrize(
    "arguments",
    [[], ["chek"], ["check", "--fast"], ["check", "--send"], ["check", NUMBER], ["check", "--sen", NUMBER]]
    + [["check", f"--send={number}"] for number in ("13800138000", "8613800138000", "+861381", "+862088888888", "x")]
    + [["check", f"--url={url}"] for url in ("", "login.example.com", "file:///etc/passwd", "https://x?method=jwks")],
)
def test_a_wrong_command_line_ends_with_exit_code_2(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """It gives a sentence on standard error that shows no phone number, and no check runs."""
    with pytest.raises(SystemExit) as ended:
        in_process({}, monkeypatch, *arguments)
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert "Usage: python -m sms_admin" in err
    assert [number for number in ("862088888888", "13800138000") if number in err] == []
    if any("--url=" in argument for argument in arguments):
        assert err.endswith("must be the function's URL, like https://login.example.com\n")
    if any("--send=" in argument for argument in arguments):
        assert err.endswith("must be a mobile number with its country, like +86…\n")


def test_a_closed_pipe_is_not_a_crash() -> None:
    """`python -m sms_admin check | head` prints no traceback."""
    command = [sys.executable, "-m", "sms_admin", "check"]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # noqa: S603 - our own program
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_wrong_settings_do_not_stop_the_other_checks(cloud: Cloud) -> None:
    """Each problem is named, checks that depend on it say that they are left out, and all others run."""
    wrong = {"REDIS_DB": "x", "JWT_SECRET": "short", "SMS_INTL_TEMPLATE_ID": "undefined"}
    findings = list(examine({**cloud.environ, **wrong}))
    problems = [finding.found for finding in findings if finding.state is State.PROBLEM]
    assert sorted(problems) == [
        "JWT_SECRET must be at least 32 bytes long",
        "REDIS_DB must be a whole number from 0 to 255",
        "SMS_INTL_SDKAPPID and SMS_INTL_TEMPLATE_ID go together",
        "SMS_INTL_TEMPLATE_ID is the text 'undefined': the variable was not set when deploying",
    ]
    skipped = {finding.check for finding in findings if finding.found.startswith("not checked: ")}
    assert skipped == {"keys", "redis", "countries"}
    good = states(findings).keys() - bad(findings).keys()
    assert good >= {"limits", "clock", "credentials", "sms.template", "captcha", "users"}


def test_an_empty_environment_is_checked_too() -> None:
    """All required settings are named at once."""
    findings = list(examine({}))
    problems = {finding.found.split()[0] for finding in findings if finding.check == "settings"}
    assert problems == {"REDIS_HOST", "SMS_SDKAPPID", "SMS_SIGN", "SMS_TEMPLATE_ID", "JWT_SECRET"}
    assert {finding.check for finding in findings} >= {"limits", "client-ip", "captcha"}


def _crashing() -> Iterator[Finding]:
    yield ok("crash", "so far so good")
    raise ValueError(PASSWORD)


def test_a_check_that_crashes_or_hangs_hides_no_other() -> None:
    """Its findings so far are printed, then the place of the failure, but never the exception's words."""
    released = threading.Event()

    def hanging() -> Iterator[Finding]:
        yield ok("hang", "so far so good")
        released.wait()

    checks = [Check("crash", _crashing), Check("hang", hanging), Check("last", lambda: [ok("last", "fine")])]
    findings = list(run(checks, (), each=0.5))
    released.set()
    assert findings[0] == ok("crash", "so far so good")
    assert findings[1].found.startswith("the check itself failed: ValueError at test_check.py:")
    assert findings[1].state is State.PROBLEM
    assert findings[2:] == [
        ok("hang", "so far so good"),
        problem("hang", "not finished after 0 s", "the server or the network hangs: check both"),
        ok("last", "fine"),
    ]


def test_all_checks_together_keep_their_time_limit() -> None:
    """A check for which no time is left is a warning, not silence."""
    findings = list(run([Check("late", list)], (), in_all=0))
    assert findings == [warning("late", "not checked: the others took too long", "fix those first, then check again")]


def test_text_from_outside_stays_on_one_line() -> None:
    """A reviewer's reply can neither begin a line of its own nor move the cursor."""
    text = problem("a", "line\nok  b\x1b[2J", "do\rthis").text()
    assert [line.strip() for line in text.splitlines()] == ["problem  a                    line ok  b [2J", "→ do this"]


def secret(environ: dict[str, str]) -> list[str]:
    """Return the values that must never be printed: the secrets in an environment, and the number's digits."""
    words = ("PASSWORD", "SECRET", "TOKEN", "USERS_URL")
    return [value for name, value in environ.items() if any(word in name for word in words)] + ["13800138000"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"REDIS_PASSWORD": "a-wrong-password"},
        {"REDIS_PORT": "1", "USERS_URL": "mysql+pymysql://user:p%40ss-of-users@127.0.0.1:1/db"},
        {"USERS_URL": "mysql://user:p%40ss-of-users@127.0.0.1/db", "JWT_SECRET": "short-secret"},
        {"JWT_PRIVATE_KEY": "-----BEGIN nothing-of-a-key", "SECRET": "another-short-one"},
        {"TENCENTCLOUD_SECRETKEY": "a-wrong-secret-key", "CAPTCHA_APP_SECRET": "a-wrong-app-secret"},
        {"TEST_NUMBERS": "+8613800138000=424242", "TEST_NUMBERS_UNTIL": "2099-01-01"},
        {"TEST_NUMBERS": "+8613800138000=4242", "TEST_NUMBERS_UNTIL": "2099-01-01"},
        {"SMS_SIGN": PASSWORD},  # a value in the wrong place
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_nothing_secret_is_printed(
    cloud: Cloud, changes: dict[str, str], form: list[str], monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """Keys, passwords, codes and numbers are hidden in every failure, also if a message is sent."""
    environ = {**cloud.environ, **changes}
    before = len(cloud.tencent.inbox(NUMBER))
    in_process(environ, monkeypatch, "check", f"--send={NUMBER}", *form)
    out, err = capfd.readouterr()
    codes = [message.params[0] for message in cloud.tencent.inbox(NUMBER)]
    assert len(codes) == before + ("TENCENTCLOUD_SECRETKEY" not in changes)
    hidden = [*secret(environ), "p%40ss-of-users", "p@ss-of-users"]
    assert [value for value in hidden if value in out + err] == []
    # Whole words only: the 39 digits of a serial number may contain a code by chance.
    assert not {"424242", *codes} & set(re.findall(r"[0-9]+", out + err))
    assert "+86138****8000" in out


def test_the_last_net_masks_every_secret() -> None:
    """A secret is masked in any text; short values stay, since they occur in ordinary words."""
    environ = {"USERS_URL": "mysql+pymysql://u:pass/word@h/d", "REDIS_PASSWORD": "abc", "TEST_NUMBERS": f"{NUMBER}=1"}
    net = Net({**environ, "JWT_SECRET": 'a "quoted" secret'})
    finding = net.let_through(problem("a", 'a "quoted" secret, abc, \udcff', f"pass/word {NUMBER}"))
    assert finding == problem("a", "****, abc, ?", "**** +****")
    assert json.loads(finding.json())["todo"] == "**** +****"


def test_every_check_is_in_the_documentation(cloud: Cloud) -> None:
    """The page on checking a deployment lists each check by its name."""
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z.-]+)`", "".join(line.split("|")[1] for line in page.splitlines() if "| `" in line)))
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "sms_admin" / "check").glob("*.py"))
    plain = set(re.findall(r"(?:ok|warning|problem)\(\s*\"([a-z.-]+)\"", source))
    purposes = {"SMS_PURPOSES": "pay=1000004", "SMS_INTL_PURPOSES": "pay=1000005"}
    assert named == plain | states(examine({**cloud.environ, **purposes})).keys()


def test_the_former_command_names_the_new_one() -> None:
    """`python -m sms_login check` names the new command and ends like a wrong command line."""
    done = subprocess.run(
        [sys.executable, "-m", "sms_login", "check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "The command has moved: python -m sms_admin check\n"


def test_redis_and_users_are_checked_from_the_admin_function(cloud: Cloud) -> None:
    """They are reached from there alone; a function that does not answer is one problem, and hides nothing else."""
    outside = {**cloud.environ, "REDIS_HOST": "10.255.255.1", "USERS_URL": ""}
    done = admin(outside, "check", "--json", "--function", ADMIN)
    lines = {line["check"]: line["state"] for line in map(json.loads, done.out.splitlines())}
    assert (done.code, lines["function"], lines["redis"], lines["users"]) == (0, "ok", "ok", "ok")
    assert lines.keys() > {"settings", "credentials", "captcha", "redis.tls"}
    assert [value for value in secret(cloud.environ) if value in done.out] == []
    done = admin(outside, "check", "--json", "--function", "another")
    found = [line for line in map(json.loads, done.out.splitlines()) if line["state"] == "problem"]
    assert (done.code, [line["check"] for line in found]) == (1, ["function"])
    assert found[0]["found"] == "there is no function of this name: --function"


CHECKS = sorted(path for path in (ROOT / "sms_admin/check").glob("*.py") if path.stem != "settings_words")


def values(text: ast.expr) -> set[str]:
    """Return the names of the values that an f-string has in it."""
    called = {ast.unparse(node.func) for node in ast.walk(text) if isinstance(node, ast.Call)}
    return {node.id for node in ast.walk(text) if isinstance(node, ast.Name)} - called


@each_case("path", CHECKS, ids=lambda path: path.stem)
def test_every_sentence_of_a_check_is_in_both_languages(path: Path) -> None:
    """A text of three words stands beside its Chinese, which has the same values in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = set[ast.AST]()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name("tr"), args=[english, chinese]) | ast.Tuple(elts=[english, chinese]):
                if re.search("[一-鿿]", ast.unparse(chinese)):
                    assert values(english) == values(chinese), ast.unparse(english)
                    told |= {*ast.walk(english), *ast.walk(chinese)}
            case ast.Expr(value=docstring):
                told.add(docstring)
            case ast.Dict(keys=words):  # of errors, to be recognised
                told |= {*filter(None, words)}
            case ast.Compare(left=word):
                told.add(word)
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in told)
    assert [text.value for text in texts if re.search("[a-z]{2,} [a-z]{2,} [a-z]{2,}", str(text.value))] == []


def test_the_findings_are_in_chinese_if_the_locale_is(cloud: Cloud) -> None:
    """Here and from the admin function, whose own locale is English; the names of checks and the JSON's keys stay."""
    latin = {"redis.version", "countries"}  # a number, and codes of countries
    chinese = {**cloud.environ, "LANG": "zh_CN.UTF-8"}
    done = admin(chinese, "check", "--json", "--url=http://127.0.0.1:1")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [each for each in found if each["check"] not in latin and not re.search("[一-鿿]", each["found"])] == []
    assert [each for each in found if each["todo"] and not re.search("[一-鿿]", each["todo"])] == []
    done = admin(chinese, "check")
    assert "正常     users                保存在 Redis 中" in done.out.splitlines()
    assert re.fullmatch(r"0 个问题，\d+ 个警告，\d+ 项正常", done.out.splitlines()[-1])
    with closing(Place(cloud.environ, "", print)) as place:
        rows = check_inside.page(place, Inside(chinese=True), None).rows
    assert [row.found for row in rows if row.check == "users"] == ["保存在 Redis 中"]
