"""The failure switch of the stand-in for Tencent Cloud."""

import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tencentcloud.common.exception import TencentCloudSDKException

from local.tencent import TencentStandIn
from tests.testkit.cases import each_case
from tests.testkit.servers import until
from tests.testkit.tencent_client import GOOD, PHONE, SECRET_ID, SECRET_KEY, client, code_of, codes, post, request


@each_case(
    ("mode", "code"),
    [
        ("refusal", "FailedOperation.InsufficientBalanceInSmsPackage"),
        ("throttle", "LimitExceeded.PhoneNumberThirtySecondLimit"),
        ("LimitExceeded.PhoneNumberDailyLimit", "LimitExceeded.PhoneNumberDailyLimit"),
        ("UnsupportedOperation.UnsupportedRegion", "UnsupportedOperation.UnsupportedRegion"),
    ],
)
def test_a_number_code_fails_every_number_of_a_request(tencent: TencentStandIn, mode: str, code: str) -> None:
    """A failure code for numbers refuses every number of a request, and the inbox stays empty."""
    tencent.fail(mode)
    assert codes(client(tencent).SendSms(request(PhoneNumberSet=[PHONE, "+8613900139000"]))) == [code, code]
    assert tencent.inbox() == []


@each_case(
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
def test_a_request_code_fails_the_whole_request(tencent: TencentStandIn, code: str) -> None:
    """A failure code for requests is an error of the SDK, and the inbox stays empty."""
    tencent.fail(code)
    assert code_of(lambda: client(tencent).SendSms(request())) == code
    assert tencent.inbox() == []


def test_a_timeout_keeps_the_sms_and_never_answers(tencent: TencentStandIn) -> None:
    """After a timeout the SMS is in the inbox, and the next request is answered over a new connection."""
    tencent.fail("timeout", times=1)
    sdk = client(tencent, timeout=0.25)
    assert code_of(lambda: sdk.SendSms(request())) == "ClientNetworkError"
    until(lambda: len(tencent.inbox()) == 1, 20)  # the stand-in may be slower than the timeout
    assert codes(client(tencent).SendSms(request())) == ["Ok"]


def test_closing_the_stand_in_ends_a_timeout_at_once() -> None:
    """A client that waits for its answer sees the end of the connection."""
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


def test_a_client_that_resets_its_connection_is_not_reported(capfd: pytest.CaptureFixture[str]) -> None:
    """A client that resets its connection causes no output on stderr."""
    with TencentStandIn(secret_id=SECRET_ID, secret_key=SECRET_KEY) as tencent:
        connection = socket.create_connection(("127.0.0.1", int(tencent.url.rsplit(":", 1)[1])), timeout=10)
        connection.sendall(b"POST / HTTP/1.1\r\n")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        codes(client(tencent).SendSms(request()))  # connections are accepted in order: the first one was, too
    assert capfd.readouterr().err == ""


def test_a_reset_keeps_no_sms(tencent: TencentStandIn) -> None:
    """After a reset connection the inbox is empty, and the next request works."""
    tencent.fail("reset", times=1)
    sdk = client(tencent)
    with pytest.raises(TencentCloudSDKException, match="Connection reset by peer") as refusal:
        sdk.SendSms(request())
    assert refusal.value.code == "ClientNetworkError"
    assert tencent.inbox() == []
    assert codes(sdk.SendSms(request())) == ["Ok"]


def test_a_charset_failure_sends_the_sms_and_answers_with_another_content_type(tencent: TencentStandIn) -> None:
    """The answer is a success, under a Content-Type for which the SDK does not parse errors."""
    tencent.fail("charset")
    assert codes(client(tencent).SendSms(request())) == ["Ok"]
    post(tencent, GOOD, content_type="application/json; charset=utf-8")
    assert len(tencent.inbox()) == 2


def test_a_failure_that_is_set_for_two_requests_ends_with_the_second(tencent: TencentStandIn) -> None:
    """Each failing request counts a failure down, and the one after the last succeeds."""
    sdk = client(tencent)
    assert tencent.failing == ("off", None)
    tencent.fail("throttle", times=2)
    seen = [(tencent.failing, codes(sdk.SendSms(request()))) for _ in range(3)]
    limit = ["LimitExceeded.PhoneNumberThirtySecondLimit"]
    assert seen == [(("throttle", 2), limit), (("throttle", 1), limit), (("off", None), ["Ok"])]


@pytest.mark.parametrize("end", ["off", None])
def test_a_failure_lasts_until_it_is_switched_off(tencent: TencentStandIn, end: str | None) -> None:
    """A failure mode without a count lasts until it is set to off or None."""
    tencent.fail("refusal")
    sdk = client(tencent)
    assert codes(sdk.SendSms(request())) == codes(sdk.SendSms(request())) != ["Ok"]
    tencent.fail(end)
    assert codes(sdk.SendSms(request())) == ["Ok"]


@each_case("mode", ["", "Throttle", "tiemout", "AuthFailure", "LimitExceeded.", "limit.exceeded"])
def test_an_unknown_mode_is_refused(tencent: TencentStandIn, mode: str) -> None:
    """The error for an unknown mode lists the modes, and the present mode stays."""
    tencent.fail("refusal")
    with pytest.raises(ValueError, match="off, refusal, throttle, timeout, reset, charset"):
        tencent.fail(mode)
    assert tencent.failing == ("refusal", None)


def test_a_failure_cannot_be_set_for_zero_requests(tencent: TencentStandIn) -> None:
    """The error for zero requests names the parameter `times`."""
    with pytest.raises(ValueError, match="times"):
        tencent.fail("throttle", times=0)


def test_a_failing_stand_in_still_checks_signatures(tencent: TencentStandIn) -> None:
    """A wrong signature is reported in every mode that answers: a failure must not hide a bug."""
    tencent.fail("timeout")
    assert code_of(lambda: client(tencent, secret_key="x").SendSms(request())) == "AuthFailure.SignatureFailure"
