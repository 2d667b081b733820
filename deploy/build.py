"""Make build/ and build.zip: the package for Tencent Cloud SCF; with --admin, build-admin/ for the admin function.

Two builds of the same sources and pins are identical, byte for byte; so is build.zip, given the same zlib. Times and
the order of files and of hashes, which differ between machines, are fixed.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from deploy import vendor
from deploy.sources import ADMIN, BOOTSTRAP, LOGIN, OPTIONS, ROOT, BuildError, Package, deployed, source

MOST_ZIPPED = 5_000_000  # bytes, without options; the platform allows ten times as many, but a cold start fetches them
CODE = "/var/user"  # the platform's directory for the code
_TIME = (1980, 1, 2, 0, 0, 0)  # the first day that zip can express in every time zone
_SECONDS = 315_619_200  # the same as epoch seconds
_IMPORTS = """
import pkgutil, sys, index
for room in sys.argv[1:]:
    for module in pkgutil.walk_packages(__import__(room).__path__, f"{room}."):
        __import__(module.name)
"""
SLOWER = "a cold start will take about three times as long: the platform cannot keep compiled files"


class Build(NamedTuple):
    """A finished build."""

    directory: Path
    archive: Path
    files: int
    size: int  # bytes, unpacked
    zipped: int  # bytes
    digest: str  # SHA-256 of the archive
    compiled: bool

    def __str__(self) -> str:
        sizes = f"{self.files} files, {self.size / 1e6:.1f} MB, zipped {self.zipped / 1e6:.2f} MB"
        return f"{self.directory.name}/: {sizes}\n{self.archive.name}: sha256 {self.digest}"


def make(
    directory: Path,
    options: Collection[str] = (),
    *,
    root: Path = ROOT,
    python: str | None = None,
    package: Package = LOGIN,
    cache: Path | None = None,
) -> Build:
    """Make a build in `directory` and its archive beside it; `python`, a Python 3.10, compiles it.

    `cache` keeps the wheels of earlier builds; without it, .build-wheels of the sources does.

    Both are made in a temporary directory first, so that a failed build leaves the old one intact. Raises BuildError.
    """
    if directory.exists() and not (directory / "index.py").is_file():
        raise BuildError(f"{directory} exists and is not a build: move it away")
    ours = deployed(root, options, package)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".build-") as temporary:
        new = Path(temporary, "build")
        requirements = [root / package.requirements, *(root / OPTIONS[name].requirements for name in sorted(options))]
        vendor.install(requirements, new, cache or root / ".build-wheels")
        for path in ours:
            if (new / path).exists():
                raise BuildError(f"a library brings {path}, which is ours")
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / source(path, package), new / path)
        if python:
            _compile(python, new)
            if vendor.is_platform(python):  # a Mac cannot load libraries for Linux
                _check(python, new, package.rooms)
        _normalise(new)
        archive = Path(temporary, "build.zip")
        _archive(new, archive)
        sizes = [path.stat().st_size for path in _files(new)]
        zipped = archive.read_bytes()
        most = MOST_ZIPPED + package.more + sum(OPTIONS[name].most for name in options)
        if len(zipped) > most:
            raise BuildError(f"{len(zipped)} bytes zipped are more than {most}")
        if directory.exists():
            shutil.rmtree(directory)
        new.rename(directory)
        final = archive.replace(directory.with_name(f"{directory.name}.zip"))
    digest = hashlib.sha256(zipped).hexdigest()
    return Build(directory, final, len(sizes), sum(sizes), len(zipped), digest, compiled=bool(python))


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in sorted(directory.rglob("*")) if path.is_file())


def _compile(python: str, directory: Path) -> None:
    """Add .pyc files that skip the check against their sources, and whose tracebacks name the platform's paths."""
    command = [python, "-s", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(directory), "-p", CODE, str(directory)]
    # The order of a set of strings in a .pyc file follows their hashes.
    done = subprocess.run(command, env={"PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=False)  # noqa: S603 - a Python that we found
    if done.returncode:
        raise BuildError(f"not compiled:\n{done.stdout}{done.stderr}")


def _check(python: str, directory: Path, rooms: Collection[str]) -> None:
    """Import all our modules from the build alone."""
    environ = {"PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "x"}
    command = [python, "-s", "-S", "-c", _IMPORTS, *rooms]
    done = subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - a Python that we found
    if done.returncode:
        raise BuildError(f"it cannot be imported:\n{done.stderr}")


def _mode(path: Path) -> int:
    return 0o755 if path.is_dir() or path.name == BOOTSTRAP else 0o644


def _normalise(directory: Path) -> None:
    for path in [*directory.rglob("*"), directory]:
        path.chmod(_mode(path))
        os.utime(path, (_SECONDS, _SECONDS))


def _archive(directory: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w") as file:
        for path in _files(directory):
            info = zipfile.ZipInfo(path.relative_to(directory).as_posix(), _TIME)
            info.create_system = 3  # Unix: otherwise the modes are ignored
            info.external_attr = (0o100000 | _mode(path)) << 16
            file.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED, 7)  # 9 takes twice as long, for 0.3 %


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m deploy.build", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("options", nargs="*", metavar="option", help=" or ".join(OPTIONS))
    parser.add_argument("--admin", action="store_true", help="build the admin function, which needs no options")
    given = parser.parse_args()
    options, package = set(given.options), ADMIN if given.admin else LOGIN
    if options - OPTIONS.keys():
        parser.error(f"the options are {' and '.join(OPTIONS)}, not {', '.join(sorted(options - OPTIONS.keys()))}")
    python = vendor.find_python()
    try:
        build = make(ROOT / package.directory, options, python=python, package=package)
    except BuildError as error:
        sys.exit(f"No build: {error}")
    print(build)
    if not build.compiled:
        print(f"Warning: no Python {vendor.PYTHON} was found, so there are no .pyc files: {SLOWER}.", file=sys.stderr)


if __name__ == "__main__":
    main()
