"""The files of ours that are deployed, and the options that only some deployments need."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
BOOTSTRAP = "scf_bootstrap"  # starts the web function, from the top of a build; an event function ignores it


class BuildError(Exception):
    """A build failed for a reason that the developer can fix."""


class Option(NamedTuple):
    """An option of `make build WITH=…`: the requirements file with its libraries, and our modules that use them."""

    requirements: str
    modules: tuple[str, ...]
    most: int  # bytes that it may add to the archive


BASE = "requirements.txt"
OPTIONS = {
    "sql": Option("requirements/sql.txt", ("sms_login/adapters/sql/*.py",), 6_000_000),
    "asymmetric": Option("requirements/asymmetric.txt", ("sms_login/sessions/pem.py",), 6_000_000),
}


class Package(NamedTuple):
    """A function to build: its directory, our rooms in it, its top by path and source, and its requirements file."""

    directory: str
    rooms: tuple[str, ...]
    top: dict[str, str]
    requirements: str
    more: int = 0  # bytes that its archive may have beyond those of the login's


LOGIN = Package("build", ("sms_login",), {"index.py": "index.py", BOOTSTRAP: f"deploy/{BOOTSTRAP}"}, BASE)
ADMIN = Package(  # it needs no options: it has all modules and libraries
    "build-admin",
    ("sms_login", "sms_admin"),
    {"index.py": "sms_admin/function.py"},
    "requirements/admin.txt",
    25_000_000,
)
_NEVER = ("sms_login/__main__.py", "sms_admin/__main__.py")  # an operator's commands
_SCRIPT = re.compile(r"""\.script\(\s*"(\w+)"|"(\w+)\.lua\"""")


def deployed(root: Path, options: Collection[str], package: Package = LOGIN) -> list[Path]:
    """Return our files that are deployed, by their paths in a build, sorted. Raises BuildError if one is missing."""
    missing = OPTIONS.keys() - options if package is LOGIN else ()
    left_out = [*_NEVER, *(name for option in missing for name in OPTIONS[option].modules)]
    files = [*map(Path, package.top), Path("LICENSE")]
    for room in package.rooms:
        for suffix in ("py", "lua"):
            files += [path.relative_to(root) for path in (root / room).rglob(f"*.{suffix}")]
    kept = sorted(path for path in files if not any(path.match(name) for name in left_out))
    _check_complete(root, kept, package)
    return kept


def source(path: Path, package: Package = LOGIN) -> Path:
    """Return where we keep a file that has a path in a build."""
    return Path(package.top.get(str(path), path))


def stale(build: Path, package: Package = LOGIN) -> list[Path]:
    """Return our files that differ between a build and the sources, relative to the build, sorted.

    A file that only an option brings may be missing.
    """
    there = (path for room in package.rooms for path in (build / room).rglob("*"))
    built = {path.relative_to(build) for path in there if path.suffix in {".py", ".lua"}}
    files = built.union(deployed(ROOT, (), package))
    return sorted(path for path in files if _content(build / path) != _content(ROOT / source(path, package)))


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _check_complete(root: Path, files: Collection[Path], package: Package) -> None:
    wanted = {path.parent / "lua" / f"{name}.lua" for path in files for name in _scripts(root / path)}
    absent = [
        path for path in sorted(source(path, package) for path in wanted.union(files)) if not (root / path).is_file()
    ]
    if absent:
        raise BuildError(f"missing: {', '.join(map(str, absent))}")


def _scripts(path: Path) -> set[str]:
    """Return the Lua scripts that an adapter names."""
    if path.parent.name != "redis" or path.suffix != ".py":
        return set()
    return {run or named for run, named in _SCRIPT.findall(path.read_text(encoding="utf-8"))}
