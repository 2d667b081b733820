"""The stand-in for Tencent Cloud: SMS arrive, connections are kept, and closing leaves nothing behind."""

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.message import Message as Headers
from typing import Any

import pytest
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.sms.v20210111.sms_client import SmsClient

from local import tc3
from local.describe_sms import ABROAD, Template
from local.inbox import Message
from local.tencent import TencentStandIn
from tests.testkit.ports import reserved_port
from tests.testkit.tencent_client import NOW, PHONE, SECRET_ID, SECRET_KEY, client, code_of, codes, request


def test_an_sms_of_the_real_sdk_arrives() -> None:
    """The SDK gets the platform's answer, and the SMS is in the inbox and is given to the callback."""
    seen: list[Message] = []
    ahead = time.time() + 299  # of the SDK's clock; it stands, since the SDK may need a second to be imported
    with TencentStandIn(
        secret_id=SECRET_ID, secret_key=SECRET_KEY, clock=lambda: ahead, on_message=seen.append
    ) as tencent:
        response = client(tencent).SendSms(request(SessionContext="ctx"))
        [message] = tencent.inbox()
    [status] = response.SendStatusSet
    assert (status.Code, status.Message, status.Fee) == ("Ok", "send success", 1)
    assert (status.PhoneNumber, status.IsoCode, status.SessionContext) == (PHONE, "CN", "ctx")
    assert status.SerialNo.startswith("2019:")
    assert len(response.RequestId) == 36
    assert seen == [message]
    assert message.text == "【sms-login】123456 为您的登录验证码，5 分钟内有效。"


def test_a_signature_is_that_of_tencents_documentation() -> None:
    """The worked example of "Signature v3" (DescribeInstances, key partly masked) gives the printed signature."""
    headers = Headers()
    headers["Content-Type"] = "application/json; charset=utf-8"
    headers["Host"] = "cvm.tencentcloudapi.com"
    headers["X-TC-Action"] = "DescribeInstances"
    body = rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'
    canonical = tc3.canonical_request(headers, ["content-type", "host", "x-tc-action"], body)
    signature = tc3.signature(
        canonical,
        timestamp="1551113065",
        scope="2019-02-25/cvm/tc3_request",
        secret_key="Gu5t9xGARNpq86cd98joQYCN3*******",
    )
    assert signature == "be4f67d323c78ab9acb7395e43c0dbcf822a9cfac32fea2449a7bc7726b770a3"


def test_the_inbox_lists_the_newest_message_first(tencent: TencentStandIn) -> None:
    """The inbox lists the messages of all numbers or of one, the newest first."""
    sdk = client(tencent)
    for phone, code in [(PHONE, "000001"), ("+8613900139000", "000002"), (PHONE, "000003")]:
        sdk.SendSms(request(PhoneNumberSet=[phone], TemplateParamSet=[code]))
    assert [message.params for message in tencent.inbox()] == [["000003"], ["000002"], ["000001"]]
    assert [message.params for message in tencent.inbox(PHONE)] == [["000003"], ["000001"]]
    assert tencent.inbox("+8613700137000") == []


def test_a_message_has_its_time_in_utc() -> None:
    """A message as JSON has its text, its parameters, and its time in UTC to the millisecond."""
    message = Message(PHONE, "a text", ["123456"], NOW, "2019:1")
    assert message.as_json() == {
        "phone": PHONE,
        "text": "a text",
        "params": ["123456"],
        "serialNo": "2019:1",
        "channel": "sms",
        "sentAt": "2027-01-15T08:00:00.250Z",
    }


def test_the_inbox_keeps_the_last_1000_messages(tencent: TencentStandIn) -> None:
    """The inbox forgets all but the last 1,000 messages."""
    sdk = client(tencent)
    for first in range(0, 1200, 200):
        sdk.SendSms(request(PhoneNumberSet=[f"+861380013{n:04}" for n in range(first, first + 200)]))
    phones = [message.phone for message in tencent.inbox()]
    assert (len(phones), phones[0], phones[-1]) == (1000, "+8613800131199", "+8613800130200")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"TemplateParamSet": ["123456"]}, "【sms-login】123456 为您的登录验证码。"),
        ({"SignName": "腾讯云"}, "【腾讯云】123456 为您的登录验证码，5 分钟内有效。"),
        ({"TemplateId": "7", "TemplateParamSet": ["5", "123456"]}, "【sms-login】5 分钟内填写 123456"),
        (
            {"PhoneNumberSet": ["+85261234567"], "SignName": None},
            "[sms-login] 123456 is your sign-in code, valid for 5 minutes.",
        ),
    ],
)
def test_the_text_is_made_of_sign_template_and_parameters(tencent: TencentStandIn, changes: Any, text: str) -> None:
    """A text is Chinese in mainland China and English abroad, and has the minutes only if the template does."""
    tencent.catalogue.templates = [Template(7, "abroad", ABROAD), Template(7, "{1} 分钟内填写 {2}")]
    assert codes(client(tencent).SendSms(request(**changes))) == ["Ok"]
    assert [message.text for message in tencent.inbox()] == [text]


def test_a_client_keeps_its_connection(tencent: TencentStandIn) -> None:
    """All requests of a client, refused ones too, travel over one connection."""
    sdk = client(tencent)
    for mode in ("off", "refusal", "InternalError.Timeout", "charset", "off"):
        tencent.fail(mode)
        try:
            sdk.SendSms(request())
        except TencentCloudSDKException as error:
            assert error.code == "InternalError.Timeout"  # noqa: PT017 - one of five, the others do not raise
    assert tencent.connections == 1


def test_the_stand_in_serves_40_clients_at_once(tencent: TencentStandIn) -> None:
    """The stand-in keeps the SMS of 40 simultaneous clients, each with its own serial number."""
    barrier = threading.Barrier(40)

    def send(number: int) -> str:
        sdk = client(tencent)
        barrier.wait(timeout=30)
        [status] = sdk.SendSms(request(PhoneNumberSet=[f"+861380013{number:04}"])).SendStatusSet
        assert status.Code == "Ok"
        return str(status.SerialNo)

    with ThreadPoolExecutor(40) as threads:
        serial_numbers = list(threads.map(send, range(40)))
    assert len(set(serial_numbers)) == 40
    assert len({message.phone for message in tencent.inbox()}) == 40


def test_only_this_machine_can_reach_the_stand_in(tencent: TencentStandIn) -> None:
    """The stand-in listens on 127.0.0.1."""
    assert tencent.url.startswith("http://127.0.0.1:")


def test_closing_the_stand_in_ends_its_threads_and_sockets() -> None:
    """The stand-in may be closed twice, while a client still holds a connection."""
    before = set(threading.enumerate())
    with reserved_port() as port:
        sdk = send_and_close(port)
        assert set(threading.enumerate()) <= before
        assert code_of(lambda: sdk.SendSms(request())) == "ClientNetworkError"
    gc.collect()  # reports a socket that the stand-in has left open, and a warning is an error


def send_and_close(port: int) -> SmsClient:
    """Use a stand-in, close it twice, and return a client that still holds its end of the connection."""
    tencent = TencentStandIn(secret_id=SECRET_ID, secret_key=SECRET_KEY, port=port)
    sdk = client(tencent)
    sdk.SendSms(request())
    tencent.close()
    tencent.close()
    return sdk
