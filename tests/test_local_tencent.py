import gc
import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
from local.inbox import Message
from local.tencent import TencentStandIn

SECRET_ID, SECRET_KEY, TOKEN = "local-id", "local-key", "local-token"
PHONE = "+8613800138000"
NOW = 1_800_000_000.25


@pytest.fixture
def tencent() -> Iterator[TencentStandIn]:
    """Give a stand-in that asks for a token."""
    with TencentStandIn(secret_id=SECRET_ID, secret_key=SECRET_KEY, token=TOKEN) as stand_in:
        yield stand_in


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
    """Build the SDK's own client for this stand-in; ``timeout`` in seconds, ``profile`` as ClientProfile takes it."""
    http = HttpProfile(protocol="http", endpoint=tencent.url.removeprefix("http://"), reqTimeout=timeout)
    sdk = SmsClient(
        Credential(secret_id, secret_key, token), "ap-guangzhou", ClientProfile(httpProfile=http, **profile)
    )
    if version:
        sdk._apiVersion = version  # noqa: SLF001 - the SDK has no other way to ask for another version
    return sdk


def request(**changes: Any) -> SendSmsRequest:
    """Build a good request with some parameters changed, or left out (None)."""
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
    """Send what the SDK would never send: another body than the signed one, an old timestamp, odd headers.

    ``at`` is in epoch seconds, ``service`` what it is signed for, ``content_type`` what the answer's must be.
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


GOOD = json.dumps(
    {
        "PhoneNumberSet": [PHONE],
        "SmsSdkAppId": "1400000000",
        "TemplateId": "1000000",
        "SignName": "sms-login",
        "TemplateParamSet": ["123456"],
    }
).encode()


def test_an_sms_of_the_real_sdk_arrives() -> None:
    """The SDK's request is answered as the platform answers, and the SMS is in the inbox and with the callback."""
    seen: list[Message] = []
    with TencentStandIn(
        secret_id=SECRET_ID, secret_key=SECRET_KEY, clock=lambda: time.time() + 299, on_message=seen.append
    ) as tencent:
        response = client(tencent).SendSms(request(SessionContext="ctx"))
        [message] = tencent.inbox()
    [status] = response.SendStatusSet
    assert (status.Code, status.Message, status.Fee) == ("Ok", "send success", 1)
    assert (status.PhoneNumber, status.IsoCode, status.SessionContext) == (PHONE, "CN", "ctx")
    assert status.SerialNo.startswith("2019:")
    assert len(response.RequestId) == 36
    assert seen == [message]
    assert message.text == "[sms-login] 123456 is your sign-in code, valid for 5 minutes."


def test_the_signature_of_tencents_own_documentation() -> None:
    """The worked example of "Signature v3" (DescribeInstances, key partly masked) comes out as printed there."""
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


def test_the_inbox_is_newest_first_and_by_number(tencent: TencentStandIn) -> None:
    """The inbox lists the newest message first, and only one number's when asked for it."""
    sdk = client(tencent)
    for phone, code in [(PHONE, "000001"), ("+8613900139000", "000002"), (PHONE, "000003")]:
        sdk.SendSms(request(PhoneNumberSet=[phone], TemplateParamSet=[code]))
    assert [message.params for message in tencent.inbox()] == [["000003"], ["000002"], ["000001"]]
    assert [message.params for message in tencent.inbox(PHONE)] == [["000003"], ["000001"]]
    assert tencent.inbox("+8613700137000") == []


def test_a_message_as_json() -> None:
    """A message shows its time in UTC, to the millisecond."""
    message = Message(PHONE, "a text", ["123456"], NOW)
    assert message.as_json() == {
        "phone": PHONE,
        "text": "a text",
        "params": ["123456"],
        "sentAt": "2027-01-15T08:00:00.250Z",
    }


