"""`make check-deploy` finds each kind of mistake before it is deployed, and names it."""

import copy
import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deploy import check, component
from deploy.document import read
from deploy.env import env_file, of_the_cli, read_file
from deploy.sources import ROOT, deployed, source
from sms_login.settings.settings import TABLE
from tests.testkit.cases import each_case
from tests.testkit.servers import require

FILES = pytest.mark.parametrize("name", check.FILES)
Change = Callable[[Any], object]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build for both files, which tests share: `changeable_build` is a copy of one test."""
    build = tmp_path_factory.mktemp("made") / "build"
    for path in deployed(ROOT, ()):
        (build / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source(path), build / path)
    return build


@pytest.fixture
def there(tmp_path: Path, build: Path) -> Path:
    """A copy of both files, with the build."""
    for name in (*check.FILES, "deploy/env.example"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "build").symlink_to(build)
    return tmp_path


@pytest.fixture
def changeable_build(there: Path, build: Path) -> Path:
    """A build beside the files that the test may change."""
    (there / "build").unlink()
    return Path(shutil.copytree(build, there / "build"))


@pytest.fixture(scope="module")
def _toolkit() -> None:
    """Node, and the toolkit from its lock file."""
    try:
        component.install()
    except component.Unavailable as reason:
        require(False, f"tencent-component-toolkit: {reason};")  # noqa: FBT003 - reads well enough


def changed(path: Path, change: Change) -> list[str]:
    """Return the problems that are found in a file after a change to it."""
    document = read(path.read_text())
    change(document)
    path.write_text(json.dumps(document))  # JSON is YAML, and quicker to write
    return check.offline(path, check.example())[0]


@pytest.mark.usefixtures("_toolkit")
def test_both_files_are_right(there: Path) -> None:
    """Each file has every setting of the function, and the real toolkit knows each of its keys."""
    paths = [there / name for name in check.FILES]
    assert check.check(paths, check.example()) == ({path: [] for path in paths}, "")
    for path in paths:
        variables = read(path.read_text())["inputs"]["environment"]["variables"]
        assert variables == {row.name: f"${{env:{row.name}}}" for row in TABLE}


def test_both_files_agree_on_their_common_settings() -> None:
    """The files differ only in the keys that start and size the function, so no setting is changed twice."""
    event, web = (read((ROOT / name).read_text()) for name in check.FILES)
    differ = {
        key
        for key in event["inputs"].keys() | web["inputs"].keys()
        if event["inputs"].get(key) != web["inputs"].get(key)
    }
    assert differ == {"name", "type", "handler", "src", "memorySize", "instanceConcurrencyConfig"}
    assert {key for key in event.keys() | web.keys() if event.get(key) != web.get(key)} == {"name", "inputs"}


MISTAKES: dict[str, tuple[Change, str]] = {
    "a key misspelt": (
        lambda it: it["inputs"].update(memorysize=64),
        "inputs: Additional properties are not allowed ('memorysize' was unexpected)",
    ),
    "a key of the trigger misspelt": (
        lambda it: it["inputs"]["events"][0]["http"]["parameters"]["netConfig"].update(enableExtraNet=True),
        "inputs.events.0.http.parameters.netConfig: Additional properties are not allowed ('enableExtraNet' was",
    ),
    "a missing key": (lambda it: it["inputs"].pop("vpcConfig"), 'inputs: "vpcConfig" is a required property'),
    "a number as text": (
        lambda it: it["inputs"].update(timeout="20"),
        'inputs.timeout: the value is not of type "integer"',
    ),
    "a time beyond the platform's": (
        lambda it: it["inputs"].update(timeout=901),
        "inputs.timeout: the value is greater than the maximum of 900",
    ),
    "a switch as text": (
        lambda it: it["inputs"].update(publicAccess="true"),
        'inputs.publicAccess: the value is not of type "boolean"',
    ),
    "a memory size that does not exist": (
        lambda it: it["inputs"].update(memorySize=100),
        "inputs.memorySize: the value is not one of 64, 128",
    ),
    "another runtime": (
        lambda it: it["inputs"].update(runtime="Python3.11"),
        'inputs.runtime: "Python3.10" was expected',
    ),
    "API Gateway": (
        lambda it: it["inputs"].update(events=[{"apigw": {}}]),
        "inputs.events.0: Additional properties are not allowed ('apigw' was unexpected)",
    ),
    "no trigger": (lambda it: it["inputs"].update(events=[]), "inputs.events: the value has less than 1 item"),
    "a trigger without public access": (
        lambda it: it["inputs"]["events"][0]["http"]["parameters"]["netConfig"].update(enableExtranet=False),
        "inputs.events: none is enabled with netConfig.enableExtranet: true and authType: NONE",
    ),
    "a trigger that is switched off": (
        lambda it: it["inputs"]["events"][0]["http"]["parameters"].update(enable=False),
        "inputs.events: none is enabled",
    ),
    "a trigger for those who have the account's keys": (
        lambda it: it["inputs"]["events"][0]["http"]["parameters"].update(authType="CAM"),
        "inputs.events: none is enabled",
    ),
    "an unset variable that became undefined": (
        lambda it: it["inputs"].update(region="undefined"),
        "inputs.region: must be set: it is the text 'undefined'",
    ),
    "a number that is unset": (
        lambda it: it["inputs"].update(timeout="undefined"),
        "inputs.timeout: must be set: it is the text 'undefined'",
    ),
    "the value of another setting": (
        lambda it: it["inputs"]["environment"]["variables"].update(IP_HOURLY_LIMIT="${env:IP_DAILY_LIMIT}"),
        "IP_HOURLY_LIMIT: is given the value of another setting, IP_DAILY_LIMIT",
    ),
    "a part of the build left out": (
        lambda it: it["inputs"]["src"].update(exclude=[".env*", "**/wsgi.py"]),
        "inputs.src.exclude: **/wsgi.py leaves out a needed file",
    ),
    "all of the build left out": (
        lambda it: it["inputs"]["src"].update(exclude=["./sms_login"]),
        "inputs.src.exclude: ./sms_login leaves out a needed file",
    ),
    "no way to SendSms": (lambda it: it["inputs"].update(publicAccess=False), "inputs.publicAccess: must be true"),
    "no time for SendSms": (
        lambda it: it["inputs"].update(timeout=5),
        "inputs.timeout: must be at least SMS_TIMEOUT plus 10 s",
    ),
    "a default, which the CLI does not know": (
        lambda it: it["inputs"].update(region="${env:DEPLOY_REGION, 'ap-guangzhou'}"),
        "inputs.region: a reference must be the whole value",
    ),
    "text around a reference": (
        lambda it: it["inputs"]["environment"]["variables"].update(JWT_ISSUER="https://${env:JWT_ISSUER}"),
        "inputs.environment.variables.JWT_ISSUER: a reference must be the whole value",
    ),
    "a secret": (
        lambda it: it["inputs"]["environment"]["variables"].update(JWT_SECRET="0123456789" * 4),
        "JWT_SECRET: a secret is in the file: write ${env:JWT_SECRET}",
    ),
    "a key of the account": (
        lambda it: it["inputs"].update(description="AKID" + "x" * 32),
        "a Tencent Cloud SecretId is in the file",
    ),
    "a name of the platform": (
        lambda it: it["inputs"]["environment"]["variables"].update(TENCENTCLOUD_SECRETID="${env:SMS_SIGN}"),
        "TENCENTCLOUD_SECRETID: begins with SCF_ or QCLOUD_ or TENCENTCLOUD_",
    ),
    "a setting misspelt": (
        lambda it: it["inputs"]["environment"]["variables"].update(CODE_LIFE="60"),
        "CODE_LIFE: the function knows no such setting",
    ),
    "the service's own role": (lambda it: it["inputs"].update(role="SCF_QcsRole"), "inputs.role: is the service's own"),
    "a setting that is wrong": (
        lambda it: it["inputs"]["environment"]["variables"].update(CODE_TTL="5"),
        "CODE_TTL must be a whole number from 30 to 600",
    ),
    "a setting that is set and left out": (
        lambda it: it["inputs"]["environment"]["variables"].pop("DAILY_LIMIT"),
        "DAILY_LIMIT: is set, but missing from the file",
    ),
    "another place for the build": (
        lambda it: it["inputs"]["src"].update(src="./dist"),
        "inputs.src.src: dist does not exist",
    ),
    "not a mapping": (lambda it: it.update(inputs=[]), 'inputs: the value is not of type "object"'),
}


@FILES
@each_case(("change", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_found_and_named(there: Path, name: str, change: Change, problem: str) -> None:
    """Each mistake gives one sentence, without the value of a secret."""
    shutil.copy(ROOT / name, there / name)
    (found,) = changed(there / name, change)
    assert found.startswith(problem)
    assert "0123456789" not in found


@FILES
@each_case(
    ("before", "after", "problem"),
    [
        ("timeout: 20", "timeout: 20\n  timeout: 20", ": timeout is repeated"),
        ("variables:\n", "variables:\n      SECRET: ${env:SECRET}\n", ": SECRET is repeated"),
        ("publicAccess: true", "publicAccess: yes", 'inputs.publicAccess: the value is not of type "boolean"'),
        ("variables:\n", "variables:\n      1: x\n", ": a key is not text"),
        ("timeout: 20", "timeout: 0200", 'inputs.timeout: the value is not of type "integer"'),
        ("timeout: 20", "timeout: 1:00", 'inputs.timeout: the value is not of type "integer"'),
        ("${env:TEST_NUMBERS_UNTIL}", "2027-01-31", ": a date must be in quotes"),
    ],
)
def test_yaml_that_the_cli_reads_differently_is_found(
    there: Path, name: str, before: str, after: str, problem: str
) -> None:
    """The CLI's YAML has dates, but no `yes` and no octal numbers, and stops at a repeated key."""
    text = (ROOT / name).read_text()
    assert text.count(before) == 1
    (there / name).write_text(text.replace(before, after))
    (found,) = check.offline(there / name, check.example())[0]
    assert re.sub(r"^line \d+", "", found).startswith(problem)


