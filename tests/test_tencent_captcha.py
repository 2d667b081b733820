"""The captcha through the real SDK, against a stand-in that checks its signatures; then through the whole function."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine

from local.api_server import ApiServer, Reply
from local.captcha import KINDS
from local.cloud import Cloud, local_cloud
from local.tencent import TencentStandIn
from sms_login import logs, wiring
from sms_login.adapters.tencent.captcha import TencentCaptcha
from sms_login.errors import ServiceUnavailable
from sms_login.otp.rules import Rules
from tests.testkit.cases import each_case
from tests.testkit.leaks import Raw
from tests.testkit.tencent_client import late_answers_alone

APP_ID, APP_SECRET, IP = "190000042", "app-secret", "203.0.113.9"
KEYS = {"TENCENTCLOUD_SECRETID": "id", "TENCENTCLOUD_SECRETKEY": "key", "TENCENTCLOUD_SESSIONTOKEN": "token"}
ACTION = "DescribeCaptchaResult"
PHONE = "+8613800138000"


@pytest.fixture
def tencent() -> Iterator[TencentStandIn]:
    """A stand-in that the SDK cannot tell from the captcha service."""
    with TencentStandIn(
        secret_id="id", secret_key="key", token="token", captcha_app_id=APP_ID, captcha_secret=APP_SECRET
    ) as stand_in:
        yield stand_in


def captcha(tencent: TencentStandIn, environ: dict[str, str] | None = None, **changes: str) -> TencentCaptcha:
    """Return the adapter under test, connected to the stand-in."""
    options = {"app_id": APP_ID, "app_secret": APP_SECRET, "endpoint": tencent.url, **changes}
    return TencentCaptcha(KEYS if environ is None else environ, **options)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait half a second for the service instead of three seconds."""
    monkeypatch.setattr("sms_login.adapters.tencent.captcha._TIMEOUT", 0.5)


# Tickets.


def test_a_good_ticket_passes_once(tencent: TencentStandIn) -> None:
    """The first check uses the ticket up."""
    adapter, pair = captcha(tencent), tencent.captcha_ticket()
    assert adapter.refusal(*pair, IP) is None
    assert adapter.refusal(*pair, IP) == "code 9"
    assert tencent.captcha_calls == 2


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        ("good", None),
        ("expired", "code 8"),
        ("reused", "code 9"),
        ("mismatched", "code 7"),
        ("blocked", "blocked"),
    ],
)
def test_every_kind_of_ticket_has_its_verdict(tencent: TencentStandIn, kind: str, refusal: str | None) -> None:
    """A ticket is refused if the risk control takes its user for a machine, although its code is that of a good one."""
    assert captcha(tencent).refusal(*tencent.captcha_ticket(kind), IP) == refusal
    assert kind in KINDS


def test_a_ticket_that_was_never_issued_is_refused(tencent: TencentStandIn) -> None:
    """An unknown ticket and a ticket with another's randstr are refused, and the right pair stays valid."""
    adapter, (ticket, randstr) = captcha(tencent), tencent.captcha_ticket()
    assert adapter.refusal("t03another*", randstr, IP) == "code 15"
    assert adapter.refusal(ticket, tencent.captcha_ticket()[1], IP) == "code 7"
    assert adapter.refusal(ticket, "", IP) == "code 7"
    assert adapter.refusal(ticket, randstr, IP) is None


@each_case("ticket", ["trerror_", "trerror_1001_190000042_1800000000", "trerror_" + "x" * 2000])
def test_a_ticket_that_the_widget_made_up_is_refused_without_a_call(tencent: TencentStandIn, ticket: str) -> None:
    """Anyone can write such a ticket, so it costs neither a call nor a Redis key."""
    for adapter in (captcha(tencent), captcha(tencent, {})):
        assert adapter.refusal(ticket, "@randstr", IP) == "made up by the client"
    assert tencent.captcha_calls == tencent.connections == 0


