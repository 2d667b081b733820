"""The settings: their problems, and as many of them as the other checks can still use."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain

from msgspec.structs import replace

from sms_admin.check.report import Finding, ok, problem
from sms_admin.check.settings_words import in_chinese
from sms_admin.language import tr
from sms_login.settings.reader import ConfigError
from sms_login.settings.settings import TABLE, Settings

_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
# Placeholders for required settings that are missing, so that the rest can be read. No check examines them.
_INSTEAD = {
    **{row.name: "missing" for row in TABLE if row.required},
    "JWT_SECRET": "not-a-secret-only-long-enough-to-pass-for-one",
}
_SECRETS = [row.name for row in TABLE if row.secret]
_SECRETS += ["TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SESSIONTOKEN"]
_SHORTEST = 6  # characters of a secret that is masked; a shorter one would occur in ordinary words


def read(environ: Mapping[str, str]) -> tuple[Settings | None, list[str], frozenset[str]]:
    """Return the settings, their problems, and the names of the broken variables.

    If there are problems, broken variables are left out or replaced by placeholders. If that does not help, the
    settings are None.
    """
    problems: list[str] = []
    broken: set[str] = set()
    usable = dict(environ)
    while True:
        try:
            return Settings.read(usable), problems, frozenset(broken)
        except ConfigError as error:
            problems = problems or error.problems
            blamed = set(chain.from_iterable(map(_NAME.findall, error.problems))) - broken
        if not blamed:
            return None, problems, frozenset(broken)
        broken |= blamed
        if any(name.startswith("SMS_INTL_") for name in blamed):  # they are valid only together
            broken |= {name for name in usable if name.startswith(("SMS_INTL_", "SMS_SENDER_ID"))}
        usable = {name: value for name, value in environ.items() if name not in broken}
        instead = {name: value for name, value in _INSTEAD.items() if not usable.get(name)}
        if usable.get("JWT_PRIVATE_KEY"):
            instead.pop("JWT_SECRET", None)
        usable |= instead


def check(problems: list[str]) -> Iterator[Finding]:
    """Yield a finding for each problem of the settings; no value is in it."""
    for sentence in problems:
        todo = tr(
            "correct it (docs/settings.md): until then every call answers 500",
            "请改正（docs/settings.zh-CN.md）：在此之前每次调用都返回 500",
        )
        yield problem("settings", tr(sentence, in_chinese(sentence)), todo)
    if not problems:
        yield ok("settings", tr("complete, and each by itself possible", "完整，且每一项本身有效"))


class Net:
    """The last net: masks the secrets of an environment in findings."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        values = [environ.get(name, "").strip() for name in _SECRETS]
        values += [user[0] for value in values if (user := re.findall(r"://[^:@/]*:(.+)@", value))]
        values += re.findall(r"\+?([0-9]{8,})=", environ.get("TEST_NUMBERS", ""))
        self._values = sorted((value for value in values if len(value) >= _SHORTEST), key=len, reverse=True)

    def let_through(self, finding: Finding) -> Finding:
        """Return a finding with its secrets masked, and with characters that UTF-8 cannot encode replaced."""
        return replace(finding, found=self._hide(finding.found), todo=self._hide(finding.todo))

    def _hide(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, "****")
        return text.encode(errors="replace").decode()
