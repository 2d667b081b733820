"""Access tokens: short-lived JWTs (RFC 9068), checked as RFC 8725 requires. `keys` signs and verifies them."""

import time
from secrets import token_urlsafe

import msgspec

from sms_login.errors import InvalidPhone, TokenExpired, TokenInvalid
from sms_login.phone import Phone
from sms_login.sessions.keys import KeyRing
from sms_login.users import User

_TYPE = "at+jwt"  # RFC 9068, section 2.1: no other kind of JWT passes as an access token
_TYPES = {_TYPE, f"application/{_TYPE}"}  # RFC 9068, section 4
_AVATAR = 1024  # bytes of the claim as JSON: with a longer one, the token would exceed the length of a parameter
_LEEWAY = 60  # s that two machines' clocks may differ by


class Claims(msgspec.Struct, frozen=True):
    """The user and the session of a token."""

    user_id: str
    phone: Phone
    session: str


class _Payload(msgspec.Struct, frozen=True):
    """The claims that a token must have (RFC 9068, section 2.2), and `nbf` if it has one. Times in epoch seconds."""

    iss: str
    sub: str
    aud: str | list[str]
    client_id: str
    iat: float
    exp: float
    jti: str
    sid: str
    phone: str
    nbf: float = 0


class AccessTokens(msgspec.Struct, frozen=True, eq=False):
    """Issues and verifies access tokens that the keys of `ring` sign. `ttl` is in seconds."""

    ring: KeyRing
    issuer: str
    audience: str
    ttl: int

    def issue(self, user: User, session: str) -> str:
        """Return a token for `user` and `session`."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": user.id,
            "aud": self.audience,
            "client_id": self.audience,  # the app requests tokens for itself: there are no other clients
            "iat": now,
            "exp": now + self.ttl,
            "jti": token_urlsafe(16),
            "sid": session,
            "phone": user.phone.e164,
            "name": user.name,
            "avatar": user.avatar if len(msgspec.json.encode(user.avatar)) <= _AVATAR else "",
        }
        return self.ring.sign(msgspec.json.encode(claims), _TYPE)

    def verify(self, token: str) -> Claims:
        """Return the claims of a token that this service issued. Raises TokenExpired, or TokenInvalid."""
        try:
            text = self.ring.verify(token, _TYPES).decode()  # UTF-8 and nothing else: RFC 8725, section 3.7
            claims = msgspec.json.decode(text, type=_Payload)
            verified = Claims(claims.sub, Phone.from_e164(claims.phone), claims.sid)
        except (ValueError, RecursionError, InvalidPhone):
            raise TokenInvalid from None
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        ours = claims.iss == self.issuer and self.audience in audiences
        now = time.time()
        if not ours or max(claims.iat, claims.nbf) > now + _LEEWAY:
            raise TokenInvalid
        if claims.exp <= now - _LEEWAY:
            raise TokenExpired
        return verified