def test_a_variable_with_the_text_undefined_is_found(there: Path) -> None:
    """A variable that another tool has set to the text undefined counts as not set."""
    problems, _ = check.offline(there / "serverless.yml", check.example() | {"DEPLOY_REGION": "undefined"})
    assert problems == ["inputs.region: must be set: it is the text 'undefined'"]


def test_a_key_of_one_kind_of_function_is_unknown_in_the_other(there: Path) -> None:
    """The toolkit silently drops a web function's handler and an event function's concurrency."""
    web = there / "deploy/web/serverless.yml"
    assert changed(web, lambda it: it["inputs"].update(handler="index.main_handler")) == [
        "inputs: Additional properties are not allowed ('handler' was unexpected)"
    ]
    concurrency = {"enable": True, "dynamicEnabled": False, "maxConcurrency": 2}
    assert changed(there / "serverless.yml", lambda it: it["inputs"].update(instanceConcurrencyConfig=concurrency)) == [
        "inputs: Additional properties are not allowed ('instanceConcurrencyConfig' was unexpected)"
    ]


def test_variables_that_are_not_set_are_named_all_at_once(there: Path) -> None:
    """One problem lists all variables that are not set; an empty one counts as set."""
    environ = check.example() | {"SECRET": ""}
    for name in ("DEPLOY_REGION", "REDIS_HOST", "SMS_TIMEOUT"):
        del environ[name]
    problems, _ = check.offline(there / "serverless.yml", environ)
    assert problems == ["not set: DEPLOY_REGION, REDIS_HOST, SMS_TIMEOUT"]


