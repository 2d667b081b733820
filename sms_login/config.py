"""Settings, read once from a mapping of strings, with all problems reported at once."""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import phonenumbers
from msgspec import Struct

from sms_login.ports import Rules, SmsRoute

T = TypeVar("T")

_KEY_FILE = re.compile(r"-----BEGIN|ssh-|ecdsa-sha2-|sk-(ssh|ecdsa)-|\{")  # PyJWT refuses to sign with these
_LEAST_SECRET = 32  # bytes: RFC 7518, section 3.2


class ConfigError(Exception):
    """Settings that cannot work. `problems` has one sentence each; none holds a value, since it may be a secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Secret:
    """A string that does not print itself."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the clear value, at the point of use."""
        return self._value

    def key(self) -> bytes:
        """Return the clear value as a key; bytes of the environment that are not UTF-8 stay what they are."""
        return self._value.encode(errors="surrogateescape")

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret('****')"

    __str__ = __repr__


class Settings(Struct, frozen=True):
    """All settings, checked. Named as their environment variables; durations in seconds."""

    redis_host: str
    redis_port: int
    redis_password: Secret
    redis_db: int
    redis_tls: bool
    redis_ca_file: str
    redis_cluster: bool
    sms_mainland: SmsRoute
    sms_abroad: SmsRoute | None
    sms_template_params: tuple[str, ...]
    sms_region: str
    sms_endpoint: str
    sms_timeout: float
    secrets: tuple[Secret, ...]  # for codes; the current one first
    jwt_secrets: tuple[Secret, ...]  # the current one first
    jwt_issuer: str
    jwt_audience: str
    token_ttl: int
    default_country: str
    allowed_countries: frozenset[str] | None  # None allows all
    tz_offset: float  # hours
    require_session: bool
    rules: Rules
    log_level: str

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings in `environ`. Raises ConfigError that names everything wrong with them."""
        read, standard = _Reader(environ), Rules()
        jwt_secret = read.secret("JWT_SECRET", required=True)
        jwt_previous = read.secret("JWT_SECRET_PREVIOUS")
        secret, secret_previous = read.secret("SECRET"), read.secret("SECRET_PREVIOUS")
        settings = cls(
            redis_host=read.text("REDIS_HOST"),
            redis_port=read.integer("REDIS_PORT", 6379, 1, 65535),
            redis_password=Secret(read.text("REDIS_PASSWORD", "")),
            redis_db=read.integer("REDIS_DB", 0, 0, 255),
            redis_tls=read.flag("REDIS_TLS"),
            redis_ca_file=read.text("REDIS_CA_FILE", ""),
            redis_cluster=read.flag("REDIS_CLUSTER"),
            sms_mainland=SmsRoute(read.text("SMS_SDKAPPID"), read.text("SMS_SIGN"), read.text("SMS_TEMPLATE_ID")),
            sms_abroad=_abroad(read),
            sms_template_params=_template_params(read),
            sms_region=read.text("SMS_REGION", "ap-guangzhou"),
            sms_endpoint=read.text(
                "SMS_ENDPOINT", "sms.tencentcloudapi.com", r"(https?://)?[A-Za-z0-9.-]+(:[0-9]+)?/?"
            ),
            sms_timeout=read.number("SMS_TIMEOUT", 5, 0.1, 30),
            # A rotated JWT_SECRET is also the previous secret of the codes in flight.
            secrets=_ring(secret or jwt_secret, secret_previous, jwt_secret, jwt_previous),
            jwt_secrets=_ring(jwt_secret, jwt_previous),
            jwt_issuer=read.text("JWT_ISSUER", "sms-login"),
            jwt_audience=read.text("JWT_AUDIENCE", "sms-login"),
            token_ttl=read.integer("TOKEN_TTL", 7200, 60, 30 * 86400),
            default_country=read.country("DEFAULT_COUNTRY", "CN"),
            allowed_countries=_allowed_countries(read),
            tz_offset=read.number("TZ_OFFSET", 8, -12, 14),
            require_session=read.flag("REQUIRE_SESSION"),
            rules=Rules(
                life=read.integer("CODE_TTL", standard.life, 30, standard.age),
                cooldown=read.integer("RESEND_COOLDOWN", standard.cooldown, 1, 3600),
                daily=read.integer("DAILY_LIMIT", standard.daily, 1, 1_000_000),
            ),
            log_level=read.text("LOG_LEVEL", "INFO", "DEBUG|INFO|WARNING|ERROR"),
        )
        if settings.redis_cluster and settings.redis_db:
            read.problem("REDIS_DB", "must be 0 with REDIS_CLUSTER")
        if read.problems:
            raise ConfigError(read.problems)
        return settings


class _Reader:
    """Reads settings by name, and keeps what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def problem(self, name: str, what: str) -> None:
        self.problems.append(f"{name} {what}")

    def text(self, name: str, default: str | None = None, pattern: str = "(?s).*") -> str:
        """Return a string; without a default it is required."""
        value = self._environ.get(name, "").strip()
        if value == "undefined":  # what Serverless Framework makes of an ${env:…} that is not set
            self.problem(name, "is the text 'undefined': the variable was not set when deploying")
            return default or ""
        if not value and default is None:
            self.problem(name, "is required")
        if value and not re.fullmatch(pattern, value):
            self.problem(name, f"must match {pattern}")
        return value or default or ""

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        return self._converted(name, default, least, most, int, "a whole number")

    def number(self, name: str, default: float, least: float, most: float) -> float:
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
        value = self.text(name, "0").lower()
        if value not in {"0", "1", "false", "true"}:
            self.problem(name, "must be 0 or 1")
        return value in {"1", "true"}

    def secret(self, name: str, *, required: bool = False) -> Secret:
        secret = Secret(self.text(name, None if required else ""))
        if secret and len(secret.key()) < _LEAST_SECRET:
            self.problem(name, f"must be at least {_LEAST_SECRET} bytes long")
        if _KEY_FILE.match(secret.reveal()):
            self.problem(name, "must be random text, not a key file")
        return secret

    def country(self, name: str, default: str) -> str:
        value = self.text(name, default).upper()
        if value not in phonenumbers.SUPPORTED_REGIONS:
            self.problem(name, "must be an ISO country code, like CN")
        return value


