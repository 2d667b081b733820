"""The six digits: derived from a nonce and our secret when they are sent, and digested for Redis.

Redis sees a random nonce and a keyed digest. Whoever reads Redis, but not the secret, can neither compute a code nor
test the million candidates against the digest.
"""

import base64
import hmac
import secrets
from collections.abc import Sequence

from sms_login.otp.store import Code
from sms_login.phone import Phone
from sms_login.secret import derived_key

DIGITS = 6


class CodeMaker:
    """Makes and recognises codes.

    Secrets are 32 bytes or more each: the `current` one makes new codes, the `previous` ones still recognise theirs, so
    that a rotation refuses no code.
    """

    def __init__(self, current: bytes, *previous: bytes) -> None:
        ring = (current, *previous)
        self._keys = [(derived_key(secret, "code"), derived_key(secret, "digest")) for secret in ring]

    def new(self, phone: Phone) -> tuple[Code, str]:
        """Return a new session's code for the store, and its digits for the SMS."""
        session, nonce = secrets.token_urlsafe(16), secrets.token_urlsafe(16)  # 128 bits each
        code_key, digest_key = self._keys[0]
        digits = _digits(code_key, phone, session, nonce)
        return Code(session, nonce, _digest(digest_key, phone, session, digits)), digits

    def again(self, phone: Phone, code: Code) -> str | None:
        """Return the digits of a code that was sent before; None if its secret is no longer known."""
        for code_key, digest_key in self._keys:
            digits = _digits(code_key, phone, code.session, code.nonce)
            # Compared plainly, as in the store: both are ours, and what is in a store may be no ASCII.
            if _digest(digest_key, phone, code.session, digits) == code.digest:
                return digits
        return None

    def digests(self, phone: Phone, session: str, digits: str) -> Sequence[str]:
        """Return the digest of a guess under each secret.

        The store may compare them plainly: without the key nobody can steer a digest towards the right one.
        """
        return [_digest(digest_key, phone, session, digits) for _, digest_key in self._keys]


def _digits(key: bytes, phone: Phone, session: str, nonce: str) -> str:
    # 256 bits modulo a million: the bias is below 2^-236.
    number = int.from_bytes(hmac.digest(key, f"{phone.e164} {session} {nonce}".encode(), "sha256"), "big")
    return f"{number % 10**DIGITS:0{DIGITS}}"


def _digest(key: bytes, phone: Phone, session: str, digits: str) -> str:
    mac = hmac.digest(key, f"{phone.e164} {session} {digits}".encode(), "sha256")
    return base64.b64encode(mac[:15]).decode()  # 120 bits are plenty for a value that lives ten minutes
