"""Reading settings from a mapping of strings: problems are collected, and never hold a value."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from sms_login.settings.kinds import Setting, Wrong, stop


class ConfigError(Exception):
    """Settings that cannot work. `problems` has one sentence each; none holds a value, since it may be a secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Reader(Struct):
    """Reads settings, and keeps their problems."""

    environ: Mapping[str, str]
    problems: list[str] = []
    __repr__ = object.__repr__  # the environment has secrets

    def problem(self, name: str, what: str) -> None:
        """Keep a problem, as one sentence that begins with the name."""
        self.problems.append(f"{name} {what}")

    def given(self, name: str) -> bool:
        """Return whether a setting is set, even to a wrong value."""
        return self._text(name) not in {"", "undefined"}

    def value(self, setting: Setting) -> Any:
        """Return the value of a setting, or of its default if it is not set or wrong."""
        text, default = self._text(setting.name), str(setting.default)
        if text == "undefined":  # what Serverless Framework makes of an ${env:…} that is not set
            self.problem(setting.name, "is the text 'undefined': the variable was not set when deploying")
            text = default
        elif len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" and setting.kind is not stop:
            self.problem(setting.name, "is in quotes, which docker --env-file keeps: write it without")
            text = default
        elif not text and setting.required:
            self.problem(setting.name, "is required")
        try:
            return setting.kind(setting, text or default)
        except Wrong as must:
            self.problem(setting.name, f"must {must}")
            return setting.kind(setting, default)

    def _text(self, name: str) -> str:
        return self.environ.get(name, "").strip()
