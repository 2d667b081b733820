"""The action SendSms, API version 2021-01-11: its checks and answers, without HTTP."""

import re
import uuid
from typing import Any, NamedTuple

import phonenumbers

from local import parameters
from local.errors import ApiError

VERSION = "2021-01-11"
MAX_PHONES = 200
MAX_CONTEXT = 511  # bytes of SessionContext

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


def refusal(phone: str, params: dict[str, Any]) -> Refusal | None:
    """Return why a number of a valid request gets no SMS, or None if it gets one."""
    variables = params.get("TemplateParamSet", [])
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", phone):
        return Refusal("InvalidParameterValue.IncorrectPhoneNumber", "not a number in E.164")
    if is_domestic(phone) and not params.get("SignName"):
        return Refusal("FailedOperation.SignatureIncorrectOrUnapproved", "a number in +86 needs a SignName")
    if not variables:
        return Refusal("FailedOperation.TemplateParamSetNotMatchApprovedTemplate", "the template needs a code")
    if not all(re.fullmatch("[0-9]{0,6}", variable) for variable in variables):
        return Refusal(
            "InvalidParameterValue.TemplateParameterFormatError",
            "a variable of a verification template is 0 to 6 digits",
        )
    return None


def is_domestic(phone: str) -> bool:
    """Return whether a number belongs to mainland China, whose messages have their own templates and rules."""
    return phone.startswith("+86")


def signed(phone: str, sign: str, text: str) -> str:
    """Return an SMS as it arrives: the signature in the brackets that are usual there, then the text."""
    return f"【{sign}】{text}" if is_domestic(phone) else f"[{sign}] {text}"


def status(phone: str, params: dict[str, Any], refused: Refusal | None) -> dict[str, Any]:
    """Return this number's item of ``SendStatusSet``; a refused one has no serial number and costs nothing."""
    return {
        "SerialNo": "" if refused else f"2019:{uuid.uuid4().int}",
        "PhoneNumber": phone,
        "Fee": 0 if refused else 1,
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
