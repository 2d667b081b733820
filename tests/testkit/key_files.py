"""Keys as an operator would make them, each kind once per run, since making an RSA key takes a while."""

from datetime import datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

ALGORITHMS = {"Ed25519": "EdDSA", "P-256": "ES256", "RSA": "RS256"}  # of the supported kinds
_MAKERS: dict[str, Any] = {
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "RSA 1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - a key that must be refused
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "Ed448": ed448.Ed448PrivateKey.generate,
    "X25519": x25519.X25519PrivateKey.generate,
    "DSA": lambda: dsa.generate_private_key(2048),
}
OTHER_KINDS = [kind for kind in _MAKERS if kind not in ALGORITHMS]


@cache
def _made(kind: str, nth: int) -> Any:  # noqa: ARG001 - the cache makes another key for another `nth`
    return _MAKERS[kind]()


def private_pem(kind: str, nth: int = 0, form: str = "PKCS8", password: str = "") -> str:
    """Return the n-th private key of a kind, in a form of `PrivateFormat`."""
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    pem: bytes = _made(kind, nth).private_bytes(Encoding.PEM, getattr(PrivateFormat, form), encryption)
    return pem.decode()


def public_pem(kind: str, nth: int = 0, form: str = "SubjectPublicKeyInfo") -> str:
    """Return the public half of the n-th key of a kind, in a form of `PublicFormat`."""
    pem: bytes = _made(kind, nth).public_key().public_bytes(Encoding.PEM, getattr(PublicFormat, form))
    return pem.decode()


def certificate_pem() -> str:
    """Return a certificate of the first P-256 key."""
    name, key = x509.Name([]), _made("P-256", 0)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2026, 1, 1), datetime(2027, 1, 1))  # noqa: DTZ001 - X.509 has UTC only
    return made.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()
