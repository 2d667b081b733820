"""The order of a rotation: the deployed function has to publish a key before these settings sign with it.

A service that verifies tokens keeps the key set, and asks again for an unknown key only after a while (PyJWT 2.15:
30 s). Until then it refuses every token of a key that it has not seen.
"""

import urllib.request
from collections.abc import Iterator
from http.client import HTTPException

import msgspec

from sms_admin.check.report import Finding, ok, problem, warning
from sms_login.http.key_set import LIFETIME
from sms_login.settings.settings import Settings

_TIMEOUT = 10.0  # s; the function may start cold
_LONGEST = 64 * 1024  # bytes


class _Named(msgspec.Struct, frozen=True):
    kid: str


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[_Named]


def check(settings: Settings, url: str) -> Iterator[Finding]:
    """Compare the keys of the settings with those that the function at `url` publishes."""
    try:
        with urllib.request.urlopen(f"{url}?method=jwks", timeout=_TIMEOUT) as answer:  # noqa: S310 - http or https
            published = {key.kid for key in msgspec.json.decode(answer.read(_LONGEST), type=_KeySet).keys}
    except (OSError, HTTPException, ValueError) as error:  # HTTP errors and rubbish are among them
        found = f"the key set of the deployed function cannot be read: {type(error).__name__}"
        yield problem("keys.published", found, "check that --url is the URL that apps call")
        return
    signer, *others = (key.kid for key in settings.jwt_keys)
    if signer is None:
        yield ok("keys.published", "JWT_SECRET signs, so no other service verifies tokens")
    elif signer in published:
        yield ok("keys.published", f"{signer} signs, and is published: deploy once it has been for {LIFETIME} s")
    else:
        todo = f"deploy its public half in JWT_PUBLIC_KEYS_PREVIOUS with the old key, and wait {LIFETIME} s"
        yield problem(
            "keys.published",
            f"{signer} is to sign, but is not published yet: other services would refuse its tokens",
            todo,
        )
    for kid in sorted(published - {signer, *others}):
        todo = "keep its public half in JWT_PUBLIC_KEYS_PREVIOUS for TOKEN_TTL and a minute after its last token"
        yield warning(
            "keys.published",
            f"{kid} is published, but not in these settings: tokens that it signed would be refused",
            todo,
        )
