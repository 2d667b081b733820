"""SendSms through the real SDK, against a stand-in that checks its signatures."""

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from msgspec.structs import replace

from local.api_server import ApiServer, Reply
from local.tencent import TencentStandIn
from sms_login.adapters.tencent.sms import TencentSms, sms_api
from sms_login.errors import InvalidPhone, Refusal, SendFailed, SendUnknown, TooManyRequests
from sms_login.phone import Phone
from sms_login.sms import SmsRoute
from tests.testkit.backends import NOON
from tests.testkit.cases import each_case
from tests.testkit.servers import until
from tests.testkit.tencent_client import late_answers_alone
from tests.testkit.world import PHONE

ABROAD = Phone.parse("+447400123456", "CN")
KEYS = {"TENCENTCLOUD_SECRETID": "id", "TENCENTCLOUD_SECRETKEY": "key", "TENCENTCLOUD_SESSIONTOKEN": "token"}


@pytest.fixture
def tencent() -> Iterator[TencentStandIn]:
    """A stand-in that the SDK cannot tell from SendSms."""
    with TencentStandIn(secret_id="id", secret_key="key", token="token") as stand_in:
        yield stand_in


def adapter(
    endpoint: str,
    environ: dict[str, str] | None = None,
    *,
    params: tuple[str, ...] = ("code", "minutes"),
    abroad: bool = True,
    timeout: float = 5,
) -> TencentSms:
    """Return the adapter under test."""
    return TencentSms(
        api=sms_api(KEYS if environ is None else environ, region="ap-guangzhou", endpoint=endpoint, timeout=timeout),
        mainland=SmsRoute("1400000000", "sign", "1000000"),
        abroad=SmsRoute("1400000001", "", "1000001", "sender") if abroad else None,
        template_params=params,
        minutes=5,
    )


def sms(tencent: TencentStandIn, environ: dict[str, str] | None = None, **options: Any) -> TencentSms:
    """Return the adapter under test, connected to the stand-in."""
    return adapter(tencent.url, environ, **options)


def test_a_code_arrives_with_its_lifetime_in_minutes(tencent: TencentStandIn) -> None:
    """The message has the template's parameters in their order, and the receipt has the ids of SendSms."""
    receipt = sms(tencent).send(PHONE, "012345")
    assert [(message.phone, message.params) for message in tencent.inbox()] == [(PHONE.e164, ["012345", "5"])]
    assert receipt.request_id
    assert receipt.serial_no
    assert receipt.fee == 1


@pytest.mark.parametrize(
    ("params", "sent"), [(("code",), ["012345"]), (("minutes", "code"), ["5", "012345"])], ids=["code", "minutes,code"]
)
def test_parameters_are_in_the_templates_order(
    tencent: TencentStandIn, params: tuple[str, ...], sent: list[str]
) -> None:
    """SMS_TEMPLATE_PARAMS names the parameters in their order."""
    sms(tencent, params=params).send(PHONE, "012345")
    assert tencent.inbox()[0].params == sent


def test_a_foreign_number_has_its_own_application(tencent: TencentStandIn) -> None:
    """Mainland and foreign numbers never share an application, a template and a signature."""
    sender = sms(tencent)
    request = sender._request(ABROAD, "012345", "login")  # noqa: SLF001 - the request before the SDK signs it
    assert (request.SmsSdkAppId, request.TemplateId, request.SignName, request.SenderId) == (
        *("1400000001", "1000001"),
        *(None, "sender"),
    )
    request = sender._request(PHONE, "012345", "login")  # noqa: SLF001 - as above
    assert (request.SmsSdkAppId, request.TemplateId, request.SignName, request.SenderId) == (
        *("1400000000", "1000000"),
        *("sign", None),
    )
    sender.send(ABROAD, "012345")
    assert tencent.inbox()[0].phone == ABROAD.e164


