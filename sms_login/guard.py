"""May an SMS be sent to this number at all? Asked before anything is written."""

from sms_login.errors import CountryNotAllowed
from sms_login.phone import Phone
from sms_login.ports import Sms


class Guard:
    """Says no to what must not be sent.

    `countries` are ISO codes, None for all; a country must be listed and have a template that reaches it.
    """

    def __init__(self, sms: Sms, countries: frozenset[str] | None) -> None:
        self._sms = sms
        self._countries = countries

    def check(self, phone: Phone) -> None:
        """Return if a code may be sent. Raises CountryNotAllowed."""
        allowed = self._countries is None or phone.region in self._countries
        if not allowed or not self._sms.reaches(phone):
            raise CountryNotAllowed
