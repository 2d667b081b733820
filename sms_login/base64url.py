"""Base64url without padding (RFC 4648, section 5), which tokens and key names are written in."""

import base64


def encode(raw: bytes) -> str:
    """Return the one spelling of some bytes."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes that `text` spells. Raises ValueError unless `encode` spells them in the same way.

    Python's decoder also takes padding, skips characters of no alphabet, and ignores the unused bits at the end.
    """
    raw = base64.urlsafe_b64decode(text + "==")  # as much padding as any length needs; the decoder ignores the rest
    if encode(raw) != text:
        raise ValueError("not canonical base64url")
    return raw
