"""Private and public keys from the text of a setting. Imported only if there are such keys, as is `cryptography`."""

import base64
import re
from typing import Any

from sms_login.base64url import encode
from sms_login.sessions.keys import Key

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_LEAST_RSA = 2048  # bits: RFC 7518, section 3.3


def private_key(text: str) -> Key:
    """Return the key in a setting, in unencrypted PEM. Raises ValueError, or ImportError without the extra.

    The kind of key decides the algorithm: Ed25519 EdDSA, P-256 ES256, RSA of 2048 bits or more RS256.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - see above

    (block,) = [block for label, block in _blocks(text) if label != "EC PARAMETERS"]  # openssl ecparam -genkey
    private: Any = _loaded(load_pem_private_key, block, None)
    return _key(private.public_key(), private)


def public_keys(text: str) -> list[Key]:
    """Return the keys in a setting: PEM blocks in a row or separated by commas. Raises as `private_key` does."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - see above

    return [_key(_loaded(load_pem_public_key, block)) for part in text.split(",") for _, block in _blocks(part)]


def _blocks(text: str) -> list[tuple[str, str]]:
    r"""Return the label and text of each PEM block. Newlines may be written as \n; the whole text may be in base64."""
    if "-----" not in text:
        text = base64.b64decode("".join(text.split()), validate=True).decode()
    pem = text.replace("\\n", "\n")
    blocks = [(match[1], match[0]) for match in _BLOCK.finditer(pem)]
    if not blocks or _BLOCK.sub("", pem).strip():  # a block without its end must not be skipped silently
        raise ValueError("not PEM")
    return blocks


def _loaded(load: Any, block: str, *args: None) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see above

    try:
        return load(block.encode(), *args)
    except (TypeError, UnsupportedAlgorithm):  # TypeError: the key is encrypted
        raise ValueError("unreadable key") from None


def _key(public: Any, private: Any = None) -> Key:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415 - see above

    if isinstance(public, ed25519.Ed25519PublicKey):
        return Key("EdDSA", public, private, {"kty": "OKP", "crv": "Ed25519", "x": encode(public.public_bytes_raw())})
    if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        point = public.public_numbers()
        x, y = (encode(number.to_bytes(32, "big")) for number in (point.x, point.y))  # RFC 7518, section 6.2.1.2
        return Key("ES256", public, private, {"kty": "EC", "crv": "P-256", "x": x, "y": y})
    if isinstance(public, rsa.RSAPublicKey) and public.key_size >= _LEAST_RSA:
        numbers = public.public_numbers()
        n, e = (encode(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.n, numbers.e))
        return Key("RS256", public, private, {"kty": "RSA", "n": n, "e": e})
    raise ValueError("unsupported kind of key")