def test_a_ticket_of_another_application_is_refused(tencent: TencentStandIn) -> None:
    """If our app id or secret is wrong, every ticket is refused."""
    pair = tencent.captcha_ticket()
    assert captcha(tencent, app_id="190000043").refusal(*pair, IP) == "code 16"
    assert captcha(tencent, app_secret="another").refusal(*pair, IP) == "code 100"
    assert captcha(tencent).refusal(*pair, IP) is None


@pytest.mark.parametrize("ip", ["", IP, "2001:db8::1"])
def test_a_client_whose_address_is_unknown_can_pass_too(tencent: TencentStandIn, ip: str) -> None:
    """The API requires an address, so the adapter sends a placeholder if the client's is unknown."""
    assert captcha(tencent).refusal(*tencent.captcha_ticket(), ip) is None


# The service.


@pytest.mark.usefixtures("impatient")
def test_a_service_that_does_not_answer_is_an_outage(tencent: TencentStandIn) -> None:
    """The adapter gives up after its timeout and never retries, since the ticket is used; the next one passes."""
    adapter = captcha(tencent)
    tencent.fail("timeout", times=1, action=ACTION)
    with late_answers_alone():
        with pytest.raises(ServiceUnavailable) as outage:
            adapter.refusal(*tencent.captcha_ticket(), IP)
        assert outage.value.detail == "captcha: timeout"
        assert adapter.refusal(*tencent.captcha_ticket(), IP) is None
    assert tencent.captcha_calls == 2


@pytest.mark.parametrize(
    ("mode", "detail"),
    [
        ("reset", "ClientNetworkError"),
        ("InternalError", "InternalError"),
        ("RequestLimitExceeded", "RequestLimitExceeded"),
        ("UnauthorizedOperation.Unauthorized", "UnauthorizedOperation.Unauthorized"),
    ],
)
def test_a_service_that_fails_is_an_outage(tencent: TencentStandIn, mode: str, detail: str) -> None:
    """The log has Tencent's code; the adapter does not retry, and the ticket stays valid."""
    adapter, pair = captcha(tencent), tencent.captcha_ticket()
    tencent.fail(mode, times=1, action=ACTION)
    with pytest.raises(ServiceUnavailable) as outage:
        adapter.refusal(*pair, IP)
    assert outage.value.detail == f"captcha: {detail}"
    assert tencent.captcha_calls == 1
    assert adapter.refusal(*pair, IP) is None


def test_a_refused_connection_is_an_outage(tencent: TencentStandIn) -> None:
    """If the connection is refused, no ticket passes."""
    with pytest.raises(ServiceUnavailable, match="captcha: ClientNetworkError"):
        captcha(tencent, endpoint="http://127.0.0.1:1").refusal(*tencent.captcha_ticket(), IP)


def test_a_verdict_of_any_content_type_is_read(tencent: TencentStandIn) -> None:
    """If the Content-Type has a charset, the SDK skips its check for errors and still reads the verdict."""
    tencent.fail("charset", action=ACTION)
    adapter, pair = captcha(tencent), tencent.captcha_ticket()
    assert [adapter.refusal(*pair, IP) for _ in range(2)] == [None, "code 9"]


@each_case("response", [{"Error": {"Code": "InternalError", "Message": "…"}}, {}, {"CaptchaCode": None}], ids=str)
def test_an_answer_without_a_verdict_is_an_outage(response: dict[str, Any]) -> None:
    """If the Content-Type has a charset, the SDK skips its check for errors and returns no verdict."""
    server = ApiServer(
        0, lambda _headers, _body: Reply({**response, "RequestId": "…"}, "application/json; charset=utf-8")
    )
    adapter = TencentCaptcha(KEYS, app_id=APP_ID, app_secret=APP_SECRET, endpoint=server.url)
    with pytest.raises(ServiceUnavailable, match="no CaptchaCode"):
        adapter.refusal("t03*", "@x", IP)
    server.close()


