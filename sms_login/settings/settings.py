"""Settings, read once from a mapping of strings, with all problems reported at once."""

import re
from collections.abc import Mapping
from datetime import datetime

import phonenumbers
from msgspec import Struct

from sms_login.errors import InvalidPhone
from sms_login.limits.policy import Limits
from sms_login.otp.rules import Rules
from sms_login.phone import Phone
from sms_login.secret import Secret
from sms_login.sessions.keys import Key
from sms_login.sessions.store import LONGEST_SESSION, SessionRules
from sms_login.settings.keys import read_keys
from sms_login.settings.reader import ConfigError, Reader
from sms_login.sms import SmsRoute

_ENDPOINT = r"(https?://)?[A-Za-z0-9.-]+(:[0-9]+)?/?"
_TEST_NUMBER = r"(\+[0-9]+)=([0-9]{6})"
_CLAIM = r"[\x21-\x7e]+"  # a name or URL, as RFC 7519 has them
_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ORIGIN = r"null|[a-z][a-z0-9+.-]*://[a-z0-9.-]+(:[0-9]+)?|[a-z][a-z0-9+.-]*://\[[0-9a-f:]+\](:[0-9]+)?"


class Settings(Struct, frozen=True):
    """All settings, checked. Named as their environment variables; durations in seconds."""

    redis_host: str
    redis_port: int
    redis_password: Secret
    redis_db: int
    redis_tls: bool
    redis_ca_file: str
    redis_cluster: bool
    users_url: Secret  # empty: users are kept in Redis
    sms_mainland: SmsRoute
    sms_abroad: SmsRoute | None
    sms_template_params: tuple[str, ...]
    sms_region: str
    sms_endpoint: str
    sms_timeout: float
    secrets: tuple[Secret, ...]  # for codes; the current one first
    jwt_keys: tuple[Key, ...]  # the one that signs first
    jwt_issuer: str
    jwt_audience: str
    token_ttl: int
    session_rules: SessionRules
    default_country: str
    allowed_countries: frozenset[str] | None  # None allows all
    tz_offset: float  # hours
    require_session: bool
    rules: Rules
    limits: Limits
    sending: bool
    captcha_app_id: str  # "" for no captcha
    captcha_app_secret: Secret
    captcha_mode: str
    captcha_endpoint: str
    test_numbers: dict[str, Secret]  # codes by E.164
    test_numbers_until: str  # YYYYMMDD
    client_ip_source: str
    allowed_origins: frozenset[str]
    log_level: str

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings in `environ`. Raises ConfigError that names everything wrong with them."""
        read, standard = Reader(environ), Rules()
        secrets, jwt_keys = read_keys(read)
        settings = cls(
            redis_host=read.text("REDIS_HOST"),
            redis_port=read.integer("REDIS_PORT", 6379, 1, 65535),
            redis_password=Secret(read.text("REDIS_PASSWORD", "")),
            redis_db=read.integer("REDIS_DB", 0, 0, 255),
            redis_tls=read.flag("REDIS_TLS"),
            redis_ca_file=read.text("REDIS_CA_FILE", ""),
            redis_cluster=read.flag("REDIS_CLUSTER"),
            users_url=read.users_url(),
            sms_mainland=SmsRoute(read.text("SMS_SDKAPPID"), read.text("SMS_SIGN"), read.text("SMS_TEMPLATE_ID")),
            sms_abroad=_abroad(read),
            sms_template_params=_template_params(read),
            sms_region=read.text("SMS_REGION", "ap-guangzhou"),
            sms_endpoint=read.text("SMS_ENDPOINT", "sms.tencentcloudapi.com", _ENDPOINT),
            sms_timeout=read.number("SMS_TIMEOUT", 5, 0.1, 30),
            secrets=secrets,
            jwt_keys=jwt_keys,
            jwt_issuer=read.text("JWT_ISSUER", "sms-login", _CLAIM),
            jwt_audience=read.text("JWT_AUDIENCE", "sms-login", _CLAIM),
            token_ttl=read.integer("TOKEN_TTL", 7200, 60, 30 * 86400),
            session_rules=_session_rules(read),
            default_country=read.country("DEFAULT_COUNTRY", "CN"),
            allowed_countries=_allowed_countries(read),
            tz_offset=read.number("TZ_OFFSET", 8, -12, 14),
            require_session=read.flag("REQUIRE_SESSION"),
            rules=Rules(
                life=read.integer("CODE_TTL", standard.life, 30, standard.age),
                cooldown=read.integer("RESEND_COOLDOWN", standard.cooldown, 1, 3600),
                daily=read.integer("DAILY_LIMIT", standard.daily, 1, 1_000_000),
            ),
            limits=_limits(read),
            sending=read.text("SENDING", "on", "on|off") == "on",
            captcha_app_id=read.text("CAPTCHA_APP_ID", "", "[0-9]{1,15}"),
            captcha_app_secret=Secret(read.text("CAPTCHA_APP_SECRET", "")),
            captcha_mode=read.text("CAPTCHA_MODE", "adaptive", "off|adaptive|always"),
            captcha_endpoint=read.text("CAPTCHA_ENDPOINT", "captcha.tencentcloudapi.com", _ENDPOINT),
            test_numbers=_test_numbers(read),
            test_numbers_until=_test_numbers_until(read),
            client_ip_source=read.text("CLIENT_IP_SOURCE", "platform", "platform|none|forwarded:[1-9]"),
            allowed_origins=_allowed_origins(read),
            log_level=read.text("LOG_LEVEL", "INFO", "DEBUG|INFO|WARNING|ERROR"),
        )
        _check_together(read, settings)
        if read.problems:
            raise ConfigError(read.problems)
        return settings


def _check_together(read: Reader, settings: Settings) -> None:
    if settings.redis_cluster and settings.redis_db:
        read.problem("REDIS_DB", "must be 0 with REDIS_CLUSTER")
    if bool(settings.captcha_app_id) != bool(settings.captcha_app_secret):
        read.problem("CAPTCHA_APP_ID and CAPTCHA_APP_SECRET", "go together")
    if settings.captcha_mode == "always" and not settings.captcha_app_id:
        read.problem("CAPTCHA_MODE", "is always, but there is no CAPTCHA_APP_ID")
    if bool(read.text("TEST_NUMBERS", "")) != bool(settings.test_numbers_until):
        read.problem("TEST_NUMBERS and TEST_NUMBERS_UNTIL", "go together")


def _abroad(read: Reader) -> SmsRoute | None:
    names = ("SMS_INTL_SDKAPPID", "SMS_INTL_SIGN", "SMS_INTL_TEMPLATE_ID")
    app_id, sign, template_id = (read.text(name, "") for name in names)
    sender_id = read.text("SMS_SENDER_ID", "")
    if not (app_id or sign or template_id or sender_id):
        return None
    if not (app_id and template_id):  # a signature is optional outside mainland China
        read.problem("SMS_INTL_SDKAPPID and SMS_INTL_TEMPLATE_ID", "go together")
    return SmsRoute(app_id, sign, template_id, sender_id)


def _template_params(read: Reader) -> tuple[str, ...]:
    names = tuple(name.strip() for name in read.text("SMS_TEMPLATE_PARAMS", "code,minutes").split(","))
    if sorted(names) not in (["code"], ["code", "minutes"]):
        read.problem("SMS_TEMPLATE_PARAMS", "must be code, or code and minutes in the template's order")
    return names


def _allowed_countries(read: Reader) -> frozenset[str] | None:
    names = read.text("ALLOWED_COUNTRIES", "CN").upper()
    if names == "*":
        return None
    countries = frozenset(name.strip() for name in names.split(","))
    if not countries <= phonenumbers.SUPPORTED_REGIONS:
        read.problem("ALLOWED_COUNTRIES", "must be ISO country codes with commas between, or *")
    return countries


def _session_rules(read: Reader) -> SessionRules:
    standard = SessionRules()
    return SessionRules(
        idle=read.integer("REFRESH_TTL", standard.idle, 60, LONGEST_SESSION),
        most=read.integer("SESSION_TTL", standard.most, 60, LONGEST_SESSION),
    )


def _limits(read: Reader) -> Limits:
    standard, most = Limits(), 1_000_000_000

    def limit(name: str, default: int) -> int:
        return read.integer(name, default, 1, most)

    return Limits(
        ip_hour=limit("IP_HOURLY_LIMIT", standard.ip_hour),
        ip_day=limit("IP_DAILY_LIMIT", standard.ip_day),
        range_hour=limit("RANGE_HOURLY_LIMIT", standard.range_hour),
        range_day=limit("RANGE_DAILY_LIMIT", standard.range_day),
        range_total=limit("RANGE_DAILY_BUDGET", standard.range_total),
        country_hour=limit("COUNTRY_HOURLY_LIMIT", standard.country_hour),
        country_total=limit("COUNTRY_DAILY_BUDGET", standard.country_total),
        total=limit("DAILY_BUDGET", standard.total),
        guesses=limit("IP_GUESS_LIMIT", standard.guesses),
        refused=limit("IP_REFUSED_LIMIT", standard.refused),
    )


def _test_numbers(read: Reader) -> dict[str, Secret]:
    numbers: dict[str, Secret] = {}
    for item in filter(None, (part.strip() for part in read.text("TEST_NUMBERS", "").split(","))):
        match = re.fullmatch(_TEST_NUMBER, item)
        try:
            phone = Phone.from_e164(match[1]) if match else None
        except InvalidPhone:
            phone = None
        if match is None or phone is None or phone.e164 in numbers:
            read.problem("TEST_NUMBERS", "must be like +8613800000000=123456, with commas between, each number once")
        else:
            numbers[phone.e164] = Secret(match[2])
    return numbers


def _test_numbers_until(read: Reader) -> str:
    until = read.text("TEST_NUMBERS_UNTIL", "")
    if until:
        try:
            if not re.fullmatch(_DATE, until):
                raise ValueError  # noqa: TRY301 - strptime would take 2027-1-5 too, which sorts elsewhere as text
            datetime.strptime(until, "%Y-%m-%d")  # noqa: DTZ007 - a day, wherever it is
        except ValueError:
            read.problem("TEST_NUMBERS_UNTIL", "must be a date like 2027-01-31")
    return until.replace("-", "")


def _allowed_origins(read: Reader) -> frozenset[str]:
    origins = frozenset(filter(None, (part.strip().lower() for part in read.text("ALLOWED_ORIGINS", "").split(","))))
    if not all(re.fullmatch(_ORIGIN, origin) for origin in origins):
        read.problem("ALLOWED_ORIGINS", "must be like https://app.example.com, without a path, with commas between")
    return origins
