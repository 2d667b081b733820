"""A login service on a Redis of the test's choice, with a clock that it can move and an SMS outbox that it can read."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import time_machine

from sms_login.adapters.redis_client import RedisClient
from sms_login.adapters.redis_codes import RedisCodes
from sms_login.adapters.redis_users import RedisUsers
from sms_login.app import App
from sms_login.codes import CodeMaker
from sms_login.errors import Refusal
from sms_login.guard import Guard
from sms_login.login import LoginService
from sms_login.messages import CodeSent, LoggedIn
from sms_login.phone import Phone
from sms_login.ports import Receipt, Rules
from sms_login.sessions import Sessions
from sms_login.tokens import AccessTokens

PHONE = Phone.parse("+8613800138000", "CN")
OTHER_PHONE = Phone.parse("+8613800138001", "CN")
SECRET = b"a secret for tests, of 32 bytes."
OLD_SECRET = b"an older secret, also 32 bytes.."


class Outbox:
    """`ports.Sms` that keeps what it is given; `refuse` is raised instead, once for each that is in it."""

    def __init__(self) -> None:
        self.sent: list[tuple[Phone, str]] = []
        self.refuse: list[Refusal] = []
        self.meanwhile: Callable[[], object] = lambda: None  # happens while SendSms is under way

    def reaches(self, phone: Phone) -> bool:
        """Reach every country."""
        return bool(phone)

    def send(self, phone: Phone, code: str) -> Receipt:
        """Keep the message, or refuse."""
        self.meanwhile()
        if self.refuse:
            raise self.refuse.pop(0)
        self.sent.append((phone, code))
        return Receipt(f"request-{len(self.sent)}", f"serial-{len(self.sent)}")

    @property
    def code(self) -> str:
        """The digits of the last message."""
        return self.sent[-1][1]


@dataclass
class Backend:
    """One Redis. `client` is redis-py's; `ages_by_itself` where its clock is Python's, which time-machine moves."""

    client: Any
    ages_by_itself: bool = False

    def age(self, seconds: float) -> None:
        """Let `seconds` pass for every key that expires, which is all the time that the scripts know."""
        for key, ms in self.expiries().items():
            if ms != -1:
                self.client.pexpire(key, ms - int(seconds * 1000))

    def expiries(self) -> dict[str, int]:
        """Return the keys with the milliseconds that they have left, -1 for ever."""
        keys = {key: self.client.pttl(key) for key in self.client.scan_iter(count=1000)}
        return {key: ms for key, ms in keys.items() if ms != -2}

    def dump(self) -> dict[str, Any]:
        """Return all that Redis holds."""
        read = {"hash": self.client.hgetall, "string": self.client.get}
        return {key: read[self.client.type(key)](key) for key in self.expiries()}


@dataclass
class World:
    """Everything of one test."""

    backend: Backend
    clock: time_machine.Traveller
    rules: Rules = field(default_factory=Rules)
    secrets: tuple[bytes, ...] = (SECRET,)
    require_session: bool = False

    def __post_init__(self) -> None:
        self.outbox = Outbox()
        self.redis = RedisClient(lambda: self.backend.client)
        self.codes = RedisCodes(self.redis, self.rules)
        self.users = RedisUsers(self.redis)
        self.tokens = AccessTokens(*self.secrets, issuer="issuer", audience="audience", ttl=7200)
        self.sessions = Sessions(self.users, self.tokens)
        self.login = LoginService(
            codes=self.codes,
            users=self.users,
            sms=self.outbox,
            guard=Guard(self.outbox, None),
            maker=CodeMaker(*self.secrets),
            tokens=self.tokens,
            rules=self.rules,
            require_session=self.require_session,
        )
        self.app = App(login=self.login, sessions=self.sessions, ping=self.redis.ping, default_country="CN")

    def call(self, method: str, headers: dict[str, str] | None = None, /, **params: Any) -> dict[str, Any]:
        """Send a JSON event through the whole app; return the body of the answer."""
        event = {"httpMethod": "POST", "headers": headers or {}, "body": json.dumps({"method": method, **params})}
        body: dict[str, Any] = json.loads(self.app.handle(event, {})["body"])
        return body

    def wait(self, seconds: float) -> None:
        """Let time pass, for Redis and for the function."""
        self.clock.shift(seconds)
        if not self.backend.ages_by_itself:
            self.backend.age(seconds)

    def get_sms(self, session: str | None = None, *, key: str | None = None, phone: Phone = PHONE) -> CodeSent:
        """Ask for a code."""
        return self.login.get_sms(phone, session, key)

    def log_in(
        self, session: str | None, code: str | None = None, *, key: str | None = None, phone: Phone = PHONE
    ) -> LoggedIn:
        """Log in, with the last code that was sent if no other is given."""
        return self.login.log_in(phone, code or self.outbox.code, session, key)

    @property
    def wrong(self) -> str:
        """Six digits that are not the last code."""
        return f"{(int(self.outbox.code) + 1) % 1_000_000:06}"

    def sent_today(self, phone: Phone = PHONE) -> int:
        """Return what Redis counts of the number's day."""
        days = [key for key in self.backend.expiries() if key.startswith(f"otp:{{{phone.e164}}}:day:")]
        return sum(int(self.backend.client.get(key)) for key in days)
