"""`number`: show the limits that stand against a number, and lift those that are its own."""

import math
from collections.abc import Sequence
from typing import Any

import click
from msgspec import Struct

from sms_admin import commands
from sms_admin.language import tr
from sms_admin.operations import Page, operation
from sms_admin.output import Column
from sms_admin.place import Place
from sms_admin.run import Run
from sms_admin.users.sessions import live_sessions
from sms_login.adapters.redis.client import RedisCall
from sms_login.adapters.redis.codes import RedisChallenges, otp_key
from sms_login.adapters.redis.limits import RedisLimits
from sms_login.limits.policy import Policy
from sms_login.limits.store import Verdict
from sms_login.otp.purposes import LOGIN
from sms_login.periods import Calendar, Now
from sms_login.phone import Phone
from sms_login.secret import Masked


class Asked(Masked, frozen=True):
    """The request of both operations."""

    phone: str  # in E.164


class State(Struct, frozen=True, rename="camel"):
    """The limits that stand against a number. Durations in seconds from now, 0 if they do not apply."""

    phone: Phone
    country: str
    test_number: bool
    cooldown: int
    sent_today: int
    daily_limit: int
    failures: int
    lock: int
    code: int  # for which the latest code works
    full_budgets: list[str]  # which it shares with other numbers: of its range, its country, or the day
    sessions: int
    user_id: str | None
    banned: bool


class Lifted(Struct, frozen=True, rename="camel"):
    """The limits that an unlocking has taken away."""

    phone: Phone
    cooldown: bool
    sent_today: bool
    failures: bool


@operation
def show_number(place: Place, asked: Asked, _: Any) -> Page:
    """Return one row, the State of a number. Nothing is changed."""
    phone, settings, now = Phone.from_e164(asked.phone), place.settings, Calendar(place.settings.tz_offset).now()
    sent_today, failures = (_call(place, "GET", phone, name) for name in (_today(now), "failures"))
    cooldown, failures_left = (_call(place, "PTTL", phone, name) for name in ("cooldown", "failures"))
    finding = place.users.find(phone)
    place.redis.send(sent_today, failures, cooldown, failures_left, finding)
    user, locked = finding.answer(), failures.answer() >= settings.rules.lock_at
    row = State(
        phone=phone,
        country=phone.region,
        test_number=phone.e164 in settings.test_numbers,
        cooldown=_seconds(cooldown.answer()),
        sent_today=sent_today.answer(),
        daily_limit=settings.rules.daily,
        failures=failures.answer(),
        lock=_seconds(failures_left.answer()) if locked else 0,
        code=_code_left(place, phone),
        full_budgets=_full(place, phone, now),
        sessions=live_sessions(place, phone),
        user_id=user.id if user else None,
        banned=bool(user and user.banned),
    )
    return Page([row])


@operation
def unlock_number(place: Place, asked: Asked, _: Any) -> Page:
    """Take away a number's cooldown, its sendings of today and its failures in a row, and with them its lock."""
    phone, now = Phone.from_e164(asked.phone), Calendar(place.settings.tz_offset).now()
    lifting = [_call(place, "DEL", phone, name) for name in ("cooldown", _today(now), "failures")]
    place.redis.send(*lifting)
    cooldown, sent_today, failures = (bool(call.answer()) for call in lifting)
    place.record("number.unlock", phone, cooldown=cooldown, sentToday=sent_today, failures=failures)
    return Page([Lifted(phone, cooldown, sent_today, failures)])


def _call(place: Place, command: str, phone: Phone, name: str) -> RedisCall[int]:
    return place.redis.command(command, otp_key(phone, name), read=lambda reply: int(reply or 0))


def _today(now: Now) -> str:
    return f"day:{now.day.name}"


def _seconds(ms: int) -> int:
    return max(0, math.ceil(ms / 1000))


def _code_left(place: Place, phone: Phone) -> int:
    """Return the seconds for which the number's latest code works."""
    challenges = RedisChallenges(place.redis, place.settings.rules)
    ids = challenges.recent(phone, LOGIN.name).answer()
    return _seconds(challenges.remaining_ms(phone, ids[0], shared=False).answer()) if ids else 0


def _full(place: Place, phone: Phone, now: Now) -> list[str]:
    """Return the budgets that would refuse a sending to the number from a client that no limit counts."""
    settings = place.settings
    policy = Policy(settings.limits, settings.default_country, captcha=bool(settings.captcha_app_id))
    checks = [RedisLimits(place.redis).check(subject) for subject in policy.sending(None, phone, now)]
    place.redis.send(*checks)
    names = ["range", "day"] if phone.region == settings.default_country else ["range", "country", "day"]
    return [name for name, check in zip(names, checks, strict=True) if check.answer().verdict is Verdict.FULL]


_PHONE = click.argument("phone", type=commands.ANY_PHONE)
command = commands.Group(
    "number", help=tr("What stands against a number, and lifting it.", "查看号码受到的限制，并解除。")
)


def _lasts(seconds: int) -> str:
    return tr("no", "无") if not seconds else tr(f"{_hours(seconds)} left", f"还剩 {_hours(seconds)}")


def _hours(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


_STATE: Sequence[Column] = [
    Column("phone", tr("number", "号码")),
    Column("country", tr("country", "国家")),
    Column("testNumber", tr("test number", "测试号码")),
    Column("cooldown", tr("cooldown", "冷却"), _lasts),
    Column("sentToday", tr("sent today", "今日已发")),
    Column("dailyLimit", tr("per day", "每日上限")),
    Column("failures", tr("failures in a row", "连续失败")),
    Column("lock", tr("lock", "锁定"), _lasts),
    Column("code", tr("latest code", "最新验证码"), _lasts),
    Column("fullBudgets", tr("full budgets", "已满的额度")),
    Column("sessions", tr("sessions", "会话数")),
    Column("userId", tr("user", "用户")),
    Column("banned", tr("banned", "已封禁")),
]
_LIFTED = [
    Column("phone", tr("number", "号码")),
    Column("cooldown", tr("cooldown lifted", "已解除冷却")),
    Column("sentToday", tr("sendings of today forgotten", "已清除今日发送次数")),
    Column("failures", tr("failures and lock forgotten", "已清除失败次数和锁定")),
]


@command.command(
    "show",
    example="number show +8613800138000",
    needs_redis=True,
    help=tr(
        "Show what stands against a number. That is the cooldown, the sendings of the day, failures, the lock, and "
        "full budgets; also whether a code works, and who is signed in.",
        "显示号码受到的限制。包括冷却、今日发送次数、连续失败、锁定和已满的额度，以及验证码是否有效、有多少会话。",
    ),
)
@_PHONE
def show(run: Run, phone: Phone) -> None:
    """Print the state of a number."""
    for row in run.rows(show_number, Asked(phone.e164)):
        run.out.row(row, _STATE)


@command.command(
    "unlock",
    example="number unlock +8613800138000",
    needs_redis=True,
    help=tr(
        "Lift the cooldown, the count of the day and the lock of a number. Budgets that it shares with other numbers "
        "stay, and so do its sessions.",
        "解除号码的冷却、当日计数和锁定。与其他号码共用的额度以及会话不受影响。",
    ),
)
@_PHONE
def unlock(run: Run, phone: Phone) -> None:
    """Unlock a number, and print the limits that were lifted."""
    for row in run.rows(unlock_number, Asked(phone.e164)):
        run.out.row(row, _LIFTED)
