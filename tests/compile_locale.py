"""Compile Click's words in Chinese, as msgfmt does: `python -m tests.compile_locale`."""

import ast
import struct
from pathlib import Path

from tests.testkit.project import ROOT

SOURCE = ROOT / "sms_admin/locale/zh/LC_MESSAGES/sms_admin.po"


def messages(text: str) -> dict[str, str]:
    """Return the translations of a .po file; a singular and its plural are one key, joined by a null character."""
    found: dict[str, str] = {}
    singular = plural = ""
    for line in text.splitlines():
        keyword, _, value = line.partition(" ")
        if keyword == "msgid":
            singular, plural = ast.literal_eval(value), ""
        elif keyword == "msgid_plural":
            plural = "\0" + ast.literal_eval(value)
        elif keyword.startswith("msgstr"):
            found[singular + plural] = ast.literal_eval(value)
    return found


def compiled(text: str) -> bytes:
    """Return the .mo file of a .po file (GNU gettext manual, "The Format of GNU MO Files")."""
    pairs = [(key.encode(), value.encode()) for key, value in sorted(messages(text).items())]
    head, size = 28, len(pairs)
    place, tables, strings = head + 16 * size, b"", b""
    for column in (0, 1):
        for pair in pairs:
            tables += struct.pack("<II", len(pair[column]), place + len(strings))
            strings += pair[column] + b"\0"
    return struct.pack("<7I", 0x950412DE, 0, size, head, head + 8 * size, 0, 0) + tables + strings


def target() -> Path:
    """Return the compiled file."""
    return SOURCE.with_suffix(".mo")


if __name__ == "__main__":
    target().write_bytes(compiled(SOURCE.read_text(encoding="utf-8")))
