"""Access tokens: short-lived JWTs in the form of RFC 9068, checked as RFC 8725 says."""

import time
from dataclasses import dataclass
from secrets import token_urlsafe

from sms_login.errors import InvalidPhone, TokenExpired, TokenInvalid
from sms_login.phone import Phone
from sms_login.ports import User

_TYPE = "at+jwt"  # RFC 9068, section 2.1: keeps other kinds of JWT from passing as an access token
_REQUIRED = ["iss", "sub", "aud", "iat", "exp", "jti", "phone"]
_LEEWAY = 60  # s by which two machines' clocks may differ


@dataclass(frozen=True, slots=True)
class Claims:
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
        import jwt  # noqa: PLC0415 - only a path that needs it pays for it on a cold start

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
        return jwt.encode(claims, self._keys[0], algorithm="HS256", headers={"typ": _TYPE})

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
