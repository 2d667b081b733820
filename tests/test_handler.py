"""Whole logins through the handler: real events in, real SDK, Redis protocol and tokens, integrated responses out."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.cloud import Cloud, local_cloud
from sms_login import __version__, errors, wiring
from sms_login.otp.rules import Rules
from tests.testkit.events import (
    PHONE,
    SHAPES,
    Shape,
    call,
    gateway_json,
    gateway_query,
)

SPELLINGS = ["13800138000", "8613800138000", PHONE, "+86 138-0013-8000"]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """Redis and SendSms on this machine."""
    with local_cloud({"LOG_LEVEL": "DEBUG", "SMS_TIMEOUT": "0.5"}) as cloud:
        yield cloud


@pytest.fixture
def handler(cloud: Cloud) -> wiring.Handler:
    """The function."""
    return wiring.build(cloud.environ)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_whole_login(handler: wiring.Handler, cloud: Cloud, shape: Shape) -> None:
    """Ask for a code, receive it, log in, use the token in every way there is."""
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
    assert still[2]["data"] == {**info, "isNewUser": False}
    assert call(handler, shape, method="health")[2]["data"] == {"redis": "ok", "version": __version__}


@pytest.mark.parametrize("token", ["rubbish", "x" * 5000, 123, None])
def test_a_login_by_code_wins_over_a_token(handler: wiring.Handler, cloud: Cloud, token: object) -> None:
    """Whatever token comes along, as a parameter or as a header."""
    call(handler, gateway_json, method="getSms", phone=PHONE)
    code = cloud.tencent.inbox()[0].params[0]
    headers = {"Authorization": f"Bearer {'x' * 5000}"}
    answer = call(handler, gateway_json, headers, method="login", phone=PHONE, code=code, token=token)
    assert answer[2]["codeStr"] == "Success"


def test_the_request_id_is_the_platforms(handler: wiring.Handler) -> None:
    """The gateway's if there is one, else the function's."""
    assert call(handler, gateway_json, method="health")[2]["requestId"] == "gateway-1"
    assert call(handler, gateway_query, method="health")[2]["requestId"] == "context-1"


TELL = [
    ("CodeHasExpired", 401, -1100, {"method": "login", "phone": PHONE, "code": "123456"}),
    ("MissingCode", 400, -1001, {"method": "login", "phone": PHONE}),
    ("InValidParam", 400, -1001, {"method": "login", "phone": PHONE, "code": "12345"}),
    ("InValidParam", 400, -1001, {"method": "getSms"}),
    ("InvalidPhone", 400, -1002, {"method": "getSms", "phone": "+861"}),
    ("UnknownMethod", 400, -1004, {"method": "getsms", "phone": PHONE}),
    ("UnknownMethod", 400, -1004, {}),
    ("CountryNotAllowed", 403, -1303, {"method": "getSms", "phone": "+447400123456"}),
    ("TokenInvalid", 401, -1005, {"method": "getUserInfo", "token": "x.y.z"}),
]


@pytest.mark.parametrize(("name", "status", "number", "params"), TELL, ids=lambda value: str(value)[:20])
def test_a_refusal_has_its_status_number_name_and_both_languages(
    handler: wiring.Handler, name: str, status: int, number: int, params: dict[str, Any]
) -> None:
    """As the contract's table has them."""
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


def test_an_invalid_parameter_is_named(handler: wiring.Handler) -> None:
    """In either language."""
    for language in ("zh", "en"):
        answer = call(handler, gateway_json, {"accept-language": language}, method="login", phone=PHONE, code="1")
        assert "code" in answer[2]["errorMessage"]


def test_a_limit_says_when_to_come_back(handler: wiring.Handler) -> None:
    """In the body and in the header."""
    call(handler, gateway_json, method="getSms", phone=PHONE)
    status, headers, body = call(handler, gateway_json, method="getSms", phone=PHONE)
    assert (status, body["codeStr"]) == (429, "TooManyRequests")
    assert Rules().cooldown - 5 <= body["retryAfter"] <= Rules().cooldown
    assert headers["Retry-After"] == str(body["retryAfter"])


def test_a_wrong_code_says_how_many_guesses_are_left(handler: wiring.Handler, cloud: Cloud) -> None:
    """Then that the code is spent, then that nothing else is."""
    session = call(handler, gateway_json, method="getSms", phone=PHONE)[2]["data"]["sessionId"]
    wrong = f"{(int(cloud.tencent.inbox()[0].params[0]) + 1) % 1_000_000:06}"
    login = {"method": "login", "phone": PHONE, "code": wrong, "sessionId": session}
    answers = [call(handler, gateway_json, **login) for _ in range(Rules().guesses + 1)]
    assert [answer[2]["codeStr"] for answer in answers] == ["CodeIsError"] * Rules().guesses + ["CodeHasValid"]
    lefts = [answer[2]["data"].get("attemptsLeft") for answer in answers]
    assert lefts == [*reversed(range(Rules().guesses)), None]
    forged = call(handler, gateway_json, **{**login, "sessionId": "A" * 22})
    assert (forged[0], forged[2]["codeStr"]) == (401, "SessionMismatch")


def test_a_token_belongs_to_its_phone(handler: wiring.Handler, cloud: Cloud) -> None:
    """Another's number is a mismatch; a user that is gone is not registered."""
    call(handler, gateway_json, method="getSms", phone=PHONE)
    code = cloud.tencent.inbox()[0].params[0]
    token = call(handler, gateway_json, method="login", phone=PHONE, code=code)[2]["data"]["token"]
    other = call(handler, gateway_json, method="login", phone="13800138001", token=token)
    assert (other[0], other[2]["codeStr"]) == (403, "TokenMismatch")


