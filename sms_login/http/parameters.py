"""Parameters: the rule of each, and the refusals that name it."""

import re
from typing import Annotated, Any

from msgspec import Meta

from sms_login.errors import InvalidParam, missing
from sms_login.otp.purposes import PURPOSE
from sms_login.typed import digits_of

MAX_DETAIL = 512  # bytes
# Every pattern is anchored and ASCII: `\d` and `$` would let Unicode digits and a trailing newline through.
# An empty parameter counts as absent and never reaches these types; min_length documents that.
Spelling = Annotated[str, Meta(min_length=1, max_length=64)]
Code = Annotated[str, Meta(pattern=r"\A[0-9]{6}\Z")]
SessionId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{22}\Z")]
Token = Annotated[str, Meta(min_length=1, max_length=4096)]
Ticket = Annotated[str, Meta(pattern=r"\A[\x21-\x7e]{1,2048}\Z")]
Channel = Annotated[str, Meta(pattern=r"\A(sms|voice)\Z")]
ReceiptKey = Annotated[str, Meta(min_length=1, max_length=256)]
SerialNo = Annotated[str, Meta(pattern=r"\A[\x21-\x7e]{1,64}\Z")]
PurposeName = Annotated[str, Meta(pattern=rf"\A{PURPOSE}\Z")]
Detail = Annotated[str, Meta(min_length=1, max_length=MAX_DETAIL)]
NickName = Annotated[str, Meta(min_length=1, max_length=64)]

# The rule for each parameter, as an InvalidParam tells it.
MUST_BE = {
    "phone": ("a phone number of at most 64 characters", "电话号码，最多 64 个字符"),
    "code": ("6 digits", "6 位数字"),
    "sessionId": ("the sessionId of a getSms answer", "getSms 返回的 sessionId"),
    "channel": ("sms or voice", "sms 或 voice"),
    "serialNo": ("the serialNo of a getSms answer", "getSms 返回的 serialNo"),
    "key": ("SMS_RECEIPT_KEY, in the URL of the callback", "回调 URL 中的 SMS_RECEIPT_KEY"),
    "purpose": (
        "login, changePhone, or a purpose that SMS_PURPOSES names",
        "login、changePhone 或 SMS_PURPOSES 中的用途",
    ),
    "detail": (
        f"at most {MAX_DETAIL} bytes of UTF-8 text, and not for a login",
        f"最多 {MAX_DETAIL} 字节的 UTF-8 文本，且不用于登录",
    ),
    "token": ("a token", "登录令牌"),
    "proof": ("a proof of the present number for changePhone", "当前号码用于 changePhone 的证明"),
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
_NOT_TEXT = "[\ud800-\udfff\ufffd]"
IDEMPOTENCY_KEY = r"[A-Za-z0-9_-]{16,64}"


def plain(name: str, value: Any) -> Any:
    """Return the value of a parameter: a number or a code in digits, another value unchanged. Raises InvalidParam."""
    if isinstance(value, (list, dict)):
        raise InvalidParam(f"{name} is given twice, or is not a plain value", f"{name} 重复或不是普通值")
    if name == "phone" and type(value) is int and value > 0:
        return str(value)
    if name == "code" and type(value) in {int, float}:
        raise InvalidParam(
            "code must be a string, since a number loses its leading zeros", "code 应为字符串，数字会丢失开头的 0"
        )
    if isinstance(value, str) and not value.isascii() and re.search(_NOT_TEXT, value):
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


def explain(problem: str) -> InvalidParam:
    """Turn msgspec's message into a refusal that a caller of this API understands."""
    if absent := re.search(r"missing required field `(\w+)`", problem):
        return missing(absent[1])
    name = re.search(r"`\$\.(\w+)`", problem)
    return malformed(name[1]) if name else InvalidParam("the parameters are malformed", "参数格式不正确")