def test_the_inbox_forgets_the_oldest(tencent: TencentStandIn) -> None:
    """The inbox holds the last thousand messages."""
    sdk = client(tencent)
    for first in range(0, 1200, 200):
        sdk.SendSms(request(PhoneNumberSet=[f"+861380013{n:04}" for n in range(first, first + 200)]))
    phones = [message.phone for message in tencent.inbox()]
    assert (len(phones), phones[0], phones[-1]) == (1000, "+8613800131199", "+8613800130200")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"TemplateParamSet": ["123456"]}, "[sms-login] 123456 is your sign-in code."),
        ({"SignName": "腾讯云"}, "[腾讯云] 123456 is your sign-in code, valid for 5 minutes."),
        (
            {"PhoneNumberSet": ["+85261234567"], "SignName": None},
            "[sms-login] 123456 is your sign-in code, valid for 5 minutes.",
        ),
    ],
)
def test_the_text_is_made_of_sign_and_parameters(tencent: TencentStandIn, changes: Any, text: str) -> None:
    """The text begins with the request's signature, and speaks of minutes only if the template has them."""
    assert codes(client(tencent).SendSms(request(**changes))) == ["Ok"]
    assert [message.text for message in tencent.inbox()] == [text]


def test_a_client_keeps_its_connection(tencent: TencentStandIn) -> None:
    """Requests of one client, refused ones too, travel over one connection."""
    sdk = client(tencent)
    for mode in ("off", "refusal", "InternalError.Timeout", "charset", "off"):
        tencent.fail(mode)
        try:
            sdk.SendSms(request())
        except TencentCloudSDKException as error:
            assert error.code == "InternalError.Timeout"  # noqa: PT017 - one of five, the others do not raise
    assert tencent.connections == 1


def test_many_clients_at_once(tencent: TencentStandIn) -> None:
    """Forty threads with a client each send at once; every SMS is kept, every serial number is its own."""
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


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        ({"secret_key": "another"}, "AuthFailure.SignatureFailure"),
        ({"secret_id": "another"}, "AuthFailure.SecretIdNotFound"),
        ({"token": "another"}, "AuthFailure.TokenFailure"),
        ({"token": None}, "AuthFailure.TokenFailure"),
        ({"version": "2019-07-11"}, "NoSuchVersion"),
        ({"signMethod": "HmacSHA256"}, "MissingParameter"),
    ],
)
def test_wrong_credentials_are_refused(tencent: TencentStandIn, credentials: Any, code: str) -> None:
    """A wrong key, id, token or version, and a signature of the older kind, are refused with the platform's code."""
    assert code_of(lambda: client(tencent, **credentials).SendSms(request())) == code
    assert tencent.inbox() == []


def test_another_action_is_refused(tencent: TencentStandIn) -> None:
    """Of Tencent's SMS API only SendSms exists."""
    assert code_of(lambda: client(tencent).call("PullSmsSendStatus", {})) == "InvalidAction"


def test_a_signed_post_without_the_sdk(tencent: TencentStandIn) -> None:
    """The helper of the next tests makes requests that are accepted, up to five minutes early or late."""
    for seconds in (0, -290, 290):
        assert post(tencent, GOOD, at=time.time() + seconds)["SendStatusSet"][0]["Code"] == "Ok"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"signed_body": b"{}"}, "AuthFailure.SignatureFailure"),
        ({"at": NOW}, "AuthFailure.SignatureExpire"),
        ({"at": 0}, "AuthFailure.SignatureExpire"),
        ({"Authorization": ""}, "AuthFailure.InvalidAuthorization"),
        ({"Authorization": "Bearer abc"}, "AuthFailure.InvalidAuthorization"),
        ({"Content_Type": "text/plain"}, "AuthFailure.SignatureFailure"),
        ({"Host": "sms.tencentcloudapi.com"}, "AuthFailure.SignatureFailure"),
        ({"X_TC_Timestamp": ""}, "MissingParameter"),
        ({"X_TC_Timestamp": "soon"}, "MissingParameter"),
        ({"X_TC_Region": ""}, "MissingParameter"),
        ({"X_TC_Token": "caf\u00e9"}, "AuthFailure.TokenFailure"),
    ],
)
def test_tampered_requests_are_refused(tencent: TencentStandIn, changes: Any, code: str) -> None:
    """A request that was changed after signing, is late, or lacks a header is refused, and nothing is kept."""
    assert post(tencent, GOOD, **changes)["Error"]["Code"] == code
    assert tencent.inbox() == []


