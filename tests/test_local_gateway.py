import http.client
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sms.v20210111.models import SendSmsRequest
from tencentcloud.sms.v20210111.sms_client import SmsClient

from local.gateway import Gateway
from local.tencent import TencentStandIn
from tests.testkit.cases import each_case
from tests.testkit.gateway import Recorder, call, call_json
from tests.testkit.ports import reserved_port


@pytest.fixture
def tencent() -> Iterator[TencentStandIn]:
    """Give a stand-in."""
    with TencentStandIn(secret_id="id", secret_key="key") as stand_in:
        yield stand_in


@pytest.fixture
def handler() -> Recorder:
    """Give a handler."""
    return Recorder()


@pytest.fixture
def gateway(handler: Recorder, tencent: TencentStandIn) -> Iterator[Gateway]:
    """Give a gateway in front of the handler."""
    with Gateway(handler, tencent, port=0) as running:
        yield running


def send(tencent: TencentStandIn, phone: str, code: str) -> None:
    """Send one SMS with the real SDK."""
    profile = HttpProfile(protocol="http", endpoint=urlsplit(tencent.url).netloc, reqTimeout=10)
    request = SendSmsRequest()
    request.PhoneNumberSet, request.TemplateParamSet = [phone], [code, "5"]
    request.SmsSdkAppId, request.TemplateId, request.SignName = "1400000000", "1000000", "sms-login"
    SmsClient(Credential("id", "key"), "ap-guangzhou", ClientProfile(httpProfile=profile)).SendSms(request)


@pytest.mark.parametrize("phone", ["%2B8613800138000", "+8613800138000", "8613800138000", "86%20138-0013-8000"])
def test_the_inbox_shows_the_messages_of_a_number(
    gateway: Gateway, tencent: TencentStandIn, handler: Recorder, phone: str
) -> None:
    """The newest message comes first; the number may be in any spelling, and its plus in any encoding."""
    send(tencent, "+8613800138000", "111111")
    send(tencent, "+8613900139000", "222222")
    send(tencent, "+8613800138000", "333333")
    status, messages = call_json(gateway, "GET", f"/_local/inbox?phone={phone}")
    assert (status, [message["params"] for message in messages]) == (200, [["333333", "5"], ["111111", "5"]])
    assert set(messages[0]) == {"phone", "text", "params", "serialNo", "channel", "sentAt"}
    assert handler.events == []


def test_the_inbox_without_a_number_shows_all_messages(gateway: Gateway, tencent: TencentStandIn) -> None:
    """The inbox is empty at first, and that of a number without a message stays empty."""
    assert call_json(gateway, "GET", "/_local/inbox") == (200, [])
    send(tencent, "+8613800138000", "111111")
    send(tencent, "+8613900139000", "222222")
    phones = [message["phone"] for message in call_json(gateway, "GET", "/_local/inbox")[1]]
    assert phones == ["+8613900139000", "+8613800138000"]
    assert call_json(gateway, "GET", "/_local/inbox?phone=8613900139001") == (200, [])
    assert call_json(gateway, "GET", "/_local/inbox?phone=me")[0] == 400


def test_the_failure_switch_sets_shows_and_ends_a_mode(gateway: Gateway, tencent: TencentStandIn) -> None:
    """POST sets the mode, GET shows it, and the mode off ends it."""
    assert call_json(gateway, "GET", "/_local/fail") == (200, {"mode": "off", "times": None})
    answer = (200, {"mode": "throttle", "times": 2})
    assert call_json(gateway, "POST", "/_local/fail?mode=throttle&times=2") == answer
    assert call_json(gateway, "GET", "/_local/fail") == answer
    modes = {"SendSms": "throttle", "DescribeCaptchaResult": "off", "Receipt": "delivered"}
    assert call_json(gateway, "GET", "/_local/failures") == (200, modes)
    assert tencent.failing == ("throttle", 2)
    assert call_json(gateway, "POST", "/_local/fail?mode=off") == (200, {"mode": "off", "times": None})


@each_case("query", ["", "?mode=", "?mode=broken", "?mode=off&mode=off"])
def test_an_unknown_failure_mode_is_refused(gateway: Gateway, tencent: TencentStandIn, query: str) -> None:
    """The error for an unknown mode lists the modes, and the present mode stays."""
    tencent.fail("refusal")
    status, answer = call_json(gateway, "POST", f"/_local/fail{query}")
    assert status == 400
    assert "off, refusal, throttle, timeout, reset, charset" in answer["error"]
    assert tencent.failing == ("refusal", None)


@each_case("times", ["0", "-1", "two", "", "1&times=2"])
def test_a_bad_number_of_failures_is_refused(gateway: Gateway, tencent: TencentStandIn, times: str) -> None:
    """``times`` must be a whole number from 1 on."""
    status, answer = call_json(gateway, "POST", f"/_local/fail?mode=throttle&times={times}")
    assert (status, answer) == (400, {"error": "times must be a number from 1 on"})
    assert tencent.failing == ("off", None)


@each_case("request_line", ["GET /_local/", "POST /_local/inbox", "GET /_local/outbox"])
def test_an_unknown_local_path_is_a_404(gateway: Gateway, handler: Recorder, request_line: str) -> None:
    """The error for an unknown path lists the paths, and the function is not called."""
    method, path = request_line.split()
    status, answer = call_json(gateway, method, path)
    assert (status, "/_local/inbox" in answer["error"], handler.events) == (404, True, [])


def test_a_port_in_use_is_an_oserror() -> None:
    """If the port is in use, the gateway raises OSError and leaves no thread behind."""
    before = set(threading.enumerate())
    with TencentStandIn(secret_id="id", secret_key="key") as tencent, pytest.raises(OSError, match="in use"):
        Gateway(Recorder(), tencent, port=int(tencent.url.rsplit(":", 1)[1]))
    assert set(threading.enumerate()) <= before


def test_closing_the_gateway_frees_its_port_and_ends_its_threads(handler: Recorder, tencent: TencentStandIn) -> None:
    """The gateway may be closed twice, while a client still holds a connection."""
    before = set(threading.enumerate())
    with reserved_port() as port:
        with Gateway(handler, tencent, port=port) as gateway:
            kept = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=10)
            kept.request("GET", "/")
            kept.getresponse().read()
            gateway.close()
        for thread in set(threading.enumerate()) - before:
            thread.join(timeout=30)
            assert not thread.is_alive()
        with pytest.raises(ConnectionRefusedError):
            call(gateway, "GET", "/")
    kept.close()
