"""How `make build` puts the libraries together: from pip's own index, and by rules rather than by order of arrival."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy import vendor
from deploy.sources import BuildError


def wheel(directory: Path, name: str, files: Mapping[str, str]) -> str:
    """Write a wheel of version 1.0, and return the line that pins it."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}-1.0-py3-none-any.whl"
    notes = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "RECORD": ""}
    notes["WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, **{f"{name}-1.0.dist-info/{note}": text for note, text in notes.items()}}.items():
            archive.writestr(file, text)
    return f"{name.replace('_', '-')}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index of two packages, which pip's settings name; PIP_INDEX_URL is how a mirror is chosen."""
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONFIG_FILE"):
        monkeypatch.setenv(name, "")
    return tmp_path / "simple"


def publish(index: Path, name: str, files: Mapping[str, str]) -> str:
    """Put a wheel into an index, and return the line that pins it."""
    index.mkdir(exist_ok=True)
    line = wheel(index / name, name, files)
    page = f'<!DOCTYPE html><a href="{name}-1.0-py3-none-any.whl">{name}-1.0-py3-none-any.whl</a>'
    (index / name / "index.html").write_text(page)
    return line


def test_the_index_that_pip_is_set_to_is_used(tmp_path: Path, index: Path) -> None:
    """In China that is a mirror, since the package index itself is slow there or cannot be reached."""
    (tmp_path / "requirements.txt").write_text(publish(index, "lamp", {"lamp.py": "LIGHT = 1\n"}))
    vendor.install([tmp_path / "requirements.txt"], tmp_path / "libraries")
    assert (tmp_path / "libraries/lamp.py").read_text() == "LIGHT = 1\n"


def test_a_requirement_that_is_not_pinned_is_refused(tmp_path: Path) -> None:
    """Before anything is fetched."""
    (tmp_path / "requirements.txt").write_text("lamp>=1\n")
    with pytest.raises(BuildError, match=r"^no libraries: requirements\.txt: neither name==version nor hashed: lamp"):
        vendor.install([tmp_path / "requirements.txt"], tmp_path / "libraries")


def test_two_packages_with_different_files_of_one_path_are_refused(tmp_path: Path) -> None:
    """Which one runs would depend on which is installed last; the error names both, and the path."""
    wheel(tmp_path, "lamp", {"shared/__init__.py": "A = 1\n", "lamp.py": ""})
    wheel(tmp_path, "oil_lamp", {"shared/__init__.py": "A = 2\n", "oil.py": ""})
    with pytest.raises(BuildError, match=r"^lamp and oil-lamp bring different files: shared/__init__\.py$"):
        vendor.merge(tmp_path)


def test_two_packages_may_bring_the_same_file(tmp_path: Path) -> None:
    """As those do that share a namespace; and tests that never run may differ."""
    wheel(tmp_path, "lamp", {"shared/__init__.py": "A = 1\n", "tests/a.py": "1"})
    wheel(tmp_path, "oil_lamp", {"shared/__init__.py": "A = 1\n", "tests/a.py": "2"})
    merged = {name for name in vendor.merge(tmp_path) if ".dist-info" not in name}
    assert merged == {"shared/__init__.py"}


@pytest.mark.parametrize("winner", ["arc-lamp", "lamp", "oil-lamp"])
def test_a_rule_says_whose_file_is_taken(tmp_path: Path, winner: str) -> None:
    """By the package's name, whether it comes first or last."""
    for name in ("arc_lamp", "lamp", "oil_lamp"):
        wheel(tmp_path, name, {"shared/__init__.py": name.replace("_", "-")})
    assert vendor.merge(tmp_path, {"shared/__init__.py": winner})["shared/__init__.py"].decode() == winner


def test_a_rule_whose_package_is_gone_decides_nothing(tmp_path: Path) -> None:
    """It is not a licence to take any."""
    for name in ("lamp", "oil_lamp"):
        wheel(tmp_path, name, {"shared/__init__.py": name})
    with pytest.raises(BuildError, match="bring different files"):
        vendor.merge(tmp_path, {"shared/__init__.py": "arc-lamp"})


def test_modules_in_a_wheels_data_folder_are_installed_and_its_scripts_are_not(tmp_path: Path) -> None:
    """Wheels may keep modules there; commands never run in the cloud."""
    wheel(tmp_path, "lamp", {"lamp-1.0.data/purelib/lamp.py": "", "lamp-1.0.data/scripts/lamp": ""})
    merged = {name for name in vendor.merge(tmp_path) if ".dist-info" not in name}
    assert merged == {"lamp.py"}
