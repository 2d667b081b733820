"""Whole logins through the handler: recorded shapes of events, the real SDK, the Redis protocol and real tokens."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from local.cloud import Cloud, local_cloud
from sms_login import __version__, errors, wiring
from sms_login.http import messages
from sms_login.otp.rules import Rules
from tests.testkit.cases import each_case
from tests.testkit.events import (
    PHONE,
    SHAPES,
    Shape,
    call,
    gateway_json,
    gateway_query,
)
from tests.testkit.servers import until
from tests.testkit.tencent_client import late_answers_alone

SPELLINGS = ["13800138000", "8613800138000", PHONE, "+86 138-0013-8000"]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """Run Redis and SendSms on this machine."""
    with local_cloud({"LOG_LEVEL": "DEBUG"}) as cloud:
        yield cloud


@pytest.fixture
def handler(cloud: Cloud) -> wiring.Handler:
    """Build the function."""
    return wiring.build(cloud.environ)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_whole_login_works_in_every_shape_of_event(handler: wiring.Handler, cloud: Cloud, shape: Shape) -> None:
    """A code arrives and signs its user in, and the token works as a parameter and as a header."""
    status, _, sent = call(handler, shape, method="getSms", phone=SPELLINGS[0])
    assert (status, sent["errorCode"], sent["codeStr"]) == (200, 0, "Ok")
    assert sent["data"].keys() == {"sessionId", "expiresIn", "resendAfter", "requestId", "serialNo"}
    code = cloud.tencent.inbox(PHONE)[0].params[0]
    login = {"method": "login", "phone": SPELLINGS[1], "code": code, "sessionId": sent["data"]["sessionId"]}
    status, _, logged_in = call(handler, shape, **login)
    assert (status, logged_in["errorCode"], logged_in["codeStr"]) == (200, 0, "Success")
    user = logged_in["data"]
    tokens = {"token", "expiresIn", "refreshToken", "refreshExpiresIn"}
    assert user.keys() == {"userId", "phone", "name", "avatar", "isNewUser", *tokens}
    assert (user["phone"], user["isNewUser"], user["expiresIn"]) == (PHONE, True, 7200)

    status, _, named = call(handler, shape, method="setNickname", token=user["token"], name="Li 😀")
    info = {"userId": user["userId"], "phone": PHONE, "name": "Li 😀", "avatar": ""}
    assert (status, named["data"]) == (200, info)
    bearer = {"authorization": f"Bearer {user['token']}"}
    assert call(handler, shape, bearer, method="getUserInfo")[2]["data"] == info
    still = call(handler, shape, method="login", phone=SPELLINGS[2], token=user["token"])
    assert still[2]["data"] == {**info, "isNewUser": False, "token": user["token"]}
    assert call(handler, shape, method="health")[2]["data"] == {"redis": "ok", "version": __version__}


@pytest.mark.parametrize("token", ["rubbish", "x" * 5000, 123, None])
def test_a_login_by_code_ignores_a_token(handler: wiring.Handler, cloud: Cloud, token: object) -> None:
    """A login by code succeeds with any token, as a parameter or as a header."""
    call(handler, gateway_json, method="getSms", phone=PHONE)
    code = cloud.tencent.inbox()[0].params[0]
    headers = {"Authorization": f"Bearer {'x' * 5000}"}
    answer = call(handler, gateway_json, headers, method="login", phone=PHONE, code=code, token=token)
    assert answer[2]["codeStr"] == "Success"


def test_the_answer_has_the_platforms_request_id(handler: wiring.Handler) -> None:
    """`requestId` is the gateway's if there is one, and the function's otherwise."""
    assert call(handler, gateway_json, method="health")[2]["requestId"] == "gateway-1"
    assert call(handler, gateway_query, method="health")[2]["requestId"] == "context-1"


REFUSALS = [
    ("CodeHasExpired", 401, -1100, {"method": "login", "phone": PHONE, "code": "123456"}),
    ("MissingCode", 400, -1001, {"method": "login", "phone": PHONE}),
    ("InValidParam", 400, -1001, {"method": "login", "phone": PHONE, "code": "12345"}),
    ("InValidParam", 400, -1001, {"method": "getSms"}),
    ("InvalidPhone", 400, -1002, {"method": "getSms", "phone": "+861"}),
    ("UnknownMethod", 400, -1004, {"method": "getsms", "phone": PHONE}),
    ("InValidParam", 400, -1001, {}),
    ("CountryNotAllowed", 403, -1303, {"method": "getSms", "phone": "+447400123456"}),
    ("TokenInvalid", 401, -1005, {"method": "getUserInfo", "token": "x.y.z"}),
]


@each_case(("name", "status", "number", "params"), REFUSALS, ids=lambda value: str(value)[:20])
def test_a_refusal_has_its_status_number_name_and_a_message_in_either_language(
    handler: wiring.Handler, name: str, status: int, number: int, params: dict[str, Any]
) -> None:
    """The message is Chinese, or English if Accept-Language asks for it."""
    answers = {
        language: call(handler, gateway_json, {"Accept-Language": language}, **params)
        for language in ("zh-CN,zh;q=0.9", "en-GB,en;q=0.9", "")
    }
    for answer in answers.values():
        assert (answer[0], answer[2]["errorCode"], answer[2]["codeStr"]) == (status, number, name)
        assert "retryAfter" not in answer[2]
        assert "Retry-After" not in answer[1]
    chinese, english, default = (answer[2]["errorMessage"] for answer in answers.values())
    assert chinese == default
    assert english.isascii()
    assert any("\u4e00" <= char <= "\u9fff" for char in chinese)


def test_a_message_names_the_invalid_parameter(handler: wiring.Handler) -> None:
    """The message names the parameter in either language."""
    for language in ("zh", "en"):
        answer = call(handler, gateway_json, {"accept-language": language}, method="login", phone=PHONE, code="1")
        assert "code" in answer[2]["errorMessage"]


def test_a_429_has_its_retry_after_in_the_body_and_in_the_header(handler: wiring.Handler) -> None:
    """`retryAfter` and the header Retry-After give the same seconds until the cooldown ends."""
    call(handler, gateway_json, method="getSms", phone=PHONE)
    status, headers, body = call(handler, gateway_json, method="getSms", phone=PHONE)
    assert (status, body["codeStr"]) == (429, "TooManyRequests")
    assert Rules().cooldown - 5 <= body["retryAfter"] <= Rules().cooldown
    assert headers["Retry-After"] == str(body["retryAfter"])


def test_a_wrong_code_is_answered_with_the_guesses_left(handler: wiring.Handler, cloud: Cloud) -> None:
    """After the last guess the code is spent, and a forged sessionId is a mismatch."""
    session = call(handler, gateway_json, method="getSms", phone=PHONE)[2]["data"]["sessionId"]
    wrong = f"{(int(cloud.tencent.inbox()[0].params[0]) + 1) % 1_000_000:06}"
    login = {"method": "login", "phone": PHONE, "code": wrong, "sessionId": session}
    answers = [call(handler, gateway_json, **login) for _ in range(Rules().guesses + 1)]
    assert [answer[2]["codeStr"] for answer in answers] == ["CodeIsError"] * Rules().guesses + ["CodeHasValid"]
    assert answers[-1][2]["errorCode"] == -1100  # Tencent's demo has one number for an expired and a spent code
    lefts = [answer[2]["data"].get("attemptsLeft") for answer in answers]
    assert lefts == [*reversed(range(Rules().guesses)), None]
    forged = call(handler, gateway_json, **{**login, "sessionId": "A" * 22})
    assert (forged[0], forged[2]["codeStr"]) == (401, "SessionMismatch")


def test_a_token_of_another_number_is_a_mismatch(handler: wiring.Handler, cloud: Cloud) -> None:
    """A login by token is refused with TokenMismatch if it names another number."""
    call(handler, gateway_json, method="getSms", phone=PHONE)
    code = cloud.tencent.inbox()[0].params[0]
    token = call(handler, gateway_json, method="login", phone=PHONE, code=code)[2]["data"]["token"]
    other = call(handler, gateway_json, method="login", phone="13800138001", token=token)
    assert (other[0], other[2]["codeStr"]) == (403, "TokenMismatch")


FAILURES = [
    ("refusal", "SendFailed", 502),
    ("throttle", "TooManyRequests", 429),
    ("timeout", "SendUnknown", 504),
    ("reset", "SendUnknown", 504),
    ("FailedOperation.PhoneNumberInBlacklist", "InvalidPhone", 400),
    ("RequestLimitExceeded", "SendFailed", 502),
    ("InvalidParameterValue.TemplateParameterFormatError", "SendFailed", 502),  # no rule names it
]


@pytest.mark.parametrize(("mode", "name", "status"), FAILURES, ids=[mode for mode, _, _ in FAILURES])
def test_a_failed_sending_is_undone_unless_it_may_have_arrived(
    handler: wiring.Handler, cloud: Cloud, capsys: pytest.CaptureFixture[str], mode: str, name: str, status: int
) -> None:
    """A refusal costs the number nothing, and the log has its code; without an answer, the sending counts and works."""
    cloud.tencent.fail(mode, times=1)
    if mode == "timeout":
        handler = wiring.build(cloud.environ | {"SMS_TIMEOUT": "0.5"})
    with late_answers_alone() if mode == "timeout" else nullcontext():
        answer = call(handler, gateway_json, method="getSms", phone=PHONE)
    assert (answer[0], answer[2]["codeStr"]) == (status, name)
    if "." in mode:
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["detail"] == mode
    again = call(handler, gateway_json, method="getSms", phone=PHONE)
    if name != "SendUnknown":
        assert again[2]["codeStr"] == "Ok"
        return
    assert again[2]["codeStr"] == "TooManyRequests"
    if mode == "timeout":  # the SMS arrives
        until(lambda: cloud.tencent.inbox() != [], 20)
        code = cloud.tencent.inbox()[0].params[0]
        session = answer[2]["data"]["sessionId"]
        login = call(handler, gateway_json, method="login", phone=PHONE, code=code, sessionId=session)
        assert login[2]["codeStr"] == "Success"


@each_case("key", ["short", "k" * 65, "with space 123456", "ключ-ключ-ключ-ключ"])
def test_a_malformed_idempotency_key_is_refused(handler: wiring.Handler, key: str) -> None:
    """Every method refuses a malformed Idempotency-Key, and the message names the header."""
    for params in ({"method": "getSms"}, {"method": "login", "code": "123456"}, {"method": "health"}):
        answer = call(handler, gateway_json, {"Idempotency-Key": key}, phone=PHONE, **params)
        assert answer[2]["codeStr"] == "InValidParam"
        assert "Idempotency-Key" in answer[2]["errorMessage"]


def test_the_idempotency_key_header_works_in_any_case(handler: wiring.Handler, cloud: Cloud) -> None:
    """A repeated getSms sends one SMS, and a repeated login succeeds twice."""
    headers = {"IDEMPOTENCY-KEY": "k" * 16}
    first, second = (call(handler, gateway_json, headers, method="getSms", phone=PHONE)[2]["data"] for _ in range(2))
    assert first["sessionId"] == second["sessionId"]
    assert len(cloud.tencent.inbox()) == 1
    code = cloud.tencent.inbox()[0].params[0]
    logins = [call(handler, gateway_json, headers, method="login", phone=PHONE, code=code)[2] for _ in range(2)]
    assert [login["codeStr"] for login in logins] == ["Success", "Success"]


def test_wrong_settings_answer_500_and_are_all_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """With wrong settings the import succeeds, the log names every problem, and the answer names none."""
    handler = wiring.build({"JWT_SECRET": "too short", "CODE_TTL": "9999"})
    for shape in SHAPES:
        status, _, body = call(handler, shape, method="getSms", phone=PHONE)
        assert (status, body["errorCode"], body["codeStr"], body["data"]) == (500, -1999, "InternalError", {})
    assert handler.handle("rubbish", None)["statusCode"] == 500
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    for name in ("REDIS_HOST", "SMS_SDKAPPID", "SMS_SIGN", "SMS_TEMPLATE_ID", "JWT_SECRET", "CODE_TTL"):
        assert sum(problem.startswith(f"{name} ") for problem in first["problems"]) == 1
    assert "too short" not in str(first)


def test_a_bug_is_logged_with_its_traceback_and_answered_without_detail(
    handler: wiring.Handler, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception other than a refusal makes one log line and an InternalError."""

    def bug() -> None:
        raise RuntimeError("what went wrong")

    monkeypatch.setattr(handler, "check_redis", bug)
    status, _, body = call(handler, gateway_json, method="health")
    assert (status, body["codeStr"], body["data"]) == (500, "InternalError", {})
    assert "wrong" not in json.dumps(body)
    (line,) = capsys.readouterr().out.splitlines()
    assert "RuntimeError: what went wrong" in json.loads(line)["traceback"]