SENDING = [
    ("refusal", "SendFailed", 502),
    ("throttle", "TooManyRequests", 429),
    ("timeout", "SendUnknown", 504),
    ("reset", "SendUnknown", 504),
    ("FailedOperation.PhoneNumberInBlacklist", "InvalidPhone", 400),
    ("RequestLimitExceeded", "SendFailed", 502),
]


@pytest.mark.parametrize(("mode", "name", "status"), SENDING, ids=[mode for mode, _, _ in SENDING])
def test_a_sending_that_fails(handler: wiring.Handler, cloud: Cloud, mode: str, name: str, status: int) -> None:
    """A refusal costs nothing, an unclear one gives the session in which its code works."""
    cloud.tencent.fail(mode, times=1)
    answer = call(handler, gateway_json, method="getSms", phone=PHONE)
    assert (answer[0], answer[2]["codeStr"]) == (status, name)
    again = call(handler, gateway_json, method="getSms", phone=PHONE)
    if name != "SendUnknown":
        assert again[2]["codeStr"] == "Ok"
        return
    assert again[2]["codeStr"] == "TooManyRequests"
    if mode == "timeout":  # it did arrive
        code = cloud.tencent.inbox()[0].params[0]
        session = answer[2]["data"]["sessionId"]
        login = call(handler, gateway_json, method="login", phone=PHONE, code=code, sessionId=session)
        assert login[2]["codeStr"] == "Success"


@pytest.mark.parametrize("key", ["short", "k" * 65, "with space 123456", "ключ-ключ-ключ-ключ"])
def test_a_malformed_idempotency_key_is_refused(handler: wiring.Handler, key: str) -> None:
    """The message names the header."""
    for params in ({"method": "getSms"}, {"method": "login", "code": "123456"}, {"method": "health"}):
        answer = call(handler, gateway_json, {"Idempotency-Key": key}, phone=PHONE, **params)
        assert answer[2]["codeStr"] == "InValidParam"
        assert "Idempotency-Key" in answer[2]["errorMessage"]


def test_idempotency_keys_in_any_case_of_header(handler: wiring.Handler, cloud: Cloud) -> None:
    """A repeated getSms and a repeated login are harmless."""
    headers = {"IDEMPOTENCY-KEY": "k" * 16}
    first, second = (call(handler, gateway_json, headers, method="getSms", phone=PHONE)[2]["data"] for _ in range(2))
    assert first["sessionId"] == second["sessionId"]
    assert len(cloud.tencent.inbox()) == 1
    code = cloud.tencent.inbox()[0].params[0]
    logins = [call(handler, gateway_json, headers, method="login", phone=PHONE, code=code)[2] for _ in range(2)]
    assert [login["codeStr"] for login in logins] == ["Success", "Success"]


def test_wrong_settings_answer_500_and_are_all_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing crashes at import; the log names every problem, the answer none."""
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
    """The catch-all is for our bugs, and leaves exactly one line."""

    def bug() -> None:
        raise RuntimeError("what went wrong")

    monkeypatch.setattr(handler, "_ping", bug)
    status, _, body = call(handler, gateway_json, method="health")
    assert (status, body["codeStr"], body["data"]) == (500, "InternalError", {})
    assert "wrong" not in json.dumps(body)
    (line,) = capsys.readouterr().out.splitlines()
    assert "RuntimeError: what went wrong" in json.loads(line)["traceback"]


def test_each_request_is_one_line(handler: wiring.Handler, capsys: pytest.CaptureFixture[str]) -> None:
    """With method, masked number, outcome, status, and what the time was spent on."""
    call(handler, gateway_json, method="getSms", phone="13800138001")  # after which Redis knows the scripts
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
    assert (ours[0]["redis_calls"], ours[0]["sms_calls"]) == (4, 1)  # look, look at the budgets, take, issue; SendSms
    assert (ours[1]["outcome"], ours[1]["status"], ours[1]["detail"]) == ("InValidParam", 400, "code must be 6 digits")
    assert len(ours) == 2


def test_every_refusal_has_its_own_name_and_both_sentences() -> None:
    """One class, one name; the docstring's tree has them all."""
    refusals = errors.Refusal.__subclasses__()
    assert len({refusal.name for refusal in refusals}) == len(refusals)
    for refusal in refusals:
        assert refusal.en.isascii()
        assert not refusal.zh.isascii()
        assert f"{refusal.__name__:<21} {refusal.number}  {refusal.status}" in (errors.__doc__ or "")


@pytest.mark.parametrize("verb", ["PUT", "PATCH", "DELETE", "TRACE", "QUERY", "get"])
def test_other_verbs_are_refused(handler: wiring.Handler, verb: str) -> None:
    """With 405, and the header that says which are answered (RFC 9110, section 15.5.6)."""
    answer = handler.handle({"httpMethod": verb, "body": '{"method": "health"}'}, {})
    assert (answer["statusCode"], answer["headers"]["Allow"]) == (405, "GET, HEAD, POST, OPTIONS")
    assert json.loads(answer["body"])["codeStr"] == "HttpMethodNotAllowed"


@pytest.mark.parametrize("verb", ["GET", "HEAD", "POST", None])
def test_get_and_post_are_the_same(handler: wiring.Handler, verb: str | None) -> None:
    """So is an event that does not say which it was; of a HEAD, the platform drops the body."""
    answer = handler.handle({"httpMethod": verb, "queryString": {"method": "health"}}, {})
    assert (answer["statusCode"], json.loads(answer["body"])["data"]) == (200, {"redis": "ok", "version": __version__})
