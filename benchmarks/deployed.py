"""Processes that see only the deployed package: a build, run by the platform's Python."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.build import make as build_into
from deploy.vendor import find_python

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Cost:
    """The duration of a process in seconds: by the clock, and of the CPU (user and system)."""

    wall: float
    cpu: float


class Deployed:
    """Runs Python code in a build; every process has the same options, and its output is discarded."""

    def __init__(self, python: str, directory: Path) -> None:
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
def deploy(*, compiled: bool = True) -> Iterator[Deployed]:
    """Give a temporary build; without .pyc files unless `compiled`.

    Raises RuntimeError without Python 3.10, which the platform runs.
    """
    python = find_python()
    if python is None:
        raise RuntimeError("there is no Python 3.10 here, and no other can run a build")
    with tempfile.TemporaryDirectory(prefix="deployed-") as directory:
        build = build_into(Path(directory, "build"), python=python if compiled else None)
        yield Deployed(python, build.directory)