def test_variables_that_the_example_leaves_empty_are_required(there: Path) -> None:
    """The example cannot be deployed until its empty variables are filled in."""
    environ = read_file(ROOT / "deploy/env.example")
    problems, _ = check.offline(there / "serverless.yml", environ)
    assert [problem.split(":")[0] for problem in problems] == [
        *("inputs.role", "inputs.vpcConfig.vpcId", "inputs.vpcConfig.subnetId"),
    ]
    placed = environ | {name: value for name, value in check.example().items() if name.startswith("DEPLOY_")}
    problems, _ = check.offline(there / "serverless.yml", placed)
    required = ("REDIS_HOST", "SMS_SDKAPPID", "SMS_SIGN", "SMS_TEMPLATE_ID", "JWT_SECRET or JWT_PRIVATE_KEY")
    assert sorted(problems) == sorted(f"{name} is required" for name in required)


def test_an_environment_that_is_too_large_is_refused(there: Path) -> None:
    """The platform allows 4 KB in all, names included."""
    origins = ",".join(f"https://{i}.example.com" for i in range(160))
    problems, _ = check.offline(there / "serverless.yml", check.example() | {"ALLOWED_ORIGINS": origins})
    assert len(problems) == 1
    assert re.fullmatch(r"the environment has \d{4} bytes, but the platform allows 4096", problems[0])


