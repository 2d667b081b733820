"""Every refusal that a caller can get.

    Refusal
    ├── InvalidParam          -1001  400  a parameter is missing or malformed
    ├── MissingCode           -1001  400  login with neither code nor token
    ├── InvalidPhone          -1002  400  not a number that can receive SMS
    ├── SendFailed            -1003  502  SendSms refused, not the caller's fault
    ├── SendUnknown           -1003  504  no clear answer from SendSms
    ├── UnknownMethod         -1004  400
    ├── HttpMethodNotAllowed  -1004  405  neither GET nor POST
    ├── TokenInvalid          -1005  401
    ├── TokenExpired          -1006  401
    ├── TokenMismatch         -1007  403  the token belongs to another phone
    ├── CodeHasExpired        -1100  401  no code, or it has expired
    ├── CodeHasValid          -1100  401  the code is spent
    ├── CodeIsError           -1102  401  wrong code
    ├── SessionMismatch       -1103  401  a live code, but of another session
    ├── UserStoreFailed       -1201  503  the user record could not be written
    ├── NotRegistered         -1202  404
    ├── TooManyRequests       -1301  429  a limit
    ├── CaptchaRequired       -1302  403  a ticket is missing or bad
    ├── CountryNotAllowed     -1303  403
    ├── SendingPaused         -1304  503  the day's budget is spent, or sending is switched off
    ├── OriginNotAllowed      -1305  403  a web page of a foreign site
    ├── Locked                -1401  429  too many failures in a row
    ├── ServiceUnavailable    -1500  503  Redis or the user table did not answer
    └── InternalError         -1999  500  a bug or a configuration error of ours

Numbers come from Tencent's SMS-login demo of 2020, names from the demo of 2024: an app for either keeps working.
"""

