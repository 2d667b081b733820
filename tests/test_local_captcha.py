import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tencentcloud.captcha.v20190722.captcha_client import CaptchaClient
from tencentcloud.captcha.v20190722.models import DescribeCaptchaResultRequest, DescribeCaptchaResultResponse
from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from local.captcha import KINDS, MAX_TICKETS, TicketOffice
from local.cloud import local_cloud
from local.gateway import Gateway
from local.tencent import TencentStandIn
from tests.testkit.cases import each_case
from tests.testkit.gateway import Recorder, call_json
from tests.testkit.tencent_client import NOW, code_of, codes, post
from tests.testkit.tencent_client import client as sms_client
from tests.testkit.tencent_client import request as sms_request

SECRET_ID, SECRET_KEY, TOKEN = "local-id", "local-key", "local-token"
APP_ID, APP_SECRET = 190000042, "app-secret"
CAPTCHA = "DescribeCaptchaResult"
PARAMS = {"CaptchaType": 9, "UserIp": "203.0.113.9", "CaptchaAppId": APP_ID, "AppSecretKey": APP_SECRET}


class Clock:
    """A clock that stands still until a test moves it; ``now`` is in epoch seconds."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give the clock of the stand-in."""
    return Clock()


@pytest.fixture
def tencent(clock: Clock) -> Iterator[TencentStandIn]:
    """Give a stand-in with a captcha application of its own."""
    with TencentStandIn(
        secret_id=SECRET_ID,
        secret_key=SECRET_KEY,
        token=TOKEN,
        captcha_app_id=str(APP_ID),
        captcha_secret=APP_SECRET,
        clock=clock,
    ) as stand_in:
        yield stand_in


@pytest.fixture
def gateway(tencent: TencentStandIn) -> Iterator[Gateway]:
    """Give a gateway whose paths under /_local/ steer the stand-in."""
    with Gateway(Recorder(), tencent, port=0) as running:
        yield running


def client(
    tencent: TencentStandIn,
    *,
    secret_id: str = SECRET_ID,
    secret_key: str = SECRET_KEY,
    token: str = TOKEN,
    timeout: float = 10,
) -> CaptchaClient:
    """Build the SDK's own client for this stand-in, without a region; ``timeout`` in seconds."""
    http = HttpProfile(protocol="http", endpoint=tencent.url.removeprefix("http://"), reqTimeout=timeout)
    return CaptchaClient(Credential(secret_id, secret_key, token), "", ClientProfile(httpProfile=http))


def request(pair: tuple[str, str], **changes: Any) -> DescribeCaptchaResultRequest:
    """Build a good request for a ticket and its randstr; each change replaces a parameter, or omits it if None."""
    ticket, randstr = pair
    built = DescribeCaptchaResultRequest()
    for name, value in (PARAMS | {"Ticket": ticket, "Randstr": randstr} | changes).items():
        setattr(built, name, value)
    return built


def ask(tencent: TencentStandIn, pair: tuple[str, str], **changes: Any) -> DescribeCaptchaResultResponse:
    """Verify a ticket through the SDK, and return the answer."""
    return client(tencent).DescribeCaptchaResult(request(pair, **changes))


def verdict(tencent: TencentStandIn, pair: tuple[str, str], **changes: Any) -> int:
    """Verify a ticket through the SDK, and return its CaptchaCode."""
    return int(ask(tencent, pair, **changes).CaptchaCode)


def test_a_ticket_passes_once(tencent: TencentStandIn) -> None:
    """A ticket's first verdict is OK, and every later one says that it has been used."""
    pair = tencent.captcha_ticket()
    first, second, third = (ask(tencent, pair) for _ in range(3))
    assert (first.CaptchaCode, first.CaptchaMsg, first.EvilLevel, first.GetCaptchaTime) == (1, "OK", 0, 0)
    assert len(first.RequestId) == 36
    assert (second.CaptchaCode, second.CaptchaMsg) == (third.CaptchaCode, third.CaptchaMsg) == (9, "ticket reused")
    assert tencent.captcha_calls == 3


