"""The settings that are keys: those that protect codes, and those that sign and verify tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

from sms_login.secret import Secret
from sms_login.sessions.keys import Key, shared_key
from sms_login.settings.reader import Reader


def read_keys(read: Reader, values: Mapping[str, Any]) -> tuple[tuple[Secret, ...], tuple[Key, ...]]:
    """Return the secrets for codes and the keys for tokens. The first of each makes new ones; all of them verify.

    Previous keys may be of any kind, so that a change of keys logs nobody out and refuses no code.
    """
    shared, private = read.given("JWT_SECRET"), read.given("JWT_PRIVATE_KEY")
    if shared and private:  # which of them should sign?
        read.problem("JWT_SECRET and JWT_PRIVATE_KEY", "are mutually exclusive: move the secret to JWT_SECRET_PREVIOUS")
    if not shared and not private:
        read.problem("JWT_SECRET or JWT_PRIVATE_KEY", "is required")
    if private and not read.given("SECRET"):
        read.problem("SECRET", "is required with JWT_PRIVATE_KEY")
    jwt_secret, jwt_previous = values["JWT_SECRET"], values["JWT_SECRET_PREVIOUS"]
    # A rotated JWT_SECRET is also the previous secret of the codes in flight.
    secrets = _ring(values["SECRET"] or jwt_secret, values["SECRET_PREVIOUS"], jwt_secret, jwt_previous)
    signer, previous = (_pem(read, name, values[name]) for name in ("JWT_PRIVATE_KEY", "JWT_PUBLIC_KEYS_PREVIOUS"))
    return secrets, (*signer, *(shared_key(secret.key()) for secret in _ring(jwt_secret, jwt_previous)), *previous)


def _ring(*secrets: Secret) -> tuple[Secret, ...]:
    """Return the secrets that are set, each once, in order."""
    return tuple({secret.reveal(): secret for secret in secrets if secret}.values())


def _pem(read: Reader, name: str, text: str) -> Sequence[Key]:
    if not text:
        return ()
    private = name == "JWT_PRIVATE_KEY"
    try:
        from sms_login.sessions import pem  # noqa: PLC0415 - with a secret alone, a cold start does not pay for it

        return [pem.private_key(text)] if private else pem.public_keys(text)
    except ImportError:  # of the package, or of the module: a build without the option has neither
        read.problem(name, "needs the package cryptography: make build WITH=asymmetric")
    except ValueError:
        what = "one private key in PEM, not encrypted" if private else "public keys in PEM"
        read.problem(name, f"must be {what}: Ed25519, P-256, or RSA of at least 2048 bits")
    return ()
