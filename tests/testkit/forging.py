"""Tokens that the code under test did not make, with any header, payload and key."""

import base64
import json
import time
from functools import cache
from typing import Any

from jwt.algorithms import get_default_algorithms

from sms_login.sessions import pem
from sms_login.sessions.access_tokens import AccessTokens
from sms_login.sessions.keys import Key, KeyRing, shared_key
from tests.testkit.key_files import ALGORITHMS, private_pem
from tests.testkit.world import OLD_SECRET, PHONE, SECRET

KINDS = ["HS256", *ALGORITHMS]
TTL = 7200


@cache  # reading an RSA key takes a while
def key(kind: str, nth: int = 0) -> Key:
    """Return the n-th signing key of a kind."""
    return shared_key((SECRET, OLD_SECRET)[nth]) if kind == "HS256" else pem.private_key(private_pem(kind, nth))


def tokens(kind: str, *previous: Key) -> AccessTokens:
    """Return an issuer and verifier of access tokens with the first key of a kind."""
    return AccessTokens(KeyRing(key(kind), *previous), issuer="issuer", audience="audience", ttl=TTL)


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a valid token, with `changes`; a claim that is None is left out."""
    now = int(time.time())
    standard = {"iss": "issuer", "sub": "user-1", "aud": "audience", "iat": now, "exp": now + TTL, "jti": "id"}
    standard |= {"client_id": "audience", "sid": "s", "phone": PHONE.e164}
    return {name: value for name, value in {**standard, **changes}.items() if value is not None}


def encoded(part: Any) -> str:
    """Return one part of a token."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token_of(signer: Key, header: Any, payload: Any, *, algorithm: str = "") -> str:
    """Return a token that `signer` signed, with `algorithm` or its own; the header names its own.

    A header or payload of bytes is encoded as it is.
    """
    whole = header if isinstance(header, bytes) else {"alg": signer.algorithm, **header}
    message = f"{encoded(whole)}.{encoded(payload)}"
    signature = get_default_algorithms()[algorithm or signer.algorithm].sign(message.encode(), signer.signer)
    return f"{message}.{encoded(signature)}"


def forged(kind: str, payload: Any = None, /, **header: Any) -> str:
    """Return a token under the first key of a kind; a member of the header that is None is left out."""
    whole = {"typ": "at+jwt", "kid": key(kind).kid, **header}
    kept = {name: value for name, value in whole.items() if value is not None}
    return token_of(key(kind), kept, claims() if payload is None else payload)
