"""SendCodeVoice through Tencent's SDK (product vms, API 2020-09-02, document 1128/51568). Sent once, never retried."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from sms_login.adapters.tencent.client import TencentClient
from sms_login.adapters.tencent.sms import sent
from sms_login.errors import SendUnknown, TooManyRequests
from sms_login.periods import Calendar, retry_after
from sms_login.phone import Phone
from sms_login.sms import Receipt

_PLATFORM = Calendar(8)  # the platform's days are China's
_EVENING, _MORNING, _HOUR = 22, 8, 3_600_000  # ms
_WINDOW = 600_000  # ms


def voice_api(environ: Mapping[str, str], *, region: str, endpoint: str, timeout: float) -> TencentClient:
    """Return the client of the voice API; `TencentClient` explains the arguments."""
    return TencentClient(environ, _client, name="voice", region=region, endpoint=endpoint, timeout=timeout)


class TencentVoice(Struct, frozen=True, eq=False):
    """`sms.Voice` on Tencent Cloud Voice Message Service."""

    api: TencentClient
    app_id: str

    def send(self, phone: Phone, code: str) -> Receipt:
        """See `sms.Voice.send`. The words around the code are Tencent's own, in Chinese."""
        from tencentcloud.vms.v20200902 import models  # noqa: PLC0415 - heavy, and only a call needs it

        request = models.SendCodeVoiceRequest()
        request.CalledNumber, request.CodeMessage, request.VoiceSdkAppid = phone.e164, code, self.app_id
        try:
            answer = sent(self.api, "SendCodeVoice", request)
        except TooManyRequests as refusal:
            raise TooManyRequests(refusal.detail, retry_after=_wait()) from None
        if answer.SendStatus is None or not answer.SendStatus.CallId:
            raise SendUnknown("no CallId")
        return Receipt(answer.RequestId or "", answer.SendStatus.CallId, fee=0)


def _wait() -> int:
    """Return the seconds until a number may be called again.

    It may be called twice in 10 minutes, and once between 22:00 and 08:00 (document 1128/38004). The refusal does not
    say which limit it is.
    """
    hour = _PLATFORM.now().hour
    present = (int(hour.name) + 8) % 24
    if _MORNING <= present < _EVENING:
        return retry_after(_WINDOW)
    return retry_after(hour.left_ms + (_MORNING - present - 1) % 24 * _HOUR)


def _client(credential: Any, region: str, profile: Any) -> Any:
    from tencentcloud.vms.v20200902.vms_client import VmsClient  # noqa: PLC0415 - as above

    return VmsClient(credential, region, profile)