@pytest.mark.parametrize("change", ["host", "date", "service", "credential"])
def test_the_scope_of_a_signature_is_checked(tencent: TencentStandIn, change: str) -> None:
    """The host must be signed; date and service must be this request's, when signed and in the Credential."""
    now = int(time.time())
    headers = Headers()
    headers["Content-Type"], headers["Host"] = "application/json", tencent.url.removeprefix("http://")
    signed = ["content-type"] if change == "host" else ["content-type", "host"]
    day = "2019-02-25" if change == "date" else time.strftime("%Y-%m-%d", time.gmtime(now))
    scope = f"{day}/{'cvm' if change == 'service' else 'sms'}/tc3_request"
    canonical = tc3.canonical_request(headers, signed, GOOD)
    signature = tc3.signature(canonical, timestamp=str(now), scope=scope, secret_key=SECRET_KEY)
    if change == "credential":
        scope = scope.replace("sms", "cvm")
    answer = post(
        tencent,
        GOOD,
        Content_Type="application/json",
        X_TC_Timestamp=str(now),
        Authorization=f"TC3-HMAC-SHA256 Credential={SECRET_ID}/{scope}, SignedHeaders={';'.join(signed)}, "
        f"Signature={signature}",
    )
    assert answer["Error"]["Code"] == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"PhoneNumberSet": "+8613800138000"}'])
def test_a_body_that_is_no_request_is_refused(tencent: TencentStandIn, body: bytes) -> None:
    """A signed body that is not a JSON object of the right types is refused."""
    assert post(tencent, body)["Error"]["Code"] == "InvalidParameter"


@pytest.mark.parametrize("length", ["", "ten", "-1", "10485761"])
def test_a_length_that_cannot_be_read_ends_the_connection(tencent: TencentStandIn, length: str) -> None:
    """A body of no, an odd or a huge length is not read."""
    with socket.create_connection(("127.0.0.1", int(tencent.url.rsplit(":", 1)[1])), timeout=10) as connection:
        header = f"Content-Length: {length}\r\n" if length else ""
        connection.sendall(f"POST / HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode())
        answer = connection.makefile("rb").read()  # up to the end of the connection
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"PhoneNumberSet": None}, "MissingParameter"),
        ({"PhoneNumberSet": []}, "MissingParameter.EmptyPhoneNumberSet"),
        ({"PhoneNumberSet": [PHONE] * 201}, "LimitExceeded.PhoneNumberCountLimit"),
        (
            {"PhoneNumberSet": [PHONE, "+85261234567"]},
            "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber",
        ),
        ({"SmsSdkAppId": None}, "MissingParameter"),
        ({"SmsSdkAppId": 1400000000}, "InvalidParameter"),
        ({"TemplateId": None}, "MissingParameter"),
        ({"TemplateParamSet": [123456]}, "InvalidParameter"),
        ({"SessionContext": "é" * 256}, "InvalidParameterValue"),
    ],
)
def test_a_bad_request_is_refused_as_a_whole(tencent: TencentStandIn, changes: Any, code: str) -> None:
    """A request with a missing, mistyped or oversized parameter is refused with the platform's code."""
    assert code_of(lambda: client(tencent).SendSms(request(**changes))) == code
    assert tencent.inbox() == []


def test_a_misspelt_parameter_is_refused(tencent: TencentStandIn) -> None:
    """A parameter that the API does not know is not ignored."""
    assert code_of(lambda: client(tencent).call("SendSms", {"PhoneNumbers": [PHONE]})) == "UnknownParameter"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"PhoneNumberSet": ["13800138000"]}, "InvalidParameterValue.IncorrectPhoneNumber"),
        ({"PhoneNumberSet": ["+8613800138000\n"]}, "InvalidParameterValue.IncorrectPhoneNumber"),
        ({"SignName": None}, "FailedOperation.SignatureIncorrectOrUnapproved"),
        ({"TemplateParamSet": None}, "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"),
        ({"TemplateParamSet": ["1234567"]}, "InvalidParameterValue.TemplateParameterFormatError"),
        ({"TemplateParamSet": ["12345a"]}, "InvalidParameterValue.TemplateParameterFormatError"),
        ({"TemplateParamSet": ["123456", "5 min"]}, "InvalidParameterValue.TemplateParameterFormatError"),
        ({"TemplateParamSet": ["\uff11\uff12\uff13\uff14"]}, "InvalidParameterValue.TemplateParameterFormatError"),
    ],
)
def test_a_bad_number_is_refused_alone(tencent: TencentStandIn, changes: Any, code: str) -> None:
    """What is wrong for a number comes with HTTP 200, as the code of that number, and costs nothing."""
    [status] = client(tencent).SendSms(request(**changes)).SendStatusSet
    assert (status.Code, status.Fee, status.SerialNo) == (code, 0, "")
    assert tencent.inbox() == []


