"""The six digits of a code: derived from a nonce and our secret at each sending, and digested for Redis.

Redis holds a random nonce and a keyed digest. A reader of Redis who lacks the secret can neither compute a code nor
test the million candidates against the digest. The digest covers the purpose and its detail, too: under another one, no
code is right.
"""

import base64
import hmac
import secrets
from collections.abc import Sequence

from sms_login.otp.purposes import LOGIN, Purpose
from sms_login.otp.store import Challenge
from sms_login.phone import Phone
from sms_login.secret import derived_key

DIGITS = 6


class CodeMaker:
    """Makes codes and recognises them.

    Secrets have 32 bytes or more: the `current` one makes new codes, the `previous` ones still recognise theirs, so a
    rotation of the secret refuses no code.
    """

    def __init__(self, current: bytes, *previous: bytes) -> None:
        self._keys = [(derived_key(secret, "code"), derived_key(secret, "digest")) for secret in (current, *previous)]

    def new(self, phone: Phone, purpose: Purpose = LOGIN) -> tuple[Challenge, str]:
        """Return a new challenge for the store, and the digits of its code for the SMS."""
        challenge_id, nonce = secrets.token_urlsafe(16), secrets.token_urlsafe(16)  # 128 bits each
        code_key, digest_key = self._keys[0]
        digits = _digits(code_key, phone, challenge_id, nonce)
        return Challenge(challenge_id, nonce, _digest(digest_key, phone, challenge_id, digits, purpose)), digits

    def again(self, phone: Phone, challenge: Challenge, purpose: Purpose = LOGIN) -> str | None:
        """Return the digits of a challenge's code; None if its secret is no longer known, or its detail is another."""
        for code_key, digest_key in self._keys:
            digits = _digits(code_key, phone, challenge.id, challenge.nonce)
            # A plain comparison, as in the store: both sides are ours, and a corrupt record may not be ASCII.
            if _digest(digest_key, phone, challenge.id, digits, purpose) == challenge.digest:
                return digits
        return None

    def digests(self, phone: Phone, challenge_id: str, digits: str, purpose: Purpose = LOGIN) -> Sequence[str]:
        """Return the digest of a guess under each secret.

        The store may compare them plainly: without the key, an attacker cannot steer a digest towards the right one.
        """
        return [_digest(digest_key, phone, challenge_id, digits, purpose) for _, digest_key in self._keys]


def _digits(key: bytes, phone: Phone, challenge_id: str, nonce: str) -> str:
    # 256 bits modulo a million: the bias is below 2^-236.
    number = int.from_bytes(hmac.digest(key, f"{phone.e164} {challenge_id} {nonce}".encode(), "sha256"), "big")
    return f"{number % 10**DIGITS:0{DIGITS}}"


def _digest(key: bytes, phone: Phone, challenge_id: str, digits: str, purpose: Purpose) -> str:
    # A login's is without a purpose, as it was before there were others.
    use = "" if purpose == LOGIN else f" {purpose.name} {purpose.detail}"
    mac = hmac.digest(key, f"{phone.e164} {challenge_id} {digits}{use}".encode(), "sha256")
    return base64.b64encode(mac[:15]).decode()  # 120 bits are plenty for a value that lives ten minutes
