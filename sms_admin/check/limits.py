"""Settings that are valid one by one, but make little sense together."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone

from sms_admin.check.report import Finding, ok, warning
from sms_admin.language import tr
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
        found = tr(
            f"{name} is {value}, but {other} is {most} and is reached first",
            f"{name} 为 {value}，但 {other} 为 {most}，会先达到",
        )
        todo = tr(f"set {name} to {most} or less, or raise {other}", f"请将 {name} 设为 {most} 或更小，或调高 {other}")
        yield warning("limits", found, todo)
    if rules.cooldown < _PLATFORM_COOLDOWN:
        found = tr(
            f"RESEND_COOLDOWN is {rules.cooldown} s, but by default Tencent sends the same content once in 30 s",
            f"RESEND_COOLDOWN 为 {rules.cooldown} 秒，但腾讯云默认 30 秒内同样内容只发一次",
        )
        todo = tr(
            "set it to 30, or lower the limit of the application in the SMS console",
            "请设为 30，或在短信控制台放宽该应用的频率限制",
        )
        yield warning("limits", found, todo)
    if not beyond and rules.cooldown >= _PLATFORM_COOLDOWN:
        found = tr(
            f"agree with each other; {limit.total} messages a day at most", f"彼此相符；每天最多 {limit.total} 条短信"
        )
        yield ok("limits", found)


def sending(settings: Settings) -> Iterator[Finding]:
    """Report whether SMS are sent, and through which endpoint."""
    if not settings.sending:
        found = tr("SENDING is not on: no codes are sent", "SENDING 不是 on：不发送验证码")
        yield warning("sending", found, tr("set it to on when the emergency is over", "紧急情况解除后请设为 on"))
    elif not settings.sms_endpoint.startswith("http://"):
        yield ok("sending", tr(f"on, through {settings.sms_endpoint}", f"已开启，经由 {settings.sms_endpoint}"))
    if settings.sms_endpoint.startswith("http://"):
        found = tr(
            f"SMS_ENDPOINT is {settings.sms_endpoint}: a stand-in, and no message reaches a phone",
            f"SMS_ENDPOINT 为 {settings.sms_endpoint}：是模拟服务，短信不会到达手机",
        )
        yield warning("sending", found, tr("remove SMS_ENDPOINT in production", "生产环境请删除 SMS_ENDPOINT"))


def countries(settings: Settings) -> Iterator[Finding]:
    """Report allowed countries that no template serves."""
    allowed, listed = settings.allowed_countries, ", ".join(sorted(settings.allowed_countries or ()))
    if allowed is None:
        found = tr("ALLOWED_COUNTRIES is *: messages go to every country", "ALLOWED_COUNTRIES 为 *：短信会发往所有国家")
        todo = tr(
            "list the countries of your users: every other country invites SMS pumping",
            "请只列出用户所在的国家：其他国家会招来短信盗刷",
        )
        yield warning("countries", found, todo)
    if settings.sms_abroad is None and (allowed is None or allowed - {_HOME}):
        names = listed or "*"
        found = tr(f"{names} are allowed, but no international template is set", f"允许 {names}，但没有国际短信模板")
        todo = tr(
            "set SMS_INTL_SDKAPPID and SMS_INTL_TEMPLATE_ID, or leave only CN in ALLOWED_COUNTRIES",
            "请设置 SMS_INTL_SDKAPPID 和 SMS_INTL_TEMPLATE_ID，或在 ALLOWED_COUNTRIES 中只保留 CN",
        )
        yield warning("countries", found, todo)
    elif allowed is not None and settings.default_country in allowed:
        yield ok("countries", listed)
    if allowed is not None and settings.default_country not in allowed:
        found = tr(
            f"DEFAULT_COUNTRY {settings.default_country} is not in ALLOWED_COUNTRIES: national numbers are refused",
            f"DEFAULT_COUNTRY {settings.default_country} 不在 ALLOWED_COUNTRIES 中：不带国家代码的号码会被拒绝",
        )
        yield warning("countries", found, tr("add it, or change DEFAULT_COUNTRY", "请加上它，或修改 DEFAULT_COUNTRY"))


def client_ip(settings: Settings) -> Iterator[Finding]:
    """Report the source of the client's address."""
    source = settings.client_ip_source
    if source == "none":
        found = tr(
            "CLIENT_IP_SOURCE is none: no limit counts clients", "CLIENT_IP_SOURCE 为 none：没有按客户端计数的限额"
        )
        todo = tr(
            "set it to platform, or to forwarded:N behind N proxies of your own",
            "请设为 platform；前面有 N 层自己的代理时，设为 forwarded:N",
        )
        yield warning("client-ip", found, todo)
    elif source == "platform":
        found = tr(
            "the address that Tencent Cloud sees; behind a proxy of your own use forwarded:N",
            "腾讯云所见的地址；前面有自己的代理时，请用 forwarded:N",
        )
        yield ok("client-ip", found)
    else:
        nth = source.partition(":")[2]
        found = tr(
            f"address {nth} from the right of X-Forwarded-For: correct behind {nth} proxies of your own",
            f"X-Forwarded-For 右起第 {nth} 个地址：前面有 {nth} 层自己的代理时才正确",
        )
        yield ok("client-ip", found)


def test_numbers(settings: Settings) -> Iterator[Finding]:
    """Report how many test numbers there are, and until when; not the numbers, since their codes are fixed."""
    if not settings.test_numbers:
        yield ok("test-numbers", tr("none", "没有"))
        return
    until, today = (_day(name) for name in (settings.test_numbers_until, Calendar(settings.tz_offset).now().day.name))
    left, count = (until - today).days, len(settings.test_numbers)
    if real := sum(map(_assignable, settings.test_numbers)):
        found = tr(
            f"{real} of {count} may belong to somebody, whose code would be fixed and easy to guess",
            f"{count} 个中有 {real} 个可能有人在用：其验证码固定，容易被猜中",
        )
        todo = tr(
            "take unassigned numbers, such as +8615400000000",
            "请改用不可能有人使用的号码，如 +8615400000000",
        )
        yield warning("test-numbers", found, todo)
    if left < 0:
        found = tr(
            f"{count}, refused since {until:%Y-%m-%d} (TEST_NUMBERS_UNTIL) has passed",
            f"{count} 个，已被拒绝：{until:%Y-%m-%d}（TEST_NUMBERS_UNTIL）已过",
        )
        todo = tr(
            "remove TEST_NUMBERS, or set a later day if a review is due",
            "请删除 TEST_NUMBERS；若还要送审，请改为更晚的日期",
        )
        yield warning("test-numbers", found, todo)
    elif left <= _SOON:
        found = tr(f"{count}, refused after {until:%Y-%m-%d}", f"{count} 个，{until:%Y-%m-%d} 之后被拒绝")
        todo = tr(
            "set a later TEST_NUMBERS_UNTIL if a review is due", "若还要送审，请把 TEST_NUMBERS_UNTIL 改为更晚的日期"
        )
        yield warning("test-numbers", found, todo)
    else:
        yield ok("test-numbers", tr(f"{count}, until {until:%Y-%m-%d}", f"{count} 个，有效至 {until:%Y-%m-%d}"))


def _assignable(e164: str) -> bool:
    with suppress(InvalidPhone):
        return bool(Phone.parse(e164, "ZZ"))
    return False


def _day(name: str) -> datetime:
    return datetime.strptime(name, "%Y%m%d").replace(tzinfo=timezone.utc)
