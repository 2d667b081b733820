"""Write the table of settings into documentation and deployment files: `make settings`."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from deploy.check import ADMIN_FILE, FILES, rows_of
from deploy.sources import ROOT
from sms_login.settings.kinds import Setting, choice
from sms_login.settings.settings import TABLE

WORDS = ROOT / "deploy" / "settings.yaml"
EXAMPLE = "deploy/env.example"
PAGES = {"en": "docs/settings.md", "zh": "docs/settings.zh-CN.md"}
READMES = {"en": "README.md", "zh": "README.zh-CN.md"}
_REGION = re.compile(r"(?s)([^\n]*make settings: begin[^\n]*\n).*?(?=[^\n]*make settings: end)")
_HEADS = {
    "en": ["name | default | values | meaning", "limit | default | refunded by a login | against | setting"],
    "zh": ["名称 | 默认值 | 取值 | 含义", "限制 | 默认值 | 登录后返还 | 防范 | 配置项"],
}
_REQUIRED = {"en": "required", "zh": "必填"}


def files() -> dict[str, str]:
    """Return all files that hold settings, as they should be, by path."""
    words = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    regions = {
        file: "".join(f"      {row.name}: ${{env:{row.name}}}\n" for row in rows_of(file, TABLE))
        for file in (*FILES, ADMIN_FILE)
    }
    regions[EXAMPLE] = _example()
    for language, (page, limits) in _HEADS.items():
        regions[PAGES[language]] = _table(page, (_setting(row, words, language) for row in TABLE))
        rows = (_limit(row, words["settings"][row.name], language) for row in TABLE)
        regions[READMES[language]] = _table(limits, (row for row in rows if row))
    return {path: _replaced(path, region) for path, region in regions.items()}


def _replaced(path: str, region: str) -> str:
    text, count = _REGION.subn(lambda match: match[1] + region, (ROOT / path).read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError(f"{path} has {count} regions between 'make settings: begin' and 'make settings: end'")
    return text


def _example() -> str:
    """Return the lines of an .env file, the required ones first."""
    first = [row for row in TABLE if row.required or row.name == "JWT_SECRET"]
    rest = [row for row in TABLE if row not in first]
    return "\n".join("".join(f"{row.name}={row.default}\n" for row in rows) for rows in (first, rest))


def _table(head: str, rows: Iterator[list[str]]) -> str:
    """Return a table in Markdown, between empty lines."""
    lines = [f"| {head} |", "|" + "---|" * len(head.split("|")), *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n" + "\n".join(lines) + "\n\n"


def _setting(row: Setting, words: dict[str, Any], language: str) -> list[str]:
    own = words["settings"][row.name]
    default = f"`{row.default}`" if row.default and isinstance(row.default, str) else str(row.default) or "–"
    if row.required:
        default = _REQUIRED[language]
    values = words["kinds"][row.kind.__name__][language].format(row)
    if row.kind is choice:
        values = {"en": ", ", "zh": "、"}[language].join(f"`{word}`" for word in row.pattern.split("|"))
    if "default" in own:
        default = own["default"][language]
    if "values" in own:
        values = own["values"][language]
    return [f"`{row.name}`", default, values, own[language]]


def _limit(row: Setting, own: dict[str, Any], language: str) -> list[str]:
    if "against" not in own:
        return []
    what = own[language].rstrip(".。")
    return [what, str(row.default), own["refund"][language], own["against"][language], f"`{row.name}`"]


def main() -> None:
    """Run the command."""
    for path, text in files().items():
        (ROOT / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
