"""The pins of the requirements files, and the environments that install them."""

import re
from pathlib import Path
from typing import NamedTuple

from packaging.markers import Marker

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})(?=\s|$)")
_EXACT = re.compile(r"([a-z0-9-]+)==([^\s;,=*]+)(?: ; ([^\\]+?))?\s*(?:--hash|$)")


class Environment(NamedTuple):
    """A Python on a platform, in the words of environment markers."""

    python: str  # such as 3.10.0: a marker may ask for the last number too
    system: str  # linux or darwin
    machine: str

    def markers(self) -> dict[str, str]:
        """Return the variables that an environment marker may name."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.python,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": self.system.capitalize(),
            "platform_version": "",
            "python_full_version": self.python,
            "python_version": self.python.rpartition(".")[0],
            "sys_platform": self.system,
            "extra": "",
        }

    @property
    def platforms(self) -> list[str]:
        """Return the platform tags of its wheels: those for glibc 2.28 of 2018, or for macOS 11."""
        if self.system == "darwin":
            return ["macosx_11_0_arm64"]  # pip adds the older ones
        return manylinux(28, self.machine)


def manylinux(glibc: int, machine: str) -> list[str]:
    """Return the platform tags of wheels for Linux with glibc 2.`glibc`, which is 17 or more, newest first."""
    names = [*(f"manylinux_2_{minor}" for minor in range(glibc, 4, -1)), "manylinux2014", "manylinux2010", "manylinux1"]
    return [f"{name}_{machine}" for name in names]


PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PLATFORMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
FIRST, LAST = ".0", ".30"  # releases of each Python: a marker may tell them apart
ENVIRONMENTS = [Environment(python + last, *it) for python in PYTHONS for it in PLATFORMS for last in (FIRST, LAST)]


class Pin(NamedTuple):
    """A package in one exact version."""

    name: str
    version: str
    marker: Marker | None
    hashes: frozenset[str]  # SHA-256 of each file that may be installed

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"

    def applies(self, environment: Environment) -> bool:
        """Tell whether an environment installs the pin."""
        return self.marker is None or self.marker.evaluate(environment.markers())


def read(path: Path) -> list[Pin]:
    """Return the pins of a requirements file. Raises ValueError for a line that is not exact or has no hash."""
    text = re.sub(r"(?m)^\s*#.*\n?", "", path.read_text(encoding="utf-8"))
    return [_pin(path, line) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def _pin(path: Path, line: str) -> Pin:
    hashes = frozenset(_HASH.findall(line))
    exact = _EXACT.match(line)
    if not exact or not hashes or len(hashes) != line.count("--hash"):
        raise ValueError(f"{path.name}: neither name==version nor hashed: {line[:100].strip()}")
    name, version, marker = exact.groups()
    return Pin(name, version, Marker(marker) if marker else None, hashes)
