"""The SMS API of the operator's account: its calls, its pages, and its refusals as sentences."""

from collections.abc import Iterator, Mapping
from time import sleep
from typing import Any

from sms_admin.failures import Failed
from sms_admin.place import settings_of
from sms_login.adapters.tencent.client import NoCredentials
from sms_login.adapters.tencent.sms import sms_api

_TIMEOUT = 10.0  # s
_PAGE = 100  # the most that a list answers at once; it never says how many there are
_TRIES, _PAUSE = 5, 1.0  # s: the API allows some calls a second, 382/52077, and the next second is another one
_UNREACHED = ("ClientNetworkError", "ServerNetworkError", "InternalError")

_CONSOLE = "console.cloud.tencent.com/smsv2"
_SENTENCES = {
    "FailedOperation.NotEnterpriseCertification": (
        (
            f"the account is a person's, and the API serves enterprises alone: apply in the console ({_CONSOLE}), or "
            "verify it as an enterprise's, which takes effect after about an hour"
        ),
        f"这是个人认证账号，接口只对企业认证开放：请在控制台（{_CONSOLE}）申请，或变更为企业认证（约 1 小时后生效）",
    ),
    "UnauthorizedOperation.RequestPermissionDeny": (
        f"the account may not use this API; an account of a person has the console ({_CONSOLE}) instead",
        f"此账号无权使用该接口；个人账号请使用控制台（{_CONSOLE}）",
    ),
    "FailedOperation.ProhibitSubAccountUse": (
        "a sub-account may not list the templates: use a key of the main account",
        "子账号不能拉取模板列表：请使用主账号的密钥",
    ),
    "FailedOperation.MissingSignature": (
        "there is no template before a signature: apply for a signature first",
        "没有签名就不能申请模板：请先申请签名",
    ),
    "InvalidParameterValue.SignExistAndUnapproved": (
        "the same signature is being reviewed already",
        "已有相同的签名正在审核",
    ),
    "FailedOperation.SignNumberLimit": ("the account has as many signatures as it may", "账号的签名数量已达上限"),
    "FailedOperation.TemplateNumberLimit": ("the account has as many templates as it may", "账号的模板数量已达上限"),
    "FailedOperation.QualificationIdNotApproved": (
        f"the qualification is not approved yet: see {_CONSOLE}/enterprise",
        f"资质尚未通过审核：见 {_CONSOLE}/enterprise",
    ),
    "InvalidParameterValue.QualificationIdNotFound": (
        f"there is no such qualification: see {_CONSOLE}/enterprise",
        f"没有这个资质：见 {_CONSOLE}/enterprise",
    ),
    "InvalidParameterValue.ImageInvalid": ("Tencent Cloud cannot read the picture", "腾讯云无法识别图片"),
    "InvalidParameterValue.UnsupportedTemplateVariable": (
        "this account may not have variables in notices and marketing: see the console's page of templates",
        "此账号的通知和营销模板不支持变量：见控制台的模板页",
    ),
}


class Unreachable(Failed):
    """Tencent Cloud gave no clear answer: it may be asked again, if asking changes nothing."""


class Account:
    """The SMS API with the credentials, region and endpoint of an environment. Raises Failed, also for its settings."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        settings = settings_of(environ, "SMS_REGION", "SMS_ENDPOINT")
        self._api = sms_api(environ, region=settings.sms_region, endpoint=settings.sms_endpoint, timeout=_TIMEOUT)

    def call(self, action: str, **parameters: Any) -> Any:
        """Return the answer of an action. Raises Failed with a sentence for its code, or Unreachable.

        A call that the rate limit refuses has done nothing, and is repeated.
        """
        from tencentcloud.common.exception import TencentCloudSDKException  # noqa: PLC0415 - heavy: 45 ms
        from tencentcloud.sms.v20210111 import models  # noqa: PLC0415 - as above

        request = getattr(models, f"{action}Request")()
        for name, value in parameters.items():
            setattr(request, name, value)
        for attempt in range(_TRIES):
            try:
                return self._api.call(action, request)
            except NoCredentials:
                raise Failed(
                    "there are no credentials: set TENCENTCLOUD_SECRETID and TENCENTCLOUD_SECRETKEY",
                    "没有密钥：请设置 TENCENTCLOUD_SECRETID 和 TENCENTCLOUD_SECRETKEY",
                ) from None
            except TimeoutError:
                raise Unreachable("Tencent Cloud did not answer in time", "腾讯云未及时应答") from None
            except TencentCloudSDKException as error:
                code = error.get_code() or ""
                if not code.startswith("RequestLimitExceeded") or attempt + 1 == _TRIES:
                    raise _failed(action, code, error.get_message() or "") from None
            sleep(_PAUSE)
        raise AssertionError  # pragma: no cover - the last attempt returns or raises

    def pages(self, action: str, answer: str, **parameters: Any) -> Iterator[Any]:
        """Yield the items of a list, `answer` in the answers of `action`, until a page is not full. Raises Failed."""
        offset, full = 0, True
        while full:
            page = getattr(self.call(action, Limit=_PAGE, Offset=offset, **parameters), answer) or []
            yield from page
            offset, full = offset + len(page), len(page) == _PAGE


def _failed(action: str, code: str, message: str) -> Failed:
    if code in _SENTENCES:
        return Failed(*_SENTENCES[code])
    if not code or code.startswith(_UNREACHED):
        return Unreachable(f"Tencent Cloud cannot be reached: {code}", f"无法连接腾讯云：{code}")
    if code == "AuthFailure.UnauthorizedOperation" or code.startswith("UnauthorizedOperation"):
        return Failed(
            f"the key may not do this: allow it the action sms:{action} ({code})",
            f"此密钥无权操作：请授权 sms:{action}（{code}）",
        )
    if code.startswith("AuthFailure"):
        return Failed(f"Tencent Cloud refuses the key or the clock: {code}", f"腾讯云拒绝了密钥或时钟：{code}")
    return Failed(f"Tencent Cloud refuses {action}: {code} ({message})", f"腾讯云拒绝了 {action}：{code}（{message}）")