from typing import Any, ClassVar


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of the program
    """A request that is answered with a reason instead of data.

    `retry_after` (s) is set if waiting helps; `data` goes into the answer, `detail` only into the log. None of them may
    hold a clear number, a code or a token.
    """

    number: ClassVar[int]
    name: ClassVar[str]
    status: ClassVar[int]
    zh: ClassVar[str]
    en: ClassVar[str]

    def __init__(self, detail: str = "", *, retry_after: int | None = None, data: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.detail, self.retry_after, self.data = detail, retry_after, data or {}

    @property
    def headers(self) -> dict[str, str]:
        """The answer's extra headers: Retry-After (s; RFC 9110, section 10.2.3) if waiting helps."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    def message(self, language: str) -> str:
        """Return the sentence for a person, in `language` ("en" or "zh")."""
        return self.en if language == "en" else self.zh


class InvalidParam(Refusal):
    """A parameter is missing or malformed; the message names it and its rule."""

    number, name, status = -1001, "InValidParam", 400
    zh, en = "参数错误", "Invalid parameter"

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self._detail_zh = zh

    def message(self, language: str) -> str:
        """Return the sentence for a person, with the name and rule of the parameter."""
        return f"{self.en}: {self.detail}." if language == "en" else f"{self.zh}：{self._detail_zh}"


class MissingCode(Refusal):
    """A login needs a code or a token."""

    number, name, status = -1001, "MissingCode", 400
    zh, en = "缺少验证码", "The code is missing."


class InvalidPhone(Refusal):
    """The number cannot receive SMS, like a fixed line or a premium number."""

    number, name, status = -1002, "InvalidPhone", 400
    zh, en = "手机号码不正确，或无法接收短信", "This is not a phone number that can receive SMS."


class SendFailed(Refusal):
    """SendSms refused, for a reason that the operator must fix."""

    number, name, status = -1003, "SendFailed", 502
    zh, en = "短信发送失败，请稍后再试", "The SMS could not be sent. Please try again later."


class SendUnknown(Refusal):
    """SendSms gave no clear answer: the SMS may still arrive, and its code works."""

    number, name, status = -1003, "SendUnknown", 504
    zh, en = "短信可能已发出，请留意查收", "The SMS may be on its way. If it arrives, its code works."


class UnknownMethod(Refusal):
    """`method` names no operation."""

    number, name, status = -1004, "UnknownMethod", 400
    zh, en = "method 缺失或不存在", "method is missing or unknown."


class HttpMethodNotAllowed(Refusal):
    """Neither GET nor POST; the answer's header Allow names them (RFC 9110, section 15.5.6)."""

    number, name, status = -1004, "HttpMethodNotAllowed", 405
    zh, en = "请使用 GET 或 POST 请求", "Only GET and POST are answered."

    @property
    def headers(self) -> dict[str, str]:
        """Allow."""
        return {"Allow": "GET, HEAD, POST, OPTIONS"}


class TokenInvalid(Refusal):
    """The token is not valid, its session has ended, or its number now belongs to a new user."""

    number, name, status = -1005, "TokenInvalid", 401
    zh, en = "登录状态无效，请重新登录", "The token is not valid. Please sign in again."


class TokenExpired(Refusal):
    """The token was valid, but has expired."""

    number, name, status = -1006, "TokenExpired", 401
    zh, en = "登录已过期，请重新登录", "The token has expired. Please sign in again."


class TokenMismatch(Refusal):
    """The token belongs to another phone."""

    number, name, status = -1007, "TokenMismatch", 403
    zh, en = "当前登录的不是该手机号", "The token belongs to another phone number."


class CodeHasExpired(Refusal):
    """The number has no code, or the code has expired."""

    number, name, status = -1100, "CodeHasExpired", 401
    zh = "验证码不存在或已过期，请重新获取"
    en = "There is no code, or it has expired. Please ask for a new one."


class CodeHasValid(Refusal):
    """The code has been used, or guessed wrong too often."""

    number, name, status = -1100, "CodeHasValid", 401
    zh, en = "验证码已失效，请重新获取", "The code can no longer be used. Please ask for a new one."


class CodeIsError(Refusal):
    """The code is wrong; `data["attemptsLeft"]` guesses are left."""

    number, name, status = -1102, "CodeIsError", 401
    zh, en = "验证码错误", "The code is wrong."


class SessionMismatch(Refusal):
    """The number has a live code, but of another session."""

    number, name, status = -1103, "SessionMismatch", 401
    zh, en = "验证码与本次请求不符，请重新获取", "The code was sent for another session. Please ask for a new one."


class UserStoreFailed(Refusal):
    """The user record could not be written; the code stays valid."""

    number, name, status = -1201, "UserStoreFailed", 503
    zh, en = "登录失败，请用同一验证码重试", "Signing in failed. Please try again with the same code."


class NotRegistered(Refusal):
    """The number has no user."""

    number, name, status = -1202, "NotRegistered", 404
    zh, en = "用户未注册", "There is no such user."


class TooManyRequests(Refusal):
    """A limit is reached, for `retry_after` seconds."""

    number, name, status = -1301, "TooManyRequests", 429
    zh, en = "操作过于频繁，请稍后再试", "Too many requests. Please try again later."


class CaptchaRequired(Refusal):
    """A captcha must be solved first, or its ticket was refused; `data["captchaAppId"]` names the captcha."""

    number, name, status = -1302, "CaptchaRequired", 403
    zh, en = "请先完成人机验证", "Please solve the captcha first."


class CountryNotAllowed(Refusal):
    """The operator does not send SMS to this country."""

    number, name, status = -1303, "CountryNotAllowed", 403
    zh, en = "暂不支持该国家或地区的号码", "Phone numbers of this country are not supported."


class SendingPaused(Refusal):
    """The day's budget for SMS is spent, or the operator has switched sending off."""

    number, name, status = -1304, "SendingPaused", 503
    zh, en = "短信服务已暂停，请稍后再试", "No SMS are sent at the moment. Please try again later."


class OriginNotAllowed(Refusal):
    """A browser sent the request from a page of a foreign site."""

    number, name, status = -1305, "OriginNotAllowed", 403
    zh, en = "不允许来自该网站的请求", "Requests from this site are not allowed."


class Locked(Refusal):
    """Too many failures in a row on this number (NIST SP 800-63B-4, section 3.2.2)."""

    number, name, status = -1401, "Locked", 429
    zh = "错误次数过多，该号码已被锁定，请稍后再试"
    en = "Too many wrong codes in a row: this number is locked. Please try again later."


class ServiceUnavailable(Refusal):
    """Redis or the user table did not answer. A retry with the same Idempotency-Key is safe."""

    number, name, status = -1500, "ServiceUnavailable", 503
    zh, en = "服务暂时不可用，请稍后再试", "The service is not available. Please try again."


class InternalError(Refusal):
    """A bug or a configuration error; the detail goes into the log, never into the answer."""

    number, name, status = -1999, "InternalError", 500
    zh, en = "服务器内部错误", "Internal error."


def missing(name: str) -> InvalidParam:
    """Return the refusal for a missing parameter."""
    return InvalidParam(f"{name} is missing", f"缺少 {name}")
