"""A phone number is one number in every spelling, and is masked wherever it is printed."""

import re
import unicodedata

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, PhoneNumberType, number_type

from sms_login.errors import InvalidPhone, PhoneFault
from sms_login.phone import Phone
from sms_login.typed import digits_of
from sms_login.users import User
from tests.testkit.cases import each_case

CLEAR = "+8613800138000"


@each_case(
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


def test_the_mobile_numbers_of_china_are_those_of_the_numbering_plan() -> None:
    """Of all blocks of numbers that begin with 1, a login takes those that phonenumbers classifies as mobile."""
    for block in range(10_000, 20_000):
        number = PhoneNumber(country_code=86, national_number=block * 1_000_000 + 123_456)
        spelling = f"{block}123456"
        if number_type(number) == PhoneNumberType.MOBILE:
            assert Phone.parse(spelling, "CN") == Phone(f"+86{spelling}", "CN")
        else:
            with pytest.raises(InvalidPhone):
                Phone.parse(spelling, "CN")


@each_case(
    "spelling",
    [
        "1380013800O",
        "1-800-FLOWERS",
        "13800138000;ext=1",
        "13800138000,1",
        "13800138000#",
        "13800138000_",
        "~13800138000",
        "'13800138000",
        "13800138000\0",
        "1\ufe0f\u20e33800138000",  # a keycap emoji
        "138\u280000138000",  # the blank of Braille, a symbol by its category
        "138\u300713800138000",  # the ideographic zero, a letter-like number
        "tel:tel:13800138000",
        "++8613800138000",
        "8613800138000+",
    ],
)
def test_a_number_with_other_characters_is_refused(spelling: str) -> None:
    """Letters, extensions, symbols and a plus that is not in front are refused, and not skipped."""
    with pytest.raises(InvalidPhone):
        Phone.parse(spelling, "CN")


def test_no_letter_hides_in_a_number() -> None:
    """No letter of any script vanishes or becomes a digit, not even by Unicode NFKC."""
    categories = [(char, unicodedata.category(char)) for char in map(chr, range(0x110000))]
    punctuation = "".join(char for char, its in categories if its[0] == "P")
    letters = [char for char, its in categories if its[0] == "L" or its == "Nl"]
    read = digits_of("|".join(f"1{char}2" for char in letters), punctuation).split("|")  # all at once: it is quicker
    assert len(read) == len(letters) > 100_000
    assert [char for char, each in zip(letters, read, strict=True) if re.fullmatch(r"\+?[0-9]*", each)] == []


@each_case(
    "spelling",
    ["", "+", " ", "-", "1", "12345", "1380013800", "138001380000", "+86", "+0013800138000", "+99912345678", "9" * 40],
)
def test_an_incomplete_or_impossible_number_is_refused(spelling: str) -> None:
    """An empty text, too few or too many digits and an unknown country are InvalidPhone."""
    with pytest.raises(InvalidPhone):
        Phone.parse(spelling, "CN")


@each_case(
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


@each_case(
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


@each_case(
    ("spelling", "default"),
    [("79123456789", "CN"), ("4540612345", "CN"), ("51912345678", "CN"), ("4915123456789", "DE")],
)
def test_digits_of_a_fixed_line_of_the_default_country_are_read_as_international(spelling: str, default: str) -> None:
    """Digits that can receive SMS only with a calling code are parsed as if they had the plus."""
    assert Phone.parse(spelling, default) == Phone.parse(f"+{spelling}", default)


@each_case("number", ["15412345678", "1 (541) 234-5678", "１2015550123", "1-201-555-0123"])
def test_eleven_digits_that_begin_with_1_are_never_foreign_where_the_default_is_china(number: str) -> None:
    """A typing error in a mobile number of China reaches no number of North America, which needs its plus."""
    with pytest.raises(InvalidPhone) as refusal:
        Phone.parse(number, "CN")
    assert refusal.value.detail == PhoneFault.NOT_OF_CHINA.name
    assert Phone.parse("+12015550123", "CN") == Phone.parse("1-201-555-0123", "GB") == Phone("+12015550123", "US")


def test_digits_are_a_country_code_only_if_the_country_is_allowed() -> None:
    """Without a plus, the other reading needs an allowed country; with a plus, the country is told and judged later."""
    home, wide = frozenset({"CN"}), frozenset({"CN", "DK"})
    assert Phone.parse("4540612345", "CN", wide) == Phone.parse("+4540612345", "CN", home) == Phone("+4540612345", "DK")
    with pytest.raises(InvalidPhone):
        Phone.parse("4540612345", "CN", home)


@each_case("fault", PhoneFault, ids=lambda fault: fault.name)
def test_every_fault_is_told_in_english_and_in_chinese(fault: PhoneFault) -> None:
    """The English sentences are ASCII and end with a full stop; the Chinese ones are typeset as Chinese."""
    english, chinese = (InvalidPhone(fault=fault).message(language) for language in ("en", "zh"))
    assert (english.isascii(), english[-1] in ".?") == (True, True)
    assert re.findall(r"[一-鿿][A-Za-z0-9]|[A-Za-z0-9][一-鿿]|[一-鿿] [一-鿿]|。$", chinese) == []


@each_case(
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
    assert f"phone=Phone({masked})," in repr(User("id", phone, "", "", 1))
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


_VALID = [
    Phone.parse(number, "CN")
    for number in ("+8613800138000", "+8617012345678", "+12015550123", "+447400123456", "+6592345678", "+85251234567")
]
_SCRIPTS = [0x0030, 0xFF10, 0x0660, 0x06F0, 0x0966, 0x0E50, 0x1D7CE]  # the zeros of some scripts
_BLANK = " \t\r\n\u00a0\u2009\u202f\u3000\u202a\u202c\u200b\u200e\u2066\ufeff\u00ad"
_DECORATION = st.text(_BLANK + "-\u2010\u2011\u2013\u2014\u2212\uff0d./()[]（）．", max_size=3)


@st.composite
def decorated(draw: st.DrawFn) -> tuple[Phone, str]:
    """Draw a number, and a spelling of it with decoration around its digits, which are of any script."""
    phone = draw(st.sampled_from(_VALID))
    digits = "".join(chr(draw(st.sampled_from(_SCRIPTS)) + int(digit)) + draw(_DECORATION) for digit in phone.e164[1:])
    lead = draw(st.sampled_from(["+", "＋", "tel:+", "TEL:＋", "ｔｅｌ：+"]))
    return phone, draw(_DECORATION) + lead + draw(_DECORATION) + digits


@given(decorated())
@settings(deadline=None)
def test_any_decoration_of_a_number_gives_that_number(case: tuple[Phone, str]) -> None:
    """White space, invisible characters, dashes, dots, brackets and digits of any script change nothing."""
    phone, spelling = case
    for default in ("CN", "US", "ZZ"):
        assert Phone.parse(spelling, default) == phone


@given(st.text(st.sampled_from("0123456789+") | st.characters()), st.sampled_from(["", "./()"]))
@example("\u00b9\u00bd", "")
def test_reading_digits_twice_is_reading_them_once(text: str, dropped: str) -> None:
    """Digits that have been read, with a plus or without, stay as they are, whatever they were."""
    once = digits_of(text, dropped)
    assert digits_of(once, dropped) == once or not re.fullmatch("[0-9+]*", once)


_ANY_LETTER = st.characters(categories=["Lu", "Ll", "Lt", "Lm", "Lo"])


@given(decorated(), _ANY_LETTER, st.integers(0, 1000))
@settings(deadline=None)
def test_a_number_with_a_letter_in_it_is_refused(case: tuple[Phone, str], letter: str, place: int) -> None:
    """A letter of any script, at any place of a spelling, leaves no number."""
    _, spelling = case
    at = place % (len(spelling) + 1)
    with pytest.raises(InvalidPhone):
        Phone.parse(spelling[:at] + letter + spelling[at:], "CN")


@given(st.sampled_from(_VALID[:2]), st.integers(0, 10), st.sampled_from("0123456789"))
def test_a_typing_error_in_a_number_of_china_stays_in_china(phone: Phone, place: int, digit: str) -> None:
    """Eleven digits with one of them changed are a number of China or none, even if all countries are allowed."""
    national = phone.e164[3:]
    wrong = national[:place] + digit + national[place + 1 :]
    assume(wrong[0] == "1")
    try:
        found = Phone.parse(wrong, "CN")
    except InvalidPhone:
        return
    assert (found.region, found.e164) == ("CN", f"+86{wrong}")


def test_a_number_of_a_record_is_read_without_the_numbering_plan() -> None:
    """Its region is that of its calling code if the plan knows no better; a text that is not E.164 is refused."""
    numbers = {CLEAR: "CN", "+861085851234": "CN", "+8615400000000": "CN", "+447700900123": "GB"}
    for number, region in {**numbers, "+12505550123": "CA", "+999123456789": "ZZ"}.items():
        assert Phone.from_e164(number) == Phone(number, region)
    for text in (
        "",
        "+",
        CLEAR[1:],
        f"{CLEAR} ",
        f"{CLEAR}\n",
        "+0613800138000",
        "+86 13800138000",
        f"{CLEAR}000",
        "+８６13800138000",
    ):
        with pytest.raises(InvalidPhone):
            Phone.from_e164(text)


def test_a_known_number_is_read_in_every_spelling_although_nobody_can_have_it() -> None:
    """Its neighbours are still refused."""
    known = frozenset({"+8615400000000", "+447700900123"})
    for spelling in ("+8615400000000", "15400000000", "86 154-0000-0000", "008615400000000"):
        assert Phone.parse(spelling, "CN", known=known) == Phone("+8615400000000", "CN")
    for spelling in ("+44 7700 900123", "447700900123"):
        assert Phone.parse(spelling, "CN", known=known) == Phone("+447700900123", "GB")
    for spelling in ("15400000001", "+447700900124"):
        with pytest.raises(InvalidPhone):
            Phone.parse(spelling, "CN", known=known)
    with pytest.raises(InvalidPhone):
        Phone.parse("15400000000", "CN")
