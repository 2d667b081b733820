"""Test numbers, for the reviewers of an app store: their code is fixed, and no SMS is sent to them."""

import hmac
from collections.abc import Mapping

from sms_login import logs
from sms_login.errors import InvalidPhone
from sms_login.periods import Calendar
from sms_login.phone import Phone
from sms_login.secret import Masked, Secret


class FixedCodes(Masked, frozen=True, eq=False):
    """The `codes` of test numbers by E.164, valid through the day `until` ("YYYYMMDD")."""

    codes: Mapping[str, Secret]
    until: str
    calendar: Calendar

    def use(self, phone: Phone) -> None:
        """Log the use of a test number. Raises InvalidPhone after the last day."""
        if self.ended(phone):
            raise InvalidPhone("a test number, after TEST_NUMBERS_UNTIL")

    def ended(self, phone: Phone) -> bool:
        """Return whether it is a test number whose last day is over, and log its use."""
        if phone.e164 not in self.codes:
            return False
        logs.note(test_number=True)
        return self.calendar.now().day.name > self.until

    def right(self, phone: Phone, code: str) -> bool:
        """Return whether it is the test number's code."""
        return hmac.compare_digest(self.codes[phone.e164].key(), code.encode())
