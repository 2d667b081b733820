"""Every refusal that a caller can get.

    Refusal
    ├── InvalidParam          -1001  400  a parameter is missing or malformed
    ├── MissingCode           -1001  400  login with neither code nor token
    ├── InvalidPhone          -1002  400  not a number that can receive SMS
    ├── SendFailed            -1003  502  SendSms refused, not the caller's fault
    ├── SendUnknown           -1003  504  no clear answer from SendSms
    ├── UnknownMethod         -1004  400
    ├── HttpMethodNotAllowed  -1004  405  neither GET nor POST; HEAD is for health and jwks
    ├── TokenInvalid          -1005  401
    ├── TokenExpired          -1006  401
    ├── TokenMismatch         -1007  403  the token belongs to another phone
    ├── CodeHasExpired        -1100  401  no code, or it has expired
    ├── CodeHasValid          -1100  401  the code is spent
    ├── CodeIsError           -1102  401  wrong code
    ├── SessionMismatch       -1103  401  a live code, but of another session
    ├── UserStoreFailed       -1201  503  the user record could not be written
    ├── NotRegistered         -1202  404
    ├── PhoneTaken            -1203  409  the new number has a user already
    ├── UserBanned            -1204  403  an operator has banned the user
    ├── TooManyRequests       -1301  429  a limit
    ├── CaptchaRequired       -1302  403  a ticket is missing or bad
    ├── CountryNotAllowed     -1303  403
    ├── SendingPaused         -1304  503  the day's budget is spent, or sending is switched off
    ├── OriginNotAllowed      -1305  403  a web page of a foreign site
    ├── ReceiptKeyInvalid     -1306  403  delivery receipts without their key
    ├── Locked                -1401  429  too many failures in a row
    ├── ServiceUnavailable    -1500  503  Redis or the user table did not answer
    └── InternalError         -1999  500  a bug or a configuration error of ours

Numbers come from Tencent's SMS-login demo of 2020, names from the demo of 2024: an app for either keeps working.
"""

from enum import Enum
from typing import Any, ClassVar


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of the program
    """A request that is answered with a reason instead of data.

    `name` is that of the class, unless Tencent spells it otherwise; `zh` and `en` are the sentence for a person.
    `retry_after` (s) is set if waiting helps; `data` and `headers` go into the answer, `detail` only into the log. None
    of them may hold a clear number, a code or a token.
    """

    number: ClassVar[int]
    status: ClassVar[int]
    name: ClassVar[str]
    zh: str
    en: str

    def __init_subclass__(cls, *, number: int, status: int, name: str = "") -> None:
        cls.number, cls.status, cls.name = number, status, name or cls.__name__

    def __init__(self, detail: str = "", *, retry_after: int | None = None, data: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.detail, self.retry_after, self.data = detail, retry_after, data or {}
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}  # RFC 9110, section 10.2.3

    def message(self, language: str) -> str:
        """Return the sentence for a person, in `language` ("en" or "zh")."""
        return self.en if language == "en" else self.zh


class InvalidParam(Refusal, number=-1001, status=400, name="InValidParam"):
    """A parameter is missing or malformed; the message names it and its rule."""

    zh, en = "参数错误", "Invalid parameter"

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.zh, self.en = f"{self.zh}：{zh}", f"{self.en}: {en}."


class MissingCode(Refusal, number=-1001, status=400):
    """A login needs a code or a token."""

    zh, en = "缺少验证码", "The code is missing."


class PhoneFault(Enum):
    """The mistake in a phone number, as a person is told it in English and Chinese; never with the number itself."""

    NO_DIGITS = "This phone number has no digits.", "手机号码中没有数字"
    LETTERS = "A phone number has no letters. Please check it.", "手机号码中不能有字母或文字，请检查"
    SYMBOLS = "A phone number has only digits, and + in front. Please check it.", "手机号码只能由数字组成，开头可以有 +"
    PLUS_INSIDE = (
        "The + is not in front. Is the country code there twice?",
        "+ 只能在号码开头，请检查是否重复填写了国家代码",
    )
    TOO_SHORT = "This phone number is too short. Please check it.", "手机号码位数不足，请检查"
    TOO_LONG = "This phone number is too long. Please check it.", "手机号码位数过多，请检查"
    COUNTRY = "This phone number has no known country code.", "无法识别号码的国家或地区代码"
    UNKNOWN_NUMBER = "There is no such mobile number. Please check it.", "没有这样的手机号码，请检查"
    NOT_OF_CHINA = (
        "There is no such mobile number in mainland China. Any other number begins with + and the country code.",
        "中国内地没有这样的手机号码；其他国家或地区的号码请以 + 和国家代码开头",
    )
    FIXED_LINE = "This is a fixed line, which cannot receive SMS.", "这是固定电话号码，无法接收短信"
    SERVICE = "This is not a mobile number, and cannot receive SMS.", "这不是手机号码，无法接收短信"


class InvalidPhone(Refusal, number=-1002, status=400):
    """The number cannot receive SMS, like a fixed line or a premium number; the message names its fault if known."""

    zh, en = "手机号码不正确，或无法接收短信", "This is not a phone number that can receive SMS."

    def __init__(self, detail: str = "", *, fault: PhoneFault | None = None) -> None:
        super().__init__(detail or (fault.name if fault else ""))
        if fault:
            self.en, self.zh = fault.value


