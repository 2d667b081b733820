"""Access tokens: short-lived JWTs of a signed-in user (RFC 9068)."""

import time
from secrets import token_urlsafe

import msgspec

from sms_login.phone import Phone
from sms_login.secret import Masked
from sms_login.sessions.tokens import LEEWAY, Payload, Tokens
from sms_login.users import User

_TYPE = "at+jwt"  # RFC 9068, section 2.1: no other kind of JWT passes as an access token
_AVATAR = 1024  # bytes of the claim as JSON: with a longer one, the token would exceed the length of a parameter


class Claims(Masked, frozen=True):
    """The user and the session of a token."""

    user_id: str
    phone: Phone
    session: str


class _Payload(Payload, frozen=True, kw_only=True):
    """The claims that an access token must have (RFC 9068, section 2.2)."""

    sub: str
    client_id: str
    sid: str


class AccessTokens(Tokens, frozen=True, eq=False):
    """Issues and verifies access tokens. `ttl` is in seconds."""

    ttl: int

    def issue(self, user: User, session: str) -> str:
        """Return a token for `user` and `session`."""
        claims = {
            "sub": user.id,
            "client_id": self.audience,  # the app requests tokens for itself: there are no other clients
            "jti": token_urlsafe(16),
            "sid": session,
            "phone": user.phone.e164,
            "name": user.name,
            "avatar": user.avatar if len(msgspec.json.encode(user.avatar)) <= _AVATAR else "",
        }
        return self._sign(_TYPE, int(time.time()), self.ttl, claims)

    def verify(self, token: str) -> Claims:
        """Return the claims of an access token that this service issued. Raises TokenExpired, or TokenInvalid."""
        claims, phone = self._verify(_TYPE, token, _Payload, late=LEEWAY)
        return Claims(claims.sub, phone, claims.sid)
