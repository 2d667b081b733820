"""The parameters and answers of each method. After `parse`, every value is valid."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args

from msgspec import Meta, Struct, ValidationError, convert

from sms_login import __version__
from sms_login.errors import InvalidParam, UnknownMethod, missing
from sms_login.otp.login import LoggedIn
from sms_login.otp.send import CodeSent
from sms_login.sessions.service import SignedIn, StillLoggedIn, UserInfo
from sms_login.typed import digits_of, is_visible

# Every pattern is anchored and ASCII: `\d` and `$` would let Unicode digits and a trailing newline through.
# An empty parameter counts as absent and never reaches these types; min_length documents that.
Spelling = Annotated[str, Meta(min_length=1, max_length=64)]
Code = Annotated[str, Meta(pattern=r"\A[0-9]{6}\Z")]
SessionId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{22}\Z")]
Token = Annotated[str, Meta(min_length=1, max_length=4096)]
Ticket = Annotated[str, Meta(pattern=r"\A[\x21-\x7e]{1,2048}\Z")]
NickName = Annotated[str, Meta(min_length=1, max_length=64)]

# The rule for each parameter, as an InvalidParam tells it.
MUST_BE = {
    "phone": ("a phone number of at most 64 characters", "电话号码，最多 64 个字符"),
    "code": ("6 digits", "6 位数字"),
    "sessionId": ("the sessionId of a getSms answer", "getSms 返回的 sessionId"),
    "token": ("a token", "登录令牌"),
    "refreshToken": ("a refresh token", "刷新令牌"),
    "everywhere": ("true or false", "true 或 false"),
    "captchaTicket": ("the ticket that the captcha gave", "人机验证控件返回的 ticket"),
    "captchaRandstr": ("the randstr that the captcha gave", "人机验证控件返回的 randstr"),
    "name": (
        "1 to 64 characters, one of them visible, without control characters",
        "1 至 64 个字符，至少一个可见，不含控制字符",
    ),
    "Idempotency-Key": ("16 to 64 of A-Z, a-z, 0-9, _ and -", "16 至 64 个字母、数字、_ 或 -"),
}
# Lone surrogates, which cannot be stored or answered; and U+FFFD, which decoders put for bytes that they cannot read.
_NOT_TEXT = re.compile("[\ud800-\udfff\ufffd]")
IDEMPOTENCY_KEY = r"[A-Za-z0-9_-]{16,64}"


class GetSms(Struct, frozen=True, tag_field="method", tag="getSms", rename="camel"):
    """Send a code."""

    phone: Spelling
    session_id: SessionId | None = None
    captcha_ticket: Ticket | None = None
    captcha_randstr: Ticket | None = None


class Login(Struct, frozen=True, tag_field="method", tag="login", rename="camel"):
    """Log in with a code; without one, check whether a token is still valid."""

    phone: Spelling
    code: Code | None = None
    session_id: SessionId | None = None
    token: Token | None = None


class Refresh(Struct, frozen=True, tag_field="method", tag="refresh", rename="camel"):
    """Get new tokens."""

    refresh_token: Token


class Logout(Struct, frozen=True, tag_field="method", tag="logout", rename="camel"):
    """End the session of either token, or every session of its user."""

    token: Token | None = None
    refresh_token: Token | None = None
    everywhere: bool = False


class DeleteAccount(Struct, frozen=True, tag_field="method", tag="deleteAccount", rename="camel"):
    """Delete the user. A fresh code proves their identity."""

    token: Token
    code: Code
    session_id: SessionId | None = None


class GetUserInfo(Struct, frozen=True, tag_field="method", tag="getUserInfo"):
    """Return the user of a token."""

    token: Token


class SetNickname(Struct, frozen=True, tag_field="method", tag="setNickname"):
    """Set the user's nickname."""

    token: Token
    name: NickName


class Health(Struct, frozen=True, tag_field="method", tag="health"):
    """Check that Redis answers and takes a write."""


class Jwks(Struct, frozen=True, tag_field="method", tag="jwks"):
    """Return the public keys that verify tokens."""


Message = GetSms | Login | Refresh | Logout | GetUserInfo | SetNickname | DeleteAccount | Health | Jwks
METHODS: dict[str, type[Message]] = {kind.__struct_config__.tag: kind for kind in get_args(Message)}


class Done(Struct, frozen=True):
    """Success without data."""


class Healthy(Struct, frozen=True):
    """Redis answers and takes writes; `version` is the function's own."""

    redis: str = "ok"
    version: str = __version__


class KeySet(Struct, frozen=True):
    """JSON Web Keys (RFC 7517), the signing key first; empty if a shared secret signs. Sent without the envelope."""

    keys: Sequence[Mapping[str, str]]


Answer = CodeSent | LoggedIn | SignedIn | StillLoggedIn | UserInfo | Done | Healthy | KeySet


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
    if (kind := METHODS.get(_plain("method", params["method"]))) is None:
        raise UnknownMethod
    known = {name: params[name] for name in kind.__struct_encode_fields__ if name in params}
    if kind is Login and "code" in known:  # a login by code ignores any token
        known.pop("token", None)
    known = {name: _plain(name, value) for name, value in known.items()}
    try:
        message = convert(known, kind, strict=kind is not Logout)  # a form can only send the text "true"
    except ValidationError as error:
        raise _explain(str(error)) from None
    if isinstance(message, GetSms) and message.captcha_ticket and not message.captcha_randstr:
        raise missing("captchaRandstr")
    if isinstance(message, Logout) and not (message.token or message.refresh_token):
        raise missing("token")
    if isinstance(message, SetNickname) and not is_visible(message.name):
        raise malformed("name")
    return message


def _plain(name: str, value: Any) -> Any:
    """Return the value of a parameter: a number or a code in digits, another value unchanged. Raises InvalidParam."""
    if isinstance(value, (list, dict)):
        raise InvalidParam(f"{name} is given twice, or is not a plain value", f"{name} 重复或不是普通值")
    if name == "phone" and type(value) is int and value > 0:
        return str(value)
    if name == "code" and type(value) in {int, float}:
        raise InvalidParam(
            "code must be a string, since a number loses its leading zeros", "code 应为字符串，数字会丢失开头的 0"
        )
    if isinstance(value, str) and _NOT_TEXT.search(value):
        raise InvalidParam(f"{name} is not UTF-8 text", f"{name} 不是 UTF-8 文本")
    return digits_of(value) if name == "code" and isinstance(value, str) else value


def idempotency_key(value: str | None) -> str | None:
    """Return the header's value, without the quotes that it may have (draft-ietf-httpapi-idempotency-key-header).

    Raises InvalidParam if it does not match IDEMPOTENCY_KEY.
    """
    if value is None:
        return None
    key = re.fullmatch(rf'("?)({IDEMPOTENCY_KEY})\1', value)
    if key is None:
        raise malformed("Idempotency-Key")
    return key[2]


def malformed(name: str) -> InvalidParam:
    """Return the refusal for a parameter that breaks its rule."""
    en, zh = MUST_BE[name]
    space = " " if zh[0].isascii() else ""  # Chinese typesetting puts one before a digit or a Latin letter
    return InvalidParam(f"{name} must be {en}", f"{name} 应为{space}{zh}")


def _explain(problem: str) -> InvalidParam:
    """Turn msgspec's message into a refusal that a caller of this API understands."""
    if absent := re.search(r"missing required field `(\w+)`", problem):
        return missing(absent[1])
    name = re.search(r"`\$\.(\w+)`", problem)
    return malformed(name[1]) if name else InvalidParam("the parameters are malformed", "参数格式不正确")
