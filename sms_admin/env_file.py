"""Files of settings, as `deploy/env.example`: NAME=value, one a line."""

import re
from pathlib import Path

from sms_admin.failures import Failed

_LINE = re.compile(
    r"""
    \s* (?: (?:export [^\S\n]+)? (?P<name> [A-Za-z_][A-Za-z0-9_]*) [^\S\n]* =
        (?: [^\S\n]* (?: ' (?P<single> (?: \\' | [^'])*) ' | " (?P<double> (?: \\" | [^"])*) " ) [^\S\n]*
        | (?P<bare> [^\S\n]* (?! [^\S\n] | ['"]) [^\n]*) )
    )? (?: \# [^\n]*)? (?: \n | \Z)
    """,
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def read(path: Path) -> dict[str, str]:
    r"""Return the variables of a file by the rules of python-dotenv, but without replacing ${NAME}.

    A value may be in quotes, then even on several lines; in double quotes, `\n` is a line break. A comment may follow,
    after a space if there are no quotes. Raises Failed for any other line, by its number.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{path} cannot be read: {error}", f"无法读取 {path}：{error}") from None
    values: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _LINE.match(text, place)
        if not match:
            before = text[: len(text) - len(text[place:].lstrip())]
            number = before.count("\n") + 1
            raise Failed(f"{path}, line {number}: must be NAME=value", f"{path} 第 {number} 行：应为 NAME=value")
        if match["name"]:
            values[match["name"]] = _value(match)
        place = match.end()
    return values


def _value(match: re.Match[str]) -> str:
    if match["double"] is not None:
        return re.sub(r"\\([\\'\"abfnrtv])", lambda each: _ESCAPES.get(each[1], each[1]), match["double"])
    if match["single"] is not None:
        return re.sub(r"\\([\\'])", r"\1", match["single"])
    return re.sub(r"\s+#.*", "", match["bare"]).strip()
