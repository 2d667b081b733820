"""Access tokens: short-lived JWTs in the form of RFC 9068, checked as RFC 8725 says."""

import time
from functools import cached_property
from secrets import token_urlsafe
from typing import Any

import msgspec
from msgspec import Struct

from sms_login.errors import InvalidPhone, TokenExpired, TokenInvalid
from sms_login.phone import Phone
from sms_login.ports import User

_TYPE = "at+jwt"  # RFC 9068, section 2.1: keeps other kinds of JWT from passing as an access token
_REQUIRED = ["iss", "sub", "aud", "iat", "exp", "jti", "phone"]
_LEEWAY = 60  # s by which two machines' clocks may differ


class Claims(Struct, frozen=True):
    """Whom a token is for."""

    user_id: str
    phone: Phone


class AccessTokens:
    """Signs and verifies access tokens with HS256.

    The `current` secret (32 bytes or more, RFC 7518 section 3.2) signs, the `previous` ones still verify. `ttl` is in
    seconds.
    """

    def __init__(self, current: bytes, *previous: bytes, issuer: str, audience: str, ttl: int) -> None:
        self._keys = (current, *previous)
        self._issuer = issuer
        self._audience = audience
        self.ttl = ttl

    def issue(self, user: User) -> str:
        """Return a token for `user`."""
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "sub": user.id,
            "aud": self._audience,
            "iat": now,
            "exp": now + self.ttl,
            "jti": token_urlsafe(16),
            "phone": user.phone.e164,
            "name": user.name,
            "avatar": user.avatar,
        }
        jws, key = self._signer
        token: str = jws.encode(msgspec.json.encode(claims), key, "HS256", headers={"typ": _TYPE})
        return token

    @cached_property
    def _signer(self) -> tuple[Any, bytes]:
        """PyJWT's signer and its key, examined once: `jwt.encode` examines the key for every token."""
        import jwt  # noqa: PLC0415 - only a path that needs it pays for it on a cold start
        from jwt.algorithms import HMACAlgorithm  # noqa: PLC0415 - as above

        class Examined(HMACAlgorithm):
            def prepare_key(self, key: str | bytes) -> bytes:
                return key.encode() if isinstance(key, str) else key

        key = HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(self._keys[0])
        jws = jwt.PyJWS(algorithms=[])
        jws.register_algorithm("HS256", Examined(HMACAlgorithm.SHA256))
        return jws, key

    def verify(self, token: str) -> Claims:
        """Return the claims of one of our tokens. Raises TokenExpired, or TokenInvalid for anything else amiss."""
        import jwt  # noqa: PLC0415 - as above

        if not token.isascii():  # a JWT is, and PyJWT stumbles over a lone surrogate
            raise TokenInvalid
        for key in self._keys:
            try:
                parts = jwt.decode_complete(
                    token,
                    key,
                    algorithms=["HS256"],  # never from the token's own header: RFC 8725, section 3.1
                    issuer=self._issuer,
                    audience=self._audience,
                    leeway=_LEEWAY,
                    options={"require": _REQUIRED},
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.ExpiredSignatureError:
                raise TokenExpired from None
            except jwt.InvalidTokenError:
                raise TokenInvalid from None
            return _claims(parts["header"], parts["payload"])
        raise TokenInvalid


def _claims(header: dict[str, object], payload: dict[str, object]) -> Claims:
    user_id, phone = payload["sub"], payload["phone"]
    if header.get("typ") != _TYPE or not isinstance(user_id, str) or not isinstance(phone, str):
        raise TokenInvalid
    try:
        return Claims(user_id, Phone.parse(phone, "ZZ"))
    except InvalidPhone:
        raise TokenInvalid from None
