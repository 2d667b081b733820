"""SendSms through Tencent's SDK (product sms, API 2021-01-11, document 382/55981). Sent once, never retried."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from sms_login.errors import InvalidPhone, Refusal, SendFailed, SendUnknown, TooManyRequests
from sms_login.phone import Phone
from sms_login.ports import Receipt, SmsRoute

_MAINLAND = "CN"
_IDLE = 30.0  # s after which a kept connection may have been dropped on the way, which would leave a sending unclear

# At DEBUG the SDK logs whole requests, the code included.
logging.getLogger("tencentcloud_sdk_common").setLevel(logging.INFO)


class TencentSms:
    """`ports.Sms` on Tencent Cloud SMS.

    `environ` holds the credentials, read at every signing, since SCF replaces them. `template_params` are what the
    templates want, in their order, of `code` and `minutes`. `timeout` is for the whole call, in seconds. One client and
    its kept connections serves all threads.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        mainland: SmsRoute,
        abroad: SmsRoute | None,
        template_params: tuple[str, ...],
        minutes: int,
        region: str,
        endpoint: str,
        timeout: float,
    ) -> None:
        self._credential = _Credential(environ)
        self._mainland = mainland
        self._abroad = abroad
        self._template_params = template_params
        self._minutes = str(minutes)
        self._region = region
        self._endpoint = endpoint
        self._timeout = timeout
        self._lock = threading.Lock()
        self._client: Any = None
        self._used = 0.0

    def reaches(self, phone: Phone) -> bool:
        """See `ports.Sms.reaches`."""
        return phone.region == _MAINLAND or self._abroad is not None

    def send(self, phone: Phone, code: str) -> Receipt:
        """See `ports.Sms.send`."""
        from tencentcloud.common.exception import TencentCloudSDKException  # noqa: PLC0415 - heavy, and only for getSms

        if not self._credential.complete():
            raise SendFailed("no credentials in the environment: has the function an execution role?")
        client = self._ready_client()
        request = self._request(phone, code)
        try:
            answer = _within(self._timeout, lambda: client.SendSms(request))
        except TencentCloudSDKException as error:
            raise _refusal(error.get_code() or "", answered=error.get_request_id() is not None) from None
        statuses = answer.SendStatusSet or []
        if len(statuses) != 1:  # the SDK did not find what it looks for, and does not say so
            raise SendUnknown("no SendStatusSet")
        if statuses[0].Code != "Ok":  # a refused number is HTTP 200, and no exception
            raise _refusal(statuses[0].Code or "", answered=True)
        return Receipt(answer.RequestId or "", statuses[0].SerialNo or "")

    def _request(self, phone: Phone, code: str) -> Any:
        from tencentcloud.sms.v20210111 import models  # noqa: PLC0415 - as above

        route = self._mainland if phone.region == _MAINLAND or self._abroad is None else self._abroad
        values = {"code": code, "minutes": self._minutes}
        request = models.SendSmsRequest()
        request.PhoneNumberSet = [phone.e164]
        request.SmsSdkAppId = route.app_id
        request.TemplateId = route.template_id
        request.TemplateParamSet = [values[name] for name in self._template_params]
        if route.sign:
            request.SignName = route.sign
        if route.sender_id:
            request.SenderId = route.sender_id
        return request

    def _ready_client(self) -> Any:
        """Return the client, made anew where its connection has been idle for long."""
        from tencentcloud.common.profile.client_profile import ClientProfile  # noqa: PLC0415 - as above
        from tencentcloud.common.profile.http_profile import HttpProfile  # noqa: PLC0415 - as above
        from tencentcloud.sms.v20210111.sms_client import SmsClient  # noqa: PLC0415 - as above

        with self._lock:
            now = time.monotonic()
            if self._client is None or now - self._used > _IDLE:
                scheme, _, host = self._endpoint.rpartition("://")
                http = HttpProfile(protocol=scheme or "https", endpoint=host.rstrip("/"), reqTimeout=self._timeout)
                self._client = SmsClient(self._credential, self._region, ClientProfile(httpProfile=http))
            self._used = now
            return self._client


class _Credential:
    """The SDK asks it at every signing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def complete(self) -> bool:
        secret_id, secret_key, _ = self.get_credential_info()
        return bool(secret_id and secret_key)

    def get_credential_info(self) -> tuple[str, str, str]:
        """Return id, key and session token, "" for what is missing."""
        names = ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SESSIONTOKEN")
        secret_id, secret_key, token = (self._environ.get(name, "") for name in names)
        return secret_id, secret_key, token


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return what `call` returns, or raise what it raises. Raises SendUnknown after `seconds`.

    The SDK's timeout is for each read, and for neither name resolution nor a trickling answer; only another thread sees
    the whole. It is a daemon, so that it cannot hold up the end of the process.
    """
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the waiting thread
            answers.put((None, error))

    threading.Thread(target=run, daemon=True, name="SendSms").start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise SendUnknown("timeout") from None
    if error is not None:
        raise error
    return answer


# What Tencent's error codes mean for the caller (document 382/55981, "Error codes").
_NUMBER = (
    "InvalidParameterValue.IncorrectPhoneNumber",
    "FailedOperation.PhoneNumberParseFail",
    "FailedOperation.PhoneNumberInBlacklist",
)
_WAIT = {
    "LimitExceeded.PhoneNumberThirtySecondLimit": 30,
    "LimitExceeded.PhoneNumberOneHourLimit": 3600,
    "LimitExceeded.DeliveryFrequencyLimit": 30,
}  # s
_WAIT_UNTIL_TOMORROW = ("LimitExceeded.PhoneNumberDailyLimit", "LimitExceeded.PhoneNumberSameContentDailyLimit")
_UNCLEAR = ("ClientNetworkError", "ServerNetworkError", "InternalError")


def _refusal(code: str, *, answered: bool) -> Refusal:
    """Return what an error code means. `answered` says that Tencent Cloud gave it, not the SDK."""
    if code in _NUMBER:
        return InvalidPhone(code)
    if code in _WAIT:
        return TooManyRequests(code, retry_after=_WAIT[code])
    if code in _WAIT_UNTIL_TOMORROW:
        return TooManyRequests(code, retry_after=_until_tomorrow())
    if code.startswith("RequestLimitExceeded"):  # refused before anything was sent
        return SendFailed(code, retry_after=1)
    if code.startswith(_UNCLEAR) or not (answered and code):
        return SendUnknown(code)
    return SendFailed(code)


def _until_tomorrow() -> int:
    """Return the seconds until the platform's next calendar day, which is China's."""
    now = datetime.fromtimestamp(time.time(), timezone(timedelta(hours=8)))
    return 86400 - (now.hour * 3600 + now.minute * 60 + now.second)
