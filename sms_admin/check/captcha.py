"""Tencent Captcha: whether it answers and knows our application."""

from collections.abc import Iterator, Mapping

from sms_admin.check.report import Finding, ok, problem, warning
from sms_admin.language import tr
from sms_login.errors import ServiceUnavailable
from sms_login.settings.settings import Settings
from sms_login.wiring import tencent_captcha

_TICKET, _RANDSTR, _IP = "made-up-by-sms-login-check", "@made-up", "127.0.0.1"
_APPLICATION = ("code 16", "code 100")  # the ticket belongs to another application; the AppSecretKey is wrong


def check(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Send a made-up ticket, and report why it is refused."""
    if not settings.captcha_app_id or settings.captcha_mode == "off":
        found = (
            tr("CAPTCHA_MODE is off", "CAPTCHA_MODE 为 off")
            if settings.captcha_app_id
            else tr("no CAPTCHA_APP_ID", "没有 CAPTCHA_APP_ID")
        )
        todo = tr(
            "set up Tencent Captcha before you publish: nothing else stops an attacker with many addresses",
            "上线前请配置腾讯云验证码：攻击者拥有大量地址时，别无他法",
        )
        yield warning(
            "captcha", tr(f"{found}: the hourly limits are the only gate", f"{found}：只有每小时限额把关"), todo
        )
        return
    try:
        refusal = tencent_captcha(settings, environ).refusal(_TICKET, _RANDSTR, _IP)
    except ServiceUnavailable as error:
        todo = tr(
            "allow the action captcha:DescribeCaptchaResult; until it answers, every ticket is refused",
            "请授权 captcha:DescribeCaptchaResult；在有应答之前，所有票据都会被拒绝",
        )
        if "no credentials" in error.detail:
            todo = tr("see credentials", "见 credentials 一项")
        yield problem("captcha", error.detail, todo)
        return
    if refusal is None:
        yield problem(
            "captcha",
            tr("a made-up ticket is accepted", "伪造的票据被接受"),
            tr("check CAPTCHA_ENDPOINT", "请检查 CAPTCHA_ENDPOINT"),
        )
    elif refusal in _APPLICATION:
        todo = tr(
            "compare CAPTCHA_APP_ID and CAPTCHA_APP_SECRET with the captcha console (AppSecretKey)",
            "请与验证码控制台核对 CAPTCHA_APP_ID 和 CAPTCHA_APP_SECRET（AppSecretKey）",
        )
        found = tr(
            f"a made-up ticket is refused as another application's ({refusal})",
            f"伪造的票据被当作其他应用的票据拒绝（{refusal}）",
        )
        yield warning("captcha", found, todo)
    else:
        found = tr(
            f"answers, and refuses a made-up ticket ({refusal}); CAPTCHA_MODE {settings.captcha_mode}",
            f"有应答，并拒绝伪造的票据（{refusal}）；CAPTCHA_MODE 为 {settings.captcha_mode}",
        )
        yield ok("captcha", found)
