"""The local clock against Tencent Cloud's: the Date header of any answer, signed or not, tells the time."""

import contextlib
import http.client
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from sms_admin.check.report import Finding, ok, problem, warning
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
        todo = "check that it can be reached from here; behind a proxy, compare the clocks by hand"
        yield warning("clock", f"{settings.sms_endpoint} does not tell the time: {type(error).__name__}", todo)
        return
    skew = now - theirs
    found = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} Tencent Cloud's"
    if abs(skew) > _REFUSED:
        yield problem("clock", found, "set the clock: Tencent Cloud refuses every SMS until then")
    elif abs(skew) > _NOTABLE:
        yield warning("clock", found, "set the clock: beyond five minutes, Tencent Cloud refuses every SMS")
    else:
        yield ok("clock", "agrees with Tencent Cloud's")
