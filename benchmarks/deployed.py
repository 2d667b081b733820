"""Processes that see only the deployed package: a build, run by the platform's Python."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.vendor import find_python

ROOT = Path(__file__).parents[1]
# A checkout builds itself: another commit may have other ways.
BUILD = """
import sys
from pathlib import Path
from deploy.build import make
print(make(Path(sys.argv[1]), python=sys.argv[2] or None).zipped)
"""


@dataclass(frozen=True)
class Cost:
    """The duration of a process in seconds: by the clock, and of the CPU (user and system)."""

    wall: float
    cpu: float


class Deployed:
    """Runs Python code in a build; every process has the same options, and its output is discarded.

    `zipped` is the size of the package in bytes.
    """

    def __init__(self, python: str, directory: Path, *, zipped: int) -> None:
        self.zipped = zipped
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
            [self._python, "-s", "-S", "-c", code],  # no site-packages, neither a user's nor the interpreter's
            cwd=self._directory,
            env={**environ, "PYTHONPATH": str(self._directory), "PYTHONDONTWRITEBYTECODE": "x"},  # as on SCF
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )


@contextmanager
def deploy(checkout: Path = ROOT, *, compiled: bool = True) -> Iterator[Deployed]:
    """Give a temporary build of a checkout; without .pyc files unless `compiled`.

    Raises RuntimeError without Python 3.10, which the platform runs.
    """
    python = find_python()
    if python is None:
        raise RuntimeError("there is no Python 3.10 here, and no other can run a build")
    with tempfile.TemporaryDirectory(prefix="deployed-") as directory:
        build = Path(directory, "build")
        made = subprocess.check_output([sys.executable, "-c", BUILD, build, python if compiled else ""], cwd=checkout)
        yield Deployed(python, build, zipped=int(made))
