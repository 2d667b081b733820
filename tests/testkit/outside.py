"""Stand-ins for SendSms and the captcha service, inside the process of the tests."""

from collections.abc import Callable

from sms_login.errors import Refusal, ServiceUnavailable
from sms_login.phone import Phone
from sms_login.sms import Receipt


class Outbox:
    """`sms.Sms` that keeps what it is given; `refuse` is raised instead, once for each that is in it."""

    def __init__(self) -> None:
        self.sent: list[tuple[Phone, str]] = []
        self.purposes: list[str] = []
        self.conversions: list[tuple[Phone, str, int]] = []
        self.refuse: list[Refusal] = []
        self.meanwhile: Callable[[], object] = lambda: None  # happens while SendSms is under way

    def send(self, phone: Phone, code: str, purpose: str = "login") -> Receipt:
        """Keep the message, or refuse."""
        self.meanwhile()
        if self.refuse:
            raise self.refuse.pop(0)
        self.sent.append((phone, code))
        self.purposes.append(purpose)
        return Receipt(f"request-{len(self.sent)}", f"serial-{len(self.sent)}")

    def report_conversion(self, phone: Phone, serial_no: str, at: int) -> None:
        """Keep a conversion, or refuse."""
        if self.refuse:
            raise self.refuse.pop(0)
        self.conversions.append((phone, serial_no, at))

    @property
    def code(self) -> str:
        """The digits of the last message."""
        return self.sent[-1][1]


class Calls:
    """`sms.Voice` that keeps its calls; `refuse` is raised instead, once for each that is in it."""

    def __init__(self) -> None:
        self.made: list[tuple[Phone, str]] = []
        self.refuse: list[Refusal] = []

    def send(self, phone: Phone, code: str) -> Receipt:
        """Keep the call, or refuse."""
        if self.refuse:
            raise self.refuse.pop(0)
        self.made.append((phone, code))
        return Receipt(f"request-call-{len(self.made)}", f"call-{len(self.made)}", fee=0)


class Captchas:
    """`limits.captcha.Captcha` that passes the tickets that are in `good`, each once; `away` when nobody answers."""

    def __init__(self) -> None:
        self.good: set[str] = set()
        self.seen: list[tuple[str, str, str]] = []
        self.away = False

    def refusal(self, ticket: str, randstr: str, ip: str) -> str | None:
        """Use up a good ticket."""
        self.seen.append((ticket, randstr, ip))
        if self.away:
            raise ServiceUnavailable("captcha: timeout, SecretKey=abcdefgh")
        if ticket not in self.good:
            return "code 9"
        self.good.discard(ticket)
        return None
