"""The variables that serverless.yml refers to, found and replaced as the CLI does."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sms_admin import env_file as operators
from sms_admin.failures import Failed

UNSET = "\0"  # in place of a variable that is not set: no file can contain it
_LINE = re.compile(r"\s*([\w.-]+)\s*=\s*(.*)?\s*")
REFERENCE = re.compile(r"\$\{env:([\w.-]+)\}")
# The service resolves these: the instance's own name, stage and application.
_OWN = re.compile(r"\$\{(name|stage|app)\}")


def read_file(path: Path) -> dict[str, str]:
    r"""Return the values of a .env file, as the CLI's dotenv 8 reads it: no trailing comments, \n in double quotes."""
    values = {}
    for line in re.split(r"\r\n?|\n", path.read_text(encoding="utf-8-sig")):  # splitlines would split at U+2028, too
        match = _LINE.fullmatch(line)
        if match and not line.lstrip().startswith("#"):
            value = match[2] or ""
            if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1].replace("\\n", "\n") if value[0] == '"' else value[1:-1]
            else:  # quotes with a trailing blank are a part of the value
                value = value.strip()
            values[match[1]] = value
    return values


def env_file(directory: Path, stage: str) -> Path | None:
    """Return the .env file that the CLI reads if it is called in `directory`."""
    return next((path for name in (f".env.{stage}", ".env") if (path := directory / name).is_file()), None)


def of_the_cli(directory: Path) -> dict[str, str]:
    """Return the environment that the CLI would use in a directory; variables of the process override the file.

    Exits if there is neither: otherwise every setting would be reported as not set. Exits, too, if other readers of the
    file would refuse it, or would read another value than the CLI, which keeps comments and the quotes before them.
    """
    stage = yaml.safe_load((directory / "serverless.yml").read_text(encoding="utf-8")).get("stage", "dev")
    file = env_file(directory, stage)
    if not file and "DEPLOY_ROLE" not in os.environ:
        sys.exit("There is no .env: cp deploy/env.example .env, and fill it in. EXAMPLE=1 checks with made-up values.")
    values = read_file(file) if file else {}
    try:
        others = operators.read(file) if file else {}
    except Failed as failed:
        sys.exit(failed.english)
    if unclear := sorted(name for name, value in values.items() if others.get(name) != value):
        sys.exit(
            f"{file}: {', '.join(unclear)}: write the value without quotes, and no comment behind it: it would stay."
        )
    return {**values, **os.environ}


def resolve(value: Any, environ: Mapping[str, str], problems: list[str], path: str = "") -> Any:
    """Return a document with its references replaced, and add the references that cannot be replaced to `problems`."""
    missing: set[str] = set()
    resolved = _resolve(value, environ, problems, missing, path)
    if missing:
        problems.append(f"not set: {', '.join(sorted(missing))}")
    return resolved


def _resolve(value: Any, environ: Mapping[str, str], problems: list[str], missing: set[str], path: str) -> Any:
    if isinstance(value, dict):
        return {key: _resolve(each, environ, problems, missing, f"{path}.{key}") for key, each in value.items()}
    if isinstance(value, list):
        return [_resolve(each, environ, problems, missing, f"{path}.{i}") for i, each in enumerate(value)]
    if not isinstance(value, str):
        return value
    if "${" in _OWN.sub("", value):
        value = _referred_to(value, environ, problems, missing, path)
    if value == "undefined":
        problems.append(f"{path.lstrip('.')}: must be set: it is the text 'undefined'")
        return UNSET
    return value


def _referred_to(value: str, environ: Mapping[str, str], problems: list[str], missing: set[str], path: str) -> str:
    match = REFERENCE.fullmatch(value)
    if match is None:  # such as one with a default value, which the CLI would deploy as text
        problems.append(f"{path.lstrip('.')}: a reference must be the whole value, like ${{env:NAME}}")
        return UNSET
    if match[1] not in environ:
        missing.add(match[1])
    return environ.get(match[1], UNSET)
