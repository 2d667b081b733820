"""The action SendMultiGlobalSms, API version 2021-01-11: each number abroad has a text of its own, and no signature."""

from typing import Any

from local import parameters, send_sms
from local.errors import ApiError

_INFO = {
    "PhoneNumber": parameters.string,
    "TemplateId": parameters.string,
    "TemplateParamSet": parameters.strings,
    "SenderId": parameters.string,
    "SessionContext": parameters.string,
}


def validate(params: Any) -> dict[str, Any]:
    """Return ``params`` if the request as a whole is acceptable; raises ApiError with the platform's code."""
    types = {"SmsSdkAppId": parameters.string, "MultiSmsInfoSet": lambda value: isinstance(value, list)}
    checked = parameters.check(params, types, types)
    infos = [parameters.check(info, _INFO, ("PhoneNumber", "TemplateId")) for info in checked["MultiSmsInfoSet"]]
    if not infos:
        raise ApiError("InvalidParameterValue.MultiSmsInfoSetEmpty", "`MultiSmsInfoSet` is empty.")
    if len(infos) > send_sms.MAX_PHONES:
        raise ApiError("LimitExceeded.PhoneNumberCountLimit", "`MultiSmsInfoSet` holds more than 200 numbers.")
    if any(send_sms.is_domestic(info["PhoneNumber"]) for info in infos):
        raise ApiError("UnsupportedOperation.ContainDomesticPhoneNumber", "a number belongs to mainland China.")
    return checked
