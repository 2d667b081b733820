"""Refusals of the stand-in for Tencent Cloud: bad signatures, bad requests and bad numbers."""

import socket
import time
from email.message import Message as Headers
from typing import Any

from local import tc3
from local.tencent import TencentStandIn
from tests.testkit.cases import each_case
from tests.testkit.tencent_client import GOOD, NOW, PHONE, SECRET_ID, SECRET_KEY, client, code_of, codes, post, request


@each_case(
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
    """A wrong key, id, token or version, and a signature of the older kind, get the platform's code."""
    assert code_of(lambda: client(tencent, **credentials).SendSms(request())) == code
    assert tencent.inbox() == []


def test_another_action_is_refused(tencent: TencentStandIn) -> None:
    """Any other action of Tencent's SMS API is an InvalidAction."""
    assert code_of(lambda: client(tencent).call("PullEverything", {})) == "InvalidAction"


def test_a_request_of_the_helper_is_accepted_up_to_five_minutes_early_or_late(tencent: TencentStandIn) -> None:
    """The stand-in accepts the request of which each test below changes one part."""
    for seconds in (0, -290, 290):
        assert post(tencent, GOOD, at=time.time() + seconds)["SendStatusSet"][0]["Code"] == "Ok"


@each_case(
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
def test_a_tampered_request_is_refused(tencent: TencentStandIn, changes: Any, code: str) -> None:
    """A request that was changed after signing, is late, or lacks a header is refused, and no SMS is kept."""
    assert post(tencent, GOOD, **changes)["Error"]["Code"] == code
    assert tencent.inbox() == []


@each_case("change", ["host", "date", "service", "credential"])
def test_the_scope_of_a_signature_is_checked(tencent: TencentStandIn, change: str) -> None:
    """The host must be signed; date and service must be this request's, in the signature and in the Credential."""
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


@each_case("body", [b"", b"{", b"[]", b"\xff", b'{"PhoneNumberSet": "+8613800138000"}'])
def test_a_body_that_is_no_request_is_refused(tencent: TencentStandIn, body: bytes) -> None:
    """A signed body is refused unless it is a JSON object with the right types."""
    assert post(tencent, body)["Error"]["Code"] == "InvalidParameter"


@each_case("length", ["", "ten", "-1", "10485761"])
def test_a_bad_content_length_ends_the_connection(tencent: TencentStandIn, length: str) -> None:
    """A body without a length, or with a malformed or a huge one, is not read."""
    with socket.create_connection(("127.0.0.1", int(tencent.url.rsplit(":", 1)[1])), timeout=10) as connection:
        header = f"Content-Length: {length}\r\n" if length else ""
        connection.sendall(f"POST / HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode())
        answer = connection.makefile("rb").read()  # up to the end of the connection
    assert answer.startswith(b"HTTP/1.1 413 ")


@each_case(
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
def test_a_bad_parameter_fails_the_whole_request(tencent: TencentStandIn, changes: Any, code: str) -> None:
    """A missing, mistyped or oversized parameter gets the platform's code."""
    assert code_of(lambda: client(tencent).SendSms(request(**changes))) == code
    assert tencent.inbox() == []


def test_a_misspelt_parameter_is_refused(tencent: TencentStandIn) -> None:
    """An unknown parameter is an error instead of being ignored."""
    assert code_of(lambda: client(tencent).call("SendSms", {"PhoneNumbers": [PHONE]})) == "UnknownParameter"


@each_case(
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
def test_a_bad_number_fails_alone(tencent: TencentStandIn, changes: Any, code: str) -> None:
    """The answer has HTTP 200 and the number's own code, and charges nothing."""
    [status] = client(tencent).SendSms(request(**changes)).SendStatusSet
    assert (status.Code, status.Fee, status.SerialNo) == (code, 0, "")
    assert tencent.inbox() == []


def test_good_numbers_are_sent_beside_bad_ones(tencent: TencentStandIn) -> None:
    """Numbers of one request each have a status, in the order of the request."""
    response = client(tencent).SendSms(request(PhoneNumberSet=[PHONE, "+86", "+8613900139000"]))
    assert codes(response) == ["Ok", "InvalidParameterValue.IncorrectPhoneNumber", "Ok"]
    assert [status.IsoCode for status in response.SendStatusSet] == ["CN", "DEF", "CN"]
    assert [message.phone for message in tencent.inbox()] == ["+8613900139000", PHONE]
