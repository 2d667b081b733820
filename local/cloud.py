"""The function's surroundings on this machine: Redis, a stand-in for APIs of Tencent Cloud, and the environment."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from local import captcha
from local.describe_sms import ABROAD, MAINLAND, MARKETING, Catalogue, Sign, Template, content
from local.embedded_redis import embedded_redis
from local.inbox import Message
from local.invoke import Function
from local.tencent import TencentStandIn

ADMIN = "sms-login-admin"  # the name of the admin function
# The stand-in accepts any value; settings of the environment take precedence.
_DEFAULTS = {
    "SMS_SDKAPPID": "1400000000",
    "SMS_SIGN": "sms-login",
    "SMS_TEMPLATE_ID": "1000000",
    "SMS_PURPOSES": "resetPassword=1000002,pay=1000004,changePhone=1000006",
    "SMS_INTL_SDKAPPID": "1400000001",
    "SMS_INTL_SIGN": "sms-login",
    "SMS_INTL_TEMPLATE_ID": "1000001",
    "SMS_INTL_PURPOSES": "resetPassword=1000003,pay=1000005,changePhone=1000007",
    "VMS_SDKAPPID": "1400000002",
    "BULK_SDKAPPID": "1400000003",
    "ALLOWED_COUNTRIES": "CN",
}
_WISH = Template(
    1000010, "尊敬的{1}，公司A祝您{2}快乐！拒收请回复R", name="wish", sms_type=MARKETING
)  # of docs/bulk.md
_REDIS = (
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_PASSWORD",
    "REDIS_DB",
    "REDIS_TLS",
    "REDIS_CA_FILE",
    "REDIS_TLS_NAME",
    "REDIS_CLUSTER",
)
# Nothing of the local cloud goes through a proxy, not even in a library that reads these.
_PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


@dataclass(frozen=True, repr=False)
class Cloud:
    """``environ`` is the function's whole environment, ``tencent`` takes its SMS and judges its captchas."""

    environ: dict[str, str]
    tencent: TencentStandIn


@contextmanager
def local_cloud(
    environ: Mapping[str, str],
    *,
    redis: Callable[[], AbstractContextManager[tuple[str, int, str]]] = embedded_redis,
    on_message: Callable[[Message], None] | None = None,
    on_log: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> Iterator[Cloud]:
    """Start the stand-in, and ``redis`` unless ``environ`` names one; give the environment that leads to both.

    Settings of ``environ`` are kept (``CODE_TTL=60``), except for the endpoints, the keys and the captcha application
    of Tencent Cloud: those are always made up, so that no real key is used and no real SMS is sent.
    """
    settings = {name: value for name, value in environ.items() if name not in _PROXIES}
    with ExitStack() as stack:
        if not settings.get("REDIS_HOST"):
            host, port, password = stack.enter_context(redis())
            settings = {name: value for name, value in settings.items() if name not in _REDIS}
            settings |= {"REDIS_HOST": host, "REDIS_PORT": str(port), "REDIS_PASSWORD": password}
        settings |= {name: value for name, value in _DEFAULTS.items() if not settings.get(name)}
        key = {
            "TENCENTCLOUD_SECRETID": f"local-{secrets.token_hex(8)}",
            "TENCENTCLOUD_SECRETKEY": secrets.token_hex(16),
            "TENCENTCLOUD_SESSIONTOKEN": secrets.token_hex(16),
        }
        app = {"CAPTCHA_APP_ID": captcha.APP_ID, "CAPTCHA_APP_SECRET": secrets.token_hex(12)}
        tencent = stack.enter_context(
            TencentStandIn(
                secret_id=key["TENCENTCLOUD_SECRETID"],
                secret_key=key["TENCENTCLOUD_SECRETKEY"],
                token=key["TENCENTCLOUD_SESSIONTOKEN"],
                captcha_app_id=app["CAPTCHA_APP_ID"],
                captcha_secret=app["CAPTCHA_APP_SECRET"],
                catalogue=_catalogue(settings),
                on_message=on_message,
                clock=clock,
            )
        )
        endpoints = ("SMS_ENDPOINT", "CAPTCHA_ENDPOINT", "ADMIN_ENDPOINT", "VMS_ENDPOINT")
        settings |= key | app | dict.fromkeys(endpoints, tencent.url)
        if not settings.get("SMS_RECEIPT_KEY"):
            settings["SMS_RECEIPT_KEY"] = secrets.token_hex(16)
        if not settings.get("JWT_SECRET") and not settings.get("JWT_PRIVATE_KEY"):
            settings["JWT_SECRET"] = secrets.token_urlsafe(32)
        if settings.get("JWT_PRIVATE_KEY") and not settings.get("SECRET"):
            settings["SECRET"] = secrets.token_urlsafe(32)
        tencent.functions[ADMIN] = _admin_function(settings, on_log)
        yield Cloud(settings, tencent)


def _admin_function(environ: Mapping[str, str], on_log: Callable[[str], None] | None) -> Function:
    """Return the admin function in an environment. It has libraries of its own, imported when it is first called."""

    def handler(event: Any, context: dict[str, Any]) -> Any:
        from sms_admin.function import answer  # noqa: PLC0415 - see above

        return answer(event, context, environ, on_log)

    return handler


def _catalogue(settings: Mapping[str, str]) -> Catalogue:
    """Return an account with the templates and signatures of the settings, and with a template for bulk messages."""
    sides = {MAINLAND: "SMS_", ABROAD: "SMS_INTL_"}
    return Catalogue(
        [*(template for side, prefix in sides.items() for template in _templates(settings, prefix, side)), _WISH],
        [Sign(side + 1, settings[f"{prefix}SIGN"], side) for side, prefix in sides.items()],
    )


def _templates(settings: Mapping[str, str], prefix: str, side: int) -> Iterator[Template]:
    """Yield the templates of one side: that of the login, then those of the purposes."""
    pairs = [f"login={settings[f'{prefix}TEMPLATE_ID']}", *settings[f"{prefix}PURPOSES"].split(",")]
    for purpose, _, number in (pair.partition("=") for pair in pairs):
        if number.strip().isdecimal():
            text = content(settings.get("SMS_TEMPLATE_PARAMS", ""), side, purpose.strip())
            yield Template(int(number), text, side)
