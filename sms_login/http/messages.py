"""The parameters and answers of each method. After `parse`, every value is valid."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from msgspec import UNSET, Struct, UnsetType, ValidationError, convert

from sms_login import __version__
from sms_login.errors import UnknownMethod, missing
from sms_login.http.parameters import (
    MAX_DETAIL,
    Channel,
    Code,
    Detail,
    NickName,
    PurposeName,
    ReceiptKey,
    SerialNo,
    SessionId,
    Spelling,
    Ticket,
    Token,
    explain,
    malformed,
    plain,
)
from sms_login.otp.delivery import SmsStatus
from sms_login.otp.login import LoggedIn
from sms_login.otp.purposes import LOGIN
from sms_login.otp.send import CodeSent
from sms_login.secret import Masked
from sms_login.sessions.proofs import Proven
from sms_login.sessions.service import SignedIn, StillLoggedIn, UserInfo
from sms_login.typed import is_visible


class GetSms(Masked, frozen=True, tag_field="method", tag="getSms", rename="camel"):
    """Send a code."""

    phone: Spelling
    session_id: SessionId | None = None
    purpose: PurposeName = LOGIN.name
    detail: Detail | None = None
    channel: Channel = "sms"
    captcha_ticket: Ticket | None = None
    captcha_randstr: Ticket | None = None


class GetSmsStatus(Masked, frozen=True, tag_field="method", tag="getSmsStatus", rename="camel"):
    """Return the fate of a message."""

    phone: Spelling
    session_id: SessionId
    serial_no: SerialNo


class Login(Masked, frozen=True, tag_field="method", tag="login", rename="camel"):
    """Log in with a code; without one, check whether a token is still valid."""

    phone: Spelling
    code: Code | None = None
    session_id: SessionId | None = None
    token: Token | None = None


class Verify(Masked, frozen=True, tag_field="method", tag="verify", rename="camel"):
    """Prove with a code that the number is in hand, for one purpose. Nobody is signed in."""

    phone: Spelling
    code: Code
    session_id: SessionId
    purpose: PurposeName
    detail: Detail | None = None


class Refresh(Masked, frozen=True, tag_field="method", tag="refresh", rename="camel"):
    """Get new tokens."""

    refresh_token: Token


class Logout(Masked, frozen=True, tag_field="method", tag="logout", rename="camel"):
    """End the session of either token, or every session of its user."""

    token: Token | None = None
    refresh_token: Token | None = None
    everywhere: bool = False


class ChangePhone(Masked, frozen=True, tag_field="method", tag="changePhone", rename="camel"):
    """Give the user another number. A proof of the present one and a code of the new one are needed."""

    token: Token
    proof: Token
    phone: Spelling
    code: Code
    session_id: SessionId


class DeleteAccount(Masked, frozen=True, tag_field="method", tag="deleteAccount", rename="camel"):
    """Delete the user. A fresh code proves their identity."""

    token: Token
    code: Code
    session_id: SessionId | None = None


class GetUserInfo(Masked, frozen=True, tag_field="method", tag="getUserInfo"):
    """Return the user of a token."""

    token: Token


class SetNickname(Masked, frozen=True, tag_field="method", tag="setNickname"):
    """Set the user's nickname."""

    token: Token
    name: NickName


class SmsReceipt(Masked, frozen=True, tag_field="method", tag="smsReceipt"):
    """Take delivery receipts, which are the body: a JSON array."""

    key: ReceiptKey


class Health(Struct, frozen=True, tag_field="method", tag="health"):
    """Check that Redis answers and takes a write."""


class Jwks(Struct, frozen=True, tag_field="method", tag="jwks"):
    """Return the public keys that verify tokens."""


_OfUsers = Login | Verify | Refresh | Logout | GetUserInfo | SetNickname | ChangePhone | DeleteAccount
Message = GetSms | GetSmsStatus | _OfUsers | SmsReceipt | Health | Jwks
WithPhone = GetSms | GetSmsStatus | Login | Verify | ChangePhone
WithCode = GetSms | Login | Verify | ChangePhone | DeleteAccount
METHODS: dict[str, type[Message]] = {kind.__struct_config__.tag: kind for kind in get_args(Message)}


class Done(Struct, frozen=True):
    """Success without data."""


class Received(Struct, frozen=True):
    """All receipts are taken. Sent without the envelope: Tencent Cloud sends receipts again after any other answer."""

    result: int = 0
    errmsg: str = "OK"


class Healthy(Struct, frozen=True):
    """Redis answers and takes writes, and so do `users` if they are in SQL; `version` is the function's own."""

    redis: str = "ok"
    users: str | UnsetType = UNSET
    version: str = __version__


class KeySet(Struct, frozen=True):
    """JSON Web Keys (RFC 7517), the signing key first; empty if a shared secret signs. Sent without the envelope."""

    keys: Sequence[Mapping[str, str]]


_OfCodes = CodeSent | SmsStatus | LoggedIn | Proven
Answer = _OfCodes | SignedIn | StillLoggedIn | UserInfo | Done | Received | Healthy | KeySet


def method_at(path: str) -> str | None:
    """Return the method that the last segment of a path names, or None: it may be a stage, or the function's name."""
    segment = path.rstrip("/").rpartition("/")[2]
    if segment == "jwks.json":  # as in /.well-known/jwks.json, where libraries look for keys
        return "jwks"
    return segment if segment in METHODS else None


def parse(params: Mapping[str, Any]) -> Message:
    """Return the message in `params`, without the parameters that its method does not know.

    Raises UnknownMethod, or InvalidParam that names the parameter.
    """
    if "method" not in params:
        raise missing("method")
    if (kind := METHODS.get(plain("method", params["method"]))) is None:
        raise UnknownMethod
    known = {name: params[name] for name in kind.__struct_encode_fields__ if name in params}
    if kind is Login and "code" in known:  # a login by code ignores any token
        known.pop("token", None)
    known = {name: plain(name, value) for name, value in known.items()}
    try:
        message = convert(known, kind, strict=kind is not Logout)  # a form can only send the text "true"
    except ValidationError as error:
        raise explain(str(error)) from None
    detail = message.detail if isinstance(message, GetSms | Verify) else None
    if detail and (len(detail.encode()) > MAX_DETAIL or params.get("purpose", LOGIN.name) == LOGIN.name):
        raise malformed("detail")
    if isinstance(message, GetSms) and message.captcha_ticket and not message.captcha_randstr:
        raise missing("captchaRandstr")
    if isinstance(message, Logout) and not (message.token or message.refresh_token):
        raise missing("token")
    if isinstance(message, SetNickname) and not is_visible(message.name):
        raise malformed("name")
    return message
