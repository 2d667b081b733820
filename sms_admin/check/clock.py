"""Our clock against Tencent Cloud's, by the header Date of any answer: nothing needs to be signed for that."""

import contextlib
import http.client
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from sms_admin.check.report import Finding, ok, problem, warning
from sms_login.settings.settings import Settings

_TIMEOUT = 3.0  # s
_NOTABLE = 30.0  # s; the header has whole seconds
_REFUSED = 300.0  # s; Tencent Cloud refuses a signature that is further off


def check(settings: Settings) -> Iterator[Finding]:
    """Tell how far our clock is off."""
    scheme, _, host = settings.sms_endpoint.rpartition("://")
    kind = http.client.HTTPConnection if scheme == "http" else http.client.HTTPSConnection
    try:
        with contextlib.closing(kind(host.rstrip("/"), timeout=_TIMEOUT)) as connection:
            connection.request("HEAD", "/")
            answer = connection.getresponse()
            now = time.time()
            theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (OSError, http.client.HTTPException, TypeError, ValueError) as error:
        todo = "see that it can be reached from here; where a proxy leads to it, compare the clock by hand"
        yield warning("clock", f"{settings.sms_endpoint} does not tell the time: {type(error).__name__}", todo)
        return
    skew = now - theirs
    found = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} Tencent Cloud's"
    if abs(skew) > _REFUSED:
        yield problem("clock", found, "set the clock: every sending is refused until then")
    elif abs(skew) > _NOTABLE:
        yield warning("clock", found, "set the clock: at five minutes every sending is refused")
    else:
        yield ok("clock", "agrees with Tencent Cloud's")