@each_case("missing", [*list(KEYS)[:2], "all"])
def test_without_credentials_the_service_is_not_called(tencent: TencentStandIn, missing: str) -> None:
    """The log says that the credentials are missing."""
    environ = {} if missing == "all" else {**KEYS, missing: ""}
    with pytest.raises(ServiceUnavailable, match="captcha: no credentials in the environment"):
        captcha(tencent, environ).refusal(*tencent.captcha_ticket(), IP)
    assert tencent.captcha_calls == tencent.connections == 0


def test_credentials_are_read_at_every_signing(tencent: TencentStandIn) -> None:
    """SCF replaces the credentials in the environment of a running instance."""
    environ = {**KEYS, "TENCENTCLOUD_SECRETKEY": "old"}
    adapter, pair = captcha(tencent, environ), tencent.captcha_ticket()
    with pytest.raises(ServiceUnavailable, match=r"captcha: AuthFailure\.SignatureFailure"):
        adapter.refusal(*pair, IP)
    environ["TENCENTCLOUD_SECRETKEY"] = "key"
    assert adapter.refusal(*pair, IP) is None


def test_the_connection_is_reused(tencent: TencentStandIn) -> None:
    """The client and its connection are made once."""
    adapter = captcha(tencent)
    for _ in range(3):
        assert adapter.refusal(*tencent.captcha_ticket(), IP) is None
    assert tencent.connections == 1


# Through the whole function.

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def cloud(clock: time_machine.Traveller) -> Iterator[Cloud]:
    """Redis, SendSms and the captcha on this machine, all of them on a clock that stands at noon."""
    assert clock
    with local_cloud({"LOG_LEVEL": "DEBUG"}) as cloud:
        yield cloud


