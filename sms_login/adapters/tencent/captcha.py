"""Tencent Captcha through the SDK (product captcha, API 2019-07-22, DescribeCaptchaResult, document 36926)."""

from collections.abc import Mapping
from typing import Any

from sms_login.adapters.tencent.client import NoCredentials, TencentClient
from sms_login.errors import ServiceUnavailable

_TIMEOUT = 3.0  # s; SendSms comes after it, within the same request
_PUZZLE = 9  # the only CaptchaType
_OK = 1
_BLOCKED = 100  # EvilLevel
_MADE_UP = "trerror_"  # prefix of the tickets that the widget makes up if it cannot reach its server; easy to forge


class TencentCaptcha:
    """`limits.captcha.Captcha` on Tencent Captcha.

    `app_id` and `app_secret` belong to the captcha application, not to the account.
    """

    def __init__(self, environ: Mapping[str, str], *, app_id: str, app_secret: str, endpoint: str) -> None:
        self._api = TencentClient(environ, _client, name="captcha", region="", endpoint=endpoint, timeout=_TIMEOUT)
        self._app_id = int(app_id)
        self._app_secret = app_secret

    def refusal(self, ticket: str, randstr: str, ip: str) -> str | None:
        """See `limits.captcha.Captcha.refusal`."""
        from tencentcloud.captcha.v20190722 import models  # noqa: PLC0415 - heavy, and only needed for a ticket
        from tencentcloud.common.exception import TencentCloudSDKException  # noqa: PLC0415 - as above

        if ticket.startswith(_MADE_UP):
            return "made up by the client"
        request = models.DescribeCaptchaResultRequest()
        request.CaptchaType = _PUZZLE
        request.Ticket = ticket
        request.Randstr = randstr
        request.UserIp = ip or "127.0.0.1"  # required
        request.CaptchaAppId = self._app_id
        request.AppSecretKey = self._app_secret
        try:
            answer = self._api.call("DescribeCaptchaResult", request)
        except (NoCredentials, TimeoutError) as error:
            raise ServiceUnavailable(f"captcha: {str(error) or 'timeout'}") from None
        except TencentCloudSDKException as error:
            raise ServiceUnavailable(f"captcha: {error.get_code()}") from None
        if answer.CaptchaCode is None:  # the SDK does not report an answer without it
            raise ServiceUnavailable("captcha: no CaptchaCode")
        if answer.CaptchaCode != _OK:
            return f"code {answer.CaptchaCode}"
        return "blocked" if answer.EvilLevel == _BLOCKED else None


def _client(credential: Any, region: str, profile: Any) -> Any:
    from tencentcloud.captcha.v20190722.captcha_client import CaptchaClient  # noqa: PLC0415 - as above

    return CaptchaClient(credential, region, profile)
