"""The captcha that a client solves before a sending."""

from typing import Protocol

from msgspec import Struct


class Captcha(Protocol):
    """Verifies captcha tickets."""

    def refusal(self, ticket: str, randstr: str, ip: str) -> str | None:
        """Verify a ticket, which uses it up; return the reason if it is refused. Raises ServiceUnavailable."""


class CaptchaPolicy(Struct, frozen=True):
    """When a captcha is required: `always`, or from half of a budget on. Apps show it with `app_id`."""

    captcha: Captcha
    app_id: str
    always: bool
