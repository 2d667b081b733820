"""The SMS API of the account as the check asks it: a refusal is a finding."""

from collections.abc import Mapping
from typing import Any

from sms_admin.check.report import Finding, problem, warning
from sms_admin.language import tr
from sms_login.adapters.tencent.sms import sms_api
from sms_login.settings.settings import Settings

_TIMEOUT = 5.0  # s
_OUTSIDE = (
    "a function in a VPC needs publicAccess (or a NAT gateway) to reach it",
    "VPC 中的函数需要公网访问（publicAccess）或 NAT 网关才能访问它",
)


class Refused(Exception):  # noqa: N818 - it is an answer
    """A request that failed: its finding, and whether every other request would fail for the same reason."""

    def __init__(self, finding: Finding, *, always: bool) -> None:
        super().__init__()
        self.finding, self.always = finding, always


class Account:
    """Calls the SMS API of the account. `accepted` is True once Tencent Cloud has accepted its credentials."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        where = {"region": settings.sms_region, "endpoint": settings.sms_endpoint}
        self._api = sms_api(environ, timeout=_TIMEOUT, **where)
        self.accepted = False

    def ask(self, action: str, request: Any, about: str) -> Any:
        """Return the answer to a request. Raises Refused."""
        from tencentcloud.common.exception import TencentCloudSDKException  # noqa: PLC0415 - heavy, and Redis is checked before

        try:
            answer = self._api.call(action, request)
        except TimeoutError:
            found = tr(f"Tencent Cloud did not answer within {_TIMEOUT:.0f} s", f"腾讯云在 {_TIMEOUT:.0f} 秒内没有应答")
            raise Refused(problem("tencent", found, tr(*_OUTSIDE)), always=True) from None
        except TencentCloudSDKException as error:
            refused = _refused(error.get_code() or "no code", action, about)
            self.accepted = self.accepted or not refused.always
            raise refused from None
        self.accepted = True
        return answer


def _refused(code: str, action: str, about: str) -> Refused:
    if code.startswith(("ClientNetworkError", "ServerNetworkError")):
        found = tr(f"Tencent Cloud cannot be reached: {code}", f"无法连接腾讯云：{code}")
        return Refused(problem("tencent", found, tr(*_OUTSIDE)), always=True)
    if code == "AuthFailure.SignatureExpire":
        found = tr("differs from Tencent Cloud's by more than five minutes", "与腾讯云的时钟相差超过五分钟")
        todo = tr("set the clock: Tencent Cloud refuses every SMS until then", "请校准时钟：在此之前腾讯云拒绝所有短信")
        return Refused(problem("clock.tencent", found, todo), always=True)
    unchecked = tr(f"not checked: {code}", f"未检查：{code}")
    if code == "UnauthorizedOperation.RequestPermissionDeny":
        todo = tr(
            "the account belongs to a person, whom the API refuses: look in the SMS console instead",
            "这是个人认证账号，接口不对其开放：请在短信控制台查看",
        )
        return Refused(warning(about, unchecked, todo), always=False)
    if code.startswith("UnauthorizedOperation") or code == "AuthFailure.UnauthorizedOperation":
        todo = tr(
            f"allow the operator the action sms:{action}, or look in the SMS console instead",
            f"请为运维人员授权 sms:{action}，或在短信控制台查看",
        )
        return Refused(warning(about, unchecked, todo), always=False)
    if code.startswith("AuthFailure"):
        todo = tr(
            "check that id, key and token belong together, that the key is enabled, and that the token has not expired",
            "请检查 SecretId、SecretKey 和 Token 是否匹配，密钥是否启用，Token 是否过期",
        )
        return Refused(problem("credentials", tr(f"refused: {code}", f"被拒绝：{code}"), todo), always=True)
    todo = tr(
        f"look the code up in the documentation of {action}, or check again later",
        f"请在 {action} 的文档中查找此错误码，或稍后再检查",
    )
    return Refused(warning(about, unchecked, todo), always=False)
