"""The request that the real tencent-component-toolkit would send: node runs its pure functions, without a network.

`python -m deploy.component FOLDER…` installs the npm packages of folders, each by its lock file.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

HOME = Path(__file__).with_name("toolkit")


class Unavailable(Exception):  # noqa: N818 - named after its cause
    """Node or the toolkit cannot be used on this machine."""


def install(home: Path | None = None) -> None:
    """Install the packages of the folder's lock file, unless they are installed. Raises Unavailable."""
    home = home or HOME
    if not (shutil.which("node") and shutil.which("npm")):
        raise Unavailable("node and npm are missing")
    with _alone(home):
        _install(home)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold a lock: two concurrent installations, such as those of two tests, would remove each other's files."""
    folder = os.open(home, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _install(home: Path) -> None:
    stamp, digest = home / "node_modules" / ".made-from", sha256((home / "package-lock.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return
    # A package that npm has in its cache is the right one: the lock file has its hash.
    command = ["npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    if done.returncode:
        raise Unavailable(f"npm ci failed: {done.stderr.strip()[-500:]}")
    stamp.write_text(digest, encoding="utf-8")


def dropped(*inputs: Mapping[str, Any]) -> list[list[str]]:
    """Return the paths below the inputs of each function that do not change the toolkit's request.

    One node serves all of them, since it starts for as long as it works on twenty. Raises Unavailable.
    """
    install()
    command = ["node", "format.js"]
    done = subprocess.run(command, cwd=HOME, input=json.dumps(inputs), capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    if done.returncode:
        raise Unavailable(f"the toolkit failed: {done.stderr.strip()[-500:]}")
    paths: list[list[str]] = json.loads(done.stdout)
    return paths


def main() -> None:
    """Run the command. Without node it prints the reason, and leaves it to the tests to skip or to fail."""

    def reason(folder: str) -> str:
        try:
            install(Path(folder))
        except Unavailable as unavailable:
            return f"{folder}: {unavailable}"
        return ""

    with ThreadPoolExecutor() as threads:  # an npm waits for the network and the disk
        for said in filter(None, threads.map(reason, sys.argv[1:])):
            print(said)


if __name__ == "__main__":
    main()
