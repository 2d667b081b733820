"""A login service on a Redis of the test's choice, with a clock that it can move and an SMS outbox that it can read."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import time_machine
from msgspec.structs import replace

from sms_login import wiring
from sms_login.adapters.redis.codes import otp_key
from sms_login.adapters.redis.limits import RedisLimits
from sms_login.adapters.redis.sessions import RedisSessions
from sms_login.adapters.redis.users import RedisUsers
from sms_login.errors import CodeIsError
from sms_login.limits.client import Client
from sms_login.limits.guard import Caller
from sms_login.limits.policy import Limits
from sms_login.otp.login import LoggedIn
from sms_login.otp.purposes import LOGIN, Purpose
from sms_login.otp.rules import Rules
from sms_login.otp.send import CodeSent
from sms_login.otp.verify import Guess
from sms_login.phone import Phone
from sms_login.secret import Secret
from sms_login.sessions.keys import shared_key
from sms_login.sessions.proofs import Proven
from sms_login.sessions.service import SignedIn
from sms_login.sessions.store import SessionRules
from sms_login.settings.settings import Settings
from sms_login.users import Users
from sms_login.wiring import Outside
from tests.testkit.backends import Backend
from tests.testkit.outside import Calls, Captchas, Outbox
from tests.testkit.seams import SeamedRedis

PHONE = Phone.parse("+8613800138000", "CN")
OTHER_PHONE = Phone.parse("+8613800138001", "CN")
PAY = Purpose("pay")
REVIEW_PHONE = Phone.parse("+8613800000000", "CN")  # a test number, whose code is fixed
REVIEW_CODE = "123456"
UNLIMITED = Limits(*[10**9] * len(Limits.__struct_fields__))
ENVIRON = {
    "REDIS_HOST": "127.0.0.1",
    "SMS_SDKAPPID": "1400000000",
    "SMS_SIGN": "sign",
    "SMS_TEMPLATE_ID": "1",
    "SMS_INTL_SDKAPPID": "1400000001",
    "SMS_INTL_TEMPLATE_ID": "2",
    "SMS_PURPOSES": "pay=3,resetPassword",
    "JWT_SECRET": "replaced in every world, by a secret",
    "JWT_ISSUER": "issuer",
    "JWT_AUDIENCE": "audience",
    "SMS_RECEIPT_KEY": "the-key-of-the-receipts-in-tests",
    "CAPTCHA_APP_ID": "190000",
    "CAPTCHA_APP_SECRET": "secret",
    "TEST_NUMBERS": f"{REVIEW_PHONE.e164}={REVIEW_CODE}",
    "TEST_NUMBERS_UNTIL": "2026-12-31",
}
SECRET = b"a secret for tests, of 32 bytes."
OLD_SECRET = b"an older secret, also 32 bytes.."


@dataclass
class World:
    """Everything of one test."""

    backend: Backend
    clock: time_machine.Traveller
    rules: Rules = field(default_factory=Rules)
    secrets: tuple[bytes, ...] = (SECRET,)
    require_session: bool = False
    session_rules: SessionRules = field(default_factory=SessionRules)
    limits: Limits = field(default_factory=Limits)
    captcha_mode: str = "off"
    countries: frozenset[str] | None = None
    abroad: bool = True  # whether an international template is set
    sending: bool = True
    calls_on: bool = True
    origins: frozenset[str] = frozenset()
    ip: str | None = None  # whose calls these are; None: no limit counts clients
    report_conversion: bool = False
    statistics: bool = False  # off, so that tests may compare all that Redis holds
    other_users: Users | None = None  # in place of those in Redis
    reverify_after: int = 0  # s

    def __post_init__(self) -> None:
        self.outbox, self.calls, self.captchas = Outbox(), Calls(), Captchas()
        self.redis = SeamedRedis(lambda: self.backend.client)
        self.limit_store = RedisLimits(self.redis)
        self.session_store = RedisSessions(self.redis, self.session_rules)
        self.users = self.other_users or RedisUsers(self.redis, self.reverify_after)
        settings = replace(
            Settings.read(ENVIRON),
            secrets=tuple(Secret(secret.decode()) for secret in self.secrets),
            jwt_keys=tuple(map(shared_key, self.secrets)),
            rules=self.rules,
            limits=self.limits,
            session_rules=self.session_rules,
            require_session=self.require_session,
            captcha_mode=self.captcha_mode,
            allowed_countries=self.countries,
            sending=self.sending,
            statistics=self.statistics,
            sms_report_conversion=self.report_conversion,
            **({} if self.abroad else {"sms_abroad": None}),
            allowed_origins=self.origins,
            client_ip_source="platform" if self.ip else "none",
        )
        self.app = wiring.app(
            settings,
            Outside(
                redis=self.redis,
                users=self.users,
                sms=self.outbox,
                captcha=self.captchas,
                voice=self.calls if self.calls_on else None,
            ),
        )
        self.sender, self.login, self.sessions = self.app.sender, self.app.login, self.app.sessions
        self.counts = self.app.statistics
        self.challenges = self.sender.challenges

    def answer(self, method: str, headers: dict[str, str] | None = None, /, **params: Any) -> dict[str, Any]:
        """Send a JSON event from `ip` through the whole app; return the platform's answer."""
        event = {
            "httpMethod": "POST",
            "headers": headers or {},
            "body": json.dumps({"method": method, **params}),
            "requestContext": {"sourceIp": self.ip},
        }
        return self.app.handle(event, {})

    def call(self, method: str, headers: dict[str, str] | None = None, /, **params: Any) -> dict[str, Any]:
        """Send a JSON event from `ip` through the whole app; return the body of the answer."""
        body: dict[str, Any] = json.loads(self.answer(method, headers, **params)["body"])
        return body

    def receive(self, body: Any, key: str = ENVIRON["SMS_RECEIPT_KEY"]) -> tuple[int, Any]:
        """Send a callback as Tencent Cloud does: a body of JSON, or of text as it is; return status and answer."""
        text = body if isinstance(body, str) else json.dumps(body)
        event = {"httpMethod": "POST", "queryString": {"method": "smsReceipt", "key": key}, "body": text}
        answer = self.app.handle(event, {})
        return answer["statusCode"], json.loads(answer["body"])

    def wait(self, seconds: float) -> None:
        """Let time pass, for Redis and for the function."""
        self.clock.shift(seconds)
        if not self.backend.ages_by_itself:
            self.backend.age(seconds)

    def cool_down(self) -> None:
        """Wait until a number that has just had a code may have another."""
        self.wait(self.rules.cooldown + 1)

    @property
    def client(self) -> Client:
        """The client of the calls, by its IPv4 address."""
        return Client(self.ip or "", self.ip)

    def get_sms(
        self,
        session: str | None = None,
        *,
        key: str | None = None,
        phone: Phone = PHONE,
        ticket: str = "",
        purpose: Purpose = LOGIN,
    ) -> CodeSent:
        """Ask for a code."""
        return self.sender.get_sms(phone, session, key, Caller(self.client, ticket, "randstr"), purpose)

    def log_in(
        self, session: str | None, code: str | None = None, *, key: str | None = None, phone: Phone = PHONE
    ) -> LoggedIn:
        """Log in, with the last code that was sent if no other is given."""
        return self.login.log_in(Guess(phone, code or self.outbox.code, session, key, self.client))

    def prove(
        self,
        session: str,
        code: str | None = None,
        *,
        key: str | None = None,
        phone: Phone = PHONE,
        purpose: Purpose = PAY,
    ) -> Proven:
        """Verify the last code that was sent, if no other is given."""
        return self.login.prove(Guess(phone, code or self.outbox.code, session, key, self.client, purpose))

    def begin_session(self) -> SignedIn:
        """Begin a session of the number, without a code."""
        _, tokens = self.sessions.begin(PHONE, self.users.sign_in(PHONE, "")).answer()
        assert tokens
        return tokens

    @property
    def wrong(self) -> str:
        """Six digits that are not the last code."""
        return f"{(int(self.outbox.code) + 1) % 1_000_000:06}"

    def spend_guesses(self, session: str | None, code: str | None = None, *, key: str | None = None) -> None:
        """Guess wrong in a session, or without one, until no guess is left; each answer says how many are."""
        for left in reversed(range(self.rules.guesses)):
            with pytest.raises(CodeIsError) as wrong:
                self.log_in(session, code or self.wrong, key=key)
            assert wrong.value.data == {"attemptsLeft": left}

    def between_check_and_reserve(self, happens: Callable[[], object]) -> None:
        """Let something happen once, after the next sending has checked its budgets and before it reserves them."""
        self.redis.after("check reserve", happens)

    def latest(self, phone: Phone = PHONE, purpose: Purpose = LOGIN) -> str | None:
        """Return the id of the challenge of the number's latest code for a purpose, None if there is none."""
        return next(iter(self.challenges.recent(phone, purpose.name).answer()), None)

    def sent_today(self, phone: Phone = PHONE) -> int:
        """Return what Redis counts of the number's day."""
        days = [key for key in self.backend.expiries() if key.startswith(otp_key(phone, "day:"))]
        return sum(int(self.backend.client.get(key)) for key in days)

    def failures(self, phone: Phone = PHONE) -> str | None:
        """Return what Redis counts of the number's failures in a row, None if nothing."""
        count: str | None = self.backend.client.get(otp_key(phone, "failures"))
        return count

    def statistics_of(self, country: str = "CN") -> dict[str, int]:
        """Write the counts that wait, and return those of a country in Redis, of all hours together; none is zero."""
        self.wait(2)  # an instance writes only so often
        self.redis.check()
        hours = [self.backend.client.hgetall(key) for key in self.backend.expiries() if key.startswith("stats:")]
        total = Counter[str]()
        for name, count in ((name, count) for counts in hours for name, count in counts.items()):
            if name.startswith(f"{country}:"):
                total[name.removeprefix(f"{country}:")] += int(count)
        return {name: count for name, count in total.items() if count}

    def set_failures(self, count: int, phone: Phone = PHONE, *, seconds: int = 86_400) -> None:
        """Count so many failures in a row of the number, for so long."""
        self.backend.client.set(otp_key(phone, "failures"), count, ex=seconds)

    def lock(self, phone: Phone = PHONE, *, seconds: int = 5) -> None:
        """Lock the number for so long, as its failures do."""
        self.set_failures(self.rules.lock_at, phone, seconds=seconds)