@FILES
def test_the_build_must_exist_with_the_libraries_of_its_settings(
    there: Path, changeable_build: Path, name: str
) -> None:
    """A missing build, one without a needed library, and one with a .env file are refused."""
    environ = check.example() | {"USERS_URL": "sqlite:////tmp/users.db"}
    assert check.offline(there / name, environ)[0] == [
        "USERS_URL: needs a build with its libraries: make build WITH=sql"
    ]
    (changeable_build / "sqlalchemy").mkdir()
    assert check.offline(there / name, environ)[0] == []
    (changeable_build / ".env.prod").touch()
    assert check.offline(there / name, environ)[0] == ["inputs.src.src: build has a .env file: make build"]
    shutil.rmtree(changeable_build)
    (problem,) = check.offline(there / name, environ)[0]
    assert problem.endswith(": make build")


def test_a_build_of_other_sources_is_not_deployed(there: Path, changeable_build: Path) -> None:
    """A build is refused if a source was changed, added or removed since it was made."""
    for changed, content in (
        ("index.py", b"handler = None\n"),
        ("sms_login/adapters/redis/lua/issue.lua", b"return 1\n"),
        ("sms_login/otp/verify.py", None),
        ("sms_login/gone.py", b"GONE = True\n"),
    ):
        file = changeable_build / changed
        before = file.read_bytes() if file.exists() else None
        put(file, content)
        for name in check.FILES:
            assert check.offline(there / name, check.example())[0] == [
                f"inputs.src.src: build was made from other sources, see {changed}: make build"
            ]
        put(file, before)


def put(file: Path, content: bytes | None) -> None:
    """Give a file a content, or remove it."""
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)


def test_a_web_function_needs_an_executable_script(there: Path, changeable_build: Path) -> None:
    """The platform starts a web function by scf_bootstrap and by nothing else."""
    (changeable_build / "scf_bootstrap").chmod(0o644)
    assert check.offline(there / "deploy/web/serverless.yml", check.example())[0] == [
        "inputs.src.src: build has no executable scf_bootstrap: make build"
    ]


@pytest.mark.usefixtures("_toolkit")
def test_a_key_that_the_real_toolkit_drops_is_found(there: Path) -> None:
    """A key that is misspelt, on the wrong level or of the other kind of function is found by the toolkit itself."""
    right = check.offline(there / "serverless.yml", check.example())[1]["inputs"]
    inputs = copy.deepcopy(right)
    inputs |= {"initTimeOut": 10, "vpcId": "vpc-1", "instanceConcurrencyConfig": {"enable": True}}
    inputs["vpcConfig"]["subnet"] = "subnet-1"
    inputs["events"][0]["http"]["parameters"]["netConfig"]["extranet"] = True
    of_right, of_wrong = component.dropped(right, inputs)
    assert of_right == []
    assert sorted(of_wrong) == [
        "events.0.http.parameters.netConfig.extranet",
        "initTimeOut",
        "instanceConcurrencyConfig.enable",
        "vpcConfig.subnet",
        "vpcId",
    ]


def test_a_lock_file_names_no_registry_and_that_of_the_toolkit_only_packages_that_run() -> None:
    """The installing machine chooses the registry, and the hashes verify the packages."""
    for home in (ROOT / "tests" / "verifiers", component.HOME):
        lock = (home / "package-lock.json").read_text()
        packages = json.loads(lock)["packages"]
        fetched = {name: it for name, it in packages.items() if name.startswith("node_modules/") and "link" not in it}
        assert "registry" not in lock
        assert [name for name, it in fetched.items() if "resolved" in it] == []
        assert {it["integrity"].partition("-")[0] for it in fetched.values()} == {"sha512"}
    assert fetched.keys() == {f"node_modules/{name}" for name in ("camelcase", "lodash", "tencent-component-toolkit")}
    assert fetched["node_modules/tencent-component-toolkit"]["version"] == "2.27.6"


