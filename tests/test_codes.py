"""The six digits: uniform, bound to everything that they are derived from, and known only with the secret."""

import base64
import hmac
import re
from collections import Counter

import pytest
from msgspec.structs import replace

from sms_login.otp.codes import CodeMaker
from sms_login.otp.store import Challenge
from sms_login.phone import Phone
from sms_login.secret import derived_key
from tests.testkit.world import OLD_SECRET, OTHER_PHONE, PHONE, SECRET

SESSION = "session-AAAAAAAAAAAAAA"
MAKER = CodeMaker(SECRET)


def on_record(
    nonce: str, session: str = SESSION, phone: Phone = PHONE, secret: bytes = SECRET
) -> tuple[Challenge, str]:
    """Return a code of this nonce as the store holds it, and its digits: the derivation, written down once more."""
    mac = hmac.digest(derived_key(secret, "code"), f"{phone.e164} {session} {nonce}".encode(), "sha256")
    digits = f"{int.from_bytes(mac, 'big') % 1_000_000:06}"
    mac = hmac.digest(derived_key(secret, "digest"), f"{phone.e164} {session} {digits}".encode(), "sha256")
    return Challenge(session, nonce, base64.b64encode(mac[:15]).decode()), digits


def test_a_new_code_is_six_digits_in_a_session_of_128_random_bits() -> None:
    """Session and nonce are 22 characters of base64url, and never the same twice."""
    made = [MAKER.new(PHONE) for _ in range(100)]
    for code, digits in made:
        assert re.fullmatch("[0-9]{6}", digits, re.ASCII)
        assert re.fullmatch("[A-Za-z0-9_-]{22}", code.id)
        assert re.fullmatch("[A-Za-z0-9_-]{22}", code.nonce)
        assert digits not in repr(code)
    assert len({code.id for code, _ in made} | {code.nonce for code, _ in made}) == 200


def test_digits_are_uniform_on_every_position() -> None:
    """Over 20,000 fixed nonces each digit comes about as often as any other, the first and the last 0 too."""
    codes = []
    for number in range(20_000):
        code, digits = on_record(f"nonce-{number}")
        assert MAKER.again(PHONE, code) == digits
        codes.append(digits)
    for position in range(6):
        counts = Counter(digits[position] for digits in codes)
        chi_square = sum((counts[digit] - 2000) ** 2 / 2000 for digit in "0123456789")
        assert chi_square < 33.7, (position, counts)  # 9 degrees of freedom: one in 10,000 uniform samples is above
    assert len(set(codes)) > 19_700  # 20,000 draws from a million: about 19,801


def test_a_code_is_derived_as_it_was_when_it_was_sent() -> None:
    """Digits and digest of a fixed nonce are these: codes in flight outlive a new version."""
    code = Challenge(SESSION, "nonce-AAAAAAAAAAAAAAAA", "QX+uEueZsa79zY3yQVvr")
    assert MAKER.again(PHONE, code) == "637895"
    assert MAKER.digests(PHONE, SESSION, "637895") == [code.digest]


def test_the_same_nonce_gives_the_same_digits() -> None:
    """A code is sent again as it was, by any instance that has the secret."""
    code, digits = MAKER.new(PHONE)
    assert CodeMaker(SECRET).again(PHONE, code) == CodeMaker(SECRET).again(PHONE, code) == digits


def test_another_number_session_nonce_or_secret_gives_other_digits() -> None:
    """Each of the four that a code is derived from changes it."""
    digits = {
        on_record("nonce-1")[1],
        on_record("nonce-1", phone=OTHER_PHONE)[1],
        on_record("nonce-1", session="session-BBBBBBBBBBBBBB")[1],
        on_record("nonce-2")[1],
        on_record("nonce-1", secret=OLD_SECRET)[1],
    }
    assert len(digits) == 5


def test_a_code_on_record_is_not_taken_for_anothers() -> None:
    """With another number, session, nonce or secret a record gives no digits at all."""
    code, digits = on_record("nonce-1")
    assert MAKER.again(PHONE, code) == digits
    assert MAKER.again(OTHER_PHONE, code) is None
    assert MAKER.again(PHONE, replace(code, id="session-BBBBBBBBBBBBBB")) is None
    assert MAKER.again(PHONE, replace(code, nonce="nonce-2")) is None
    assert MAKER.again(PHONE, replace(code, digest="")) is None
    assert CodeMaker(OLD_SECRET).again(PHONE, code) is None


def test_a_digest_is_that_of_number_session_digits_and_secret() -> None:
    """The same digits have another digest for another number, session or secret."""
    digests = [
        *MAKER.digests(PHONE, SESSION, "012345"),
        *MAKER.digests(PHONE, SESSION, "012346"),
        *MAKER.digests(PHONE, "session-BBBBBBBBBBBBBB", "012345"),
        *MAKER.digests(OTHER_PHONE, SESSION, "012345"),
        *CodeMaker(OLD_SECRET).digests(PHONE, SESSION, "012345"),
    ]
    assert len(set(digests)) == 5
    assert MAKER.digests(PHONE, SESSION, "012345") == digests[:1]
    assert not any("012345" in digest for digest in digests)


def test_a_rotation_refuses_no_code() -> None:
    """A code of a previous secret is sent again and recognised; new ones are made with the current secret."""
    old_code, old_digits = CodeMaker(OLD_SECRET).new(PHONE)
    rotated = CodeMaker(SECRET, OLD_SECRET)
    assert rotated.again(PHONE, old_code) == old_digits
    assert old_code.digest in rotated.digests(PHONE, old_code.id, old_digits)
    code, digits = rotated.new(PHONE)
    assert MAKER.again(PHONE, code) == digits
    assert code.digest == rotated.digests(PHONE, code.id, digits)[0]


def test_a_code_of_a_forgotten_secret_gives_no_digits() -> None:
    """Its digits are unknown, and a guess at them has another digest."""
    code, digits = CodeMaker(OLD_SECRET).new(PHONE)
    assert MAKER.again(PHONE, code) is None
    assert code.digest not in MAKER.digests(PHONE, code.id, digits)


def test_no_two_uses_share_a_key() -> None:
    """A key is of 256 bits, the same for the same use, and another for another use or secret."""
    keys = {
        derived_key(secret, use) for secret in (SECRET, OLD_SECRET) for use in ("code", "digest", "cod", "code\x01")
    }
    assert len(keys) == 8
    assert {len(key) for key in keys} == {32}
    assert not keys & {SECRET, OLD_SECRET}
    assert derived_key(SECRET, "code") == derived_key(SECRET, "code")


@pytest.mark.parametrize("use", ["code", "digest"])
def test_a_key_is_one_block_of_hkdf_expand(use: str) -> None:
    """RFC 5869, section 2.3: HMAC of the information and the block's number."""
    assert derived_key(SECRET, use) == hmac.digest(SECRET, f"sms-login {use}\x01".encode(), "sha256")