@each_case(
    ("kind", "code", "message", "evil_level"),
    [
        ("good", 1, "OK", 0),
        ("expired", 8, "ticket expired", 0),
        ("reused", 9, "ticket reused", 0),
        ("mismatched", 7, "captcha no match", 0),
        ("blocked", 1, "OK", 100),
    ],
)
def test_each_kind_of_ticket_gets_its_own_verdict(
    tencent: TencentStandIn, kind: str, code: int, message: str, evil_level: int
) -> None:
    """A ticket of each kind gets the platform's CaptchaCode, message and EvilLevel."""
    answer = ask(tencent, tencent.captcha_ticket(kind))
    assert (answer.CaptchaCode, answer.CaptchaMsg, answer.EvilLevel) == (code, message, evil_level)
    assert kind in KINDS


@pytest.mark.parametrize(("seconds", "code"), [(299.5, 1), (300, 8), (301, 8)])
def test_a_ticket_lives_five_minutes(tencent: TencentStandIn, clock: Clock, seconds: float, code: int) -> None:
    """A ticket passes until the last moment of its five minutes, and then has expired."""
    clock.now -= 150  # the SDK dates its signature by the real clock, which must stay within five minutes
    pair = tencent.captcha_ticket()
    clock.now += seconds
    assert verdict(tencent, pair) == code


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"CaptchaAppId": APP_ID + 1}, 16, "appid-ticket mismatch"),
        ({"AppSecretKey": "another"}, 100, "appid-secretkey-ticket mismatch"),
        ({"Randstr": "@another"}, 7, "captcha no match"),
        ({"Ticket": "t03another*"}, 15, "decrypt fail"),
        ({"Ticket": ""}, 15, "decrypt fail"),
        ({"Ticket": f"trerror_1001_{APP_ID}_1800000000"}, 21, "diff"),
    ],
)
def test_a_mismatched_request_does_not_use_the_ticket_up(
    tencent: TencentStandIn, changes: dict[str, Any], code: int, message: str
) -> None:
    """After a wrong application, secret, randstr or ticket, the right request still passes."""
    pair = tencent.captcha_ticket()
    answer = ask(tencent, pair, **changes)
    assert (answer.CaptchaCode, answer.CaptchaMsg, answer.EvilLevel) == (code, message, 0)
    assert verdict(tencent, pair) == 1


def test_a_ticket_does_not_pass_with_the_randstr_of_another(tencent: TencentStandIn) -> None:
    """A good ticket with the randstr of another good ticket is a mismatch."""
    (ticket, _), (_, randstr) = tencent.captcha_ticket(), tencent.captcha_ticket()
    assert verdict(tencent, (ticket, randstr)) == 7


def test_the_time_of_the_captcha_is_answered_on_request(tencent: TencentStandIn, clock: Clock) -> None:
    """With NeedGetCaptchaTime, GetCaptchaTime is the whole second in which the ticket was issued."""
    issued_at, pair = int(clock.now), tencent.captcha_ticket()
    clock.now += 100
    assert ask(tencent, pair, NeedGetCaptchaTime=1).GetCaptchaTime == issued_at


def test_of_40_requests_at_once_with_one_ticket_one_passes(tencent: TencentStandIn) -> None:
    """Of 40 simultaneous requests, 39 are told that the ticket has been used."""
    pair = tencent.captcha_ticket()
    barrier = threading.Barrier(40)

    def race(_: int) -> int:
        barrier.wait(timeout=30)
        return verdict(tencent, pair)

    with ThreadPoolExecutor(40) as threads:
        assert Counter(threads.map(race, range(40))) == {1: 1, 9: 39}
    assert tencent.captcha_calls == 40


