"""The captcha that a client solves before a sending."""

from typing import Protocol

from msgspec import Struct


class Captcha(Protocol):
    """The way to those who tell people from programs."""

    def refusal(self, ticket: str, randstr: str, ip: str) -> str | None:
        """Return why a ticket is no good; None if it was good, and is now used up. Raises ServiceUnavailable."""


class Gate(Struct, frozen=True):
    """The captcha that is asked for, `always` or where much is sent already; an app shows it with `app_id`."""

    captcha: Captcha
    app_id: str
    always: bool
