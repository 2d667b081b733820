"""Tencent Captcha: whether it answers and knows our application."""

from collections.abc import Iterator, Mapping

from sms_admin.check.report import Finding, ok, problem, warning
from sms_login.errors import ServiceUnavailable
from sms_login.settings.settings import Settings
from sms_login.wiring import tencent_captcha

_TICKET, _RANDSTR, _IP = "made-up-by-sms-login-check", "@made-up", "127.0.0.1"
_APPLICATION = ("code 16", "code 100")  # the ticket belongs to another application; the AppSecretKey is wrong


def check(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Send a made-up ticket, and report why it is refused."""
    if not settings.captcha_app_id or settings.captcha_mode == "off":
        found = "CAPTCHA_MODE is off" if settings.captcha_app_id else "no CAPTCHA_APP_ID"
        todo = "set up Tencent Captcha before you publish: nothing else stops an attacker with many addresses"
        yield warning("captcha", f"{found}: the hourly limits are the only gate", todo)
        return
    try:
        refusal = tencent_captcha(settings, environ).refusal(_TICKET, _RANDSTR, _IP)
    except ServiceUnavailable as error:
        todo = "allow the action captcha:DescribeCaptchaResult; until it answers, every ticket is refused"
        if "no credentials" in error.detail:
            todo = "see credentials"
        yield problem("captcha", error.detail, todo)
        return
    if refusal is None:
        yield problem("captcha", "a made-up ticket is accepted", "check CAPTCHA_ENDPOINT")
    elif refusal in _APPLICATION:
        todo = "compare CAPTCHA_APP_ID and CAPTCHA_APP_SECRET with the captcha console (AppSecretKey)"
        yield warning("captcha", f"a made-up ticket is refused as another application's ({refusal})", todo)
    else:
        yield ok("captcha", f"answers, and refuses a made-up ticket ({refusal}); CAPTCHA_MODE {settings.captcha_mode}")
