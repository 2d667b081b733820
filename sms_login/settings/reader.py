"""Reading settings by name from a mapping of strings: what is wrong is collected, and secrets hide themselves."""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import phonenumbers

from sms_login.secret import Secret

T = TypeVar("T")

# PyJWT refuses to sign with these, but for PEM in base64; a public key must never be taken for a secret.
_KEY_FILE = ("-----BEGIN", "LS0tLS1CRUdJTi", "ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "{")
_USERS_URL = (
    r"sqlite:///[^:?#]+"
    r"|mysql\+pymysql://[^:@/?#]+(:[^@]*)?@[A-Za-z0-9._-]+(:(?P<port>[0-9]{1,5}))?/[^/?#]+"
    r"(\?(&?(charset=utf8mb4|ssl_(ca|cert|key)=[^&#]+|ssl_check_hostname=(true|false))(?=&|\Z))+)?"
)
_LEAST_SECRET = 32  # bytes: RFC 7518, section 3.2


class ConfigError(Exception):
    """Settings that cannot work. `problems` has one sentence each; none holds a value, since it may be a secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Reader:
    """Reads settings by name, and keeps what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def problem(self, name: str, what: str) -> None:
        """Keep a problem, as one sentence that begins with the name."""
        self.problems.append(f"{name} {what}")

    def text(self, name: str, default: str | None = None, pattern: str = "") -> str:
        """Return a string; without a default it is required. All of it must match `pattern`, if there is one."""
        value = self._environ.get(name, "").strip()
        if value == "undefined":  # what Serverless Framework makes of an ${env:…} that is not set
            self.problem(name, "is the text 'undefined': the variable was not set when deploying")
            return default or ""
        if not value and default is None:
            self.problem(name, "is required")
        if value and pattern and not re.fullmatch(pattern, value):
            self.problem(name, f"must match {pattern}")
        return value or default or ""

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number from `least` to `most`."""
        return self._converted(name, default, least, most, int, "a whole number")

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """Return a number from `least` to `most`."""
        return self._converted(name, default, least, most, float, "a number")

    def _converted(self, name: str, default: T, least: T, most: T, convert: Callable[[str], T], kind: str) -> T:
        value = self.text(name, str(default))
        try:
            number = convert(value)
        except ValueError:
            number = None
        if number is None or not least <= number <= most:  # type: ignore[operator] # int or float, both ordered
            self.problem(name, f"must be {kind} from {least} to {most}")
            return default
        return number

    def flag(self, name: str) -> bool:
        """Return a switch that is off unless it is set."""
        value = self.text(name, "0").lower()
        if value not in {"0", "1", "false", "true"}:
            self.problem(name, "must be 0 or 1")
        return value in {"1", "true"}

    def secret(self, name: str) -> Secret:
        """Return a secret that is long enough to sign with."""
        secret = Secret(self.text(name, ""))
        if secret and len(secret.key()) < _LEAST_SECRET:
            self.problem(name, f"must be at least {_LEAST_SECRET} bytes long")
        if secret.reveal().startswith(_KEY_FILE):
            self.problem(name, "must be random text, not a key file")
        return secret

    def users_url(self) -> Secret:
        """Return SQLAlchemy's form of a database's address, which may hold a password."""
        url = self.text("USERS_URL", "")
        form = re.fullmatch(_USERS_URL, url) if url else None
        if url and not (form and int(form["port"] or 1) in range(1, 65536) and url.isprintable()):
            what = "mysql+pymysql://user:password@host:3306/database or sqlite:///path: docs/users.md has all its forms"
            self.problem("USERS_URL", f"must be {what}")
        return Secret(url)

    def country(self, name: str, default: str) -> str:
        """Return an ISO country code."""
        value = self.text(name, default).upper()
        if value not in phonenumbers.SUPPORTED_REGIONS:
            self.problem(name, "must be an ISO country code, like CN")
        return value


def users_url(environ: Mapping[str, str]) -> Secret:
    """Return the USERS_URL of a command that cannot do without. Raises ConfigError."""
    read = Reader(environ)
    url = read.users_url()
    if not url:
        read.problem("USERS_URL", "is required")
    if read.problems:
        raise ConfigError(read.problems)
    return url
