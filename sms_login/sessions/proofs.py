"""Proofs: short-lived JWTs which say that a number was in hand, for one purpose. None is an access token."""

import time
from secrets import token_urlsafe

from sms_login.errors import TokenInvalid
from sms_login.periods import Seconds
from sms_login.phone import Phone
from sms_login.secret import Masked
from sms_login.sessions.tokens import Payload, Tokens

LIFE = 300  # s
_TYPE = "proof+jwt"


class Proven(Masked, frozen=True, rename="camel"):
    """The code was right for its purpose; `proof` is a JWT that says so."""

    proof: str
    expires_in: Seconds


class Proof(Masked, frozen=True):
    """A verified proof of a number; `detail` is the base64url of the SHA-256 of its detail, "" without one."""

    id: str
    phone: Phone
    detail: str


class _Payload(Payload, frozen=True, kw_only=True):
    """The claims that a proof must have, and `detail` if it has one."""

    purpose: str
    detail: str = ""


class Proofs(Tokens, frozen=True, eq=False):
    """Issues and verifies proofs."""

    def new_id(self) -> str:
        """Return an id for a proof, which has the time in it: a proof that is issued again is the same."""
        return f"{int(time.time())}.{token_urlsafe(16)}"

    def issue(self, proof_id: str, phone: Phone, purpose: str, detail: str, *, called: bool = False) -> Proven:
        """Return the proof with an id of `new_id`; `detail` is the base64url of a SHA-256, "" without one.

        A number that was `called` has had the code by SMS before, so its proof names both (RFC 8176).
        """
        issued_at = int(proof_id.partition(".")[0])
        claims = {
            "jti": proof_id,
            "phone": phone.e164,
            "purpose": purpose,
            "amr": ["sms", "tel"] if called else ["sms"],
        }
        proof = self._sign(_TYPE, issued_at, LIFE, {**claims, **({"detail": detail} if detail else {})})
        return Proven(proof, max(0, issued_at + LIFE - int(time.time())))

    def verify(self, proof: str, purpose: str) -> Proof:
        """Return a proof that this service issued for a purpose.

        Raises TokenExpired, or TokenInvalid also for a proof for another purpose.
        """
        claims, phone = self._verify(_TYPE, proof, _Payload)
        if claims.purpose != purpose:
            raise TokenInvalid
        return Proof(claims.jti, phone, claims.detail)
