"""Phone numbers: parsed once, the same for every spelling, masked when printed."""

import re
from functools import lru_cache

import phonenumbers
from msgspec import Struct
from phonenumbers import PhoneNumberType

from sms_login.errors import InvalidPhone

# ASCII only: `\d` would let full-width digits through.
_SPELLING = re.compile(r"\+?[0-9]{5,20}\Z")
_LONG = 12  # characters: a shorter number would be mostly visible
_CAN_RECEIVE_SMS = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}


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
    def parse(cls, spelling: str, default_region: str) -> "Phone":
        """Return the number that `spelling` names: E.164, country code + number, or national to `default_region`.

        A leading + is always international; otherwise the default country is tried first. Spaces and hyphens are
        ignored. Raises InvalidPhone unless the number can receive SMS.
        """
        digits = spelling.replace(" ", "").replace("-", "")
        if not _SPELLING.match(digits):
            raise InvalidPhone
        attempts = [(digits, None)] if digits.startswith("+") else [(digits, default_region), ("+" + digits, None)]
        for text, region in attempts:
            try:
                number = phonenumbers.parse(text, region)
            except phonenumbers.NumberParseException:
                continue
            country = phonenumbers.region_code_for_number(number)
            # An invalid number has no type. Numbers without a country, such as satellite phones, attract SMS pumping.
            if country in phonenumbers.SUPPORTED_REGIONS and phonenumbers.number_type(number) in _CAN_RECEIVE_SMS:
                return cls(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), country)
        raise InvalidPhone

    @classmethod
    def from_e164(cls, number: str) -> "Phone":
        """Return the number written with its plus and country. Raises InvalidPhone for a national number too."""
        if not number.startswith("+"):
            raise InvalidPhone
        return cls.parse(number, "ZZ")  # no region: the plus already says it