def test_good_numbers_are_not_held_up_by_bad_ones(tencent: TencentStandIn) -> None:
    """Each number has its own status, in the order of the request."""
    response = client(tencent).SendSms(request(PhoneNumberSet=[PHONE, "+86", "+8613900139000"]))
    assert codes(response) == ["Ok", "InvalidParameterValue.IncorrectPhoneNumber", "Ok"]
    assert [status.IsoCode for status in response.SendStatusSet] == ["CN", "DEF", "CN"]
    assert [message.phone for message in tencent.inbox()] == ["+8613900139000", PHONE]


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("refusal", "FailedOperation.InsufficientBalanceInSmsPackage"),
        ("throttle", "LimitExceeded.PhoneNumberThirtySecondLimit"),
        ("LimitExceeded.PhoneNumberDailyLimit", "LimitExceeded.PhoneNumberDailyLimit"),
        ("UnsupportedOperation.UnsupportedRegion", "UnsupportedOperation.UnsupportedRegion"),
    ],
)
def test_failing_for_every_number(tencent: TencentStandIn, mode: str, code: str) -> None:
    """These modes refuse every number of a request and keep nothing."""
    tencent.fail(mode)
    assert codes(client(tencent).SendSms(request(PhoneNumberSet=[PHONE, "+8613900139000"]))) == [code, code]
    assert tencent.inbox() == []


@pytest.mark.parametrize(
    "code",
    [
        "AuthFailure.UnauthorizedOperation",
        "InternalError",
        "InternalError.Timeout",
        "RequestLimitExceeded",
        "RequestLimitExceeded.UinLimitExceeded",
        "ResourceUnavailable",
    ],
)
def test_failing_as_a_whole(tencent: TencentStandIn, code: str) -> None:
    """These codes refuse the request, and nothing is kept."""
    tencent.fail(code)
    assert code_of(lambda: client(tencent).SendSms(request())) == code
    assert tencent.inbox() == []


def test_failing_by_timeout(tencent: TencentStandIn) -> None:
    """The SMS is kept, the answer never comes, and the next request is answered over a new connection."""
    tencent.fail("timeout", times=1)
    sdk = client(tencent, timeout=0.2)
    assert code_of(lambda: sdk.SendSms(request())) == "ClientNetworkError"
    assert len(tencent.inbox()) == 1
    assert codes(client(tencent).SendSms(request())) == ["Ok"]


def test_closing_ends_a_timeout_at_once() -> None:
    """A client that waits for its answer gets the end of the connection when the stand-in is closed."""
    arrived = threading.Event()
    with (
        TencentStandIn(secret_id=SECRET_ID, secret_key=SECRET_KEY, on_message=lambda _: arrived.set()) as tencent,
        ThreadPoolExecutor(1) as thread,
    ):
        tencent.fail("timeout")
        waiting = thread.submit(code_of, lambda: client(tencent, timeout=60).SendSms(request()))
        assert arrived.wait(timeout=30)
        tencent.close()
        assert waiting.result(timeout=30) == "ClientNetworkError"


def test_a_client_that_resets_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    """A client that aborts its connection while it waits is not reported on stderr."""
    with TencentStandIn(secret_id=SECRET_ID, secret_key=SECRET_KEY) as tencent:
        connection = socket.create_connection(("127.0.0.1", int(tencent.url.rsplit(":", 1)[1])), timeout=10)
        connection.sendall(b"POST / HTTP/1.1\r\n")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        codes(client(tencent).SendSms(request()))  # connections are accepted in order, so the first was, too
    assert capfd.readouterr().err == ""


