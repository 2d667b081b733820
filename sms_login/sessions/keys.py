"""The keys that sign and verify tokens. Each has one algorithm, and a token cannot choose another.

A token names its key (`kid`; RFC 7515, section 4.1.4), which is looked up among our own keys only: RFC 8725, sections
3.1 and 3.10. A shared secret has no name: a name derived from it would be a digest of the secret.
"""

import hashlib
from collections.abc import Container, Mapping
from functools import cached_property
from typing import Any

import msgspec

from sms_login import base64url
from sms_login.errors import TokenInvalid

# The members that identify a public key, in the order of RFC 7638, section 3.2, and RFC 8037, section 2.
_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


class Key(msgspec.Struct, frozen=True):
    """A key and its one `algorithm` (RFC 7518, section 3.1; RFC 8037).

    `verifier` and `signer` are keys for PyJWT: a public and a private key of `cryptography`, or both the bytes of a
    shared secret. Without a signer the key only verifies. `jwk` has the members of a public key (RFC 7517).
    """

    algorithm: str
    verifier: Any
    signer: Any = None
    jwk: Mapping[str, str] | None = None

    @property
    def kid(self) -> str | None:
        """The name of a public key; None for a shared secret."""
        return thumbprint(self.jwk) if self.jwk else None

    def __repr__(self) -> str:
        return f"Key({self.algorithm!r}, {self.kid!r})"


def shared_key(secret: bytes) -> Key:
    """Return the HS256 key of a secret of 32 bytes or more (RFC 7518, section 3.2)."""
    return Key("HS256", secret, secret)


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the SHA-256 thumbprint of a public key (RFC 7638), which names it."""
    members = {name: jwk[name] for name in _MEMBERS[jwk["kty"]]}
    return base64url.encode(hashlib.sha256(msgspec.json.encode(members)).digest())


class _Header(msgspec.Struct, frozen=True):
    """The header of a token whose signature has not been verified yet: it only selects among our own keys."""

    typ: str
    kid: str | None = None


class KeyRing:
    """The `current` key signs; the `previous` ones still verify, so that users stay signed in across a rotation."""

    def __init__(self, current: Key, *previous: Key) -> None:
        self._current = current
        self._keys: dict[str | None, list[Key]] = {}
        for key in (current, *previous):
            self._keys.setdefault(key.kid, []).append(key)

    def public(self) -> list[dict[str, str]]:
        """Return the public keys as JSON Web Keys (RFC 7517), without private members."""
        ours = [(kid, keys[0]) for kid, keys in self._keys.items()]
        return [{**key.jwk, "use": "sig", "alg": key.algorithm, "kid": kid} for kid, key in ours if kid and key.jwk]

    def sign(self, payload: bytes, typ: str) -> str:
        """Return a JWS in compact form (RFC 7515) whose header has this `typ`."""
        kid, (algorithm, key) = self._current.kid, self._signing
        header = {"alg": self._current.algorithm, **({"kid": kid} if kid else {}), "typ": typ}
        text = f"{base64url.encode(msgspec.json.encode(header))}.{base64url.encode(payload)}"
        return f"{text}.{base64url.encode(algorithm.sign(text.encode(), key))}"

    def verify(self, token: str, types: Container[str]) -> bytes:
        """Return the payload of a token of one of `types` that one of our keys signed. Raises TokenInvalid."""
        import jwt  # noqa: PLC0415 - a cold start that needs no token does not pay for it

        header = _read_header(token)
        if header.typ not in types:
            raise TokenInvalid
        for key in self._keys.get(header.kid, ()):
            try:
                payload: bytes = self._jws.decode_complete(token, key.verifier, [key.algorithm])["payload"]
            except jwt.InvalidSignatureError:
                continue  # another secret may have signed it
            except jwt.InvalidTokenError:
                break
            return payload
        raise TokenInvalid

    @cached_property
    def _signing(self) -> tuple[Any, Any]:
        """PyJWT's algorithm of the current key, and the key as it reads it: PyJWS.encode would read it each time."""
        algorithm = self._jws.get_algorithm_by_name(self._current.algorithm)
        return algorithm, algorithm.prepare_key(self._current.signer)

    @cached_property
    def _jws(self) -> Any:
        """PyJWT with the algorithms of our keys alone."""
        import jwt  # noqa: PLC0415 - as above

        return jwt.PyJWS([key.algorithm for keys in self._keys.values() for key in keys])


def _read_header(token: str) -> _Header:
    # A JWT is ASCII without padding (RFC 7515, section 2); PyJWT would accept padding.
    if not token.isascii() or "=" in token:
        raise TokenInvalid
    try:
        return msgspec.json.decode(base64url.decode(token.partition(".")[0]), type=_Header)
    except (ValueError, RecursionError):
        raise TokenInvalid from None
