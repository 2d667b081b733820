"""Settings that are valid one by one, but make little sense together."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone

from sms_admin.check.report import Finding, ok, warning
from sms_login.errors import InvalidPhone
from sms_login.periods import Calendar
from sms_login.phone import Phone
from sms_login.settings.settings import Settings

_HOME = "CN"  # the one country that the mainland template serves
_PLATFORM_COOLDOWN = 30  # s between two messages with the same content to one number: Tencent's default
_SOON = 7  # days


def limits(settings: Settings) -> Iterator[Finding]:
    """Report limits that can never be reached, because another one is reached first."""
    limit, rules, session = settings.limits, settings.rules, settings.session_rules
    pairs = [
        ("IP_HOURLY_LIMIT", limit.ip_hour, "IP_DAILY_LIMIT", limit.ip_day),
        ("IP_DAILY_LIMIT", limit.ip_day, "DAILY_BUDGET", limit.total),
        ("RANGE_HOURLY_LIMIT", limit.range_hour, "RANGE_DAILY_LIMIT", limit.range_day),
        ("RANGE_DAILY_LIMIT", limit.range_day, "RANGE_DAILY_BUDGET", limit.range_total),
        ("RANGE_DAILY_BUDGET", limit.range_total, "DAILY_BUDGET", limit.total),
        ("DAILY_LIMIT", rules.daily, "RANGE_DAILY_BUDGET", limit.range_total),
        ("RESEND_COOLDOWN", rules.cooldown, "CODE_TTL", rules.life),
        ("TOKEN_TTL", settings.token_ttl, "REFRESH_TTL", session.idle),
        ("REFRESH_TTL", session.idle, "SESSION_TTL", session.most),
    ]
    if settings.allowed_countries != frozenset([settings.default_country]):
        pairs += [
            ("COUNTRY_HOURLY_LIMIT", limit.country_hour, "COUNTRY_DAILY_BUDGET", limit.country_total),
            ("COUNTRY_DAILY_BUDGET", limit.country_total, "DAILY_BUDGET", limit.total),
        ]
    beyond = [pair for pair in pairs if pair[1] > pair[3]]
    for name, value, other, most in beyond:
        found = f"{name} is {value}, but {other} is {most} and is reached first"
        yield warning("limits", found, f"set {name} to {most} or less, or raise {other}")
    if rules.cooldown < _PLATFORM_COOLDOWN:
        found = f"RESEND_COOLDOWN is {rules.cooldown} s, but by default Tencent sends the same content once in 30 s"
        yield warning("limits", found, "set it to 30, or lower the limit of the application in the SMS console")
    if not beyond and rules.cooldown >= _PLATFORM_COOLDOWN:
        yield ok("limits", f"agree with each other; {limit.total} messages a day at most")


def sending(settings: Settings) -> Iterator[Finding]:
    """Report whether SMS are sent, and through which endpoint."""
    if not settings.sending:
        yield warning("sending", "SENDING is not on: no codes are sent", "set it to on when the emergency is over")
    elif not settings.sms_endpoint.startswith("http://"):
        yield ok("sending", f"on, through {settings.sms_endpoint}")
    if settings.sms_endpoint.startswith("http://"):
        found = f"SMS_ENDPOINT is {settings.sms_endpoint}: a stand-in, and no message reaches a phone"
        yield warning("sending", found, "remove SMS_ENDPOINT in production")


def countries(settings: Settings) -> Iterator[Finding]:
    """Report allowed countries that no template serves."""
    allowed, listed = settings.allowed_countries, ", ".join(sorted(settings.allowed_countries or ()))
    if allowed is None:
        todo = "list the countries of your users: every other country invites SMS pumping"
        yield warning("countries", "ALLOWED_COUNTRIES is *: messages go to every country", todo)
    if settings.sms_abroad is None and (allowed is None or allowed - {_HOME}):
        todo = "set SMS_INTL_SDKAPPID and SMS_INTL_TEMPLATE_ID, or leave only CN in ALLOWED_COUNTRIES"
        yield warning("countries", f"{listed or '*'} allowed, but there is no international template", todo)
    elif allowed is not None and settings.default_country in allowed:
        yield ok("countries", listed)
    if allowed is not None and settings.default_country not in allowed:
        found = f"DEFAULT_COUNTRY {settings.default_country} is not in ALLOWED_COUNTRIES: national numbers are refused"
        yield warning("countries", found, "add it, or change DEFAULT_COUNTRY")


def client_ip(settings: Settings) -> Iterator[Finding]:
    """Report the source of the client's address."""
    source = settings.client_ip_source
    if source == "none":
        todo = "set it to platform, or to forwarded:N behind N proxies of your own"
        yield warning("client-ip", "CLIENT_IP_SOURCE is none: no limit counts clients", todo)
    elif source == "platform":
        yield ok("client-ip", "the address that Tencent Cloud sees; behind a proxy of your own use forwarded:N")
    else:
        nth = source.partition(":")[2]
        yield ok(
            "client-ip", f"address {nth} from the right of X-Forwarded-For: correct behind {nth} proxies of your own"
        )


def test_numbers(settings: Settings) -> Iterator[Finding]:
    """Report how many test numbers there are, and until when; not the numbers, since their codes are fixed."""
    if not settings.test_numbers:
        yield ok("test-numbers", "none")
        return
    until, today = (_day(name) for name in (settings.test_numbers_until, Calendar(settings.tz_offset).now().day.name))
    left, count = (until - today).days, len(settings.test_numbers)
    if real := sum(map(_assignable, settings.test_numbers)):
        found = f"{real} of {count} may belong to somebody, whose code would be fixed and easy to guess"
        yield warning("test-numbers", found, "take numbers that nobody can have, such as +8615400000000")
    if left < 0:
        found = f"{count}, refused since {until:%Y-%m-%d} (TEST_NUMBERS_UNTIL) has passed"
        yield warning("test-numbers", found, "remove TEST_NUMBERS, or set a later day if a review is due")
    elif left <= _SOON:
        found = f"{count}, refused after {until:%Y-%m-%d}"
        yield warning("test-numbers", found, "set a later TEST_NUMBERS_UNTIL if a review is due")
    else:
        yield ok("test-numbers", f"{count}, until {until:%Y-%m-%d}")


def _assignable(e164: str) -> bool:
    with suppress(InvalidPhone):
        return bool(Phone.parse(e164, "ZZ"))
    return False


def _day(name: str) -> datetime:
    return datetime.strptime(name, "%Y%m%d").replace(tzinfo=timezone.utc)
