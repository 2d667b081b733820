"""The operator's side of the admin function: Tencent Cloud's Invoke, and the caller's name by CAM's own words."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from sms_admin.failures import Failed
from sms_admin.operations import Page
from sms_login import __version__
from sms_login.adapters.tencent.client import NoCredentials, TencentClient

_TIMEOUT = 65.0  # s: the function has 60
_HOST = "tencentcloudapi.com"
# Codes of Invoke, 583/17243.
_SENTENCES = {
    "ResourceNotFound.Function": ("there is no function of this name: --function", "没有此名称的函数：--function"),
    "ResourceNotFound.FunctionName": ("there is no function of this name: --function", "没有此名称的函数：--function"),
}


class AdminFunction:
    """The admin function of a name, or `namespace/name`, in the region DEPLOY_REGION of an environment.

    `user` is the operator's name without CAM.
    """

    def __init__(self, name: str, environ: Mapping[str, str], user: str) -> None:
        self._user = user
        self._namespace, _, self._name = name.rpartition("/")
        region = environ.get("DEPLOY_REGION") or environ.get("SMS_REGION") or "ap-guangzhou"
        endpoint = environ.get("ADMIN_ENDPOINT", "")  # of a stand-in, which serves both APIs
        self._scf = TencentClient(
            environ, _scf, name="scf", region=region, endpoint=endpoint or f"scf.{_HOST}", timeout=_TIMEOUT
        )
        self._sts = TencentClient(
            environ, _Sts, name="sts", region=region, endpoint=endpoint or f"sts.{_HOST}", timeout=10.0
        )

    def page(self, operation: str, asked: Any, cursor: Any) -> Page:
        """Return a page of an operation, of which `asked` and `cursor` are JSON values. Raises Failed."""
        from tencentcloud.scf.v20180416 import models  # noqa: PLC0415 - heavy

        request = models.InvokeRequest()
        request.FunctionName = self._name
        if self._namespace:
            request.Namespace = self._namespace
        event = {"version": __version__, "operation": operation, "asked": asked, "cursor": cursor, "by": self.caller}
        request.ClientContext = json.dumps({"smsAdmin": event})
        result = self._call(self._scf, "Invoke", request).Result
        if result.InvokeResult or result.ErrMsg:
            words = f"{result.ErrMsg or 'no reason'} ({result.FunctionRequestId})"
            raise Failed(f"the admin function failed: {words}", f"管理函数出错：{words}")
        return _read(result.RetMsg)

    @cached_property
    def caller(self) -> str:
        """Return who calls: the Arn by GetCallerIdentity, or without that permission the operator's own name."""
        try:
            return str(self._call(self._sts, "GetCallerIdentity", {})["Response"]["Arn"])
        except (Failed, KeyError):
            return self._user

    def _call(self, api: TencentClient, action: str, request: Any) -> Any:
        from tencentcloud.common.exception import TencentCloudSDKException  # noqa: PLC0415 - as above

        try:
            return api.call(action, request)
        except NoCredentials as error:
            raise Failed(str(error), "没有密钥：请设置 TENCENTCLOUD_SECRETID 和 TENCENTCLOUD_SECRETKEY") from None
        except TimeoutError:
            raise Failed("the admin function did not answer in time", "管理函数未及时应答") from None
        except TencentCloudSDKException as error:
            code = str(error.get_code() or "")
            if code.startswith(("UnauthorizedOperation", "AuthFailure.UnauthorizedOperation")):
                words = "the key may not call the function: allow it the action scf:InvokeFunction"
                raise Failed(f"{words} ({code})", f"此密钥无权调用函数：请授权 scf:InvokeFunction（{code}）") from None
            english, chinese = _SENTENCES.get(code, (f"Invoke failed: {code}", f"调用函数失败：{code}"))
            raise Failed(english, chinese) from None


class _Sts:
    """GetCallerIdentity by the SDK's common client: the SDK of the product would be a library for one call."""

    def __init__(self, credential: Any, region: str, profile: Any) -> None:
        from tencentcloud.common.common_client import CommonClient  # noqa: PLC0415 - as above

        self._client = CommonClient("sts", "2018-08-13", credential, region, profile)

    @property
    def request(self) -> Any:
        return self._client.request

    @request.setter
    def request(self, transport: Any) -> None:
        self._client.request = transport

    def GetCallerIdentity(self, parameters: dict[str, Any]) -> Any:  # noqa: N802 - the action's name
        return self._client.call_json("GetCallerIdentity", parameters)


def _scf(credential: Any, region: str, profile: Any) -> Any:
    from tencentcloud.scf.v20180416.scf_client import ScfClient  # noqa: PLC0415 - as above

    return ScfClient(credential, region, profile)


def _read(answer: str) -> Page:
    """Return the page in an answer of the function. Raises Failed, also for another function's answer."""
    try:
        told = json.loads(answer)
        if "failed" in told:
            raise Failed(*map(str, told["failed"]))
        if told["version"] == __version__:
            return Page(told["rows"], told["cursor"])
    except (ValueError, KeyError, TypeError):
        raise Failed("this is not the admin function: its answer is of another kind", "这不是管理函数") from None
    raise Failed(
        f"the admin function is {told['version']}, these commands are {__version__}: deploy it anew",
        f"管理函数是 {told['version']}，命令是 {__version__}：请重新部署函数",
    )
