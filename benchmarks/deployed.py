"""Processes that see what is deployed and nothing else: requirements.txt, index.py and sms_login, all with .pyc."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Cost:
    """What a process took, in seconds: by the clock, and of the CPU (user and system)."""

    wall: float
    cpu: float


class Deployed:
    """Runs Python code where `import index` works; every process with the same options, and its output thrown away."""

    def __init__(self, python: Path, directory: str) -> None:
        self._python = python
        self._directory = directory

    def start(self, code: str, environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """Start a process with pipes to its standard input and from its standard error."""
        return self._popen(code, environ, stdin=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, code: str, environ: Mapping[str, str]) -> Cost:
        """Run a process to its end. Raises RuntimeError if it fails."""
        started = time.perf_counter()
        process = self._popen(code, environ, stdin=subprocess.DEVNULL, stderr=None)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"exit code {process.returncode} of: {code}")
        return Cost(wall, usage.ru_utime + usage.ru_stime)

    def _popen(
        self, code: str, environ: Mapping[str, str], *, stdin: int, stderr: int | None
    ) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [self._python, "-c", code],
            cwd=self._directory,
            env={**environ, "PYTHONDONTWRITEBYTECODE": "x"},  # as on SCF
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )


@contextmanager
def deploy() -> Iterator[Deployed]:
    """Copy and compile what is deployed, for as long as it is needed."""
    python = _environment()
    with tempfile.TemporaryDirectory(prefix="deployed-") as directory:
        shutil.copy(ROOT / "index.py", directory)
        shutil.copytree(ROOT / "sms_login", Path(directory, "sms_login"), ignore=shutil.ignore_patterns("__pycache__"))
        _compile(python, directory)
        yield Deployed(python, directory)


def _environment() -> Path:
    """Return the interpreter of a virtual environment made from requirements.txt; only its first use makes it."""
    requirements = ROOT / "requirements.txt"
    home = ROOT / f".venv-bench-{sys.version_info.major}.{sys.version_info.minor}"
    python, stamp = home / "bin" / "python", home / "made-from"
    made_from = f"{sys.version} {hashlib.sha256(requirements.read_bytes()).hexdigest()}"
    if not stamp.exists() or stamp.read_text() != made_from:
        # Without pip and setuptools, which have a .pth file that every start of the interpreter would run.
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(home)], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(home), "--disable-pip-version-check", "-qq"]
        subprocess.run([*pip, "install", "--require-hashes", "--requirement", str(requirements)], check=True)
        _compile(python, *map(str, home.glob("lib/python*/site-packages")))
        stamp.write_text(made_from)
    return python


def _compile(python: Path, *directories: str) -> None:
    command = [str(python), "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", *directories]
    subprocess.run(command, check=True)  # unchecked, as in a package: once unzipped, the files' times mean nothing
