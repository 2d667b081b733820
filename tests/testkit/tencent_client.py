"""The SDK's own client for the stand-in of Tencent Cloud, and requests that the SDK would never send."""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message as Headers
from typing import Any

import pytest
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sms.v20210111.models import SendSmsRequest, SendSmsResponse
from tencentcloud.sms.v20210111.sms_client import SmsClient

from local import tc3
from local.tencent import TencentStandIn

SECRET_ID, SECRET_KEY, TOKEN = "local-id", "local-key", "local-token"
PHONE = "+8613800138000"
NOW = 1_800_000_000.25
GOOD = json.dumps(
    {
        "PhoneNumberSet": [PHONE],
        "SmsSdkAppId": "1400000000",
        "TemplateId": "1000000",
        "SignName": "sms-login",
        "TemplateParamSet": ["123456"],
    }
).encode()


def client(
    tencent: TencentStandIn,
    *,
    secret_id: str = SECRET_ID,
    secret_key: str = SECRET_KEY,
    token: str | None = TOKEN,
    timeout: float = 10,
    version: str | None = None,
    **profile: Any,
) -> SmsClient:
    """Build the SDK's own client for this stand-in; `timeout` is in seconds, `profile` has options of ClientProfile."""
    http = HttpProfile(protocol="http", endpoint=tencent.url.removeprefix("http://"), reqTimeout=timeout)
    sdk = SmsClient(
        Credential(secret_id, secret_key, token), "ap-guangzhou", ClientProfile(httpProfile=http, **profile)
    )
    if version:
        sdk._apiVersion = version  # noqa: SLF001 - the SDK has no other way to ask for another version
    return sdk


@contextmanager
def late_answers_alone() -> Iterator[None]:
    """Let a call of the product end at its deadline only if it waits for an answer.

    A busy machine may need as long as a test's short deadline for the rest: the clock stands, and no thread resolves
    the name.
    """
    http = "sms_login.adapters.tencent.http"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{http}.time.monotonic", lambda: 1000.0)
        patch.setattr(f"{http}._resolve", lambda host, port, _left: socket.getaddrinfo(host, port))
        yield


def request(**changes: Any) -> SendSmsRequest:
    """Build a valid request with `changes`; a parameter that is None is left out."""
    params = {
        "PhoneNumberSet": [PHONE],
        "SmsSdkAppId": "1400000000",
        "TemplateId": "1000000",
        "SignName": "sms-login",
        "TemplateParamSet": ["123456", "5"],
    } | changes
    built = SendSmsRequest()
    for name, value in params.items():
        setattr(built, name, value)
    return built


def code_of(call: Callable[[], Any]) -> str:
    """Return the code with which the SDK refuses a call."""
    with pytest.raises(TencentCloudSDKException) as refusal:
        call()
    return str(refusal.value.code)


def codes(response: SendSmsResponse) -> list[str]:
    """Return the code of each number."""
    return [status.Code for status in response.SendStatusSet]


def post(
    tencent: TencentStandIn,
    body: bytes,
    *,
    signed_body: bytes | None = None,
    at: float | None = None,
    service: str = "sms",
    content_type: str = "application/json",
    **headers: str,
) -> dict[str, Any]:
    """Send a request that the SDK would never send: another body than the signed one, an old timestamp, odd headers.

    `at` is in epoch seconds, `service` is the service in the signature, `content_type` that of the expected answer.
    """
    timestamp = str(int(time.time() if at is None else at))
    host = tencent.url.removeprefix("http://")
    known = Headers()
    known["Content-Type"], known["Host"] = "application/json; charset=UTF-8", host
    canonical = tc3.canonical_request(known, ["content-type", "host"], body if signed_body is None else signed_body)
    day = time.strftime("%Y-%m-%d", time.gmtime(int(timestamp)))
    scope = f"{day}/{service}/tc3_request"
    signature = tc3.signature(canonical, timestamp=timestamp, scope=scope, secret_key=SECRET_KEY)
    sent = {
        "Content-Type": known["Content-Type"],
        "X-TC-Action": "SendSms",
        "X-TC-Version": "2021-01-11",
        "X-TC-Region": "ap-guangzhou",
        "X-TC-Timestamp": timestamp,
        "X-TC-Token": TOKEN,
        "Authorization": f"TC3-HMAC-SHA256 Credential={SECRET_ID}/{scope}, "
        f"SignedHeaders=content-type;host, Signature={signature}",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request("POST", "/", body, {name: value for name, value in sent.items() if value})
    response = connection.getresponse()
    assert (response.status, response.headers["Content-Type"]) == (200, content_type)
    answer: dict[str, Any] = json.load(response)["Response"]
    connection.close()
    return answer
