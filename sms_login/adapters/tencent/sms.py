"""SendSms through Tencent's SDK (product sms, API 2021-01-11, document 382/55981). Sent once, never retried."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from sms_login.adapters.tencent.client import NoCredentials, TencentClient
from sms_login.errors import InvalidPhone, Refusal, SendFailed, SendUnknown, TooManyRequests
from sms_login.periods import Calendar, retry_after
from sms_login.phone import Phone
from sms_login.sms import MAINLAND, Receipt, SmsRoute

_PLATFORM = Calendar(8)  # the platform's days are China's


def sms_api(environ: Mapping[str, str], *, region: str, endpoint: str, timeout: float) -> TencentClient:
    """Return the client of the SMS API; `TencentClient` explains the arguments."""
    return TencentClient(environ, _client, name="sms", region=region, endpoint=endpoint, timeout=timeout)


class TencentSms(Struct, frozen=True, kw_only=True, eq=False):
    """`sms.Sms` on Tencent Cloud SMS.

    `template_params` are the values of the templates' variables in their order: `code` or `minutes`.
    """

    api: TencentClient
    mainland: SmsRoute
    abroad: SmsRoute | None
    template_params: tuple[str, ...]
    minutes: int

    def send(self, phone: Phone, code: str, purpose: str = "login") -> Receipt:
        """See `sms.Sms.send`."""
        answer = sent(self.api, "SendSms", self._request(phone, code, purpose))
        statuses = answer.SendStatusSet or []
        if len(statuses) != 1:  # the SDK does not report an answer without it
            raise SendUnknown("no SendStatusSet")
        if statuses[0].Code != "Ok":  # the API answers 200 for a refused number, so the SDK raises nothing
            raise _refusal(str(statuses[0].Code or ""), answered=True)
        return Receipt(answer.RequestId or "", statuses[0].SerialNo or "", statuses[0].Fee or 0)

    def report_conversion(self, phone: Phone, serial_no: str, at: int) -> None:
        """See `sms.Sms.report_conversion`. Accounts must be allowed to use ReportConversion."""
        from tencentcloud.sms.v20210111 import models  # noqa: PLC0415 - as above

        request = models.ReportConversionRequest()
        request.SmsSdkAppId, request.SerialNo, request.ConversionTime = self._route(phone).app_id, serial_no, at
        status = self.api.call("ReportConversion", request).ReportConversionStatus
        if status is None or status.Code != "ok":
            raise SendFailed("" if status is None else f"{status.Code}: {status.Message}")

    def _route(self, phone: Phone) -> SmsRoute:
        return self.mainland if phone.region == MAINLAND or self.abroad is None else self.abroad

    def _request(self, phone: Phone, code: str, purpose: str) -> Any:
        from tencentcloud.sms.v20210111 import models  # noqa: PLC0415 - as above

        route = self._route(phone)
        values = {"code": code, "minutes": str(self.minutes)}
        request = models.SendSmsRequest()
        request.PhoneNumberSet = [phone.e164]
        request.SmsSdkAppId = route.app_id
        request.TemplateId = route.purposes.get(purpose) or route.template_id
        request.TemplateParamSet = [values[name] for name in self.template_params]
        if route.sign:
            request.SignName = route.sign
        if route.sender_id:
            request.SenderId = route.sender_id
        return request


def sent(api: TencentClient, action: str, request: Any) -> Any:
    """Return the answer to a request that sends a code. Raises the refusals of `sms.Sms.send`."""
    from tencentcloud.common.exception import TencentCloudSDKException  # noqa: PLC0415 - heavy, and only getSms needs it

    try:
        return api.call(action, request)
    except NoCredentials as error:
        raise SendFailed(str(error)) from None
    except TimeoutError:
        raise SendUnknown("timeout") from None
    except TencentCloudSDKException as error:
        raise _refusal(str(error.get_code() or ""), answered=error.get_request_id() is not None) from None


def _client(credential: Any, region: str, profile: Any) -> Any:
    from tencentcloud.sms.v20210111.sms_client import SmsClient  # noqa: PLC0415 - as above

    return SmsClient(credential, region, profile)


# Tencent's error codes, by the refusal that the caller gets (documents 382/55981 and 1128/51568, "Error codes").
_NUMBER = (
    "InvalidParameterValue.IncorrectPhoneNumber",
    "InvalidParameterValue.CalledNumberVerifyFail",
    "FailedOperation.PhoneNumberParseFail",
    "FailedOperation.PhoneNumberInBlacklist",
)
_WAIT = {
    "LimitExceeded.PhoneNumberThirtySecondLimit": 30,
    "LimitExceeded.PhoneNumberOneHourLimit": 3600,
    "LimitExceeded.DeliveryFrequencyLimit": 30,
}  # s
_WAIT_UNTIL_TOMORROW = ("LimitExceeded.PhoneNumberDailyLimit", "LimitExceeded.PhoneNumberSameContentDailyLimit")
_UNCLEAR = ("ClientNetworkError", "ServerNetworkError", "InternalError", "FailedOperation.AccessUpstreamTimeout")


def _refusal(code: str, *, answered: bool) -> Refusal:
    """Return the refusal for an error code. `answered`: the code comes from Tencent Cloud, not from the SDK."""
    if code in _NUMBER:
        return InvalidPhone(code)
    if code in _WAIT:
        return TooManyRequests(code, retry_after=_WAIT[code])
    if code in _WAIT_UNTIL_TOMORROW:
        return TooManyRequests(code, retry_after=retry_after(_PLATFORM.now().day.left_ms))
    if code.startswith("RequestLimitExceeded"):  # Tencent Cloud refused before sending
        return SendFailed(code, retry_after=1)
    if code.startswith(_UNCLEAR) or not (answered and code):
        return SendUnknown(code)
    return SendFailed(code)
