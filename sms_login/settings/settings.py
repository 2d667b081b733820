"""All settings: the table, and how they are read."""

from collections.abc import Mapping
from typing import Annotated, Any

from sms_login.limits.policy import Limits
from sms_login.otp.rules import Rules
from sms_login.secret import Masked, Secret
from sms_login.sessions.keys import Key
from sms_login.sessions.store import LONGEST_SESSION, SessionRules
from sms_login.settings import kinds
from sms_login.settings.keys import read_keys
from sms_login.settings.kinds import Setting
from sms_login.settings.reader import ConfigError, Reader
from sms_login.sms import SmsRoute

_RULES, _SESSION = Rules(), SessionRules()
_HOST = r"(https?://)?[A-Za-z0-9.-]+(:[0-9]+)?/?"
_CAPTCHA = "captcha.tencentcloudapi.com"
_SOURCES = "platform|none|forwarded:[1-9]"
_CLAIM = r"[\x21-\x7e]+"  # a name or URL, as RFC 7519 has them


def _limit(name: str, field: str) -> Setting:
    return Setting(name, kinds.integer, getattr(Limits(), field), 1, 1_000_000_000, field=field)


class Settings(Masked, frozen=True):
    """All settings, checked. Each field names the settings that it is made of; durations are in seconds.

    `make settings` writes documentation and deployment files from this table, in its order.
    """

    redis_host: Annotated[str, Setting("REDIS_HOST", kinds.host, required=True)]
    redis_port: Annotated[int, Setting("REDIS_PORT", kinds.integer, 6379, 1, 65535)]
    redis_password: Annotated[Secret, Setting("REDIS_PASSWORD", kinds.password, secret=True)]
    redis_db: Annotated[int, Setting("REDIS_DB", kinds.integer, 0, 0, 255)]
    redis_tls: Annotated[bool, Setting("REDIS_TLS", kinds.switch, 0)]
    redis_ca_file: Annotated[str, Setting("REDIS_CA_FILE", kinds.text)]
    redis_tls_name: Annotated[str, Setting("REDIS_TLS_NAME", kinds.text, pattern=r"\*|[A-Za-z0-9.-]+")]  # *: any name
    redis_cluster: Annotated[bool, Setting("REDIS_CLUSTER", kinds.switch, 0)]
    users_url: Annotated[Secret, Setting("USERS_URL", kinds.users_url, secret=True)]  # empty: users are kept in Redis
    sms_mainland: Annotated[
        SmsRoute,
        Setting("SMS_SDKAPPID", kinds.text, required=True, field="app_id"),
        Setting("SMS_SIGN", kinds.text, required=True, field="sign"),
        Setting("SMS_TEMPLATE_ID", kinds.text, required=True, field="template_id"),
        Setting("SMS_PURPOSES", kinds.purposes, field="purposes"),
    ]
    sms_template_params: Annotated[tuple[str, ...], Setting("SMS_TEMPLATE_PARAMS", kinds.params, "code,minutes")]
    sms_abroad: Annotated[
        SmsRoute | None,
        Setting("SMS_INTL_SDKAPPID", kinds.text),
        Setting("SMS_INTL_SIGN", kinds.text),
        Setting("SMS_INTL_TEMPLATE_ID", kinds.text),
        Setting("SMS_SENDER_ID", kinds.text),
        Setting("SMS_INTL_PURPOSES", kinds.purposes),
    ]
    sms_region: Annotated[str, Setting("SMS_REGION", kinds.text, "ap-guangzhou")]
    sms_endpoint: Annotated[str, Setting("SMS_ENDPOINT", kinds.text, "sms.tencentcloudapi.com", pattern=_HOST)]
    sms_timeout: Annotated[float, Setting("SMS_TIMEOUT", kinds.number, 5, 0.1, 30)]
    vms_sdkappid: Annotated[str, Setting("VMS_SDKAPPID", kinds.text)]  # empty: no voice calls
    vms_endpoint: Annotated[str, Setting("VMS_ENDPOINT", kinds.text, "vms.tencentcloudapi.com", pattern=_HOST)]
    sms_receipt_key: Annotated[Secret, Setting("SMS_RECEIPT_KEY", kinds.url_key, secret=True)]  # empty: no receipts
    sms_receipt_key_previous: Annotated[Secret, Setting("SMS_RECEIPT_KEY_PREVIOUS", kinds.url_key, secret=True)]
    sms_report_conversion: Annotated[bool, Setting("SMS_REPORT_CONVERSION", kinds.switch, 0)]
    jwt_keys: Annotated[  # the signing key first
        tuple[Key, ...],
        Setting("JWT_SECRET", kinds.key, secret=True),
        Setting("JWT_PRIVATE_KEY", kinds.text, secret=True),
        Setting("JWT_SECRET_PREVIOUS", kinds.key, secret=True),
        Setting("JWT_PUBLIC_KEYS_PREVIOUS", kinds.text),
    ]
    secrets: Annotated[  # for codes and refresh tokens; the current one first
        tuple[Secret, ...],
        Setting("SECRET", kinds.key, secret=True),
        Setting("SECRET_PREVIOUS", kinds.key, secret=True),
    ]
    jwt_issuer: Annotated[str, Setting("JWT_ISSUER", kinds.text, "sms-login", pattern=_CLAIM)]
    jwt_audience: Annotated[str, Setting("JWT_AUDIENCE", kinds.text, "sms-login", pattern=_CLAIM)]
    token_ttl: Annotated[int, Setting("TOKEN_TTL", kinds.integer, 7200, 60, 30 * 86400)]
    session_rules: Annotated[
        SessionRules,
        Setting("REFRESH_TTL", kinds.integer, _SESSION.idle, 60, LONGEST_SESSION, field="idle"),
        Setting("SESSION_TTL", kinds.integer, _SESSION.most, 60, LONGEST_SESSION, field="most"),
    ]
    reverify_after: Annotated[int, Setting("REVERIFY_AFTER", kinds.integer, 0, 0, 3650)]  # days; 0: never
    default_country: Annotated[str, Setting("DEFAULT_COUNTRY", kinds.country, "CN")]
    allowed_countries: Annotated[frozenset[str] | None, Setting("ALLOWED_COUNTRIES", kinds.countries, "CN")]
    rules: Annotated[
        Rules,
        Setting("CODE_TTL", kinds.integer, _RULES.life, 30, _RULES.age, field="life"),
        Setting("RESEND_COOLDOWN", kinds.integer, _RULES.cooldown, 1, 3600, field="cooldown"),
        Setting("DAILY_LIMIT", kinds.integer, _RULES.daily, 1, 1_000_000, field="daily"),
    ]
    tz_offset: Annotated[float, Setting("TZ_OFFSET", kinds.number, 8, -12, 14)]  # hours
    limits: Annotated[
        Limits,
        _limit("IP_HOURLY_LIMIT", "ip_hour"),
        _limit("IP_DAILY_LIMIT", "ip_day"),
        _limit("IP_GUESS_LIMIT", "guesses"),
        _limit("IP_REFUSED_LIMIT", "refused"),
        _limit("RANGE_HOURLY_LIMIT", "range_hour"),
        _limit("RANGE_DAILY_LIMIT", "range_day"),
        _limit("RANGE_DAILY_BUDGET", "range_total"),
        _limit("COUNTRY_HOURLY_LIMIT", "country_hour"),
        _limit("COUNTRY_DAILY_BUDGET", "country_total"),
        _limit("VOICE_DAILY_BUDGET", "calls"),
        _limit("DAILY_BUDGET", "total"),
    ]
    sending: Annotated[bool, Setting("SENDING", kinds.stop, "on")]
    client_ip_source: Annotated[str, Setting("CLIENT_IP_SOURCE", kinds.text, "platform", pattern=_SOURCES)]
    captcha_app_id: Annotated[str, Setting("CAPTCHA_APP_ID", kinds.text, pattern="[0-9]{1,15}")]  # empty: no captcha
    captcha_app_secret: Annotated[Secret, Setting("CAPTCHA_APP_SECRET", kinds.password, secret=True)]
    captcha_mode: Annotated[str, Setting("CAPTCHA_MODE", kinds.choice, "adaptive", pattern="adaptive|always|off")]
    captcha_endpoint: Annotated[str, Setting("CAPTCHA_ENDPOINT", kinds.text, _CAPTCHA, pattern=_HOST)]
    allowed_origins: Annotated[frozenset[str], Setting("ALLOWED_ORIGINS", kinds.origins)]
    test_numbers: Annotated[dict[str, Secret], Setting("TEST_NUMBERS", kinds.codes, secret=True)]  # codes by E.164
    test_numbers_until: Annotated[str, Setting("TEST_NUMBERS_UNTIL", kinds.date)]  # YYYYMMDD
    require_session: Annotated[bool, Setting("REQUIRE_SESSION", kinds.switch, 0)]
    statistics: Annotated[bool, Setting("STATISTICS", kinds.switch, "on")]
    log_level: Annotated[str, Setting("LOG_LEVEL", kinds.choice, "INFO", pattern="DEBUG|INFO|WARNING|ERROR")]

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings in `environ`. Raises ConfigError with all their problems."""
        read = Reader(environ)
        values = {setting.name: read.value(setting) for setting in TABLE}
        fields: dict[str, Any] = {}
        for field, hint in cls.__annotations__.items():
            part = {setting.field: values[setting.name] for setting in hint.__metadata__ if setting.field}
            fields[field] = hint.__origin__(**part) if part else values[hint.__metadata__[0].name]
        fields["sms_abroad"] = _abroad(read, values)
        fields["secrets"], fields["jwt_keys"] = read_keys(read, values)
        _check_together(read, values)
        if read.problems:
            raise ConfigError(read.problems)
        return cls(**fields)


TABLE: tuple[Setting, ...] = tuple(row for hint in Settings.__annotations__.values() for row in hint.__metadata__)


def _check_together(read: Reader, values: Mapping[str, Any]) -> None:
    if values["REDIS_CLUSTER"] and values["REDIS_DB"]:
        read.problem("REDIS_DB", "must be 0 with REDIS_CLUSTER")
    if values["REDIS_TLS_NAME"] == "*" and not read.given("REDIS_CA_FILE"):
        read.problem("REDIS_TLS_NAME", "is *, but without REDIS_CA_FILE any website's certificate would do")
    if values["CAPTCHA_MODE"] == "always" and not read.given("CAPTCHA_APP_ID"):
        read.problem("CAPTCHA_MODE", "is always, but there is no CAPTCHA_APP_ID")
    for name, other in (("CAPTCHA_APP_ID", "CAPTCHA_APP_SECRET"), ("TEST_NUMBERS", "TEST_NUMBERS_UNTIL")):
        if read.given(name) != read.given(other):
            read.problem(f"{name} and {other}", "go together")


def _abroad(read: Reader, values: Mapping[str, Any]) -> SmsRoute | None:
    names = ("SMS_INTL_SDKAPPID", "SMS_INTL_SIGN", "SMS_INTL_TEMPLATE_ID", "SMS_SENDER_ID", "SMS_INTL_PURPOSES")
    route = SmsRoute(*(values[name] for name in names))
    if route == SmsRoute("", "", ""):
        return None
    if not (route.app_id and route.template_id):  # a signature is optional outside mainland China
        read.problem("SMS_INTL_SDKAPPID and SMS_INTL_TEMPLATE_ID", "go together")
    return route
