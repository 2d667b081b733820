"""Messages to a phone, as the rooms that send them see it."""

from typing import Protocol

from msgspec import Struct

from sms_login.phone import Phone

MAINLAND = "CN"  # the one country of the mainland route, and of voice calls


class SmsRoute(Struct, frozen=True):
    """The application, signature and template for one side of the border; `sender_id` abroad only.

    `purposes` are the further purposes of codes with their templates, "" for that of the login.
    """

    app_id: str
    sign: str
    template_id: str
    sender_id: str = ""
    purposes: dict[str, str] = {}


class Receipt(Struct, frozen=True):
    """The provider's answer to an accepted message. `fee` is the number of messages that are charged."""

    request_id: str
    serial_no: str
    fee: int = 1


class Voice(Protocol):
    """Calls that read a code aloud."""

    def send(self, phone: Phone, code: str) -> Receipt:
        """Call, once. Raises the refusals of `Sms.send`."""


class Sms(Protocol):
    """The way to a phone."""

    def send(self, phone: Phone, code: str, purpose: str = "login") -> Receipt:
        """Send a code, once, in the words of its purpose.

        Raises InvalidPhone, TooManyRequests, SendFailed (surely not sent) or SendUnknown (perhaps sent).
        """

    def report_conversion(self, phone: Phone, serial_no: str, at: int) -> None:
        """Tell the provider that the code of a message was right `at` an epoch second. Raises any exception."""
