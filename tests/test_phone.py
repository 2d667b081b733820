"""A phone number is one number in every spelling, and is masked wherever it is printed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_login.errors import InvalidPhone
from sms_login.otp.store import SendRequest
from sms_login.periods import Period
from sms_login.phone import Phone

CLEAR = "+8613800138000"


@pytest.mark.parametrize(
    "spelling",
    [
        "+8613800138000",  # E.164
        "8613800138000",  # country code and number, as in Tencent's demo of 2024
        "13800138000",  # national, as in the demo of 2020
        "+86 138 0013 8000",
        "86-138-0013-8000",
        "138-0013-8000",
        " 138 0013 8000 ",
        "008613800138000",
        "0086 138-0013-8000",
        "013800138000",
        "+86 0 138 0013 8000",
    ],
)
def test_every_spelling_of_one_number_is_one_number(spelling: str) -> None:
    """E.164, national and other spellings, with spaces, hyphens and prefixes, compare equal."""
    assert Phone.parse(spelling, "CN") == Phone(CLEAR, "CN")


@pytest.mark.parametrize(
    "spelling",
    [
        "１３８００１３８０００",  # full-width
        "1380013800٠",  # Arabic-Indic
        "1380013800०",  # Devanagari
        "1380013800²",
        "＋8613800138000",
        "1380013800O",
        "1-800-FLOWERS",
        "13800138000\n",
        "\n13800138000",
        "138\t0013\t8000",
        "138\u00a00013\u00a08000",  # no-break space
        "138\u20110013\u20118000",  # no-break hyphen
        "(138)00138000",
        "138.0013.8000",
        "13800138000;ext=1",
        "13800138000,1",
        "tel:+8613800138000",
        "++8613800138000",
        "8613800138000+",
    ],
)
def test_a_number_may_have_only_ascii_digits_spaces_and_hyphens(spelling: str) -> None:
    """A number with other Unicode digits, letters, line ends or parentheses is refused."""
    with pytest.raises(InvalidPhone):
        Phone.parse(spelling, "CN")


@pytest.mark.parametrize(
    "spelling",
    ["", "+", " ", "-", "1", "12345", "1380013800", "138001380000", "+86", "+0013800138000", "+99912345678", "9" * 40],
)
def test_an_incomplete_or_impossible_number_is_refused(spelling: str) -> None:
    """An empty text, too few or too many digits and an unknown country are InvalidPhone."""
    with pytest.raises(InvalidPhone):
        Phone.parse(spelling, "CN")


@pytest.mark.parametrize(
    "spelling",
    [
        "+861085851234",  # Beijing
        "010-8585-1234",
        "+442079460123",  # London
        "4008001234",  # shared cost
        "+448001111111",  # toll-free
        "+19005550123",  # premium
        "+449098790123",  # premium
        "10086",  # short
    ],
)
def test_a_number_that_cannot_receive_sms_is_refused(spelling: str) -> None:
    """A fixed line, a service number and a premium number are InvalidPhone."""
    with pytest.raises(InvalidPhone):
        Phone.parse(spelling, "CN")


def test_a_plus_means_international_and_without_it_the_default_country_comes_first() -> None:
    """The same ten digits are a number of Singapore with a plus, and one of the United States without it."""
    assert Phone.parse("+6592345678", "US") == Phone("+6592345678", "SG")
    assert Phone.parse("6592345678", "US") == Phone("+16592345678", "US")
    assert Phone.parse("6592345678", "CN") == Phone("+6592345678", "SG")


def test_a_national_number_is_valid_only_in_its_default_country() -> None:
    """A British number in national form is refused if the default country is China."""
    assert Phone.parse("07400 123456", "GB") == Phone("+447400123456", "GB")
    with pytest.raises(InvalidPhone):
        Phone.parse("07400 123456", "CN")


@pytest.mark.parametrize(
    ("spelling", "region"),
    [
        ("+447400123456", "GB"),
        ("447400123456", "GB"),
        ("+12015550123", "US"),
        ("+15062345678", "CA"),  # shares +1 with the United States
        ("+85251234567", "HK"),
        ("+85366123456", "MO"),
        ("+886912345678", "TW"),
        ("+79123456789", "RU"),
        ("+77710009998", "KZ"),  # shares +7 with Russia
    ],
)
def test_a_foreign_number_knows_its_country(spelling: str, region: str) -> None:
    """Countries with one calling code are told apart, and so are Hong Kong, Macao and Taiwan from mainland China."""
    assert Phone.parse(spelling, "CN").region == region


@pytest.mark.parametrize(
    ("spelling", "default"),
    [("79123456789", "CN"), ("4540612345", "CN"), ("51912345678", "CN"), ("4915123456789", "DE")],
)
def test_digits_of_a_fixed_line_of_the_default_country_are_read_as_international(spelling: str, default: str) -> None:
    """Digits that can receive SMS only with a calling code are parsed as if they had the plus."""
    assert Phone.parse(spelling, default) == Phone.parse(f"+{spelling}", default)


@pytest.mark.parametrize(
    ("clear", "masked"),
    [
        ("+8613800138000", "+86138****8000"),
        ("+447400123456", "+4474****3456"),
        ("+6592345678", "+65****"),  # too short to show both ends
        ("+6907290", "+69****"),
    ],
)
def test_a_number_is_masked_wherever_it_is_printed(clear: str, masked: str) -> None:
    """str, repr, format and the repr of a struct that holds it are masked, and only `.e164` is clear."""
    phone = Phone.parse(clear, "CN")
    assert str(phone) == masked
    assert repr(phone) == f"Phone({masked})"
    assert f"{phone} {phone!r} {phone!s} {phone:}" == f"{masked} Phone({masked}) {masked} {masked}"
    assert "{} {!r} %s".format(phone, [phone]) % phone == f"{masked} [Phone({masked})] {masked}"  # noqa: UP032 - on purpose
    assert f"phone=Phone({masked})," in repr(SendRequest(phone, Period("20261121", 1)))
    assert phone.e164 == clear


_DIGITS = st.text("0123456789", min_size=3, max_size=16)
_SPELLINGS = (
    st.text(st.characters())  # lone surrogates included
    | st.text("0123456789+- 0０٠\n()")
    | st.builds("{}{}".format, st.sampled_from(["+", "00", "+86", "86", "+86 1", "+1", "+44", "1", ""]), _DIGITS)
)


@given(_SPELLINGS, st.sampled_from(["CN", "US", "GB", "DE", "ZZ"]))
@settings(deadline=None)  # the library loads a country's patterns when it first meets it
def test_any_text_is_refused_or_parses_to_a_masked_number(spelling: str, default: str) -> None:
    """The E.164 form parses to the same number in every country, and the mask hides four digits."""
    try:
        phone = Phone.parse(spelling, default)
    except InvalidPhone:
        return
    assert phone.e164[0] == "+"
    assert phone.e164[1:].isascii()
    assert phone.e164[1:].isdecimal()
    for anywhere in ("CN", "US", "ZZ"):
        assert Phone.parse(phone.e164, anywhere) == phone
    assert phone.e164[1:] not in repr(phone)
    assert sum(char.isdigit() for char in str(phone)) <= len(phone.e164[1:]) - 4
