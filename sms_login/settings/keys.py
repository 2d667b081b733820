"""The settings that are keys: what protects codes, and what signs and verifies tokens."""

from collections.abc import Sequence

from sms_login.secret import Secret
from sms_login.sessions.keys import Key, shared_key
from sms_login.settings.reader import Reader

_KINDS = "Ed25519, P-256, or RSA of at least 2048 bits"


def read_keys(read: Reader) -> tuple[tuple[Secret, ...], tuple[Key, ...]]:
    """Return the secrets of codes and the keys of tokens; the first of either makes new ones.

    Whatever was set before may stay as what is previous, of whichever kind: nobody is logged out, no code refused.
    """
    jwt_secret, jwt_previous = read.secret("JWT_SECRET"), read.secret("JWT_SECRET_PREVIOUS")
    secret, secret_previous = read.secret("SECRET"), read.secret("SECRET_PREVIOUS")
    private, public = read.text("JWT_PRIVATE_KEY", ""), read.text("JWT_PUBLIC_KEYS_PREVIOUS", "")
    if jwt_secret and private:  # which of them should sign?
        read.problem("JWT_SECRET and JWT_PRIVATE_KEY", "are one too many: move the secret to JWT_SECRET_PREVIOUS")
    if not jwt_secret and not private:
        read.problem("JWT_SECRET or JWT_PRIVATE_KEY", "is required")
    if private and not secret:
        read.problem("SECRET", "is required with JWT_PRIVATE_KEY")
    # A rotated JWT_SECRET is also the previous secret of the codes in flight.
    secrets = _ring(secret or jwt_secret, secret_previous, jwt_secret, jwt_previous)
    shared = [shared_key(secret.key()) for secret in _ring(jwt_secret, jwt_previous)]
    signs = _pem(read, "JWT_PRIVATE_KEY", private)
    return secrets, (*signs, *shared, *_pem(read, "JWT_PUBLIC_KEYS_PREVIOUS", public))


def _ring(*secrets: Secret) -> tuple[Secret, ...]:
    """Return those that are set, each once, in order."""
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
        read.problem(name, f"must be {what}: {_KINDS}")
    return ()
