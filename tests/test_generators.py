"""Clients that generators make of docs/openapi.json compile strictly and log in.

Only with GENERATORS, a folder with the package of openapi-generator, as in CI: the generators of tests/generators weigh
250 MB.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import component
from local.cloud import local_cloud
from local.gateway import Gateway
from sms_login import wiring
from tests.testkit.events import PHONE
from tests.testkit.java import JAVA
from tests.testkit.project import ROOT

HOME = ROOT / "tests" / "generators"
GENERATORS = {
    "openapi-fetch": "openapi-typescript openapi.json -o openapi-typescript/api.d.ts",
    "hey-api": "openapi-ts -i openapi.json -o hey-api -c @hey-api/client-fetch",
    "orval": "orval --input openapi.json --output orval/api.ts --client fetch",
    "swagger-typescript-api": "swagger-typescript-api generate -p openapi.json -o swagger-typescript-api -n api.ts",
}
DEADLINE = 120  # seconds for each program; far more than it takes


def run(there: Path, *command: str) -> str:
    """Run a command in a folder and return its output; fail with it if the command fails."""
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=there, capture_output=True, text=True, check=False, timeout=DEADLINE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the client of every generator, compiled."""
    if not (folder := os.environ.get("GENERATORS")):
        pytest.skip("GENERATORS is not set")
    component.install(HOME)
    there = tmp_path_factory.mktemp("generators")
    for file in HOME.glob("*.*"):
        shutil.copy(file, there)
    shutil.copy(ROOT / "docs" / "openapi.json", there)
    (there / "node_modules").symlink_to(HOME / "node_modules")
    bins = there / "node_modules" / ".bin"
    for command in GENERATORS.values():
        tool, *options = command.split()
        run(there, str(bins / tool), *options)
    (jar,) = Path(folder).rglob("openapi-generator.jar")
    java = [*JAVA, "-jar", str(jar), "generate", "-i", "openapi.json", "-g", "typescript-fetch"]
    run(there, *java, "-o", "openapi-generator")
    run(there, str(bins / "tsc"), "-p", ".")
    return there


@pytest.fixture
def url() -> Iterator[str]:
    """Serve the function, and yield its address."""
    with local_cloud({}) as cloud, Gateway(wiring.build(cloud.environ).handle, cloud.tencent, port=0) as gateway:
        yield gateway.url


@pytest.mark.parametrize("name", [*GENERATORS, "openapi-generator"])
def test_a_generated_client_logs_in(there: Path, url: str, name: str) -> None:
    """A whole login with typed parameters, typed answers, the token in its header, and a refusal that can be read."""
    bundle = ["--bundle", "--platform=node", "--format=esm", f"--outfile={name}.mjs", "--log-level=error"]
    run(there, str(there / "node_modules" / ".bin" / "esbuild"), f"login-{name}.ts", *bundle)
    assert run(there, "node", f"{name}.mjs", url, PHONE).split() == [PHONE, PHONE, "CodeHasValid"]
