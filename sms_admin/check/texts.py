"""What Tencent Cloud tells of a template and a signature, held against the settings."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from sms_admin.check.report import Finding, ok, problem, warning
from sms_login.settings.settings import Settings
from sms_login.sms import SmsRoute

_APPROVED = 0  # StatusCode: the only one with which a message is sent
_STATES = {1: "is still being reviewed", 2: "is approved, but not in effect yet", -1: "was refused"}
_PLACE = re.compile(r"\{([0-9]+)\}")
_MINUTES = re.compile(r"\{([0-9]+)\}\s*(?:分钟|分鐘|min(?:ut\w*|s)?\b)", re.IGNORECASE)
_OTHER_UNIT = re.compile(r"\{([0-9]+)\}\s*(?:秒|小时|小時|sec(?:ond)?s?\b|hours?\b)", re.IGNORECASE)
_WRITTEN_OUT = re.compile(r"(?<![{0-9])([0-9]+)\s*(?:分钟|分鐘|min(?:ut\w*|s)?\b)", re.IGNORECASE)
_CODE_WORD = r"(?:验证码|驗證碼|校验码|动态码|\bcode\b|\bOTP\b|\bpasscode\b)"
_VERIFIES = re.compile(_CODE_WORD, re.IGNORECASE)
_CODE = re.compile(
    rf"{_CODE_WORD}\s*(?:为|為|是|is|[:：])*\s*\{{([0-9]+)\}}"  # "your code is {1}"
    rf"|\{{([0-9]+)\}}\s*(?:为|為|是|is)[^{{}}]{{0,20}}?{_CODE_WORD}",  # "{1} is your code"
    re.IGNORECASE,
)


class Side(Struct, frozen=True):
    """One side of the border: the `name` of its findings, its number in the API, and what the settings have for it."""

    name: str
    international: int
    route: SmsRoute

    @property
    def prefix(self) -> str:
        """How the names of its settings begin."""
        return "SMS_INTL_" if self.international else "SMS_"


def template(side: Side, found: Any, settings: Settings) -> Iterator[Finding]:
    """Tell whether a template can be used: an item of DescribeTemplateStatusSet, or None."""
    name, setting = f"{side.name}.template", f"{side.prefix}TEMPLATE_ID"
    if found is None:
        where = "global SMS" if side.international else "mainland China"
        todo = f"see in the SMS console that {setting} is of this account, in {settings.sms_region}, and for {where}"
        yield problem(name, f"{setting} names no template", todo)
        return
    text = found.TemplateContent or ""
    yield from _state(name, setting, found, f"“{text}”")
    if not _VERIFIES.search(text):
        todo = "see in the SMS console that its type is verification code: others are sent late, and not at night"
        yield warning(name, f"does not look like a verification code's: “{text}”", todo)
    name = f"{side.name}.parameters"
    yield _misfit(name, text, settings) or _order(name, text, settings)


def sign(side: Side, found: Sequence[Any]) -> Iterator[Finding]:
    """Tell whether a signature can be used: the items of DescribeSignListStatusSet that have its name."""
    name, setting = f"{side.name}.sign", f"{side.prefix}SIGN"
    if not found:
        todo = "copy the signature's text from the SMS console, without the brackets 【】"
        yield problem(name, f"{setting} names no signature of this account", todo)
        return
    best = next((one for one in found if one.StatusCode == _APPROVED), found[0])
    yield from _state(name, setting, best, f"“{best.SignName}”")


def _state(name: str, setting: str, found: Any, what: str) -> Iterator[Finding]:
    if found.StatusCode == _APPROVED:
        yield ok(name, f"approved: {what}")
        return
    state = _STATES.get(found.StatusCode, f"has the unknown status {found.StatusCode}")
    why = f" ({found.ReviewReply})" if found.ReviewReply else ""
    todo = "wait for the review" if found.StatusCode in (1, 2) else "hand in another in the SMS console"
    yield problem(name, f"{setting} {state}{why}: SendSms refuses it", todo)


def _misfit(name: str, text: str, settings: Settings) -> Finding | None:
    """Tell why a template cannot take what SMS_TEMPLATE_PARAMS says, in whatever order."""
    params, minutes = settings.sms_template_params, max(1, settings.rules.life // 60)
    places = sorted(set(map(int, _PLACE.findall(text))))
    if places != [*range(1, len(params) + 1)]:
        fits = {1: "set it to code", 2: "set it to code and minutes, in the template's order"}.get(len(places))
        found = f"takes {len(places)}, but SMS_TEMPLATE_PARAMS is {','.join(params)}: “{text}”"
        return problem(name, found, fits or "use a template with one or two parameters")
    if other := _OTHER_UNIT.search(text):
        return problem(name, f"{other[0]}: what is sent are minutes", "use a template that says minutes")
    if len(set(_MINUTES.findall(text))) == len(params):
        return problem(name, f"it has no place for the code: “{text}”", "use a template that has one")
    written = _WRITTEN_OUT.search(text)
    if written and int(written[1]) != minutes:
        return warning(name, f"it says {written[0]}, but CODE_TTL is {minutes} minutes", "change one of them")
    return None


def _order(name: str, text: str, settings: Settings) -> Finding:
    """Tell whether the order is the template's, as far as its words show it."""
    params = settings.sms_template_params
    at = _code_at(text, len(params))
    if at is None:
        todo = f"see for yourself that the order is {','.join(params)}: else people are sent the minutes for a code"
        return warning(name, f"cannot tell which is which: “{text}”", todo)
    if params[at - 1] != "code":
        right = "minutes,code" if at > 1 else "code,minutes"
        return problem(name, f"{','.join(params)} is the wrong way round: “{text}”", f"set SMS_TEMPLATE_PARAMS={right}")
    return ok(name, ",".join(params))


def _code_at(text: str, count: int) -> int | None:
    """Return which parameter is the code; None where the words around them do not tell, or contradict each other."""
    minutes = {int(number) for number in _MINUTES.findall(text)}
    codes = {int(match[1] or match[2]) for match in _CODE.finditer(text)} - minutes
    left = {*range(1, count + 1)} - minutes
    certain = left if minutes or count == 1 else codes
    return certain.pop() if len(certain) == 1 else None
