"""The package that `pip install` makes: its files, its metadata and its command."""

import re
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import EntryPoint, version
from pathlib import Path

import pytest

from sms_admin import __main__
from sms_login import __version__
from tests.testkit.project import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """Build a wheel without an isolated environment, and so without a network."""
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - hatchling, with our own options
    (path,) = directory.glob("*.whl")
    return zipfile.Path(path)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.Path) -> Message:
    """Read the wheel's METADATA."""
    return Parser().parsestr((wheel / f"sms_login-{__version__}.dist-info" / "METADATA").read_text(encoding="utf-8"))


def test_a_wheel_contains_the_whole_package_and_nothing_else(wheel: zipfile.Path) -> None:
    """A wheel has all modules, the Lua scripts and the marker of a typed package, but neither tests nor tools."""
    names = {Path(name) for name in wheel.root.namelist() if ".dist-info/" not in name and name[-1] != "/"}
    files = (path for name in ("sms_login", "sms_admin") for path in (ROOT / name).rglob("*") if path.is_file())
    package = {path.relative_to(ROOT) for path in files if path.parent.name != "__pycache__"}
    assert names == {Path("index.py"), *package}
    assert {Path("sms_login/py.typed"), Path("sms_login/adapters/redis/lua/issue.lua")} <= names


def test_the_build_backend_is_pinned_to_the_tested_version() -> None:
    """`pip install -e .` builds with the same hatchling as the tests."""
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires = ["hatchling=={version("hatchling")}"]' in pyproject


def test_the_metadata_has_all_that_an_index_shows(metadata: Message) -> None:
    """The metadata has version, licence, Python versions, README and the URLs of the project."""
    assert (metadata["Name"], metadata["Version"]) == ("sms-login", __version__)
    assert (metadata["License-Expression"], metadata.get_all("License-File")) == ("MIT", ["LICENSE"])
    assert metadata["Requires-Python"] == ">=3.10"
    assert str(metadata.get_payload()).startswith("# sms-login\n")
    urls = dict(str(url).split(", ") for url in metadata.get_all("Project-URL", []))
    assert urls["Homepage"] == "https://github.com/sms-login/sms-login"
    assert all(url.startswith(urls["Homepage"]) for url in urls.values())


def test_the_metadata_requires_the_deployed_libraries(metadata: Message) -> None:
    """Without an extra, the package needs exactly the libraries that `make build` deploys."""
    needed = {str(line) for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert {"msgspec", "redis", "waitress"} < needed
    assert set(metadata.get_all("Provides-Extra", [])) == {"admin", "asymmetric", "sql"}


def test_the_package_installs_the_operators_command(wheel: zipfile.Path) -> None:
    """`sms-admin` runs `python -m sms_admin`."""
    entries = (wheel / f"sms_login-{__version__}.dist-info" / "entry_points.txt").read_text(encoding="utf-8")
    assert entries.split("\n")[:2] == ["[console_scripts]", "sms-admin = sms_admin.__main__:main"]
    assert EntryPoint("sms-admin", "sms_admin.__main__:main", "console_scripts").load() is __main__.main


def test_the_changelog_has_this_version() -> None:
    """The first entry below "Unreleased" is that of the present version."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"(?m)^## (.+)$", changelog)
    assert headings[0] == "Unreleased"
    newest, _, day = headings[1].partition(" - ")
    assert newest == __version__
    assert re.fullmatch(r"(\d{4}-\d\d-\d\d)?", day)  # without a date until the version is tagged
