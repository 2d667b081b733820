"""The libraries of a build: wheels for the platform's Python, without files that never run."""

import fnmatch
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.sources import BuildError

# SCF's newest Python, on CentOS 7 with glibc 2.17 (cloud.tencent.com/document/product/583/55594).
PYTHON, PLATFORM = "3.10", "x86_64-manylinux2014"
# SQLAlchemy requires it for asyncio, which we do not use, and no wheel supports a glibc as old as the platform's.
_NOT_NEEDED = "greenlet ; sys_platform == 'never'\n"
# METADATA stays: it names the deployed version, and libraries read it. So do the licences.
_KEPT_OF_DIST_INFO = ("METADATA", "LICENSE*", "NOTICE*", "AUTHORS*", "COPYING*", "licenses/*")
_NEVER_RUNS = (
    ".lock",
    "bin/*",
    "tests/*",
    "*/tests/*",
    "sqlalchemy/testing/*",
    "__pycache__/*",  # of single modules: an installer may compile for its own Python
    "*/__pycache__/*",
    *(f"*.{suffix}" for suffix in ("c", "cpp", "h", "hpp", "js", "pth", "pxd", "pyi", "pyx", "toml")),
    "*/py.typed",
)


def install(requirements: Sequence[Path], target: Path) -> None:
    """Put the libraries of requirements files into `target`. Raises BuildError with the installer's reason.

    The files are copied, not linked: changing a linked file would change the installer's cache.
    """
    overrides = target.with_name("overrides.txt")
    overrides.write_text(_NOT_NEEDED, encoding="utf-8")
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(target), "--link-mode", "copy"]
    command += ["--python", sys.executable, "--python-version", PYTHON, "--python-platform", PLATFORM]
    command += ["--only-binary", ":all:", "--require-hashes", "--override", str(overrides)]
    for path in requirements:
        command += ["--requirement", str(path)]
    # One after the other: all of Tencent's packages bring a tencentcloud/__init__.py, and the last one wins.
    environ = {**os.environ, "UV_CONCURRENT_INSTALLS": "1"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - uv, with our own options
    overrides.unlink()
    if done.returncode:
        raise BuildError(f"no libraries:\n{done.stderr.strip()}")
    prune(target)


def prune(target: Path) -> None:
    """Remove files that never run, and the installer's own records."""
    for path in sorted(target.rglob("*"), reverse=True):
        name = path.relative_to(target).as_posix()
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif _is_bookkeeping(name) or any(fnmatch.fnmatch(name, pattern) for pattern in _NEVER_RUNS):
            path.unlink()


def _is_bookkeeping(name: str) -> bool:
    package, _, rest = name.partition(".dist-info/")
    if not rest or "/" in package:
        return False
    return not any(fnmatch.fnmatch(rest, pattern) for pattern in _KEPT_OF_DIST_INFO)


def find_python() -> str | None:
    """Return the path of a CPython 3.10: this one, or one of the PATH, of pyenv or of uv; None if there is none."""
    found = [sys.executable, shutil.which("python3.10")]
    found += sorted(map(str, Path.home().glob(".pyenv/versions/3.10.*/bin/python3.10")))
    find = [sys.executable, "-m", "uv", "python", "find", "--no-python-downloads", "--no-project", PYTHON]
    for path in filter(None, found):
        if _is_python(path):
            return path
    done = subprocess.run(find, capture_output=True, text=True, check=False)  # noqa: S603 - uv, with our own options
    path = done.stdout.strip()
    return path if not done.returncode and _is_python(path) else None


def is_platform(python: str) -> bool:
    """Return whether a Python can load the installed libraries; it can compile for the platform on any machine."""
    code = "import platform; print(platform.system(), platform.machine(), platform.libc_ver()[0])"
    return _says(python, code) == "Linux x86_64 glibc"


def _is_python(path: str) -> bool:
    """Return whether a Python runs: pyenv has shims of versions that are not installed."""
    return _says(path, "import sys; print(sys.implementation.cache_tag)") == "cpython-310"


def _says(python: str, code: str) -> str:
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 - a Python that we found
    return done.stdout.strip()