class SendFailed(Refusal, number=-1003, status=502):
    """SendSms refused, for a reason that the operator must fix."""

    zh, en = "短信发送失败，请稍后再试", "The SMS could not be sent. Please try again later."


class SendUnknown(Refusal, number=-1003, status=504):
    """SendSms gave no clear answer: the SMS may still arrive, and its code works."""

    zh, en = "短信可能已发出，请留意查收", "The SMS may be on its way. If it arrives, its code works."


class UnknownMethod(Refusal, number=-1004, status=400):
    """`method` names no operation."""

    zh, en = "没有这样的 method", "There is no such method."


class HttpMethodNotAllowed(Refusal, number=-1004, status=405):
    """Neither GET nor POST; the answer's header Allow names them (RFC 9110, section 15.5.6)."""

    zh, en = "请使用 GET 或 POST 请求", "Only GET and POST are answered."

    def __init__(self, allow: str = "GET, HEAD, POST, OPTIONS") -> None:
        super().__init__()
        self.headers = {"Allow": allow}


class TokenInvalid(Refusal, number=-1005, status=401):
    """The token is not valid, its session has ended, or its number now belongs to a new user."""

    zh, en = "登录状态无效，请重新登录", "The token is not valid. Please sign in again."


class TokenExpired(Refusal, number=-1006, status=401):
    """The token was valid, but has expired."""

    zh, en = "登录已过期，请重新登录", "The token has expired. Please sign in again."


class TokenMismatch(Refusal, number=-1007, status=403):
    """The token belongs to another phone."""

    zh, en = "当前登录的不是该手机号", "The token belongs to another phone number."


class CodeHasExpired(Refusal, number=-1100, status=401):
    """The number has no code, or the code has expired."""

    zh = "验证码不存在或已过期，请重新获取"
    en = "There is no code, or it has expired. Please ask for a new one."


class CodeHasValid(Refusal, number=-1100, status=401):
    """The code has been used, or guessed wrong too often."""

    zh, en = "验证码已失效，请重新获取", "The code can no longer be used. Please ask for a new one."


class CodeIsError(Refusal, number=-1102, status=401):
    """The code is wrong; `data["attemptsLeft"]` guesses are left."""

    zh, en = "验证码错误", "The code is wrong."


class SessionMismatch(Refusal, number=-1103, status=401):
    """The number has a live code, but of another session, or for another purpose."""

    zh, en = "验证码与本次请求不符，请重新获取", "The code was sent for another session. Please ask for a new one."


class UserStoreFailed(Refusal, number=-1201, status=503):
    """The user record could not be written; the code stays valid."""

    zh, en = "登录失败，请用同一验证码重试", "Signing in failed. Please try again with the same code."


class NotRegistered(Refusal, number=-1202, status=404):
    """The number has no user."""

    zh, en = "用户未注册", "There is no such user."


class PhoneTaken(Refusal, number=-1203, status=409):
    """The new number has a user; only the holder of a right code for it is told so."""

    zh, en = "该手机号已注册其他账号", "This phone number already belongs to another account."


class UserBanned(Refusal, number=-1204, status=403):
    """An operator has banned the user; only the holder of a right code or a valid token is told so."""

    zh, en = "该账号已被禁用，请联系客服", "This account is banned. Please contact support."


class TooManyRequests(Refusal, number=-1301, status=429):
    """A limit is reached, for `retry_after` seconds."""

    zh, en = "操作过于频繁，请稍后再试", "Too many requests. Please try again later."


class CaptchaRequired(Refusal, number=-1302, status=403):
    """A captcha must be solved first, or its ticket was refused; `data["captchaAppId"]` names the captcha."""

    zh, en = "请先完成人机验证", "Please solve the captcha first."


class CountryNotAllowed(Refusal, number=-1303, status=403):
    """The operator does not send SMS to this country."""

    zh, en = "暂不支持该国家或地区的号码", "Phone numbers of this country are not supported."


class SendingPaused(Refusal, number=-1304, status=503):
    """The day's budget for SMS is spent, or the operator has switched sending off."""

    zh, en = "短信服务已暂停，请稍后再试", "No SMS are sent at the moment. Please try again later."


class OriginNotAllowed(Refusal, number=-1305, status=403):
    """A browser sent the request from a page of a foreign site."""

    zh, en = "不允许来自该网站的请求", "Requests from this site are not allowed."


class ReceiptKeyInvalid(Refusal, number=-1306, status=403):
    """The key of a callback with delivery receipts is wrong, or receipts are not set up."""

    zh, en = "回执密钥错误", "The key of the receipts is wrong."


class Locked(Refusal, number=-1401, status=429):
    """Too many failures in a row on this number (NIST SP 800-63B-4, section 3.2.2)."""

    zh = "错误次数过多，该号码已被锁定，请稍后再试"
    en = "Too many wrong codes in a row: this number is locked. Please try again later."


class ServiceUnavailable(Refusal, number=-1500, status=503):
    """Redis or the user table did not answer. A retry with the same Idempotency-Key is safe."""

    zh, en = "服务暂时不可用，请稍后再试", "The service is not available. Please try again."


class InternalError(Refusal, number=-1999, status=500):
    """A bug or a configuration error; the detail goes into the log, never into the answer."""

    zh, en = "服务器内部错误", "Internal error."


def missing(name: str) -> InvalidParam:
    """Return the refusal for a missing parameter."""
    return InvalidParam(f"{name} is missing", f"缺少 {name}")
