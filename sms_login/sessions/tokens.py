"""JWTs about a number: their common claims (RFC 7519, section 4.1), checked as RFC 8725 requires."""

import time
from typing import Any, TypeVar

import msgspec

from sms_login.errors import InvalidPhone, TokenExpired, TokenInvalid
from sms_login.phone import Phone
from sms_login.secret import Masked
from sms_login.sessions.keys import KeyRing

LEEWAY = 60  # s that two machines' clocks may differ by


class Payload(Masked, frozen=True, kw_only=True):
    """The claims that every token must have, and `nbf` if it has one. Times in epoch seconds."""

    iss: str
    aud: str | list[str]
    iat: float
    exp: float
    jti: str
    phone: str
    nbf: float = 0


P = TypeVar("P", bound=Payload)


class Tokens(msgspec.Struct, frozen=True, eq=False):
    """The base of AccessTokens and Proofs, which the keys of `ring` sign, and the `typ` of the header tells apart."""

    ring: KeyRing
    issuer: str
    audience: str

    def _sign(self, typ: str, issued_at: int, life: int, claims: dict[str, Any]) -> str:
        """Return a token that lives for `life` seconds."""
        times = {"iat": issued_at, "exp": issued_at + life}
        return self.ring.sign(msgspec.json.encode({"iss": self.issuer, "aud": self.audience, **times, **claims}), typ)

    def _verify(self, typ: str, token: str, kind: type[P], *, late: int = 0) -> tuple[P, Phone]:
        """Return the claims and the number of a token of this `typ` that this service issued, up to `late` s too late.

        Raises TokenExpired, or TokenInvalid.
        """
        try:
            # `typ` may have its whole media type: RFC 9068, section 4.
            text = self.ring.verify(token, {typ, f"application/{typ}"}).decode()  # UTF-8 alone: RFC 8725, section 3.7
            claims = msgspec.json.decode(text, type=kind)
            phone = Phone.from_e164(claims.phone)
        except (ValueError, RecursionError, InvalidPhone):
            raise TokenInvalid from None
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        ours = claims.iss == self.issuer and self.audience in audiences
        now = time.time()
        if not ours or max(claims.iat, claims.nbf) > now + LEEWAY:
            raise TokenInvalid
        if claims.exp <= now - late:
            raise TokenExpired
        return claims, phone
