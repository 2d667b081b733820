"""The strength of the keys. The settings check their length; this looks for secrets that could be guessed."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from sms_admin.check.report import Finding, ok, warning
from sms_login.settings.settings import Settings

_LEAST_DISTINCT = 10  # characters; 32 random hexadecimal digits have 14 on average, and hardly ever fewer than 10
_NAMES = ("JWT_SECRET", "JWT_SECRET_PREVIOUS", "SECRET", "SECRET_PREVIOUS")
_WORDS = re.compile(r"change.?me|password|secret|example|123456|qwerty", re.IGNORECASE)
_KINDS = {"EdDSA": "Ed25519", "ES256": "P-256", "RS256": "RSA"}
_NEW = "make another: openssl rand -base64 32; move this one to {name}_PREVIOUS for REFRESH_TTL"


def check(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Report the signing key, the secret that protects codes, and secrets that could be guessed."""
    values = {name: value for name in _NAMES if (value := environ.get(name, "").strip())}
    signer = settings.jwt_keys[0]
    if signer.jwk:
        size = f" of {signer.verifier.key_size} bits" if signer.algorithm == "RS256" else ""
        yield ok("keys.tokens", f"{signer.algorithm}, with a private key {_KINDS[signer.algorithm]}{size}")
    else:
        yield ok("keys.tokens", f"HS256, with a secret of {len(signer.verifier)} bytes")
    yield ok("keys.codes", _codes(values))
    for name, value in values.items():
        if why := weakness(value):
            kind = name.removesuffix("_PREVIOUS")
            todo = _NEW.format(name=kind) if kind == name else "remove it as soon as you can"
            yield warning("keys.strength", f"{name} {why}: it could be guessed", todo)
        elif name.endswith("_PREVIOUS") and value == values.get(name.removesuffix("_PREVIOUS")):
            found = f"{name} equals {name.removesuffix('_PREVIOUS')}: nothing was rotated"
            yield warning("keys.rotation", found, "give the first a new value, or remove the second")
        elif name.endswith("_PREVIOUS"):
            yield ok("keys.rotation", f"{name} is still accepted: remove it REFRESH_TTL after the change")
    yield from _public(*(key.kid for key in settings.jwt_keys))


def _public(signer: str | None, *others: str | None) -> Iterator[Finding]:
    """Report the public keys beside the one that signs; None stands for a shared secret."""
    for kid in filter(None, others):
        if kid == signer:
            found = f"JWT_PUBLIC_KEYS_PREVIOUS has {kid}, which signs: nothing was rotated"
            yield warning("keys.rotation", found, "put the public half of the key that signed before it there instead")
        else:
            found = f"JWT_PUBLIC_KEYS_PREVIOUS publishes {kid}: the next key, or a previous one"
            yield ok("keys.rotation", f"{found}, to be removed TOKEN_TTL and a minute after the change")


def _codes(values: Mapping[str, str]) -> str:
    secret = values.get("SECRET")
    if secret and secret != values.get("JWT_SECRET"):
        return f"SECRET, of {len(secret.encode(errors='surrogateescape'))} bytes"
    return "JWT_SECRET, through a key derived from it; set SECRET before you give JWT_SECRET to another service"


def weakness(secret: str) -> str | None:
    """Return why a secret does not look random; None if it does."""
    if len(set(secret)) < _LEAST_DISTINCT:
        return f"has only {len(set(secret))} different characters"
    if secret in (secret * 2)[1:-1]:  # a text that occurs inside its double, shifted, repeats a shorter one
        return "repeats itself"
    steps = sum(abs(ord(a) - ord(b)) <= 1 for a, b in pairwise(secret))
    if steps > len(secret) / 2:
        return "is mostly a run of consecutive characters"
    if _WORDS.search(secret):
        return "contains a common word"
    return None
