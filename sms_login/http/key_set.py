"""The key set's HTTP answer: the only cacheable one, since services that verify tokens ask for it again and again."""

import hashlib
from http import HTTPStatus

from sms_login import base64url
from sms_login.http.events import Request

LIFETIME = 300  # s that a cache may keep the key set; a rotation waits for it


def status_and_headers(request: Request, body: bytes) -> tuple[int, dict[str, str]]:
    """Return those of the answer with this body: 304 if the client's copy is current (RFC 9110, section 13.1.2).

    A cache goes by the URL alone. An answer to a request with a body is not cacheable, since the body may have selected
    the method: an attacker could put the key set in the place of another method's answer.
    """
    if request.verb not in {"GET", "HEAD"} or request.has_body:
        return HTTPStatus.OK, {}
    tag = f'"{base64url.encode(hashlib.sha256(body).digest())}"'
    known = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    status = HTTPStatus.NOT_MODIFIED if tag in known or known == ["*"] else HTTPStatus.OK
    # The answer to a page has other headers than that to a service, and a cache must keep both.
    return status, {"Cache-Control": f"public, max-age={LIFETIME}", "ETag": tag, "Vary": "Origin"}
