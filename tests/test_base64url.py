import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_login import base64url
from tests.testkit.cases import each_case


@given(st.binary(max_size=64))
def test_bytes_survive_encoding_and_decoding(raw: bytes) -> None:
    """Bytes of any length survive; the text has no padding and fits into a URL."""
    text = base64url.encode(raw)
    assert base64url.decode(text) == raw
    assert all(char.isascii() and (char.isalnum() or char in "-_") for char in text)


@each_case("text", ["-_8=", "+/8", "-_9", "-_ 8", "-_8\n", "A", "-_8.", "ü", "-_8A="])
def test_a_second_spelling_is_refused(text: str) -> None:
    """Padding, the standard alphabet, stray bits, blanks and impossible lengths are refused."""
    assert base64url.decode("-_8") == b"\xfb\xff"
    with pytest.raises(ValueError, match=r"base64|ASCII"):
        base64url.decode(text)