def test_two_verifications_of_a_ticket_cannot_overlap() -> None:
    """If a verification pauses halfway, a second one does not begin until the first has ended."""
    middle, met = threading.Barrier(2), []

    def clock() -> float:
        if issued:
            with contextlib.suppress(threading.BrokenBarrierError):
                met.append(middle.wait(timeout=0.2))
        return NOW

    issued: tuple[str, ...] = ()
    office = TicketOffice(app_id=str(APP_ID), secret=APP_SECRET, clock=clock)
    issued = office.issue()
    params = PARAMS | dict(zip(("Ticket", "Randstr"), issued, strict=True))
    with ThreadPoolExecutor(2) as threads:
        answers = [threads.submit(office.verify, params) for _ in range(2)]
    assert Counter(answer.result()["CaptchaCode"] for answer in answers) == {1: 1, 9: 1}
    assert met == []


def test_the_oldest_of_more_than_10000_tickets_is_forgotten(tencent: TencentStandIn) -> None:
    """A forgotten ticket gets the same verdict as an unknown one."""
    first, second, *_ = [tencent.captcha_ticket() for _ in range(MAX_TICKETS + 1)]
    assert (verdict(tencent, first), verdict(tencent, second)) == (15, 1)


def test_an_unknown_kind_of_ticket_is_refused(tencent: TencentStandIn) -> None:
    """The error for an unknown kind of ticket lists the kinds."""
    with pytest.raises(ValueError, match="good, expired, reused, mismatched, blocked"):
        tencent.captcha_ticket("bad")


def test_a_captcha_application_must_be_a_number() -> None:
    """A captcha application without a number is a ValueError, and no thread is left behind."""
    before = set(threading.enumerate())
    with pytest.raises(ValueError, match="'app'"):
        TencentStandIn(secret_id=SECRET_ID, secret_key=SECRET_KEY, captcha_app_id="app")
    assert set(threading.enumerate()) <= before


@each_case(
    ("changes", "code"),
    [
        *[({name: None}, "MissingParameter") for name in (*PARAMS, "Ticket", "Randstr")],
        ({"CaptchaType": "9"}, "InvalidParameter"),
        ({"CaptchaType": 8}, "InvalidParameter"),
        ({"CaptchaAppId": str(APP_ID)}, "InvalidParameter"),
        ({"BusinessId": True}, "InvalidParameter"),
        ({"Ticket": 1}, "InvalidParameter"),
        ({"UserIp": ""}, "InvalidParameter"),
        ({"UserIp": "203.0.113.9, 198.51.100.7"}, "InvalidParameter"),
    ],
)
def test_a_request_with_a_bad_parameter_is_refused(tencent: TencentStandIn, changes: dict[str, Any], code: str) -> None:
    """A missing, mistyped or senseless parameter is an error instead of a verdict, and uses no ticket up."""
    pair = tencent.captcha_ticket()
    assert code_of(lambda: ask(tencent, pair, **changes)) == code
    assert verdict(tencent, pair, UserIp="2001:db8::1", SceneId=0, MacAddress="", Imei="") == 1


@each_case(("params", "code"), [([], "InvalidParameter"), ({"Tickets": ""}, "UnknownParameter")])
def test_a_body_that_is_no_request_is_refused(tencent: TencentStandIn, params: Any, code: str) -> None:
    """A body that is not an object, or has a misspelt parameter, is an error."""
    assert code_of(lambda: client(tencent).call_json(CAPTCHA, params)) == code


@each_case(
    ("credentials", "code"),
    [
        ({"secret_key": "another"}, "AuthFailure.SignatureFailure"),
        ({"secret_id": "another"}, "AuthFailure.SecretIdNotFound"),
        ({"token": "another"}, "AuthFailure.TokenFailure"),
    ],
)
@each_case("mode", ["off", "timeout", "InternalError"])
def test_wrong_credentials_are_refused(tencent: TencentStandIn, credentials: Any, code: str, mode: str) -> None:
    """In every mode that answers, a wrong key, id or token is refused: a failure must not hide a bug."""
    tencent.fail(mode, action=CAPTCHA)
    pair = tencent.captcha_ticket()
    assert code_of(lambda: client(tencent, **credentials).DescribeCaptchaResult(request(pair))) == code


