"""Phone numbers: parsed once, the same for every spelling, masked when printed."""

import re
import unicodedata
from contextlib import suppress
from functools import lru_cache
from typing import Any

import phonenumbers
from msgspec import Struct
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberType, ValidationResult

from sms_login.errors import InvalidPhone, PhoneFault
from sms_login.typed import digits_of

_DROPPED = "./\\()[]{}<>·•‧∙・。∕【】〔〕「」"  # dots, slashes and brackets
_E164 = re.compile(r"\+[1-9][0-9]{5,14}")
_SPELLING = re.compile(r"\+?[0-9]{1,20}")
_LIKE_A_MOBILE_OF_CHINA = "1[0-9]{10}"
# `number_type` says the same, but first compiles the patterns of all other kinds of numbers: 3 ms of a cold start.
_CHINA: Any = phonenumbers.PhoneMetadata.metadata_for_region("CN")
_MOBILE_OF_CHINA = re.compile(_CHINA.mobile.national_number_pattern)  # without +86
_LONG = 12  # characters: a shorter number would be mostly visible
_CAN_RECEIVE_SMS = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}
_UNREADABLE = {
    NumberParseException.INVALID_COUNTRY_CODE: PhoneFault.COUNTRY,
    NumberParseException.TOO_LONG: PhoneFault.TOO_LONG,
}
_IMPOSSIBLE = {
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: PhoneFault.TOO_SHORT,
    ValidationResult.TOO_SHORT: PhoneFault.TOO_SHORT,
    ValidationResult.TOO_LONG: PhoneFault.TOO_LONG,
}


class Phone(Struct, frozen=True):
    """One number, which any room may read and which prints masked.

    `e164` is the clear number ("+8618566246600"); `region` its ISO country code ("CN").
    """

    e164: str
    region: str

    def __str__(self) -> str:
        """Return the number for a log, with all but its first and last digits masked."""
        if len(self.e164) < _LONG:
            return f"{self.e164[:3]}****"
        return f"{self.e164[:-8]}****{self.e164[-4:]}"

    def __repr__(self) -> str:
        return f"Phone({self})"

    @classmethod
    @lru_cache(maxsize=1024)  # a number is parsed for sending, for sending again and for logging in
    def parse(
        cls,
        spelling: str,
        default_region: str,
        allowed: frozenset[str] | None = None,
        known: frozenset[str] = frozenset(),
    ) -> "Phone":
        """Return the number that `spelling` names: E.164, country code + number, or national to `default_region`.

        A leading + is always international. Otherwise the default country is tried first, and the other reading counts
        only if its country is `allowed` (None: all are). Where the default is China, eleven digits that begin with 1
        have no other reading: a typing error in a mobile number must not reach North America. Raises InvalidPhone with
        the fault unless the number can receive SMS, or is one of the `known` (E.164).
        """
        number = _read(spelling)
        if number.startswith("+"):
            return _parsed(number, None, known)
        try:
            return _parsed(number, default_region, known)
        except InvalidPhone:
            if default_region == "CN" and re.fullmatch(_LIKE_A_MOBILE_OF_CHINA, number):
                raise InvalidPhone(fault=PhoneFault.NOT_OF_CHINA) from None
            with suppress(InvalidPhone):
                phone = _parsed(f"+{number}", None, known)
                if allowed is None or phone.region in allowed:
                    return phone
            raise

    @classmethod
    @lru_cache(maxsize=1024)
    def from_e164(cls, number: str) -> "Phone":
        """Return a number from a record or a signed token, even if the numbering plan of its country has changed since.

        The region is "ZZ" if its calling code exists no longer. Raises InvalidPhone for a text that is not E.164.
        """
        if not _E164.fullmatch(number):
            raise InvalidPhone
        with suppress(NumberParseException):
            parsed = phonenumbers.parse(number)
            of_code = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
            return cls(number, phonenumbers.region_code_for_number(parsed) or of_code)
        return cls(number, "ZZ")


def _read(spelling: str) -> str:
    """Return the digits of a number as a person wrote it, after a plus if there is one. Raises InvalidPhone."""
    number = digits_of(spelling, _DROPPED)
    if number[:4].lower() == "tel:":  # RFC 3966
        number = number[4:]
    if _SPELLING.fullmatch(number):
        return number
    if any(unicodedata.category(char)[0] == "L" for char in number):
        raise InvalidPhone(fault=PhoneFault.LETTERS)
    if number.removeprefix("+").isdecimal():
        raise InvalidPhone(fault=PhoneFault.TOO_LONG)
    if "+" in number[1:]:
        raise InvalidPhone(fault=PhoneFault.PLUS_INSIDE)
    raise InvalidPhone(fault=PhoneFault.SYMBOLS if number.strip("+") else PhoneFault.NO_DIGITS)


def _parsed(text: str, region: str | None, known: frozenset[str]) -> Phone:
    """Return the number of a country, which is that of the calling code if `region` is None. Raises InvalidPhone."""
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException as error:
        raise InvalidPhone(fault=_UNREADABLE.get(error.error_type, PhoneFault.TOO_SHORT)) from None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if e164 in known:
        return Phone.from_e164(e164)
    country = phonenumbers.region_code_for_number(number)
    if country == "CN" and _MOBILE_OF_CHINA.fullmatch(phonenumbers.national_significant_number(number)):
        return Phone(e164, country)
    kind = phonenumbers.number_type(number)
    # Numbers without a country, such as satellite phones, attract SMS pumping.
    if country not in phonenumbers.SUPPORTED_REGIONS or kind not in _CAN_RECEIVE_SMS:
        raise InvalidPhone(fault=_fault(number, kind))
    return Phone(e164, country)


def _fault(number: PhoneNumber, kind: int) -> PhoneFault:
    """Return the reason why a number cannot receive SMS; the `kind` of an invalid number is UNKNOWN."""
    if kind == PhoneNumberType.FIXED_LINE:
        return PhoneFault.FIXED_LINE
    if kind != PhoneNumberType.UNKNOWN:
        return PhoneFault.SERVICE
    length = phonenumbers.is_possible_number_for_type_with_reason(number, PhoneNumberType.MOBILE)
    return _IMPOSSIBLE.get(length, PhoneFault.UNKNOWN_NUMBER)