def test_each_request_makes_one_log_line(handler: wiring.Handler, capsys: pytest.CaptureFixture[str]) -> None:
    """A log line has method, masked number, outcome, status, and the time spent on Redis and on SendSms."""
    call(handler, gateway_json, method="getSms", phone="13800138001")  # so that Redis knows the scripts
    capsys.readouterr()
    call(handler, gateway_json, method="getSms", phone=PHONE)
    call(handler, gateway_json, method="login", phone=PHONE, code="12345")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ours = [line for line in lines if "logger" not in line]
    assert [(line["event"], line["method"], line["outcome"], line["status"]) for line in ours[:1]] == [
        ("request", "getSms", "Ok", 200)
    ]
    assert (ours[0]["phone"], ours[0]["country"], ours[0]["fee"]) == ("+86138****8000", "CN", 1)
    assert ours[0]["ms"] >= ours[0]["redis_ms"] + ours[0]["sms_ms"] > 0
    assert (ours[0]["redis_calls"], ours[0]["sms_calls"]) == (2, 1)  # check and reserve; SendSms
    assert (ours[1]["outcome"], ours[1]["status"], ours[1]["detail"]) == ("InValidParam", 400, "code must be 6 digits")
    assert len(ours) == 2


def test_every_refusal_has_its_own_name_and_a_message_in_both_languages() -> None:
    """Each class of refusal has its own name and a row in the table of its module."""
    refusals = errors.Refusal.__subclasses__()
    assert len({refusal.name for refusal in refusals}) == len(refusals)
    for refusal in refusals:
        assert refusal.en.isascii()
        assert not refusal.zh.isascii()
        assert f"{refusal.__name__:<21} {refusal.number}  {refusal.status}" in (errors.__doc__ or "")


