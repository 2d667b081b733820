"""Check each serverless.yml offline before deploying it: `make check-deploy`.

The service checks little: it ignores an unknown key, and deploys "undefined" for a variable that is not set.
"""

import argparse
import fnmatch
import os
import re
import secrets
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy import component, schema
from deploy.document import read
from deploy.env import REFERENCE, of_the_cli, read_file, resolve
from deploy.sources import ADMIN, BOOTSTRAP, LOGIN, ROOT, stale
from sms_login.settings.kinds import Setting
from sms_login.settings.reader import ConfigError
from sms_login.settings.settings import TABLE, Settings

FILES = ("serverless.yml", "deploy/web/serverless.yml")
ADMIN_FILE = "deploy/admin/serverless.yml"
MOST_ENVIRONMENT = 4096  # bytes: cloud.tencent.com/document/product/583/11637
RESERVED = ("SCF_", "QCLOUD_", "TENCENTCLOUD_")  # 583/32748
LEAST_AFTER_SMS = 10  # s: a captcha's deadline, and Redis's for a few commands
_ADMIN_SECRETS = {"REDIS_PASSWORD", "USERS_URL"}  # the secrets that the admin function needs
LEAST_OF_ADMIN = 60  # s: a timer pulls receipts for 40, and then waits for Tencent Cloud and Redis
_SECRET_ID = re.compile(r"AKID[A-Za-z0-9]{13,40}")
# The option of `make build` that a setting needs, and a library that the option brings.
_NEEDS = {"USERS_URL": ("sql", "sqlalchemy"), "JWT_PRIVATE_KEY": ("asymmetric", "cryptography")}

_SERVICE_ROLE = (
    "inputs.role: is the service's own, whose permissions every function without a role has (docs/deploy.md)"
)

# For CI, which has no account: the values that deploy/env.example leaves to the operator.
_MADE_UP = {
    "DEPLOY_ROLE": "sms-login",
    "DEPLOY_ADMIN_ROLE": "sms-login-admin",
    "DEPLOY_VPC_ID": "vpc-1a2b3c4d",
    "DEPLOY_SUBNET_ID": "subnet-1a2b3c4d",
    "REDIS_HOST": "10.0.0.3",
    "SMS_SDKAPPID": "1400000000",
    "SMS_SIGN": "sms-login",
    "SMS_TEMPLATE_ID": "1000000",
}


def rows_of(file: str, table: Collection[Setting] = TABLE) -> list[Setting]:
    """Return those of the settings that the function of a file gets."""
    return [row for row in table if file != ADMIN_FILE or not row.secret or row.name in _ADMIN_SECRETS]


def check(paths: Collection[Path], environ: Mapping[str, str]) -> tuple[dict[Path, list[str]], str]:
    """Return the problems of each file and the environment it refers to, without values.

    The second value is the reason why the toolkit could not be asked, or "".
    """
    found = {path: offline(path, environ) for path in paths}
    problems = {path: problems for path, (problems, _) in found.items()}
    right = [path for path in paths if not problems[path]]  # in another, one mistake would be reported twice
    try:
        dropped = component.dropped(*(found[path][1]["inputs"] for path in right)) if right else []
    except component.Unavailable as reason:
        return problems, str(reason)
    for path, names in zip(right, dropped, strict=True):
        problems[path] += [f"inputs.{name}: the toolkit ignores it" for name in names]
    return problems, ""


def offline(path: Path, environ: Mapping[str, str]) -> tuple[list[str], Any]:
    """Return the problems that show without the toolkit, and the file with its references replaced."""
    text = path.read_text(encoding="utf-8")
    try:
        raw = read(text)
    except yaml.MarkedYAMLError as error:  # without the line itself, which may hold a secret
        return [f"line {error.problem_mark.line + 1 if error.problem_mark else '?'}: {error.problem}"], None
    except yaml.YAMLError as error:
        return [f"not YAML: {' '.join(str(error).split())}"], None
    problems: list[str] = []
    document = resolve(raw, environ, problems)
    problems += schema.problems(document)
    if _SECRET_ID.search(text):
        problems.append("a Tencent Cloud SecretId is in the file: the CLI takes it from TENCENT_SECRET_ID")
    if problems:
        return problems, document
    inputs, admin = document["inputs"], path.as_posix().endswith(ADMIN_FILE)
    variables, given = inputs["environment"]["variables"], raw["inputs"]["environment"]["variables"]
    problems += _variables(given, variables, environ, rows_of(ADMIN_FILE if admin else FILES[0]))
    problems += _admin(variables, inputs, environ) if admin else _settings(variables, inputs)
    problems += _build(path.parent / inputs["src"]["src"], inputs, variables, admin=admin)
    return problems, document


def _variables(
    raw: Mapping[str, str], variables: Mapping[str, str], environ: Mapping[str, str], rows: Collection[Setting]
) -> Iterator[str]:
    known = {row.name for row in rows}
    secret = {row.name for row in rows if row.secret}
    for name, value in raw.items():
        if name.startswith(RESERVED):
            yield f"{name}: begins with {' or '.join(RESERVED)}, a prefix reserved for the platform"
        elif name not in known:
            yield f"{name}: the function knows no such setting"
        reference = REFERENCE.fullmatch(value)
        if name in secret and value and not reference:
            yield f"{name}: a secret is in the file: write ${{env:{name}}}"
        if reference and name in known and reference[1] in known - {name}:
            yield f"{name}: is given the value of another setting, {reference[1]}"
    for name in sorted(known - raw.keys()):
        if environ.get(name):
            yield f"{name}: is set, but missing from the file: it would not be deployed"
    size = sum(len(f"{name}{value}".encode()) for name, value in variables.items())
    if size > MOST_ENVIRONMENT:
        yield f"the environment has {size} bytes, but the platform allows {MOST_ENVIRONMENT}"


