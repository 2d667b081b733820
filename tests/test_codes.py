"""The six digits of a code: uniform, bound to all their inputs, and known only with the secret."""

import base64
import hmac
import re
from collections import Counter

from msgspec.structs import replace

from sms_login.otp.codes import CodeMaker
from sms_login.otp.store import Challenge
from sms_login.phone import Phone
from sms_login.secret import derived_key
from tests.testkit.cases import each_case
from tests.testkit.world import OLD_SECRET, OTHER_PHONE, PHONE, SECRET

CHALLENGE_ID = "session-AAAAAAAAAAAAAA"
MAKER = CodeMaker(SECRET)


def on_record(
    nonce: str, challenge_id: str = CHALLENGE_ID, phone: Phone = PHONE, secret: bytes = SECRET
) -> tuple[Challenge, str]:
    """Return a challenge with this nonce and its digits, by a second implementation of the derivation."""
    mac = hmac.digest(derived_key(secret, "code"), f"{phone.e164} {challenge_id} {nonce}".encode(), "sha256")
    digits = f"{int.from_bytes(mac, 'big') % 1_000_000:06}"
    mac = hmac.digest(derived_key(secret, "digest"), f"{phone.e164} {challenge_id} {digits}".encode(), "sha256")
    return Challenge(challenge_id, nonce, base64.b64encode(mac[:15]).decode()), digits


def test_a_new_code_is_six_digits_in_a_challenge_of_128_random_bits() -> None:
    """Challenge id and nonce are 22 characters of base64url, and never the same twice."""
    made = [MAKER.new(PHONE) for _ in range(100)]
    for code, digits in made:
        assert re.fullmatch("[0-9]{6}", digits, re.ASCII)
        assert re.fullmatch("[A-Za-z0-9_-]{22}", code.id)
        assert re.fullmatch("[A-Za-z0-9_-]{22}", code.nonce)
        assert digits not in repr(code)
    assert len({code.id for code, _ in made} | {code.nonce for code, _ in made}) == 200


def test_digits_are_uniform_on_every_position() -> None:
    """Over 20,000 fixed nonces each digit is about as frequent as any other, at every position."""
    codes = []
    for number in range(20_000):
        code, digits = on_record(f"nonce-{number}")
        assert MAKER.again(PHONE, code) == digits
        codes.append(digits)
    for position in range(6):
        counts = Counter(digits[position] for digits in codes)
        chi_square = sum((counts[digit] - 2000) ** 2 / 2000 for digit in "0123456789")
        assert chi_square < 33.7, (position, counts)  # 9 degrees of freedom: one in 10,000 uniform samples is above
    assert len(set(codes)) > 19_700  # 20,000 draws from a million: about 19,801 are distinct


def test_a_new_version_derives_the_same_code() -> None:
    """Digits and digest of a fixed nonce never change, so codes in flight survive an update."""
    code = Challenge(CHALLENGE_ID, "nonce-AAAAAAAAAAAAAAAA", "QX+uEueZsa79zY3yQVvr")
    assert MAKER.again(PHONE, code) == "637895"
    assert MAKER.digests(PHONE, CHALLENGE_ID, "637895") == [code.digest]


def test_the_same_nonce_gives_the_same_digits() -> None:
    """Any instance that has the secret derives the same digits, so that it can send a code again."""
    code, digits = MAKER.new(PHONE)
    assert CodeMaker(SECRET).again(PHONE, code) == CodeMaker(SECRET).again(PHONE, code) == digits


def test_another_number_challenge_nonce_or_secret_gives_other_digits() -> None:
    """Each of the four inputs of the derivation changes the digits."""
    digits = {
        on_record("nonce-1")[1],
        on_record("nonce-1", phone=OTHER_PHONE)[1],
        on_record("nonce-1", challenge_id="session-BBBBBBBBBBBBBB")[1],
        on_record("nonce-2")[1],
        on_record("nonce-1", secret=OLD_SECRET)[1],
    }
    assert len(digits) == 5


def test_a_challenge_gives_digits_only_with_its_own_inputs() -> None:
    """With another number, id, nonce, digest or secret a challenge gives no digits."""
    code, digits = on_record("nonce-1")
    assert MAKER.again(PHONE, code) == digits
    assert MAKER.again(OTHER_PHONE, code) is None
    assert MAKER.again(PHONE, replace(code, id="session-BBBBBBBBBBBBBB")) is None
    assert MAKER.again(PHONE, replace(code, nonce="nonce-2")) is None
    assert MAKER.again(PHONE, replace(code, digest="")) is None
    assert CodeMaker(OLD_SECRET).again(PHONE, code) is None


def test_a_digest_depends_on_number_challenge_digits_and_secret() -> None:
    """The same digits have another digest for another number, challenge or secret."""
    digests = [
        *MAKER.digests(PHONE, CHALLENGE_ID, "012345"),
        *MAKER.digests(PHONE, CHALLENGE_ID, "012346"),
        *MAKER.digests(PHONE, "session-BBBBBBBBBBBBBB", "012345"),
        *MAKER.digests(OTHER_PHONE, CHALLENGE_ID, "012345"),
        *CodeMaker(OLD_SECRET).digests(PHONE, CHALLENGE_ID, "012345"),
    ]
    assert len(set(digests)) == 5
    assert MAKER.digests(PHONE, CHALLENGE_ID, "012345") == digests[:1]
    assert not any("012345" in digest for digest in digests)


def test_a_rotation_refuses_no_code() -> None:
    """A previous secret's code is sent again and recognised; new codes are made with the current secret."""
    old_code, old_digits = CodeMaker(OLD_SECRET).new(PHONE)
    rotated = CodeMaker(SECRET, OLD_SECRET)
    assert rotated.again(PHONE, old_code) == old_digits
    assert old_code.digest in rotated.digests(PHONE, old_code.id, old_digits)
    code, digits = rotated.new(PHONE)
    assert MAKER.again(PHONE, code) == digits
    assert code.digest == rotated.digests(PHONE, code.id, digits)[0]


def test_a_code_of_a_forgotten_secret_gives_no_digits() -> None:
    """Without its secret, the digits of a code are unknown, and a guess has another digest."""
    code, digits = CodeMaker(OLD_SECRET).new(PHONE)
    assert MAKER.again(PHONE, code) is None
    assert code.digest not in MAKER.digests(PHONE, code.id, digits)


def test_no_two_uses_share_a_key() -> None:
    """A key has 256 bits, is the same for the same use, and differs for another use or secret."""
    keys = {
        derived_key(secret, use) for secret in (SECRET, OLD_SECRET) for use in ("code", "digest", "cod", "code\x01")
    }
    assert len(keys) == 8
    assert {len(key) for key in keys} == {32}
    assert not keys & {SECRET, OLD_SECRET}
    assert derived_key(SECRET, "code") == derived_key(SECRET, "code")


@each_case("use", ["code", "digest"])
def test_a_key_is_one_block_of_hkdf_expand(use: str) -> None:
    """A key is the HMAC of its use and the block's number, as in RFC 5869, section 2.3."""
    assert derived_key(SECRET, use) == hmac.digest(SECRET, f"sms-login {use}\x01".encode(), "sha256")