@each_case(
    ("attribute", "value", "code"),
    [
        ("_service", "sms", "AuthFailure.SignatureFailure"),
        ("_apiVersion", "2021-01-11", "NoSuchVersion"),
    ],
)
def test_another_service_or_version_is_refused(tencent: TencentStandIn, attribute: str, value: str, code: str) -> None:
    """A signature for the service of SendSms is refused, and so is the version of its API."""
    sdk, pair = client(tencent), tencent.captcha_ticket()
    setattr(sdk, attribute, value)
    assert code_of(lambda: sdk.DescribeCaptchaResult(request(pair))) == code
    assert verdict(tencent, pair) == 1


@each_case("code", ["InternalError", "RequestLimitExceeded", "UnauthorizedOperation.Unauthorized"])
def test_a_failure_code_refuses_the_request(tencent: TencentStandIn, code: str) -> None:
    """A failure code refuses the request without using its ticket up, and does not affect SendSms."""
    pair = tencent.captcha_ticket()
    tencent.fail(code, times=1, action=CAPTCHA)
    assert codes(sms_client(tencent).SendSms(sms_request())) == ["Ok"]
    assert code_of(lambda: ask(tencent, pair)) == code
    assert verdict(tencent, pair) == 1


@pytest.mark.parametrize(("mode", "after"), [("reset", 1), ("timeout", 9)])
def test_a_reset_keeps_the_ticket_and_a_timeout_uses_it_up(
    tencent: TencentStandIn, monkeypatch: pytest.MonkeyPatch, mode: str, after: int
) -> None:
    """After a reset the ticket still passes, after a timeout it has been used; SendSms is not affected."""
    verify, verified = TicketOffice.verify, threading.Event()

    def notice(office: TicketOffice, params: dict[str, Any]) -> dict[str, Any]:
        answer = verify(office, params)
        verified.set()
        return answer

    monkeypatch.setattr(TicketOffice, "verify", notice)
    pair = tencent.captcha_ticket()
    tencent.fail(mode, times=1, action=CAPTCHA)
    assert codes(sms_client(tencent).SendSms(sms_request())) == ["Ok"]
    sdk = client(tencent, timeout=0.25 if mode == "timeout" else 10)
    assert code_of(lambda: sdk.DescribeCaptchaResult(request(pair))) == "ClientNetworkError"
    assert mode == "reset" or verified.wait(20)  # the stand-in may be slower than the timeout
    assert verdict(tencent, pair) == after


def test_a_charset_failure_answers_with_another_content_type(tencent: TencentStandIn) -> None:
    """The verdict arrives with a Content-Type for which the SDK does not parse errors."""
    tencent.fail("charset", action=CAPTCHA)
    ticket, randstr = tencent.captcha_ticket()
    answer = post(
        tencent,
        json.dumps(PARAMS | {"Ticket": ticket, "Randstr": randstr}).encode(),
        service="captcha",
        content_type="application/json; charset=utf-8",
        X_TC_Action=CAPTCHA,
        X_TC_Version="2019-07-22",
        X_TC_Region="",
    )
    assert answer["CaptchaCode"] == 1
    assert verdict(tencent, tencent.captcha_ticket()) == 1


def test_each_action_has_its_own_failure_mode(tencent: TencentStandIn) -> None:
    """A failure of one action is not counted down by requests for the other."""
    tencent.fail("throttle", times=1)
    tencent.fail("InternalError", times=2, action=CAPTCHA)
    pair = tencent.captcha_ticket()
    assert [code_of(lambda: ask(tencent, pair)) for _ in range(2)] == ["InternalError"] * 2
    assert (tencent.failing, tencent.failing_of(CAPTCHA)) == (("throttle", 1), ("off", None))
    assert codes(sms_client(tencent).SendSms(sms_request())) == ["LimitExceeded.PhoneNumberThirtySecondLimit"]
    assert tencent.failing_of("SendSms") == tencent.failing == ("off", None)
    assert tencent.captcha_calls == 2