def function(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a way to call the entry point with an app of this environment; it returns the body of the answer."""
    import index  # noqa: PLC0415 - importing it builds an app, and takes over logging

    monkeypatch.setattr(index, "_app", wiring.build(environ))

    def call(method: str, /, **params: Any) -> dict[str, Any]:
        event = {
            "httpMethod": "POST",
            "headers": {"Content-Type": "application/json"},
            "requestContext": {"sourceIp": IP},
            "body": json.dumps({"method": method, **params}),
        }
        body: dict[str, Any] = json.loads(index.main_handler(event, {})["body"])
        return body

    return call


@pytest.fixture
def call(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Call:
    """The function in the environment of the local cloud."""
    return function(cloud.environ, monkeypatch)


def solved(pair: tuple[str, str]) -> dict[str, str]:
    """Return a ticket as an app sends it."""
    return {"captchaTicket": pair[0], "captchaRandstr": pair[1]}


def test_the_third_sending_of_a_day_to_a_number_needs_a_ticket(
    call: Call, cloud: Cloud, clock: time_machine.Traveller
) -> None:
    """A bad ticket is refused, a good one passes once, and the code that it allowed logs in."""
    for _ in range(2):
        assert call("getSms", phone=PHONE)["codeStr"] == "Ok"
        clock.shift(Rules().cooldown + 1)
    assert cloud.tencent.captcha_calls == 0
    pair = cloud.tencent.captcha_ticket()
    bad = [cloud.tencent.captcha_ticket(kind) for kind in KINDS if kind != "good"]
    for params in ({}, *map(solved, bad), solved(("trerror_1001", "@x")), solved((pair[0], "@x"))):
        body = call("getSms", phone=PHONE, **params)
        assert (body["errorCode"], body["codeStr"]) == (-1302, "CaptchaRequired")
        assert body["data"] == {"captchaAppId": cloud.environ["CAPTCHA_APP_ID"]}
    assert len(cloud.tencent.inbox(PHONE)) == 2
    sent = call("getSms", phone=PHONE, **solved(pair))
    assert sent["codeStr"] == "Ok"
    code = cloud.tencent.inbox(PHONE)[0].params[0]
    assert call("login", phone=PHONE, code=code, sessionId=sent["data"]["sessionId"])["codeStr"] == "Success"
    clock.shift(Rules().cooldown + 1)
    assert call("getSms", phone=PHONE, **solved(pair))["codeStr"] == "CaptchaRequired"


@pytest.mark.usefixtures("impatient")
def test_a_number_that_needs_no_ticket_gets_its_code_in_an_outage(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With CAPTCHA_MODE adaptive a number without a ticket gets a code, and with always it gets none."""
    cloud.tencent.fail("timeout", action=ACTION)
    for mode, outcome in (("always", "CaptchaRequired"), ("adaptive", "Ok")):
        call = function({**cloud.environ, "CAPTCHA_MODE": mode}, monkeypatch)
        assert call("getSms", phone=PHONE, **solved(cloud.tencent.captcha_ticket()))["codeStr"] == outcome
    assert len(cloud.tencent.inbox()) == 1


def test_with_the_captcha_off_no_ticket_is_required(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, clock: time_machine.Traveller
) -> None:
    """Neither the caller is asked for a ticket nor the service for a verdict."""
    call = function({**cloud.environ, "CAPTCHA_MODE": "off"}, monkeypatch)
    for _ in range(3):
        assert call("getSms", phone=PHONE, **solved(cloud.tencent.captcha_ticket()))["codeStr"] == "Ok"
        clock.shift(Rules().cooldown + 1)
    assert cloud.tencent.captcha_calls == 0


def test_a_ticket_needs_its_randstr(call: Call, cloud: Cloud) -> None:
    """The message names captchaRandstr, and the service is not called."""
    body = call("getSms", phone=PHONE, captchaTicket="t03*")
    assert (body["codeStr"], "captchaRandstr" in body["errorMessage"]) == ("InValidParam", True)
    assert call("getSms", phone=PHONE, captchaRandstr="@x")["codeStr"] == "Ok"
    assert cloud.tencent.captcha_calls == 0


def test_neither_ticket_nor_secret_reaches_the_log(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """At DEBUG, the log has neither of them for any kind of ticket, even before redaction."""
    environ = {**cloud.environ, "CAPTCHA_MODE": "always"}
    call = function(environ, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("sms_login.adapters.tencent.captcha._TIMEOUT", 0.5)
        impatient = wiring.build(environ)
    raw = Raw()
    logging.getLogger().addHandler(raw)
    logging.getLogger("library").debug("on")
    secrets = [value for name, value in cloud.environ.items() if name.endswith(("SECRET", "SECRETKEY", "TOKEN"))]

    def ask_in_every_mode(block: int) -> None:
        kinds = [("off", kind) for kind in KINDS]
        modes = ["timeout", "reset", "charset", "InternalError", "AuthFailure.SignatureFailure"]
        for i, (mode, kind) in enumerate([*kinds, *((mode, "good") for mode in modes)]):
            cloud.tencent.fail(mode, times=None if mode == "off" else 1, action=ACTION)
            pair = cloud.tencent.captcha_ticket(kind)
            secrets.extend(pair)
            with monkeypatch.context() as patch:
                if mode == "timeout":
                    patch.setattr("index._app", impatient)
                call("getSms", phone=f"+861380013{block + i}", **solved(pair))
        made_up = ("trerror_1001_secret", "@made-up")
        secrets.extend(made_up)
        call("getSms", phone=f"+861380013{block + 99}", **solved(made_up))

    ask_in_every_mode(8000)
    out, err = capfd.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    said = {line.get("captcha") or line["alerts"][0]["cause"] for line in lines if line["event"] == "request"}
    assert {"passed", "blocked", "code 7", "code 8", "code 9", "made up by the client"} < said
    assert {"captcha: InternalError", "captcha: ClientNetworkError", "captcha: timeout"} < said
    with monkeypatch.context() as unredacted:
        unredacted.setattr(logs, "_line", raw.line)
        ask_in_every_mode(9000)
    assert "CaptchaRequired" in raw.text
    assert '"logger": "library"' in out  # the libraries' loggers are on
    assert len(secrets) > 20
    for printed in (out, err, raw.text):
        assert [secret for secret in secrets if secret in printed] == []
