"""Refresh tokens: they name a session, count its rotations, and carry a MAC, so that the store holds no token.

They rotate at every use, as RFC 9700, section 4.14.2 requires for public clients.
"""

import hmac

from sms_login import base64url
from sms_login.errors import TokenInvalid
from sms_login.phone import Phone
from sms_login.secret import Masked, derived_key

_PREFIX = "rt_"  # by it, the log recognises and redacts one
_MAC = 16  # bytes; 128 bits are plenty, since only this service can check a guess, online


class RefreshToken(Masked, frozen=True):
    """A verified token: a `session` of a `phone`, after `count` rotations."""

    phone: Phone
    session: str
    count: int


class RefreshTokens:
    """Writes and reads refresh tokens.

    Secrets are 32 bytes or more each: the `current` one signs, the `previous` ones still verify.
    """

    def __init__(self, current: bytes, *previous: bytes) -> None:
        self._keys = [derived_key(secret, "refresh") for secret in (current, *previous)]

    def issue(self, phone: Phone, session: str, count: int) -> str:
        """Return the token: the same one for the same arguments."""
        text = f"{phone.e164} {session} {count}".encode()
        return _PREFIX + base64url.encode(_mac(self._keys[0], text) + text)

    def read(self, token: str) -> RefreshToken:
        """Return the contents of a token that this service issued. Raises TokenInvalid for any other."""
        if not token.startswith(_PREFIX):
            raise TokenInvalid
        try:
            raw = base64url.decode(token.removeprefix(_PREFIX))
        except ValueError:
            raise TokenInvalid from None
        mac, text = raw[:_MAC], raw[_MAC:]
        if not any(hmac.compare_digest(mac, _mac(key, text)) for key in self._keys):
            raise TokenInvalid
        phone, session, count = text.decode().split(" ")
        return RefreshToken(Phone.from_e164(phone), session, int(count))


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")[:_MAC]