def _settings(variables: Mapping[str, str], inputs: Mapping[str, Any]) -> Iterator[str]:
    try:
        settings = Settings.read(variables)
    except ConfigError as error:
        yield from error.problems
        return
    if inputs["timeout"] < settings.sms_timeout + LEAST_AFTER_SMS:
        yield f"inputs.timeout: must be at least SMS_TIMEOUT plus {LEAST_AFTER_SMS} s for captcha and Redis"
    if not inputs["publicAccess"]:
        yield "inputs.publicAccess: must be true, to reach SendSms"
    if inputs["role"] == "SCF_QcsRole":
        yield _SERVICE_ROLE
    if not any(_open(event["http"]["parameters"]) for event in inputs["events"] if "http" in event):
        yield "inputs.events: none is enabled with netConfig.enableExtranet: true and authType: NONE: no app can call"


def _admin(variables: Mapping[str, str], inputs: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    try:
        Settings.read({**variables, "JWT_SECRET": secrets.token_urlsafe(32)})  # which this function does not get
    except ConfigError as error:
        yield from error.problems
    if any("http" in event for event in inputs["events"]):
        yield "inputs.events: the admin function has a URL: anybody could call it. It may have a timer and nothing else"
    if inputs["type"] != "event":
        yield "inputs.type: must be event: a web function is called over HTTP"
    if inputs["role"] == "SCF_QcsRole":
        yield _SERVICE_ROLE
    if inputs["role"] == environ.get("DEPLOY_ROLE"):
        yield "inputs.role: is the login's: the admin function needs no permission to send (docs/admin.md)"
    if inputs["timeout"] < LEAST_OF_ADMIN:
        yield f"inputs.timeout: must be at least {LEAST_OF_ADMIN} s"


def _open(trigger: Mapping[str, Any]) -> bool:
    enabled: bool = trigger.get("enable", True) and trigger["netConfig"]["enableExtranet"]
    return enabled and trigger["authType"] == "NONE"


def _build(build: Path, inputs: Mapping[str, Any], variables: Mapping[str, str], *, admin: bool) -> Iterator[str]:
    make = "make build-admin" if admin else "make build"
    if not build.is_dir():
        yield f"inputs.src.src: {build.name} does not exist: {make}"
        return
    if inputs["type"] == "web" and not os.access(build / BOOTSTRAP, os.X_OK):
        yield f"inputs.src.src: {build.name} has no executable {BOOTSTRAP}: make build"
    if old := stale(build, ADMIN if admin else LOGIN):
        yield f"inputs.src.src: {build.name} was made from other sources, see {old[0]}: {make}"
    for name, (option, library) in _NEEDS.items():
        if variables.get(name) and not (build / library).is_dir():
            yield f"{name}: needs a build with its libraries: make build WITH={option}"
    for pattern in _excluded(build, inputs["src"].get("exclude", ())):
        yield f"inputs.src.exclude: {pattern} leaves out a needed file: {build.name} has no others"
    if any(build.rglob(".env*")):
        yield f"inputs.src.src: {build.name} has a .env file: {make}"


def _excluded(build: Path, patterns: Collection[str]) -> Iterator[str]:
    """Return the patterns that may leave out a file of the build, in the broadest reading of the pattern."""
    files = (path for path in build.rglob("*") if path.is_file() and not path.name.startswith(".env"))
    names = [f"/{path.relative_to(build).as_posix()}/" for path in files]
    return (name for name in patterns if fnmatch.filter(names, f"*/{name.removeprefix('./').strip('/')}/*"))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m deploy.check", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--example", action="store_true", help="use deploy/env.example and made-up values")
    environ = example() if parser.parse_args().example else of_the_cli(ROOT)
    names = [*FILES, ADMIN_FILE] if (ROOT / ADMIN.directory).is_dir() else [*FILES]
    found, reason = check([ROOT / name for name in names], environ)
    right = f"right as far as it was checked. Skipped: tencent-component-toolkit ({reason})" if reason else "right"
    for name, problems in zip(names, found.values(), strict=True):
        print(*([f"{name}:", *problems] if problems else [f"{name}: {right}"]), sep="\n  ")
    if ADMIN_FILE not in names:
        print(f"{ADMIN_FILE}: skipped: there is no {ADMIN.directory}, which `make build-admin` makes")
    if reason and os.environ.get("CI"):
        sys.exit(f"not checked with the toolkit: {reason}")
    sys.exit(any(found.values()))


def example() -> dict[str, str]:
    """Return deploy/env.example, completed with made-up values."""
    return {**read_file(ROOT / "deploy/env.example"), **_MADE_UP, "JWT_SECRET": secrets.token_urlsafe(32)}


if __name__ == "__main__":
    main()
