"""The action DescribeCaptchaResult, API version 2019-07-22: its tickets and verdicts, without HTTP."""

import ipaddress
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from local import parameters
from local.errors import ApiError

VERSION = "2019-07-22"
APP_ID = "190000000"
SECRET = "local-captcha-secret"  # noqa: S105 - made up
LIFETIME = 300  # s that a ticket is valid
MAX_TICKETS = 10_000  # older ones are forgotten
BLOCKED = 100  # EvilLevel of a user whom the risk control takes for a machine, in spite of a CaptchaCode of 1
KINDS = ("good", "expired", "reused", "mismatched", "blocked")

_CAPTCHA_TYPE = 9  # the only one
_MADE_UP = "trerror_"  # prefix of the tickets that the widget makes up if it cannot reach its server
_STRINGS = ("Ticket", "UserIp", "Randstr", "AppSecretKey", "MacAddress", "Imei")
_INTEGERS = ("CaptchaType", "CaptchaAppId", "BusinessId", "SceneId", "NeedGetCaptchaTime")
_TYPES = dict.fromkeys(_STRINGS, parameters.string) | dict.fromkeys(_INTEGERS, parameters.integer)
_REQUIRED = ("CaptchaType", "Ticket", "UserIp", "Randstr", "CaptchaAppId", "AppSecretKey")


class Verdict(Enum):
    """CaptchaCode and CaptchaMsg, from the API's documents."""

    OK = (1, "OK")
    WRONG_RANDSTR = (7, "captcha no match")
    EXPIRED = (8, "ticket expired")
    REUSED = (9, "ticket reused")
    UNKNOWN_TICKET = (15, "decrypt fail")
    WRONG_APP = (16, "appid-ticket mismatch")
    MADE_UP = (21, "diff")
    WRONG_SECRET = (100, "appid-secretkey-ticket mismatch")


def validate(params: Any) -> dict[str, Any]:
    """Return ``params`` if they are valid; raises ApiError with the platform's code."""
    checked = parameters.check(params, _TYPES, _REQUIRED)
    if checked["CaptchaType"] != _CAPTCHA_TYPE:
        raise ApiError("InvalidParameter", f"`CaptchaType` must be {_CAPTCHA_TYPE}.")
    try:
        ipaddress.ip_address(checked["UserIp"])
    except ValueError:
        raise ApiError("InvalidParameter", "`UserIp` is not an IP address.") from None
    return checked


@dataclass
class _Ticket:
    randstr: str
    issued_at: float
    expires_at: float
    evil_level: int
    used: bool


class TicketOffice:
    """Issues tickets, as the widget in an app does, and accepts each of them once; thread-safe.

    ``app_id`` and ``secret`` belong to the only captcha application, ``clock`` returns epoch seconds. Raises ValueError
    if ``app_id`` is not a number.
    """

    def __init__(self, *, app_id: str, secret: str, clock: Callable[[], float]) -> None:
        self._app_id, self._secret, self._clock = int(app_id), secret, clock
        self._tickets: dict[str, _Ticket] = {}  # oldest first
        self._lock = threading.Lock()

    def issue(self, kind: str = "good") -> tuple[str, str]:
        """Return a new ticket and its randstr. Raises ValueError, listing the kinds, for any other word.

        - ``good``: it is accepted once, within five minutes;
        - ``expired``, ``reused``: its five minutes are over; it has been accepted before;
        - ``mismatched``: the randstr belongs to another ticket;
        - ``blocked``: it is accepted, but with an EvilLevel of 100: its user is taken for a machine.
        """
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}; use {', '.join(KINDS)}")
        now = self._clock()
        # Both look like the widget's, including characters that a URL or a form may mangle.
        ticket, randstr = f"t03{secrets.token_urlsafe(96)}*", _randstr()
        issued = _Ticket(
            randstr=_randstr() if kind == "mismatched" else randstr,
            issued_at=now,
            expires_at=now if kind == "expired" else now + LIFETIME,
            evil_level=BLOCKED if kind == "blocked" else 0,
            used=kind == "reused",
        )
        with self._lock:
            self._tickets[ticket] = issued
            if len(self._tickets) > MAX_TICKETS:
                del self._tickets[next(iter(self._tickets))]
        return ticket, randstr

    def verify(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to valid parameters; only a CaptchaCode of 1 uses a ticket up."""
        with self._lock:
            ticket = self._tickets.get(params["Ticket"])
            verdict = self._judge(params, ticket)
            passed = ticket if verdict is Verdict.OK else None
            if passed:
                passed.used = True
        code, message = verdict.value
        return {
            "CaptchaCode": code,
            "CaptchaMsg": message,
            "EvilLevel": passed.evil_level if passed else 0,
            "GetCaptchaTime": int(passed.issued_at) if passed and params.get("NeedGetCaptchaTime") == 1 else 0,
        }

    def _judge(self, params: dict[str, Any], ticket: _Ticket | None) -> Verdict:
        if params["CaptchaAppId"] != self._app_id:
            return Verdict.WRONG_APP
        if params["AppSecretKey"] != self._secret:
            return Verdict.WRONG_SECRET
        if ticket is None:
            return Verdict.MADE_UP if params["Ticket"].startswith(_MADE_UP) else Verdict.UNKNOWN_TICKET
        if params["Randstr"] != ticket.randstr:
            return Verdict.WRONG_RANDSTR
        if self._clock() >= ticket.expires_at:
            return Verdict.EXPIRED
        return Verdict.REUSED if ticket.used else Verdict.OK


def _randstr() -> str:
    return f"@{secrets.token_urlsafe(9)}"
