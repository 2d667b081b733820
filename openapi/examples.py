"""A request and an answer of every method; the types of `messages` guarantee the right fields."""

from typing import Any

import msgspec

from sms_login.http.messages import (
    ChangePhone,
    DeleteAccount,
    Done,
    GetSms,
    GetSmsStatus,
    GetUserInfo,
    Health,
    Healthy,
    Jwks,
    KeySet,
    Login,
    Logout,
    Message,
    Received,
    Refresh,
    SetNickname,
    SmsReceipt,
    Verify,
)
from sms_login.otp.delivery import SmsStatus
from sms_login.otp.login import LoggedIn
from sms_login.otp.purposes import LOGIN
from sms_login.otp.send import CodeSent
from sms_login.sessions.proofs import Proven
from sms_login.sessions.service import SignedIn, UserInfo

_PHONE, _SESSION, _CODE = "+8613800138000", "hv2BFvYIitNmiBDL85XEUA", "123456"
_NEW = "+8613900139000"
ACCESS_TOKEN = "eyJhbGciOi…"  # noqa: S105 - made up
_REFRESH = "rt_5nZ0Zc…"
_PROOF, _DETAIL = "eyJhbGciOi…", "order 4711, 99.00 CNY"
_USER: dict[str, Any] = {"user_id": "8a4bb556db78399cbf2e316b6bd7dc75", "phone": _PHONE, "name": "小明", "avatar": ""}
_TOKENS: dict[str, Any] = {
    "token": ACCESS_TOKEN,
    "expires_in": 7200,
    "refresh_token": _REFRESH,
    "refresh_expires_in": 2592000,
}
_SERIAL = "2019:1987654321098765432"
_KEY = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "use": "sig",
    "alg": "EdDSA",
}

RECEIPT_KEY = "9f86d081884c7d659a2feaa0c55ad015"
_RECEIPT = {
    "user_receive_time": "2026-11-28 16:40:02",
    "nationcode": "86",
    "mobile": "13800138000",
    "report_status": "FAIL",
    "errmsg": "UNDELIV",
    "description": "用户关机",
    "sid": _SERIAL,
}

# Request and answer data by name.
ALL: dict[str, tuple[Message, Any]] = {
    "getSms": (GetSms(_PHONE), CodeSent(_SESSION, 300, 31, "12273adb-6f8e-4a55-9a5b-0b8ac2f3d1e0", _SERIAL)),
    "getSms again": (GetSms(_PHONE, _SESSION), CodeSent(_SESSION, 300, 31)),
    "getSmsStatus": (GetSmsStatus(_PHONE, _SESSION, _SERIAL), SmsStatus("failed", "unreachable", 1795867202)),
    "login": (Login(_PHONE, _CODE, _SESSION), LoggedIn(**_USER, **_TOKENS, is_new_user=True)),
    "getSms to confirm a payment": (
        GetSms(_PHONE, None, "pay", _DETAIL),
        CodeSent(_SESSION, 300, 31, "12273adb-6f8e-4a55-9a5b-0b8ac2f3d1e0", _SERIAL),
    ),
    "verify": (Verify(_PHONE, _CODE, _SESSION, "pay", _DETAIL), Proven(_PROOF, 300)),
    "refresh": (Refresh(_REFRESH), SignedIn(**_USER, **_TOKENS)),
    "logout": (Logout(refresh_token=_REFRESH), Done()),
    "logout everywhere": (Logout(refresh_token=_REFRESH, everywhere=True), Done()),
    "getUserInfo": (GetUserInfo(ACCESS_TOKEN), UserInfo(**_USER)),
    "setNickname": (SetNickname(ACCESS_TOKEN, "小明"), UserInfo(**_USER)),
    "changePhone": (
        ChangePhone(ACCESS_TOKEN, _PROOF, _NEW, _CODE, _SESSION),
        LoggedIn(**{**_USER, "phone": _NEW}, **_TOKENS, is_new_user=False),
    ),
    "deleteAccount": (DeleteAccount(ACCESS_TOKEN, _CODE, _SESSION), Done()),
    "smsReceipt": (SmsReceipt(RECEIPT_KEY), Received()),
    "health": (Health(), Healthy()),
    "jwks": (Jwks(), KeySet([{**_KEY, "use": "sig", "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"}])),
}


def body(name: str, kind: type[Message]) -> Any:
    """Return the body of the request, without absent parameters; {} if it is not of this kind, or has none."""
    request = ALL[name][0]
    if kind is type(request) is SmsReceipt:
        return [_RECEIPT]
    sent = msgspec.to_builtins(request) if type(request) is kind else {}
    elsewhere = {"method", "token"}  # in the path, and in the header Authorization
    return {
        key: value for key, value in sent.items() if key not in elsewhere and value not in {None, False, LOGIN.name}
    }


def answer(name: str) -> dict[str, Any]:
    """Return the answer, in its envelope if it has one."""
    data = ALL[name][1]
    if isinstance(data, KeySet | Received):
        return dict(msgspec.to_builtins(data))
    return {
        "errorCode": 0,
        "codeStr": "Ok" if isinstance(data, CodeSent) else "Success",
        "errorMessage": "Success",
        "requestId": "24a3ec13-0d8d-4ac4-a8a9-1f7d6b1c9f3e",
        "data": msgspec.to_builtins(data),
    }
