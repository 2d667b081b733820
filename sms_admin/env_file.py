"""Files of settings, as `deploy/env.example`: NAME=value, one a line."""

import re
from pathlib import Path

from sms_admin.failures import Failed

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


def read(path: Path) -> dict[str, str]:
    r"""Return the variables of a file; a value may be in quotes, and `\n` in double quotes is a line break.

    Lines that are empty or begin with # count for nothing. Raises Failed for any other line, by its number.
    """
    values: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{path} cannot be read: {error}", f"无法读取 {path}：{error}") from None
    for number, text in enumerate(lines, 1):
        line = text.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise Failed(f"{path}, line {number}: must be NAME=value", f"{path} 第 {number} 行：应为 NAME=value")
        values[match[1]] = _unquoted(match[2])
    return values


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1].replace("\\n", "\n") if value[0] == '"' else value[1:-1]
    return value
