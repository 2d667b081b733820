"""The refusals of each method, and the data they carry besides number, name and message."""

from typing import Any

from sms_login import errors
from sms_login.errors import Refusal
from sms_login.http import messages

Kind = type[Refusal]

ALWAYS: tuple[Kind, ...] = (errors.InvalidParam, errors.OriginNotAllowed, errors.InternalError)
NO_METHOD: tuple[Kind, ...] = (errors.UnknownMethod, errors.HttpMethodNotAllowed)  # before the method is known

_TOKEN: tuple[Kind, ...] = (errors.TokenInvalid, errors.TokenExpired)
_USER: tuple[Kind, ...] = (errors.NotRegistered, errors.UserBanned, errors.ServiceUnavailable)
_CODE: tuple[Kind, ...] = (
    errors.CodeHasExpired,
    errors.CodeHasValid,
    errors.CodeIsError,
    errors.SessionMismatch,
    errors.TooManyRequests,
    errors.Locked,
)
_LOST = errors.UserStoreFailed
_SENDING: tuple[Kind, ...] = (
    errors.InvalidPhone,
    errors.TooManyRequests,
    errors.Locked,
    errors.CaptchaRequired,
    errors.CountryNotAllowed,
    errors.SendingPaused,
    errors.SendFailed,
    errors.SendUnknown,
)

BY_METHOD: dict[type[messages.Message], tuple[Kind, ...]] = {
    messages.GetSms: (*_SENDING, errors.ServiceUnavailable),
    messages.GetSmsStatus: (errors.InvalidPhone, errors.CodeHasExpired, errors.ServiceUnavailable),
    messages.Login: (errors.MissingCode, errors.InvalidPhone, *_CODE, _LOST, *_TOKEN, errors.TokenMismatch, *_USER),
    messages.Verify: (errors.InvalidPhone, *_CODE, errors.ServiceUnavailable),
    messages.Refresh: (errors.TokenInvalid, *_USER),
    messages.Logout: (*_TOKEN, errors.ServiceUnavailable),
    messages.GetUserInfo: (*_TOKEN, *_USER),
    messages.SetNickname: (*_TOKEN, *_USER),
    messages.ChangePhone: (
        errors.InvalidPhone,
        *_CODE,
        _LOST,
        *_TOKEN,
        errors.TokenMismatch,
        errors.PhoneTaken,
        *_USER,
    ),
    messages.DeleteAccount: (*_TOKEN, *_CODE, _LOST, errors.UserBanned, errors.ServiceUnavailable),
    messages.SmsReceipt: (errors.ReceiptKeyInvalid, errors.ServiceUnavailable),
    messages.Health: (errors.ServiceUnavailable,),
    messages.Jwks: (),
}

# Examples of `data`, which its schema is generated from; other refusals have none.
DATA: dict[Kind, dict[str, Any]] = {
    errors.CodeIsError: {"attemptsLeft": 2},
    errors.CaptchaRequired: {"captchaAppId": "190000000"},
    errors.SendUnknown: {"sessionId": "hv2BFvYIitNmiBDL85XEUA", "expiresIn": 300, "resendAfter": 31},
}
# Examples of `retryAfter`: refusals that always have one, and refusals that may have one.
WAIT: dict[Kind, int] = {errors.TooManyRequests: 30, errors.Locked: 86400}
MAY_WAIT: dict[Kind, int] = {errors.SendingPaused: 3600, errors.SendFailed: 1}
