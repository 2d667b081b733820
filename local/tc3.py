"""Check a request's signature as Tencent Cloud does: "Signature v3" (TC3-HMAC-SHA256) of its API documents.

It is checked against the wire: the values of the headers and the hash of the body's bytes as they arrived.
"""

import hashlib
import hmac
import re
from datetime import datetime, timezone
from email.message import Message

from local.errors import ApiError

TOLERANCE = 300  # s that a client's clock may be off, either way

_AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256 Credential=(?P<secret_id>[^/\s]+)/(?P<scope>[0-9]{4}-[0-9]{2}-[0-9]{2}/[a-z]+/tc3_request), ?"
    r"SignedHeaders=(?P<signed>[a-z0-9-]+(?:;[a-z0-9-]+)*), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


def verify(headers: Message, body: bytes, *, service: str, secret_id: str, secret_key: str, now: float) -> None:
    """Return if a POST to ``/`` was signed with this key for this service; ``now`` is in epoch seconds.

    Raises ApiError: ``AuthFailure.*``, or ``MissingParameter`` without a timestamp.
    """
    authorization = _AUTHORIZATION.fullmatch(headers.get("Authorization", ""))
    if authorization is None:
        raise ApiError("AuthFailure.InvalidAuthorization", "The Authorization header is missing or malformed.")
    timestamp = headers.get("X-TC-Timestamp", "")
    if not re.fullmatch("[0-9]{1,12}", timestamp):
        raise ApiError("MissingParameter", "The request header `X-TC-Timestamp` is missing or not a number.")
    if not _same(authorization["secret_id"], secret_id):
        raise ApiError("AuthFailure.SecretIdNotFound", "The SecretId is not found.")
    if abs(now - int(timestamp)) > TOLERANCE:
        raise ApiError("AuthFailure.SignatureExpire", "The timestamp differs by more than five minutes from our clock.")

    scope = f"{datetime.fromtimestamp(int(timestamp), timezone.utc):%Y-%m-%d}/{service}/tc3_request"
    signed = authorization["signed"].split(";")
    canonical = canonical_request(headers, signed, body)
    right = signature(canonical, timestamp=timestamp, scope=scope, secret_key=secret_key)
    complete = {"content-type", "host"} <= set(signed) and signed == sorted(signed)
    if authorization["scope"] != scope or not complete or not _same(authorization["signature"], right):
        raise ApiError("AuthFailure.SignatureFailure", "The provided credentials could not be validated.")


def canonical_request(headers: Message, signed: list[str], body: bytes) -> str:
    """Return the text that the signature of a POST to ``/`` covers; header names and values are in lower case."""
    lines = [f"{name}:{headers.get(name, '').strip().lower()}\n" for name in signed]
    return "\n".join(["POST", "/", "", "".join(lines), ";".join(signed), hashlib.sha256(body).hexdigest()])


def signature(canonical: str, *, timestamp: str, scope: str, secret_key: str) -> str:
    """Return the signature in hex; ``scope`` is ``YYYY-MM-DD/service/tc3_request``."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"TC3{secret_key}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return _hmac(key, f"TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}").hex()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _same(left: str, right: str) -> bool:
    # As bytes: compare_digest refuses text that is not ASCII.
    return hmac.compare_digest(left.encode(), right.encode())
