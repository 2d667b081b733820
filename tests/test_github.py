"""The files that GitHub reads: the workflow, the forms for issues, and the code owners."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.testkit.cases import each_case
from tests.testkit.project import ROOT

GITHUB = ROOT / ".github"
FORMS = sorted(path for path in GITHUB.glob("ISSUE_TEMPLATE/*.yml") if path.name != "config.yml")


def read(path: Path) -> dict[str, Any]:
    """Return a YAML file's content, with the words that YAML 1.1 takes for booleans as text."""
    return dict(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader))  # noqa: S506 - it makes only strings


@pytest.fixture
def workflow() -> dict[str, Any]:
    """The only workflow."""
    (path,) = GITHUB.glob("workflows/*")
    return read(path)


def test_the_workflow_runs_only_the_ci_script(workflow: dict[str, Any]) -> None:
    """It runs .ci/run on every push to main and on every pull request, and no other command."""
    assert workflow["on"].keys() == {"push", "pull_request"}
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]


def test_the_workflow_may_only_read(workflow: dict[str, Any]) -> None:
    """A stranger's pull request runs in it, so it has no secrets and leaves no token on disk."""
    (job,) = workflow["jobs"].values()
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in job
    assert "secrets." not in str(workflow)
    checkout = next(step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@"))
    assert checkout["with"]["persist-credentials"] == "false"


def test_the_workflow_changes_only_with_a_commit(workflow: dict[str, Any]) -> None:
    """Actions and the runner are named with full versions."""
    (job,) = workflow["jobs"].values()
    actions = [step["uses"] for step in job["steps"] if "uses" in step]
    assert actions
    assert [action for action in actions if not re.fullmatch(r"actions/[a-z-]+@v[0-9]+\.[0-9]+\.[0-9]+", action)] == []
    assert re.fullmatch(r"ubuntu-[0-9.]+", job["runs-on"])


def test_the_workflow_has_the_oldest_and_the_newest_python(workflow: dict[str, Any]) -> None:
    """These are the versions between which .ci/run looks."""
    (job,) = workflow["jobs"].values()
    (versions,) = [step["with"]["python-version"].split() for step in job["steps"] if "setup-python" in str(step)]
    looked_for = re.findall(r"for minor in ([0-9 ]+);", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))[0].split()
    assert {version.removeprefix("3.") for version in versions} == {looked_for[0], looked_for[-1]}


@each_case("form", FORMS, ids=lambda form: form.stem)
def test_a_form_has_its_required_parts(form: Path) -> None:
    """It has the parts that GitHub requires, ids that differ, and a required field."""
    content = read(form)
    assert content["name"]
    assert content["description"]
    fields = [part for part in content["body"] if part["type"] != "markdown"]
    assert all(part["attributes"]["label"] for part in fields)
    ids = [part["id"] for part in fields]
    assert len(ids) == len(set(ids))
    assert any(part.get("validations") == {"required": "true"} for part in fields)


def test_there_are_forms_for_bugs_and_features_only() -> None:
    """Issues without a form are switched off, and a security hole is sent to the private report."""
    assert [form.stem for form in FORMS] == ["bug", "feature"]
    config = read(GITHUB / "ISSUE_TEMPLATE" / "config.yml")
    assert config["blank_issues_enabled"] == "false"
    (link,) = config["contact_links"]
    assert link.keys() == {"name", "url", "about"}
    assert link["url"].endswith("/security/advisories/new")


def test_every_owned_path_exists() -> None:
    """A path that is gone would leave its successor without a reviewer."""
    lines = (GITHUB / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    rules = [line.split() for line in lines if line and not line.startswith("#")]
    assert [path for path, *_ in rules if not list(ROOT.glob(path.strip("/")))] == []
    assert all(owner.startswith("@sms-login/") for _, *owners in rules for owner in owners)


def test_files_that_the_documents_name_exist() -> None:
    """The pull request's list and the code of conduct name documents of the project."""
    text = (GITHUB / "PULL_REQUEST_TEMPLATE.md").read_text(encoding="utf-8")
    text += (ROOT / "CODE_OF_CONDUCT.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:docs/)?[\w.-]+\.md\b", text))
    assert len(named) > 3
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_ci_runs_test_modules_that_exist() -> None:
    """The run ahead of time names its modules: a renamed module must be renamed there too."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    named = re.findall(r"[a-z_]+", script.split("tests/test_%s.py ' \\\n")[1].split(")")[0])
    assert len(named) > 5
    assert [name for name in named if not (ROOT / "tests" / f"test_{name}.py").exists()] == []