def test_a_purpose_has_its_own_template_on_each_side_or_that_of_the_login(tencent: TencentStandIn) -> None:
    """A purpose without a template, and one that only the other side names, have the template of the login."""
    given = sms(tencent)
    mainland = replace(given.mainland, purposes={"pay": "3", "reset": ""})
    sender = replace(given, mainland=mainland, abroad=given.abroad and replace(given.abroad, purposes={"abroad": "4"}))
    for purpose, templates in {
        "login": ("1000000", "1000001"),
        "changePhone": ("1000000", "1000001"),
        "pay": ("3", "1000001"),
        "reset": ("1000000", "1000001"),
        "abroad": ("1000000", "4"),
    }.items():
        requests = [sender._request(phone, "012345", purpose) for phone in (PHONE, ABROAD)]  # noqa: SLF001 - as above
        assert tuple(request.TemplateId for request in requests) == templates


def test_the_connection_is_reused(tencent: TencentStandIn) -> None:
    """The client and its connection are made once."""
    sender = sms(tencent)
    for _ in range(5):
        sender.send(PHONE, "012345")
    assert tencent.connections == 1


def test_an_idle_connection_is_replaced(tencent: TencentStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 30 s without use a connection may be dead, and a sending over it would be unclear."""
    sender = sms(tencent)
    now = 1000.0
    monkeypatch.setattr("sms_login.adapters.tencent.http.time.monotonic", lambda: now)
    sender.send(PHONE, "012345")
    now += 30
    sender.send(PHONE, "012345")
    assert tencent.connections == 1
    now += 31
    sender.send(PHONE, "012345")
    assert tencent.connections == 2


def test_credentials_are_read_at_every_signing(tencent: TencentStandIn) -> None:
    """SCF replaces the credentials in the environment of a running instance."""
    environ = {**KEYS, "TENCENTCLOUD_SECRETKEY": "old"}
    sender = sms(tencent, environ)
    with pytest.raises(SendFailed) as refused:
        sender.send(PHONE, "012345")
    assert refused.value.detail == "AuthFailure.SignatureFailure"
    environ["TENCENTCLOUD_SECRETKEY"] = "key"
    assert sender.send(PHONE, "012345")
    environ["TENCENTCLOUD_SESSIONTOKEN"] = "old"
    with pytest.raises(SendFailed):
        sender.send(PHONE, "012345")


def test_without_credentials_nothing_is_sent(tencent: TencentStandIn) -> None:
    """The log says that the credentials are missing."""
    with pytest.raises(SendFailed, match="credentials"):
        sms(tencent, {}).send(PHONE, "012345")
    assert tencent.connections == 0


WAITS = [
    ("LimitExceeded.PhoneNumberThirtySecondLimit", 30),
    ("LimitExceeded.PhoneNumberOneHourLimit", 3600),
    ("LimitExceeded.PhoneNumberDailyLimit", 12 * 3600),
    ("LimitExceeded.PhoneNumberSameContentDailyLimit", 12 * 3600),
    ("LimitExceeded.DeliveryFrequencyLimit", 30),
]
CODES: list[tuple[str, type[Refusal]]] = [
    ("InvalidParameterValue.IncorrectPhoneNumber", InvalidPhone),
    ("FailedOperation.PhoneNumberParseFail", InvalidPhone),
    ("FailedOperation.PhoneNumberInBlacklist", InvalidPhone),
    *((code, TooManyRequests) for code, _ in WAITS),
    ("LimitExceeded.AppCountryOrRegionDailyLimit", SendFailed),
    ("LimitExceeded.AppDailyLimit", SendFailed),
    ("FailedOperation.InsufficientBalanceInSmsPackage", SendFailed),
    ("FailedOperation.SignatureIncorrectOrUnapproved", SendFailed),
    ("FailedOperation.TemplateIncorrectOrUnapproved", SendFailed),
    ("UnauthorizedOperation.SmsSdkAppIdVerifyFail", SendFailed),
    ("UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone", SendFailed),
    ("AuthFailure.SignatureFailure", SendFailed),
    ("RequestLimitExceeded", SendFailed),
    ("RequestLimitExceeded.UinLimitExceeded", SendFailed),
    ("InternalError.Timeout", SendUnknown),
    ("InternalError.OtherError", SendUnknown),
    ("FailedOperation.SomethingNew", SendFailed),
]


@each_case(("code", "refusal"), CODES, ids=[code for code, _ in CODES])
def test_every_error_code_of_tencent_becomes_a_refusal(
    tencent: TencentStandIn, code: str, refusal: type[Refusal]
) -> None:
    """The refusal depends on the action open to the caller or the operator, and the log has Tencent's code."""
    tencent.fail(code)
    with pytest.raises(Refusal) as refused:
        sms(tencent).send(PHONE, "012345")
    assert type(refused.value) is refusal
    assert refused.value.detail == code
    assert tencent.inbox() == []


@each_case(("code", "seconds"), WAITS)
def test_a_limit_of_tencent_has_a_retry_after(tencent: TencentStandIn, code: str, seconds: int) -> None:
    """A daily limit ends at midnight in China."""
    tencent.fail(code)
    with time_machine.travel(NOON), pytest.raises(TooManyRequests) as refused:
        sms(tencent).send(PHONE, "012345")
    assert seconds - 5 < (refused.value.retry_after or 0) <= seconds


def test_a_reset_connection_is_an_unknown_outcome(tencent: TencentStandIn) -> None:
    """The connection may have been reset after the SMS went out."""
    tencent.fail("reset")
    with pytest.raises(SendUnknown):
        sms(tencent).send(PHONE, "012345")


def test_a_success_of_any_content_type_is_recognised(tencent: TencentStandIn) -> None:
    """If the Content-Type has a charset, the SDK still reads the answer."""
    tencent.fail("charset")
    assert sms(tencent).send(PHONE, "012345").serial_no


@each_case(
    "response",
    [
        {"Error": {"Code": "InternalError", "Message": "…"}, "RequestId": "…"},
        {"SendStatusSet": [], "RequestId": "…"},
        {"SendStatusSet": [{"Code": "", "SerialNo": ""}], "RequestId": "…"},
        {"SendStatusSet": [{"SerialNo": ""}], "RequestId": "…"},
    ],
)
def test_an_answer_without_a_status_is_an_unknown_outcome(response: dict[str, Any]) -> None:
    """If the Content-Type has a charset, the SDK skips its check for errors; an empty code says nothing."""
    server = ApiServer(0, lambda _headers, _body: Reply(response, "application/json; charset=utf-8"))
    with pytest.raises(SendUnknown):
        adapter(server.url).send(PHONE, "012345")
    server.close()


def test_a_timeout_is_not_retried(tencent: TencentStandIn) -> None:
    """The SMS arrives once although the answer is lost, and the next sending succeeds."""
    tencent.fail("timeout", times=1)
    with late_answers_alone(), pytest.raises(SendUnknown):
        sms(tencent, timeout=0.25).send(PHONE, "012345")
    until(lambda: len(tencent.inbox()) == 1, 20)  # the service may be slower than the timeout
    assert sms(tencent).send(PHONE, "012345")


def test_a_timeout_is_for_the_whole_call() -> None:
    """An answer that trickles in, a byte every tenth of a second, would take ten seconds."""
    ended = threading.Event()

    def trickle(listener: socket.socket) -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as connection:
            for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 80:
                connection.send(bytes([byte]))
                if ended.wait(0.1):  # as slow as the peer that it plays
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=[listener])
        thread.start()
        with pytest.raises(SendUnknown, match="timeout"):
            adapter(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.3).send(PHONE, "012345")
        assert thread.is_alive()  # the peer had not given up
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)  # ends accept() if the call ended before it connected
        thread.join()


def test_a_refused_connection_is_an_unknown_outcome() -> None:
    """A message without an answer counts as sent, whatever the reason: the network is not asked how far it got."""
    with pytest.raises(SendUnknown, match="ClientNetworkError"):
        adapter("http://127.0.0.1:1").send(PHONE, "012345")


def test_many_threads_share_the_client(tencent: TencentStandIn) -> None:
    """Each number gets its own code."""
    sender = sms(tencent)
    phones = [Phone.parse(f"+86138001380{i:02}", "CN") for i in range(20)]
    threads = [threading.Thread(target=sender.send, args=(phone, f"{i:06}")) for i, phone in enumerate(phones)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {message.phone: message.params[0] for message in tencent.inbox()} == {
        phone.e164: f"{i:06}" for i, phone in enumerate(phones)
    }


def test_the_sdk_never_logs_at_debug() -> None:
    """At DEBUG the SDK would print the code."""
    logging.getLogger().setLevel(logging.DEBUG)
    assert not logging.getLogger("tencentcloud_sdk_common").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("redis").isEnabledFor(logging.DEBUG)
