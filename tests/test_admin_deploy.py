"""The admin function is built from its own files, checked before it is deployed, and has no URL and no secrets."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy import check, component
from deploy.build import make
from deploy.document import read
from deploy.sources import ADMIN, OPTIONS, ROOT, deployed, source
from sms_admin import function
from sms_login.settings.settings import TABLE
from tests.testkit.servers import require

FILE = check.ADMIN_FILE


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build without libraries."""
    root = tmp_path_factory.mktemp("root")
    for path in deployed(ROOT, (), ADMIN):
        target = root / source(path, ADMIN)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source(path, ADMIN), target)
    (root / "requirements").mkdir()
    (root / "requirements/admin.txt").touch()
    return make(root / ADMIN.directory, root=root, package=ADMIN).directory


@pytest.fixture
def there(tmp_path: Path, build: Path) -> Path:
    """A copy of the file, with the build where it expects it, which tests share."""
    (tmp_path / "deploy/admin").mkdir(parents=True)
    (tmp_path / ADMIN.directory).symlink_to(build)
    return Path(shutil.copy(ROOT / FILE, tmp_path / FILE))


def test_the_build_has_the_operators_half_and_the_login_and_starts_at_the_function(build: Path) -> None:
    """No module is left out, and none of ours is deployed with the login."""
    modules = {path.relative_to(ROOT) for room in ADMIN.rooms for path in (ROOT / room).rglob("*.py")}
    commands = {Path("sms_login/__main__.py"), Path("sms_admin/__main__.py")}
    built = {path.relative_to(build) for path in build.rglob("*.py")}
    assert built == modules - commands | {Path("index.py")}
    assert (build / "index.py").read_bytes() == (ROOT / "sms_admin/function.py").read_bytes()
    assert not (set(deployed(ROOT, OPTIONS)) & {path for path in modules if path.parts[0] == "sms_admin"})
    assert (build / "sms_login/adapters/redis/lua/issue.lua").is_file()


def test_the_file_is_right(there: Path) -> None:
    """The real toolkit knows each of its keys, the timer's too; the timer has the name that the function knows."""
    try:
        component.install()
    except component.Unavailable as reason:
        require(False, f"tencent-component-toolkit: {reason};")  # noqa: FBT003 - reads well enough
    problems, document = check.offline(there, check.example())
    assert problems == []
    inputs = document["inputs"]
    assert [event["timer"]["parameters"]["name"] for event in inputs["events"]] == [function.RECEIPTS, function.ALERTS]
    broken = {**inputs, "events": [{"timer": {"parameters": {"name": "a", "cronexpression": "0 * * * * * *"}}}]}
    of_file, of_broken = component.dropped(inputs, broken)
    assert of_file == []
    assert "events.0.timer.parameters.cronexpression" in of_broken


def test_the_function_gets_no_secret_that_it_does_not_need() -> None:
    """It has every setting of the login but the secrets, of which it has Redis's and the users'."""
    variables = read((ROOT / FILE).read_text())["inputs"]["environment"]["variables"]
    secret = {row.name for row in TABLE if row.secret}
    assert variables.keys() & secret == {"REDIS_PASSWORD", "USERS_URL"}
    assert variables.keys() == {row.name for row in TABLE} - secret | {"REDIS_PASSWORD", "USERS_URL"}


URL = {"http": {"parameters": {"authType": "CAM", "netConfig": {"enableIntranet": False, "enableExtranet": False}}}}
MISTAKES: dict[str, tuple[Callable[[Any], object], str]] = {
    "a URL, even a closed one": (
        lambda it: it["inputs"]["events"].append(URL),
        "inputs.events: the admin function has",
    ),
    "the login's role": (lambda it: it["inputs"].update(role="${env:DEPLOY_ROLE}"), "inputs.role: is the login's"),
    "the service's own role": (lambda it: it["inputs"].update(role="SCF_QcsRole"), "inputs.role: is the service's own"),
    "no time for the receipts": (lambda it: it["inputs"].update(timeout=20), "inputs.timeout: must be at least 60 s"),
    "a secret of the login": (
        lambda it: it["inputs"]["environment"]["variables"].update(JWT_SECRET="${env:JWT_SECRET}"),
        "JWT_SECRET: the function knows no such setting",
    ),
    "a setting that is wrong": (
        lambda it: it["inputs"]["environment"]["variables"].update(CODE_TTL="5"),
        "CODE_TTL must be a whole number from 30 to 600",
    ),
    "the login's build": (lambda it: it["inputs"]["src"].update(src="../../build"), "inputs.src.src: build does not"),
    "a timer with five fields": (
        lambda it: it["inputs"]["events"][0]["timer"]["parameters"].update(cronExpression="* * * * *"),
        "inputs.events.0.timer.parameters.cronExpression: the value does not match",
    ),
}


@pytest.mark.parametrize(("change", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_found_and_named(there: Path, change: Callable[[Any], object], problem: str) -> None:
    """Each mistake gives one sentence."""
    document = read(there.read_text())
    change(document)
    there.write_text(json.dumps(document))  # JSON is YAML, and quicker to write
    (found,) = check.offline(there, check.example())[0]
    assert found.startswith(problem)


def test_a_web_function_is_refused(there: Path) -> None:
    """A web function answers HTTP and nothing else."""
    document = read(there.read_text())
    document["inputs"]["type"] = "web"
    del document["inputs"]["handler"]
    there.write_text(json.dumps(document))
    assert any(it.startswith("inputs.type: must be event") for it in check.offline(there, check.example())[0])


def test_a_build_of_other_sources_is_not_deployed(there: Path, build: Path) -> None:
    """The operator's half is compared as the login is."""
    copy = there.parents[2] / ADMIN.directory
    copy.unlink()
    shutil.copytree(build, copy)
    (copy / "sms_admin/function.py").write_text("pass\n")
    assert check.offline(there, check.example())[0] == [
        "inputs.src.src: build-admin was made from other sources, see sms_admin/function.py: make build-admin"
    ]


def test_without_a_build_of_it_the_file_is_skipped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    """Operators without an admin function need not build one for `make check-deploy`."""
    monkeypatch.setattr(check, "example", dict)
    monkeypatch.setattr(check, "ROOT", tmp_path)
    monkeypatch.setattr(check, "FILES", ())
    monkeypatch.setattr("sys.argv", ["check", "--example"])
    with pytest.raises(SystemExit) as ended:
        check.main()
    assert (ended.value.code, "skipped: there is no build-admin" in capsys.readouterr().out) == (False, True)


def test_the_documented_policies_allow_what_the_function_and_its_callers_need() -> None:
    """The role has the actions of the timers, the operator's policy names the function."""
    page = (ROOT / "docs/admin.md").read_text(encoding="utf-8")
    policies = re.findall(r'"action": \[("[^]]+)\]', page)
    assert policies == [
        '"sms:PullSmsSendStatus", "sms:SmsPackagesStatistics"',
        '"scf:InvokeFunction"',
        '"sts:GetCallerIdentity"',
    ]
    name = read((ROOT / FILE).read_text())["inputs"]["name"]
    assert f"/function/{name}" in page