def test_without_an_env_file_the_check_says_how_to_make_one(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not list all settings then; and if the environment has them, no file is needed."""
    monkeypatch.delenv("DEPLOY_ROLE", raising=False)
    with pytest.raises(SystemExit, match=r"cp deploy/env\.example \.env"):
        of_the_cli(there)
    monkeypatch.setenv("DEPLOY_ROLE", "role")
    assert of_the_cli(there)["DEPLOY_ROLE"] == "role"
    (there / ".env").write_text("DEPLOY_ROLE=another\nSMS_SIGN=sign\n")
    assert {name: of_the_cli(there)[name] for name in ("DEPLOY_ROLE", "SMS_SIGN")} == {
        "DEPLOY_ROLE": "role",
        "SMS_SIGN": "sign",
    }


def test_the_env_file_is_read_as_the_cli_reads_it(tmp_path: Path) -> None:
    """The stage's file replaces the general one, and a comment needs a line of its own."""
    assert env_file(tmp_path, "prod") is None
    (tmp_path / ".env").write_text("A=1\n")
    assert env_file(tmp_path, "prod") == tmp_path / ".env"
    (tmp_path / ".env.prod").write_text('# A=0\nA = 2 # two\nB="x\\ny"\nC=\'x\\ny\'\nD=\nE="\nF=a=b\nG="x" \n')
    path = env_file(tmp_path, "prod")
    assert path == tmp_path / ".env.prod"
    assert read_file(path) == {"A": "2 # two", "B": "x\ny", "C": "x\\ny", "D": "", "E": '"', "F": "a=b", "G": '"x"'}


def test_without_node_the_toolkit_is_skipped_on_a_laptop_and_fails_in_ci(
    there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a laptop all other checks still run."""
    monkeypatch.setattr(check, "ROOT", there)
    monkeypatch.setattr("sys.argv", ["check", "--example"])
    monkeypatch.setenv("PATH", str(there))
    reason = "node and npm are missing"
    for ci, status in (("", False), ("true", f"not checked with the toolkit: {reason}")):
        monkeypatch.setenv("CI", ci)
        with pytest.raises(SystemExit) as ended:
            check.main()
        assert ended.value.code == status
        printed = capsys.readouterr().out
        for name in check.FILES:
            assert f"{name}: right as far as it was checked. Skipped: tencent-component-toolkit ({reason})" in printed


def test_simultaneous_installs_run_npm_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' workers install in a fresh clone at once: a second npm would remove the files of the first."""
    for name, program in (("node", ""), ("npm", "mkdir node_modules && echo installed >>runs")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{program}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(component, "HOME", tmp_path)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: component.install(), range(4))) == [None] * 4
    assert (tmp_path / "runs").read_text() == "installed\n"


def test_make_test_installs_the_npm_packages_of_all_folders_or_says_why_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tests then need not wait for npm; a fault in one folder keeps no other from its packages."""
    (line,) = re.findall(r"(?m)^NPM := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"))
    named = re.findall(r"\w+/\w+", line)
    locks = {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("*/*/package-lock.json")}
    assert set(named) == locks
    monkeypatch.setattr("sys.argv", ["component", *named])
    monkeypatch.setenv("PATH", "")
    component.main()
    assert capsys.readouterr().out == "".join(f"{name}: node and npm are missing\n" for name in named)


def blocks(language: str) -> list[str]:
    """Return the code blocks of one language in docs/deploy.md."""
    page = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def test_the_documented_policies_allow_only_the_actions_of_a_login() -> None:
    """One policy is without a captcha, one with it; neither allows a service as a whole."""
    policies = [json.loads(block) for block in blocks("json")]
    assert [policy["version"] for policy in policies] == ["2.0", "2.0"]
    (plain,), (captcha,) = (policy["statement"] for policy in policies)
    assert plain == {"effect": "allow", "action": ["sms:SendSms"], "resource": ["*"]}
    assert captcha == plain | {"action": ["sms:SendSms", "captcha:DescribeCaptchaResult"]}


@pytest.mark.usefixtures("_toolkit")
def test_the_pages_additions_to_both_files_are_right(there: Path) -> None:
    """Each YAML example of the page passes when it is merged into either file."""
    additions = [read(block) for block in blocks("yaml")]
    assert additions
    paths = [there / name for name in check.FILES]
    for path in paths:
        document = read(path.read_text())
        for addition in additions:
            document["inputs"] |= addition["inputs"]
        path.write_text(json.dumps(document))
    environ = check.example() | {"DEPLOY_LOGSET_ID": "1a2b", "DEPLOY_TOPIC_ID": "3c4d"}
    assert check.check(paths, environ) == ({path: [] for path in paths}, "")


def test_the_page_names_variables_and_commands_that_exist() -> None:
    """The variables are in deploy/env.example, and the commands in the Makefile."""
    page = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    own = {"DEPLOY_LOGSET_ID", "DEPLOY_TOPIC_ID", "TENCENT_SECRET_ID", "TENCENT_SECRET_KEY"}
    names = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)(?:=\w+)?`", page))
    assert names - own <= read_file(ROOT / "deploy/env.example").keys()
    targets = set(re.findall(r"(?m)^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8")))
    typed = {word for line in re.findall(r"(?m)^\$ make (.*)$", page) for word in line.split() if "=" not in word}
    assert {"build", "check-deploy"} <= typed <= targets
