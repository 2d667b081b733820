"""Access tokens: issued by the product, forged by hand, and read without verification."""

import base64
import hmac
import json
from typing import Any

from sms_login.sessions.access_tokens import AccessTokens
from sms_login.sessions.keys import KeyRing, shared_key
from sms_login.users import User
from tests.testkit.forging import encoded
from tests.testkit.world import PHONE, SECRET

TTL = 7200
USER = User("user-1", PHONE, "小明", "https://example.com/a.png", 1_795_233_600_000)
HEADER = {"alg": "HS256", "typ": "at+jwt"}


def tokens(*secrets: bytes, issuer: str = "issuer", audience: str = "audience") -> AccessTokens:
    """Return an issuer and verifier of access tokens."""
    return AccessTokens(KeyRing(*map(shared_key, secrets or (SECRET,))), issuer=issuer, audience=audience, ttl=TTL)


def parts(token: str) -> list[dict[str, Any]]:
    """Return header and claims of a token without verifying it."""
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def signed(payload: Any, header: Any = None, *, digest: str = "sha256") -> str:
    """Return a token that the code under test did not make."""
    message = f"{encoded(HEADER if header is None else header)}.{encoded(payload)}"
    return f"{message}.{encoded(hmac.digest(SECRET, message.encode(), digest))}"
