"""How `make build` puts libraries together: from pip's own index, and by rules instead of the order of installation."""

import hashlib
import shutil
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
    """Make an empty index, and set PIP_INDEX_URL to it, as users choose a mirror."""
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


def test_the_build_downloads_from_pips_own_index(tmp_path: Path, index: Path) -> None:
    """The build asks the index of pip's settings, which in China is a mirror, since the main one is slow there."""
    (tmp_path / "requirements.txt").write_text(publish(index, "lamp", {"lamp.py": "LIGHT = 1\n"}))
    vendor.install([tmp_path / "requirements.txt"], tmp_path / "libraries", tmp_path / "cache")
    assert (tmp_path / "libraries/lamp.py").read_text() == "LIGHT = 1\n"


def test_a_wheel_in_the_cache_is_used_unless_its_hash_or_its_pin_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second build downloads nothing; a damaged, missing or other wheel is downloaded."""
    (tmp_path / "requirements.txt").write_text(wheel(tmp_path / "index", "lamp", {"lamp.py": "LIGHT = 1\n"}))
    downloads = []

    def download(requirements: str, _options: list[str], target: Path) -> None:
        downloads.append(requirements)
        shutil.copytree(tmp_path / "index", target)

    monkeypatch.setattr(vendor, "_download", download)

    def install() -> int:
        target = tmp_path / f"libraries-{len(list(tmp_path.iterdir()))}"
        vendor.install([tmp_path / "requirements.txt"], target, tmp_path / "cache")
        assert (target / "lamp.py").read_text() == "LIGHT = 1\n"
        return len(downloads)

    assert [install(), install()] == [1, 1]
    (cached,) = tmp_path.glob("cache/*/*.whl")
    cached.write_bytes(cached.read_bytes()[:-1])
    assert [install(), install()] == [2, 2]
    cached.unlink()
    assert [install(), install()] == [3, 3]
    (tmp_path / "requirements.txt").write_text(f"{downloads[0]} --hash=sha256:{'0' * 64}\n")
    assert [install(), install()] == [4, 4]


def test_an_unpinned_requirement_is_refused(tmp_path: Path) -> None:
    """A requirement without version and hash fails the build before any download."""
    (tmp_path / "requirements.txt").write_text("lamp>=1\n")
    with pytest.raises(BuildError, match=r"^no libraries: requirements\.txt: neither name==version nor hashed: lamp"):
        vendor.install([tmp_path / "requirements.txt"], tmp_path / "libraries", tmp_path / "cache")


def test_two_packages_with_different_files_of_one_path_are_refused(tmp_path: Path) -> None:
    """If two packages bring different files of one path, the error names both packages and the path."""
    wheel(tmp_path, "lamp", {"shared/__init__.py": "A = 1\n", "lamp.py": ""})
    wheel(tmp_path, "oil_lamp", {"shared/__init__.py": "A = 2\n", "oil.py": ""})
    with pytest.raises(BuildError, match=r"^lamp and oil-lamp bring different files: shared/__init__\.py$"):
        vendor.merge(tmp_path)


def test_two_packages_may_bring_the_same_file(tmp_path: Path) -> None:
    """Packages of one namespace may bring equal files; files of tests, which never run, may differ."""
    wheel(tmp_path, "lamp", {"shared/__init__.py": "A = 1\n", "tests/a.py": "1"})
    wheel(tmp_path, "oil_lamp", {"shared/__init__.py": "A = 1\n", "tests/a.py": "2"})
    merged = {name for name in vendor.merge(tmp_path) if ".dist-info" not in name}
    assert merged == {"shared/__init__.py"}


@pytest.mark.parametrize("winner", ["arc-lamp", "lamp", "oil-lamp"])
def test_a_rule_decides_between_different_files_by_the_packages_name(tmp_path: Path, winner: str) -> None:
    """The named package wins, whether it comes first or last."""
    for name in ("arc_lamp", "lamp", "oil_lamp"):
        wheel(tmp_path, name, {"shared/__init__.py": name.replace("_", "-")})
    assert vendor.merge(tmp_path, {"shared/__init__.py": winner})["shared/__init__.py"].decode() == winner


def test_a_rule_for_a_missing_package_decides_nothing(tmp_path: Path) -> None:
    """If a rule names a package that is missing, the other packages with different files are refused."""
    for name in ("lamp", "oil_lamp"):
        wheel(tmp_path, name, {"shared/__init__.py": name})
    with pytest.raises(BuildError, match="bring different files"):
        vendor.merge(tmp_path, {"shared/__init__.py": "arc-lamp"})


def test_modules_in_a_wheels_data_folder_are_installed_and_its_scripts_are_not(tmp_path: Path) -> None:
    """A wheel may keep modules in its data folder; its commands never run in the cloud."""
    wheel(tmp_path, "lamp", {"lamp-1.0.data/purelib/lamp.py": "", "lamp-1.0.data/scripts/lamp": ""})
    merged = {name for name in vendor.merge(tmp_path) if ".dist-info" not in name}
    assert merged == {"lamp.py"}