@each_case("verb", ["PUT", "PATCH", "DELETE", "TRACE", "QUERY", "get"])
def test_another_http_verb_is_refused_with_405(handler: wiring.Handler, verb: str) -> None:
    """The header Allow lists the verbs that are answered (RFC 9110, section 15.5.6)."""
    answer = handler.handle({"httpMethod": verb, "body": '{"method": "health"}'}, {})
    assert (answer["statusCode"], answer["headers"]["Allow"]) == (405, "GET, HEAD, POST, OPTIONS")
    assert json.loads(answer["body"])["codeStr"] == "HttpMethodNotAllowed"


@each_case("verb", ["GET", "HEAD", "POST", None])
@each_case("method", ["health", "jwks"])
def test_reading_is_answered_alike_to_every_verb(handler: wiring.Handler, verb: str | None, method: str) -> None:
    """An event without a verb is answered too; the platform drops the body of an answer to HEAD."""
    answer = handler.handle({"httpMethod": verb, "queryString": {"method": method}}, {})
    data = {"health": {"redis": "ok", "version": __version__}}.get(method)
    assert (answer["statusCode"], json.loads(answer["body"]).get("data")) == (200, data)


@each_case("method", [*sorted({*messages.METHODS} - {"health", "jwks"}), "rubbish", None, ["health"]])
@each_case("place", ["queryString", "body"])
def test_head_does_nothing(handler: wiring.Handler, cloud: Cloud, method: object, place: str) -> None:
    """HEAD is refused with 405 before anything happens, except for health and jwks; Allow leaves it out."""
    params = {"method": method, "phone": PHONE, "code": "123456", "token": "x.y.z"}
    event = {"queryString": params} if place == "queryString" else {"body": json.dumps(params)}
    answer = handler.handle({"httpMethod": "HEAD", **event}, {})
    refusal = json.loads(answer["body"])["codeStr"]
    if isinstance(method, list):
        assert refusal in {"HttpMethodNotAllowed", "InValidParam"}
        return
    assert (answer["statusCode"], refusal) == (405, "HttpMethodNotAllowed")
    assert answer["headers"]["Allow"] == "GET, POST, OPTIONS"
    assert cloud.tencent.inbox() == []
