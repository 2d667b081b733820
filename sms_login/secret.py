"""Secrets: strings and structs that print masked, and the keys derived from secrets."""

import hmac

from msgspec import Struct


class Secret:
    """A string that prints masked."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the clear value, at the point of use."""
        return self._value

    def key(self) -> bytes:
        """Return the clear value as a key; bytes of the environment that are not UTF-8 are kept unchanged."""
        return self._value.encode(errors="surrogateescape")

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret('****')"

    __str__ = __repr__


class Masked(Struct, frozen=True):
    """The base of structs that hold secrets, tokens or whole numbers as text: it prints none of their fields."""

    __repr__ = object.__repr__


def derived_key(secret: bytes, use: str) -> bytes:
    """Return the key for one `use`, so that uses never share a key (a one-block HKDF-Expand, RFC 5869)."""
    return hmac.digest(secret, b"sms-login " + use.encode() + b"\x01", "sha256")
