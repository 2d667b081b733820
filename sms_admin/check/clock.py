"""The local clock against Tencent Cloud's: the Date header of any answer, signed or not, tells the time."""

import contextlib
import http.client
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from sms_admin.check.report import Finding, ok, problem, warning
from sms_admin.language import tr
from sms_login.settings.settings import Settings

_TIMEOUT = 3.0  # s
_NOTABLE = 30.0  # s; the header has whole seconds
_REFUSED = 300.0  # s; beyond it, Tencent Cloud refuses signatures


def check(settings: Settings) -> Iterator[Finding]:
    """Report the difference between the clocks."""
    scheme, _, host = settings.sms_endpoint.rpartition("://")
    kind = http.client.HTTPConnection if scheme == "http" else http.client.HTTPSConnection
    try:
        with contextlib.closing(kind(host.rstrip("/"), timeout=_TIMEOUT)) as connection:
            connection.request("HEAD", "/")
            answer = connection.getresponse()
            now = time.time()
            theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (OSError, http.client.HTTPException, TypeError, ValueError) as error:
        todo = tr(
            "check that it can be reached from here; behind a proxy, compare the clocks by hand",
            "请检查此处能否访问它；经由代理时，请手动核对时钟",
        )
        kind_of = type(error).__name__
        found = tr(
            f"{settings.sms_endpoint} does not tell the time: {kind_of}",
            f"{settings.sms_endpoint} 没有给出时间：{kind_of}",
        )
        yield warning("clock", found, todo)
        return
    skew = now - theirs
    found = tr(
        f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} Tencent Cloud's",
        f"比腾讯云的时钟{'快' if skew > 0 else '慢'} {abs(skew):.0f} 秒",
    )
    if abs(skew) > _REFUSED:
        todo = tr("set the clock: Tencent Cloud refuses every SMS until then", "请校准时钟：在此之前腾讯云拒绝所有短信")
        yield problem("clock", found, todo)
    elif abs(skew) > _NOTABLE:
        todo = tr(
            "set the clock: beyond five minutes, Tencent Cloud refuses every SMS",
            "请校准时钟：相差超过五分钟时，腾讯云拒绝所有短信",
        )
        yield warning("clock", found, todo)
    else:
        yield ok("clock", tr("agrees with Tencent Cloud's", "与腾讯云的时钟一致"))
