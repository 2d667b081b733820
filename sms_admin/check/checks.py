"""The list of checks, and the settings that each needs: a second composition root, beside `wiring`."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial

from sms_admin.check import captcha, clock, key_set, keys, limits, redis, send, settings, tencent
from sms_admin.check.report import Check, Finding, ok, problem, run
from sms_admin.language import tr
from sms_login.phone import Phone
from sms_login.settings.settings import Settings

_MAINLAND = ("SMS_SDKAPPID", "SMS_SIGN", "SMS_TEMPLATE_", "SMS_REGION", "SMS_ENDPOINT", "SMS_TIMEOUT")
_LIMITS = (
    "IP_",
    "RANGE_",
    "COUNTRY_",
    "DAILY_",
    "RESEND_COOLDOWN",
    "CODE_TTL",
    "TOKEN_TTL",
    "REFRESH_TTL",
    "SESSION_TTL",
)


INSIDE = ("redis", "users")  # the checks of what is reached in the function's network alone
_LONGEST_INSIDE = 45.0  # s: the admin function has 60


def examine(
    environ: Mapping[str, str], phone: Phone | None = None, url: str | None = None, without: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield the findings on the deployment that `environ` describes; with `phone`, send one real message.

    With `url`, compare its keys with those that the function there publishes. Checks named in `without` are left out.

    Offline checks come first. A check that depends on a wrong setting is skipped; the others run.
    """
    read, problems, broken = settings.read(environ)
    checks = [Check("settings", partial(settings.check, problems))]
    if read:
        checks += _checks(read, environ)
        if url:
            checks.append(Check("keys.published", partial(key_set.check, read, url), ("JWT_", "SECRET")))
        if phone:
            names = _MAINLAND if phone.region == "CN" else ("SMS_",)
            checks.append(Check("send", partial(send.check, read, environ, phone), names))
    yield from run([check for check in checks if check.name not in without], broken)


def examine_inside(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the findings of the checks that have to run in the function's network."""
    read, _, broken = settings.read(environ)
    checks = [check for check in _checks(read, environ) if check.name in INSIDE] if read else []
    yield from run(checks, broken, in_all=_LONGEST_INSIDE)


def _checks(read: Settings, environ: Mapping[str, str]) -> list[Check]:
    return [
        Check("keys", partial(keys.check, read, environ), ("JWT_", "SECRET")),
        Check("limits", partial(limits.limits, read), _LIMITS),
        Check("sending", partial(limits.sending, read), ("SENDING", "SMS_ENDPOINT")),
        Check("countries", partial(limits.countries, read), ("ALLOWED_COUNTRIES", "DEFAULT_COUNTRY", "SMS_INTL_")),
        Check("client-ip", partial(limits.client_ip, read), ("CLIENT_IP_SOURCE",)),
        Check("test-numbers", partial(limits.test_numbers, read), ("TEST_NUMBERS",)),
        Check("redis", partial(redis.check, read), ("REDIS_",)),
        Check("users", partial(_users, read), ("USERS_URL",)),
        Check("clock", partial(clock.check, read), ("SMS_ENDPOINT",)),
        Check("credentials", partial(tencent.check, read, environ), _MAINLAND),
        Check("captcha", partial(captcha.check, read, environ), ("CAPTCHA_",)),
    ]


def _users(read: Settings) -> Iterable[Finding]:
    url = read.users_url.reveal()
    if not url:
        return [ok("users", tr("in Redis", "保存在 Redis 中"))]
    try:
        from sms_admin.check import users  # noqa: PLC0415 - SQLAlchemy is optional
    except ModuleNotFoundError as missing:
        found = tr(f"USERS_URL needs {missing.name}", f"USERS_URL 需要 {missing.name}")
        return [problem("users", found, tr("deploy with requirements/sql.txt", "部署时请加上 requirements/sql.txt"))]
    return users.check(url)