@each_case("mode", ["refusal", "throttle", "tiemout"])
def test_a_mode_that_is_only_for_sendsms_is_refused(tencent: TencentStandIn, mode: str) -> None:
    """A mode that refuses a number makes no sense for a captcha; the error lists the modes."""
    with pytest.raises(ValueError, match="use off, timeout, reset, charset or a code"):
        tencent.fail(mode, action=CAPTCHA)
    assert tencent.failing_of(CAPTCHA) == ("off", None)


@each_case("call", [lambda api: api.fail("off", action="Send"), lambda api: api.failing_of("Send")])
def test_an_unknown_action_is_refused(tencent: TencentStandIn, call: Callable[[TencentStandIn], Any]) -> None:
    """The error for an unknown action lists the actions."""
    with pytest.raises(ValueError, match="SendSms or DescribeCaptchaResult"):
        call(tencent)


@each_case(("query", "code"), [("", 1), ("?kind=good", 1), ("?kind=expired", 8)])
def test_a_post_to_the_gateway_issues_a_ticket(
    gateway: Gateway, tencent: TencentStandIn, query: str, code: int
) -> None:
    """The gateway answers as the widget would answer the app, with a good ticket or one of the given kind."""
    status, answer = call_json(gateway, "POST", f"/_local/captcha{query}")
    assert (status, set(answer)) == (200, {"ticket", "randstr"})
    assert verdict(tencent, (answer["ticket"], answer["randstr"])) == code


@each_case("query", ["?kind=", "?kind=bad", "?kind=good&kind=good"])
def test_a_post_for_an_unknown_kind_of_ticket_is_refused(gateway: Gateway, query: str) -> None:
    """The gateway's error for an unknown kind of ticket lists the kinds."""
    status, answer = call_json(gateway, "POST", f"/_local/captcha{query}")
    assert status == 400
    assert "good, expired, reused, mismatched, blocked" in answer["error"]


def test_the_failure_switch_of_the_gateway_takes_an_action(gateway: Gateway, tencent: TencentStandIn) -> None:
    """With an action, POST sets and GET shows the mode of that action alone."""
    path, failing = "/_local/fail", (200, {"mode": "timeout", "times": 1})
    assert call_json(gateway, "POST", f"{path}?mode=timeout&times=1&action={CAPTCHA}") == failing
    assert call_json(gateway, "GET", f"{path}?action={CAPTCHA}") == failing
    off = (200, {"mode": "off", "times": None})
    assert call_json(gateway, "GET", path) == call_json(gateway, "GET", f"{path}?action=SendSms") == off
    assert (tencent.failing, tencent.failing_of(CAPTCHA)) == (("off", None), ("timeout", 1))


@each_case("target", ["POST /_local/fail?mode=off&action=Send", "GET /_local/fail?action="])
def test_the_failure_switch_of_the_gateway_refuses_an_unknown_action(gateway: Gateway, target: str) -> None:
    """The gateway's error for an unknown action lists the actions."""
    method, path = target.split()
    status, answer = call_json(gateway, method, path)
    assert (status, "SendSms or DescribeCaptchaResult" in answer["error"]) == (400, True)


def test_the_local_cloud_has_a_captcha_application() -> None:
    """The environment leads to the stand-in, which accepts the application's number and secret."""
    with local_cloud({"REDIS_HOST": "redis.example"}) as cloud:
        settings, pair = cloud.environ, cloud.tencent.captcha_ticket()
        keys = [settings[f"TENCENTCLOUD_{name}"] for name in ("SECRETID", "SECRETKEY", "SESSIONTOKEN")]
        sdk = client(cloud.tencent, secret_id=keys[0], secret_key=keys[1], token=keys[2])
        app = {"CaptchaAppId": int(settings["CAPTCHA_APP_ID"]), "AppSecretKey": settings["CAPTCHA_APP_SECRET"]}
        assert settings["CAPTCHA_ENDPOINT"] == cloud.tencent.url
        assert sdk.DescribeCaptchaResult(request(pair, **app)).CaptchaCode == 1
