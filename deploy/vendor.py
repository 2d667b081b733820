"""The libraries of a build: the platform's wheels, without files that never run.

No installer unpacks them: if two packages bring one path, it would keep only the file that it installs last.
"""

import fnmatch
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from deploy.pins import Environment, Pin, manylinux, read
from deploy.sources import BuildError

# SCF's newest Python, on CentOS 7 with glibc 2.17 (cloud.tencent.com/document/product/583/55594).
PYTHON, GLIBC, MACHINE = "3.10", 17, "x86_64"
_PLATFORM = Environment(f"{PYTHON}.0", "linux", MACHINE)
# SQLAlchemy requires it for asyncio, which we do not use, and it has no wheel for a glibc as old as the platform's.
_NOT_NEEDED = {"greenlet"}
# By path: the package whose file is kept if several packages bring different files of this path.
_WINNERS = {
    # The files differ only in __version__, which the SDK sends; the code that sends it is in this package.
    "tencentcloud/__init__.py": "tencentcloud-sdk-python-common",
}
# METADATA stays: it says which version is deployed, and libraries ask for it. So do the licences.
_KEPT_OF_DIST_INFO = ("METADATA", "LICENSE*", "NOTICE*", "AUTHORS*", "COPYING*", "licenses/*")
_NEVER_RUNS = (
    "tests/*",
    "*/tests/*",
    "sqlalchemy/testing/*",
    "charset_normalizer/*.so",  # the same modules in C: requests imports them (3 ms), and nothing calls them
    "__pycache__/*",
    "*/__pycache__/*",
    *(f"*.{suffix}" for suffix in ("c", "cpp", "h", "hpp", "js", "pth", "pxd", "pyi", "pyx", "toml")),
    "*/py.typed",
)


def install(requirements: Collection[Path], target: Path, cache: Path) -> None:
    """Put the libraries of requirements files into `target`; their wheels stay in `cache` for the next build.

    Raises BuildError with pip's reason, or with the names of two packages that bring different files of one path.
    """
    target.mkdir()
    pins = {str(pin): pin for path in requirements for pin in _read(path) if pin.name not in _NOT_NEEDED}
    if not pins:
        return
    for name, content in merge(_wheels(pins.values(), cache)).items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _read(path: Path) -> list[Pin]:
    try:
        return [pin for pin in read(path) if pin.applies(_PLATFORM)]
    except ValueError as error:
        raise BuildError(f"no libraries: {error}") from None


def _wheels(pins: Collection[Pin], cache: Path) -> Path:
    """Return a directory with the platform's wheels of all pins, which are downloaded unless they are in the cache."""
    # Without markers, which pip would evaluate for the Python that it runs on.
    lines = (" ".join([str(pin), *(f"--hash=sha256:{digest}" for digest in pin.hashes)]) for pin in pins)
    requirements, options = "\n".join(lines), ["--python-version", PYTHON, "--implementation", "cp"]
    for tag in manylinux(GLIBC, MACHINE):
        options += ["--platform", tag]
    wheels = cache / hashlib.sha256(" ".join([requirements, *options]).encode()).hexdigest()
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in wheels.glob("*.whl")]
    if len(digests) == len(pins) and {digest for pin in pins for digest in pin.hashes}.issuperset(digests):
        return wheels
    cache.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        _download(requirements, options, Path(directory, "new"))
        shutil.rmtree(wheels, ignore_errors=True)
        Path(directory, "new").rename(wheels)
    return wheels


def _download(requirements: str, options: Collection[str], target: Path) -> None:
    """Fetch wheels with pip, from the source in its settings; its own cache would keep a second copy of them."""
    listed = target.with_suffix(".txt")
    listed.write_text(requirements, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    command += ["--no-deps", "--require-hashes", "--only-binary", ":all:", *options]
    command += ["--requirement", str(listed), "--dest", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip, with our own options
    if done.returncode:
        raise BuildError(f"no libraries:\n{done.stderr.strip()}")


def merge(wheels: Path, winners: Mapping[str, str] = _WINNERS) -> dict[str, bytes]:
    """Return the files of all wheels in a directory by their paths, without files that never run.

    Raises BuildError if packages bring different files of one path, and none of them is its winner.
    """
    brought: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
    for wheel in sorted(wheels.glob("*.whl")):
        package = wheel.name.partition("-")[0].replace("_", "-").lower()
        for name, content in _unpack(wheel):
            brought[name][package] = content
    return {name: _choose(name, contents, winners.get(name, "")) for name, contents in sorted(brought.items())}


def _choose(name: str, contents: Mapping[str, bytes], winner: str) -> bytes:
    if winner in contents:
        return contents[winner]
    different = {content: package for package, content in contents.items()}
    if len(different) > 1:
        raise BuildError(f"{' and '.join(sorted(different.values()))} bring different files: {name}")
    return next(iter(different))


def _unpack(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each needed file of a wheel, with the path that it has after installation."""
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            head, _, rest = info.filename.partition(".data/")
            if rest and "/" not in head:  # modules may be here too; scripts, headers and data never run
                kind, _, name = rest.partition("/")
                if kind not in {"purelib", "platlib"}:
                    continue
            else:
                name = info.filename
            if not info.is_dir() and not _is_bookkeeping(name) and not _never_runs(name):
                yield name, archive.read(info)


def _never_runs(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in _NEVER_RUNS)


def _is_bookkeeping(name: str) -> bool:
    package, _, rest = name.partition(".dist-info/")
    if not rest or "/" in package:
        return False
    return not any(fnmatch.fnmatch(rest, pattern) for pattern in _KEPT_OF_DIST_INFO)


def find_python() -> str | None:
    """Return the path of a CPython 3.10: the running one, or one in PATH, pyenv or uv. None if there is none."""
    found = [sys.executable, shutil.which("python3.10")]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found += sorted(map(str, pyenv.glob("versions/3.10.*/bin/python3.10")))
    find = [sys.executable, "-m", "uv", "python", "find", "--no-python-downloads", "--no-project", PYTHON]
    for path in filter(None, found):
        if python := _itself(path):
            return python
    done = subprocess.run(find, capture_output=True, text=True, check=False)  # noqa: S603 - uv, with our own options
    return None if done.returncode else _itself(done.stdout.strip())


def is_platform(python: str) -> bool:
    """Tell whether a Python can load the platform's libraries; any Python can compile for the platform."""
    code = "import platform; print(platform.system(), platform.machine(), platform.libc_ver()[0])"
    return _says(python, code) == "Linux x86_64 glibc"


def _itself(path: str) -> str | None:
    """Return the path of the CPython 3.10 that `path` starts, None if it starts another Python or none.

    pyenv has a shim for every version that is installed, selected or not. A shim finds its Python through the user's
    environment, which the processes of a build do not have.
    """
    tag, _, itself = _says(path, "import sys; print(sys.implementation.cache_tag, sys.executable)").partition(" ")
    return itself if tag == "cpython-310" else None


def _says(python: str, code: str) -> str:
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 - a Python that we found
    return done.stdout.strip()
