"""The commands that a page shows, and the lines that each of them should print."""

import re
from typing import NamedTuple


class Shown(NamedTuple):
    """A command on the page, and the lines that the page shows below it."""

    command: str
    lines: list[str]


def shown(page: str) -> list[Shown]:
    """Return the commands in the page's blocks of the kind `console`, in their order."""
    found: list[Shown] = []
    for block in re.findall(r"(?ms)^```console\n(.*?)^```$", page):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Shown(line[2:], []))
            else:
                found[-1].lines.append(line)
    return found


def plain(line: str) -> str:
    """Return a line without the parts that differ at each run: numbers become 0, and blanks or rules one blank."""
    return re.sub(r"[\s━─╺╸]+", " ", re.sub(r"[0-9][0-9a-f]*", "0", line)).strip()


def differences(lines: list[str], printed: str) -> list[str]:
    """Return the lines that a command did not print in this order; … stands for any text, or for any lines."""
    left, missing = [plain(line) for line in printed.splitlines()], []
    for line in map(plain, lines):
        pattern = ".*".join(map(re.escape, line.split("…")))
        place = next((i for i, other in enumerate(left) if re.fullmatch(pattern, other)), None)
        if place is not None:
            left = left[place + 1 :]
        elif line != "…":
            missing.append(line)
    return missing
