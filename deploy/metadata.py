"""Write requirements/metadata.json, the index's metadata of each pin: the last step of `make pins`.

It lets a test prove, without a network, that the pins are closed and that each environment has a wheel of each pin.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from packaging.utils import canonicalize_name

from deploy.closure import Release
from deploy.pins import ENVIRONMENTS, FIRST, LAST, Environment, read
from deploy.sources import ROOT

FILE = ROOT / "requirements/metadata.json"
ALL_PINS = ROOT / "requirements/dev.txt"  # it includes the pins of the other files


def load(path: Path = FILE) -> dict[str, Release]:
    """Return the metadata of each pin, by name==version."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Release])


def ask(environment: Environment) -> list[dict[str, Any]]:
    """Return pip's report on the wheels that an environment would install, without installing any."""
    also = environment._replace(python=environment.python.removesuffix(LAST) + FIRST)
    pins = [str(pin) for pin in read(ALL_PINS) if pin.applies(environment) or pin.applies(also)]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    command += ["--no-deps", "--only-binary", ":all:", "--target", str(ROOT / "build"), "--implementation", "cp"]
    # pip would compare Requires-Python with the Python that it runs on; the test compares it with the environment's.
    command += ["--python-version", environment.python, "--ignore-requires-python"]
    for platform in environment.platforms:
        command += ["--platform", platform]
    done = subprocess.run([*command, *pins], capture_output=True, text=True, check=False)  # noqa: S603 - pip, with our own options
    if done.returncode:
        sys.exit(f"{environment}:\n{done.stderr}")
    installed: list[dict[str, Any]] = json.loads(done.stdout)["install"]
    return installed


def main() -> None:
    """Run the command."""
    releases: dict[str, Release] = {}
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(ask, [it for it in ENVIRONMENTS if it.python.endswith(LAST)]))
    for item in chain.from_iterable(reports):
        told, download = item["metadata"], item["download_info"]
        new = Release(told.get("requires_python", ""), told.get("requires_dist", []), {})
        release = releases.setdefault(f"{canonicalize_name(told['name'])}=={told['version']}", new)
        if (release.python, release.requires) != (new.python, new.requires):
            sys.exit(f"{told['name']}: its wheels need different things, for which there is no place in {FILE.name}")
        release.wheels[download["url"].rpartition("/")[2]] = download["archive_info"]["hashes"]["sha256"]
    text = msgspec.json.encode({name: releases[name] for name in sorted(releases)})
    FILE.write_bytes(msgspec.json.format(text, indent=1) + b"\n")


if __name__ == "__main__":
    main()