def test_failing_by_reset(tencent: TencentStandIn) -> None:
    """The SDK sees a reset connection, nothing is kept, and the next request works."""
    tencent.fail("reset", times=1)
    sdk = client(tencent)
    with pytest.raises(TencentCloudSDKException, match="Connection reset by peer") as refusal:
        sdk.SendSms(request())
    assert refusal.value.code == "ClientNetworkError"
    assert tencent.inbox() == []
    assert codes(sdk.SendSms(request())) == ["Ok"]


def test_failing_by_charset(tencent: TencentStandIn) -> None:
    """The SMS is kept and the answer is a success, under a Content-Type with which the SDK does not look for errors."""
    tencent.fail("charset")
    assert codes(client(tencent).SendSms(request())) == ["Ok"]
    post(tencent, GOOD, content_type="application/json; charset=utf-8")
    assert len(tencent.inbox()) == 2


def test_failing_a_number_of_times(tencent: TencentStandIn) -> None:
    """A failure that was set for two requests is over with the third, and can be watched as it runs out."""
    sdk = client(tencent)
    assert tencent.failing == ("off", None)
    tencent.fail("throttle", times=2)
    seen = [(tencent.failing, codes(sdk.SendSms(request()))) for _ in range(3)]
    limit = ["LimitExceeded.PhoneNumberThirtySecondLimit"]
    assert seen == [(("throttle", 2), limit), (("throttle", 1), limit), (("off", None), ["Ok"])]


@pytest.mark.parametrize("end", ["off", None])
def test_back_to_normal(tencent: TencentStandIn, end: str | None) -> None:
    """A failure lasts until it is switched off."""
    tencent.fail("refusal")
    sdk = client(tencent)
    assert codes(sdk.SendSms(request())) == codes(sdk.SendSms(request())) != ["Ok"]
    tencent.fail(end)
    assert codes(sdk.SendSms(request())) == ["Ok"]


@pytest.mark.parametrize("mode", ["", "Throttle", "tiemout", "AuthFailure", "LimitExceeded.", "limit.exceeded"])
def test_an_unknown_mode(tencent: TencentStandIn, mode: str) -> None:
    """A word that is no mode is refused with the list of modes, and the present mode stays."""
    tencent.fail("refusal")
    with pytest.raises(ValueError, match="off, refusal, throttle, timeout, reset, charset"):
        tencent.fail(mode)
    assert tencent.failing == ("refusal", None)


def test_failing_less_than_once(tencent: TencentStandIn) -> None:
    """To fail zero times is no mode either."""
    with pytest.raises(ValueError, match="times"):
        tencent.fail("throttle", times=0)


def test_a_failing_stand_in_still_checks(tencent: TencentStandIn) -> None:
    """A wrong signature is reported as such in every mode that answers: a failure must not hide a bug."""
    tencent.fail("timeout")
    assert code_of(lambda: client(tencent, secret_key="x").SendSms(request())) == "AuthFailure.SignatureFailure"


def test_only_this_machine_can_reach_it(tencent: TencentStandIn) -> None:
    """The stand-in listens on 127.0.0.1."""
    assert tencent.url.startswith("http://127.0.0.1:")


def test_closing_leaves_nothing_behind() -> None:
    """After closing, twice, no thread and no open socket is left, although a client kept its connection."""
    before = set(threading.enumerate())
    sdk = send_and_close()
    assert set(threading.enumerate()) <= before
    assert code_of(lambda: sdk.SendSms(request())) == "ClientNetworkError"
    gc.collect()  # A socket of the stand-in that was left open would be reported here, and a warning is an error.


def send_and_close() -> SmsClient:
    """Use a stand-in, close it twice, and return the client, which still holds its end of the connection."""
    tencent = TencentStandIn(secret_id=SECRET_ID, secret_key=SECRET_KEY)
    sdk = client(tencent)
    sdk.SendSms(request())
    tencent.close()
    tencent.close()
    return sdk
