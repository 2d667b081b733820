"""The action SendSms, API version 2021-01-11: its checks and answers, without HTTP."""

import re
import uuid
from typing import Any, NamedTuple

import phonenumbers

from local import parameters
from local.describe_sms import ABROAD, MAINLAND, MARKETING, OTP, Template
from local.errors import ApiError

VERSION = "2021-01-11"
MAX_PHONES = 200
LONGEST = 70  # characters of one message
MAX_CONTEXT = 511  # bytes of SessionContext
MAX_VARIABLE = 6  # characters in a message that is no verification; the default of new accounts
MARKETING_HOURS = range(8, 22)  # in China

_LISTS = ("PhoneNumberSet", "TemplateParamSet")
_STRINGS = ("SmsSdkAppId", "TemplateId", "SignName", "ExtendCode", "SessionContext", "SenderId")
_TYPES = dict.fromkeys(_LISTS, parameters.strings) | dict.fromkeys(_STRINGS, parameters.string)


class Refusal(NamedTuple):
    """The reason why one number of an acceptable request gets no SMS."""

    code: str
    message: str


def validate(params: Any) -> dict[str, Any]:
    """Return ``params`` if the request as a whole is acceptable; raises ApiError with the platform's code."""
    checked = parameters.check(params, _TYPES, ("PhoneNumberSet", "SmsSdkAppId", "TemplateId"))
    _validate_phones(checked["PhoneNumberSet"])
    if len(checked.get("SessionContext", "").encode()) > MAX_CONTEXT:
        raise ApiError("InvalidParameterValue", "`SessionContext` must be shorter than 512 bytes.")
    return checked


def _validate_phones(phones: list[str]) -> None:
    if not phones:
        raise ApiError("MissingParameter.EmptyPhoneNumberSet", "`PhoneNumberSet` is empty.")
    if len(phones) > MAX_PHONES:
        raise ApiError("LimitExceeded.PhoneNumberCountLimit", "`PhoneNumberSet` holds more than 200 numbers.")
    if len({is_domestic(phone) for phone in phones}) > 1:
        raise ApiError(
            "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber",
            "`PhoneNumberSet` mixes domestic and international numbers.",
        )


def refusal(phone: str, params: dict[str, Any], template: Template | None, now: float) -> Refusal | None:
    """Return why a number of a valid request gets no SMS, or None if it gets one.

    ``template`` is None if the account does not list it: it counts as a verification. ``now`` is in epoch seconds.
    """
    variables = params.get("TemplateParamSet", [])
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", phone):
        return Refusal("InvalidParameterValue.IncorrectPhoneNumber", "not a number in E.164")
    if is_domestic(phone) and not params.get("SignName"):
        return Refusal("FailedOperation.SignatureIncorrectOrUnapproved", "a number in +86 needs a SignName")
    if template and template.sms_type != OTP:
        return _bulk_refusal(variables, template, now)
    if not variables:
        return Refusal("FailedOperation.TemplateParamSetNotMatchApprovedTemplate", "the template needs a code")
    if not all(re.fullmatch("[0-9]{0,6}", variable) for variable in variables):
        return Refusal(
            "InvalidParameterValue.TemplateParameterFormatError",
            "a variable of a verification template is 0 to 6 digits",
        )
    return None


def _bulk_refusal(variables: list[str], template: Template, now: float) -> Refusal | None:
    """Return why a notice or a marketing message is refused."""
    if len(variables) != len(set(re.findall(r"\{[0-9]+\}", template.content))):
        return Refusal("FailedOperation.TemplateParamSetNotMatchApprovedTemplate", "not as many as the template has")
    if any(len(variable) > MAX_VARIABLE for variable in variables):
        return Refusal("InvalidParameterValue.TemplateParameterLengthLimit", f"more than {MAX_VARIABLE} characters")
    if any("://" in variable for variable in variables):
        return Refusal("InvalidParameterValue.ProhibitedUseUrlInTemplateParameter", "a link in a variable")
    if template.sms_type == MARKETING and int(now // 3600 + 8) % 24 not in MARKETING_HOURS:
        return Refusal("FailedOperation.MarketingSendTimeConstraint", "marketing is sent from 8:00 to 22:00")
    return None


def is_domestic(phone: str) -> bool:
    """Return whether a number belongs to mainland China, whose messages have their own templates and rules."""
    return phone.startswith("+86")


def side(phone: str) -> int:
    """Return the side of the border on which a number's templates are."""
    return MAINLAND if is_domestic(phone) else ABROAD


def signed(phone: str, sign: str, text: str) -> str:
    """Return an SMS as it arrives: the signature in the brackets that are usual there, then the text."""
    return f"【{sign}】{text}" if is_domestic(phone) else f"[{sign}] {text}"


def fee(text: str) -> int:
    """Return the number of messages that a Chinese text is charged as; 0 for an empty one."""
    return (
        min(1, len(text)) if len(text) <= LONGEST else -(-len(text) // (LONGEST - 3))
    )  # each part has a header of three characters


def status(phone: str, params: dict[str, Any], refused: Refusal | None, fee: int) -> dict[str, Any]:
    """Return this number's item of ``SendStatusSet``; a refused one has no serial number and costs nothing."""
    return {
        "SerialNo": "" if refused else f"2019:{uuid.uuid4().int}",
        "PhoneNumber": phone,
        "Fee": fee,
        "SessionContext": params.get("SessionContext", ""),
        "Code": refused.code if refused else "Ok",
        "Message": refused.message if refused else "send success",
        "IsoCode": _iso_code(phone),
    }


def _iso_code(phone: str) -> str:
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        region = None
    return region or "DEF"  # the platform's code for an unknown country
