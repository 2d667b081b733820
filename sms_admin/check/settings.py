"""The settings: their errors, and as many of them as can be used in spite of those."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain

from msgspec.structs import replace

from sms_admin.check.report import Finding, ok, problem
from sms_login.settings.reader import ConfigError
from sms_login.settings.settings import Settings

_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
# Placeholders for required settings that are missing, so that the rest can be read. No check uses them.
_INSTEAD = {
    "REDIS_HOST": "127.0.0.1",
    "SMS_SDKAPPID": "0",
    "SMS_SIGN": "-",
    "SMS_TEMPLATE_ID": "0",
    "JWT_SECRET": "not a secret, only long enough to pass for one",
}
_SECRETS = (
    "REDIS_PASSWORD",
    "USERS_URL",
    "JWT_SECRET",
    "JWT_SECRET_PREVIOUS",
    "SECRET",
    "SECRET_PREVIOUS",
    "JWT_PRIVATE_KEY",
    "CAPTCHA_APP_SECRET",
    "TENCENTCLOUD_SECRETID",
    "TENCENTCLOUD_SECRETKEY",
    "TENCENTCLOUD_SESSIONTOKEN",
)
_SHORTEST = 6  # characters of a secret that is masked in the output; a shorter one would match common words


def read(environ: Mapping[str, str]) -> tuple[Settings | None, list[str], frozenset[str]]:
    """Return the settings, the problems with them, and the names of the wrong ones.

    Wrong settings are left out, or replaced by placeholders if required. The settings are None if that does not help.
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
        if any(name.startswith("SMS_INTL_") for name in blamed):  # one alone is invalid
            broken |= {name for name in usable if name.startswith(("SMS_INTL_", "SMS_SENDER_ID"))}
        usable = {name: value for name, value in environ.items() if name not in broken}
        instead = {name: value for name, value in _INSTEAD.items() if not usable.get(name)}
        if usable.get("JWT_PRIVATE_KEY"):
            instead.pop("JWT_SECRET", None)
        usable |= instead


def check(problems: list[str]) -> Iterator[Finding]:
    """Report the problems with the settings, without values."""
    for sentence in problems:
        yield problem("settings", sentence, "correct it (docs/settings.md): until then every call answers 500")
    if not problems:
        yield ok("settings", "complete and valid")


class Net:
    """Masks secrets of the environment in findings, should a check have let one slip."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        values = [environ.get(name, "").strip() for name in _SECRETS]
        values += [user[0] for value in values if (user := re.findall(r"://[^:@/]*:(.+)@", value))]
        values += re.findall(r"\+?([0-9]{8,})=", environ.get("TEST_NUMBERS", ""))
        self._values = sorted((value for value in values if len(value) >= _SHORTEST), key=len, reverse=True)

    def let_through(self, finding: Finding) -> Finding:
        """Return a finding with secrets masked, and with characters replaced that UTF-8 cannot encode."""
        return replace(finding, found=self._hide(finding.found), todo=self._hide(finding.todo))

    def _hide(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, "****")
        return text.encode(errors="replace").decode()