def _ring(*secrets: Secret) -> tuple[Secret, ...]:
    """Return those that are set, each once, in order."""
    return tuple({secret.reveal(): secret for secret in secrets if secret}.values())


def _abroad(read: _Reader) -> SmsRoute | None:
    names = ("SMS_INTL_SDKAPPID", "SMS_INTL_SIGN", "SMS_INTL_TEMPLATE_ID")
    app_id, sign, template_id = (read.text(name, "") for name in names)
    sender_id = read.text("SMS_SENDER_ID", "")
    if not (app_id or sign or template_id or sender_id):
        return None
    if not (app_id and template_id):  # a signature is optional outside mainland China
        read.problem("SMS_INTL_SDKAPPID and SMS_INTL_TEMPLATE_ID", "go together")
    return SmsRoute(app_id, sign, template_id, sender_id)


def _template_params(read: _Reader) -> tuple[str, ...]:
    names = tuple(name.strip() for name in read.text("SMS_TEMPLATE_PARAMS", "code,minutes").split(","))
    if sorted(names) not in (["code"], ["code", "minutes"]):
        read.problem("SMS_TEMPLATE_PARAMS", "must be code, or code and minutes in the template's order")
    return names


def _allowed_countries(read: _Reader) -> frozenset[str] | None:
    names = read.text("ALLOWED_COUNTRIES", "CN").upper()
    if names == "*":
        return None
    countries = frozenset(name.strip() for name in names.split(","))
    if not countries <= phonenumbers.SUPPORTED_REGIONS:
        read.problem("ALLOWED_COUNTRIES", "must be ISO country codes with commas between, or *")
    return countries
