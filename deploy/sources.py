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
_NEVER = ("sms_login/__main__.py",)  # an operator's command
_SCRIPT = re.compile(r"""\.script\(\s*"(\w+)"|"(\w+)\.lua\"""")


def deployed(root: Path, options: Collection[str]) -> list[Path]:
    """Return our files that are deployed, by their paths in a build, sorted. Raises BuildError if one is missing."""
    left_out = [*_NEVER, *(name for option in OPTIONS.keys() - options for name in OPTIONS[option].modules)]
    files = [Path("index.py"), Path("LICENSE"), Path(BOOTSTRAP)]
    for suffix in ("py", "lua"):
        files += [path.relative_to(root) for path in (root / "sms_login").rglob(f"*.{suffix}")]
    kept = sorted(path for path in files if not any(path.match(name) for name in left_out))
    _check_complete(root, kept)
    return kept


def source(path: Path) -> Path:
    """Return where we keep a file that has a path in a build."""
    return Path("deploy") / path if path.name == BOOTSTRAP else path


def stale(build: Path) -> list[Path]:
    """Return our files that differ between a build and the sources, relative to the build, sorted.

    A file that only an option brings may be missing.
    """
    built = {path.relative_to(build) for path in (build / "sms_login").rglob("*") if path.suffix in {".py", ".lua"}}
    files = built.union(deployed(ROOT, ()))
    return sorted(path for path in files if _content(build / path) != _content(ROOT / source(path)))


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _check_complete(root: Path, files: Collection[Path]) -> None:
    wanted = {path.parent / "lua" / f"{name}.lua" for path in files for name in _scripts(root / path)}
    absent = [path for path in sorted(map(source, wanted.union(files))) if not (root / path).is_file()]
    if absent:
        raise BuildError(f"missing: {', '.join(map(str, absent))}")


def _scripts(path: Path) -> set[str]:
    """Return the Lua scripts that an adapter names."""
    if path.parent.name != "redis" or path.suffix != ".py":
        return set()
    return {run or named for run, named in _SCRIPT.findall(path.read_text(encoding="utf-8"))}
