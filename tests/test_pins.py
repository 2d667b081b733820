"""The pins are all that an installation needs: `pip install --no-deps` asks no resolver, whose answer may change."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.closure import FILES, Release, problems, wanted
from deploy.metadata import load
from deploy.pins import ENVIRONMENTS, PYTHONS, Environment, Pin, read
from deploy.sources import BASE, OPTIONS, ROOT
from tests.testkit.cases import each_case

PROJECT = msgspec.toml.decode((ROOT / "pyproject.toml").read_bytes())
LINUX = Environment("3.10.13", "linux", "x86_64")
MAC = Environment("3.13.0", "darwin", "arm64")
A, B, C = "a" * 64, "b" * 64, "c" * 64
NO_WHEEL = "lamp==1.0 has no wheel among its hashes"


@each_case("name", FILES)
def test_the_pins_are_closed_in_every_environment(name: str) -> None:
    """Every dependency of pyproject.toml and of a package is pinned, nothing else is, and each pin has a wheel."""
    pins, requirements, releases = read(ROOT / name), wanted(name, PROJECT), load()
    found = [(environment, list(problems(pins, requirements, releases, environment))) for environment in ENVIRONMENTS]
    assert [(environment, said) for environment, said in found if said] == []


def test_the_metadata_file_describes_exactly_the_pins() -> None:
    """The metadata file has each pin and no other, with the metadata of the packages installed here."""
    pins = {str(pin): pin for name in FILES for pin in read(ROOT / name)}
    releases = load()
    ours = {name for name, pin in pins.items() if any(pin.applies(environment) for environment in ENVIRONMENTS)}
    assert releases.keys() == ours
    installed = {
        f"{canonicalize_name(distribution.name)}=={distribution.version}": distribution
        for distribution in importlib.metadata.distributions()
    }
    both = installed.keys() & ours
    assert len(both) > 60
    for name in both:
        said = installed[name]
        assert normal(said.requires or []) == normal(releases[name].requires), name
        assert said.metadata.json.get("requires_python", "") == releases[name].python, name


def normal(requirements: list[str]) -> list[str]:
    """Return requirements in one order and spelling."""
    return sorted(str(Requirement(requirement)) for requirement in requirements)


def test_every_requirements_file_is_proved() -> None:
    """The files on disk are those of the proof, of the options and of the Makefile."""
    there = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("requirements*/*.txt")}
    assert there | {path.name for path in ROOT.glob("requirements*.txt")} == FILES.keys()
    assert {BASE, *(option.requirements for option in OPTIONS.values())} < FILES.keys()
    compiles = re.findall(r"\$\(COMPILE\) --upgrade (.*)pyproject\.toml -o (\S+)", (ROOT / "Makefile").read_text())
    made = {
        name: (tuple(re.findall(r"--extra (\S+)", options)), tuple(re.findall(r"--group (\S+)", options)))
        for options, name in compiles
    }
    assert made == FILES


def test_ci_runs_on_the_pythons_that_the_pins_are_proved_for() -> None:
    """CI runs on the oldest and on the newest of them."""
    (minors,) = re.findall(r"for minor in ([\d ]+);", (ROOT / ".ci/run").read_text())
    assert tuple(f"3.{minor}" for minor in minors.split()) == PYTHONS


def test_every_install_command_requires_hashes_and_asks_no_resolver() -> None:
    """The Makefile, the Dockerfile, the documents and the messages have only such commands."""
    files = [ROOT / "Makefile", ROOT / "deploy/Dockerfile", *ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    files += [*ROOT.glob("local/*.py"), *ROOT.glob("sms_login/**/*.py")]
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    commands = [line for line in lines if re.search(r"\bpip (\S+ )*install .*(-r |--target)", line)]
    assert len(commands) >= 6
    assert [line for line in commands if "--no-deps --require-hashes" not in line] == []


def test_make_pins_asks_the_index_that_pip_is_set_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment or, after it, a file of pip names the index; uv reads neither by itself."""
    (tmp_path / ".pip").mkdir()
    (tmp_path / ".pip/pip.conf").write_text("[global]\nindex-url = https://mirror.example/simple\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("PIP_INDEX_URL", "PIP_CONFIG_FILE", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
    assert indexes() == {"https://mirror.example/simple"}
    monkeypatch.setenv("PIP_INDEX_URL", "https://nearer.example/simple")
    assert indexes() == {"https://nearer.example/simple"}


def indexes() -> set[str]:
    """Return the indexes that `make pins` would ask for the requirements files."""
    command = [
        "make",
        "--dry-run",
        "pins",
        f"VENV={os.path.relpath(sys.prefix, ROOT)}",
    ]  # make cannot name a path with a space
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603 - fixed words
    found = re.findall(r"^UV_DEFAULT_INDEX=(\S+) \S+/uv pip compile ", printed, re.MULTILINE)
    assert len(found) == len(FILES)
    return set(found)


def release(*requires: str, python: str = ">=3.10", wheel: str = "py3-none-any", digest: str = A) -> Release:
    """Return the metadata of a version with one wheel."""
    return Release(python, list(requires), {f"x-1-{wheel}.whl": digest})


@pytest.fixture
def pins(tmp_path: Path) -> list[Pin]:
    """Pin two packages, one of them for Python 3.10 only."""
    path = tmp_path / "requirements.txt"
    path.write_text(
        f"# a comment\nlamp==1.0 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{C}\n    # via room\n"
        f"oil-lamp==2.0 ; python_full_version < '3.11' \\\n    --hash=sha256:{B}\n"
    )
    return read(path)


OIL = release(digest=B)


def test_closed_pins_have_no_problem(pins: list[Pin]) -> None:
    """Names are compared as an index does, and the markers of environments and extras are followed."""
    lamp = release("Oil_Lamp>=2; python_version < '3.11'", "wick; extra == 'test'")
    for environment in (LINUX, MAC):
        assert list(problems(pins, ["Lamp"], {"lamp==1.0": lamp, "oil-lamp==2.0": OIL}, environment)) == []


@each_case(
    ("lamp", "requirement", "problem"),
    [
        (release("oil-lamp", "wick>=1"), "lamp", "lamp needs wick, which is not pinned"),
        (release("oil-lamp>2"), "lamp", "lamp needs oil-lamp>2, but 2.0 is pinned"),
        (release("oil-lamp", "wick; extra == 'fire'"), "lamp[fire]", "lamp needs wick, which is not pinned"),
        (release(), "lamp", "oil-lamp is pinned, but nothing needs it"),
        (release("oil-lamp"), "lamp>=1.1", "pyproject.toml needs lamp>=1.1, but 1.0 is pinned"),
        (release("oil-lamp"), "lamp<2,>=1; extra == 'x'", "lamp is pinned, but nothing needs it"),
        (release("oil-lamp", python=">=3.11"), "lamp", "lamp==1.0 needs Python >=3.11"),
        (release("oil-lamp", digest=B), "lamp", NO_WHEEL),
        (release("oil-lamp", wheel="cp310-cp310-macosx_11_0_arm64"), "lamp", NO_WHEEL),
        (release("oil-lamp", wheel="cp311-cp311-manylinux2014_x86_64"), "lamp", NO_WHEEL),
    ],
)
def test_each_kind_of_problem_is_found(pins: list[Pin], lamp: Release, requirement: str, problem: str) -> None:
    """A pin may be missing, needless, of a wrong version, wanted by an extra, or without a wheel for the platform."""
    assert problem in list(problems(pins, [requirement], {"lamp==1.0": lamp, "oil-lamp==2.0": OIL}, LINUX))


def test_a_pin_without_metadata_and_a_second_pin_are_found(pins: list[Pin]) -> None:
    """A pin without metadata and a second pin of a package, as after an edit by hand, are problems."""
    pins.append(pins[0]._replace(version="1.1"))
    found = list(problems(pins, ["lamp", "oil-lamp"], {"lamp==1.0": release(), "oil-lamp==2.0": OIL}, LINUX))
    assert found == ["lamp is pinned twice: 1.0 and 1.1", "lamp==1.1 has no metadata: make pins"]


@pytest.mark.parametrize(
    "line",
    [
        "lamp",
        "lamp==1.0",
        f"lamp>=1.0 --hash=sha256:{A}",
        f"lamp==1.* --hash=sha256:{A}",
        f"lamp==1.0,<2 --hash=sha256:{A}",
        f"lamp[fire]==1.0 --hash=sha256:{A}",
        "lamp==1.0 --hash=md5:0123",
        f"lamp==1.0 --hash=sha256:{A}0",
        "-r other.txt",
        "--index-url https://index.example",
        f"lamp @ https://files.example/lamp.whl --hash=sha256:{A}",
    ],
)
def test_a_line_that_is_not_an_exact_pin_with_its_hashes_is_refused(tmp_path: Path, line: str) -> None:
    """A line that could install another file tomorrow is a ValueError."""
    path = tmp_path / "requirements.txt"
    path.write_text(f"{line}\n")
    with pytest.raises(ValueError, match=r"^requirements\.txt: neither name==version nor hashed: "):
        read(path)
