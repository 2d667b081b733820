"""Inputs as people and their apps send them (tests/inputs), by kind, through the whole app."""

import io
import json
from base64 import b64encode
from typing import Any

import pytest
import time_machine

from sms_login.errors import PhoneFault
from sms_login.http.bodies import MAX_BODY
from sms_login.http.wsgi import Application
from tests.testkit.attacks import KEY
from tests.testkit.backends import fake_backend
from tests.testkit.cases import each_case
from tests.testkit.limits import Make
from tests.testkit.project import ROOT
from tests.testkit.world import PHONE, REVIEW_CODE, REVIEW_PHONE, World


def inputs(kind: str) -> list[Any]:
    """Return the inputs of one kind."""
    return list(json.loads((ROOT / "tests" / "inputs" / f"{kind}.json").read_text(encoding="utf-8")))


@pytest.fixture
def world(clock: time_machine.Traveller) -> World:
    """A login service that sends to every country."""
    return World(fake_backend(), clock)


@each_case("case", inputs("numbers"))
def test_a_number_is_read_as_it_was_meant_or_its_fault_is_named(fresh_world: Make, case: dict[str, Any]) -> None:
    """A number gets its code and logs in with the same spelling; a refusal says the fault, and not the number."""
    world = fresh_world()
    if "gives" in case:
        sent = world.call("getSms", phone=case["input"])
        assert [phone.e164 for phone, _ in world.outbox.sent] == [case["gives"]]
        session = sent["data"]["sessionId"]
        user = world.call("login", phone=case["input"], code=world.outbox.code, sessionId=session)
        assert user["data"]["phone"] == case["gives"]
        return
    for language, words in zip(("en", "zh"), PhoneFault[case["refused"]].value, strict=True):
        for method, more in (("getSms", {}), ("login", {"code": "123456"})):
            answer = world.call(method, {"Accept-Language": language}, phone=case["input"], **more)
            assert (answer["errorCode"], answer["codeStr"], answer["errorMessage"]) == (-1002, "InvalidPhone", words)
    assert (world.outbox.sent, world.backend.dump()) == ([], {})


@each_case("case", inputs("codes"))
def test_a_code_is_read_as_it_was_meant_or_its_rule_is_named(fresh_world: Make, case: dict[str, Any]) -> None:
    """A code of six digits is compared however it is grouped; a malformed one is no guess, and is not echoed."""
    world = fresh_world(ip="192.0.2.1")
    if "gives" in case:
        assert case["gives"] == REVIEW_CODE
        assert world.call("login", phone=REVIEW_PHONE.e164, code=case["input"])["codeStr"] == "Success"
        return
    answer = world.call("login", {"Accept-Language": "en"}, phone=PHONE.e164, code=case["input"])
    assert (answer["errorCode"], answer["codeStr"]) == (-1001, "InValidParam")
    assert case["refused"] in answer["errorMessage"]
    assert "12345" not in answer["errorMessage"]
    assert world.backend.dump() == {}  # nothing is counted


def over_http(world: World, case: dict[str, Any]) -> dict[str, Any]:
    """Send a body or a query string of the inputs over HTTP; return the answer."""
    body = bytes.fromhex(case["raw"]) if "raw" in case else case.get("body", "").encode()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST" if body else "GET",
        "PATH_INFO": "/",
        "QUERY_STRING": case.get("query", ""),
        "REMOTE_ADDR": "192.0.2.1",
        "HTTP_ACCEPT_LANGUAGE": "en",
        "wsgi.input": io.BytesIO(body),
        **({"CONTENT_TYPE": case["type"]} if case["type"] else {}),
    }
    answer = b"".join(Application(world.app.handle)(environ, lambda *_: None))
    return dict(json.loads(answer))


def as_event(world: World, case: dict[str, Any]) -> dict[str, Any]:
    """Send a body of the inputs in an event in base64, as API Gateway does; return the answer."""
    body = bytes.fromhex(case["raw"]) if "raw" in case else case["body"].encode()
    headers = {"Accept-Language": "en", **({"Content-Type": case["type"]} if case["type"] else {})}
    event = {"body": b64encode(body).decode(), "isBase64Encoded": True, "headers": headers}
    return dict(json.loads(world.app.handle(event, {})["body"]))


@each_case("case", inputs("bodies"))
def test_every_body_that_clients_send_is_read_or_its_mistake_is_named(fresh_world: Make, case: dict[str, Any]) -> None:
    """Over HTTP and in an event, a good body sends a code to its number, and another names its mistake."""
    world = fresh_world()
    for send in [over_http] if "query" in case else [over_http, as_event]:
        world.outbox.sent.clear()
        answer = send(world, case)
        if "refused" in case:
            assert (answer["errorCode"], answer["codeStr"]) == (-1001, "InValidParam")
            assert case["refused"] in answer["errorMessage"]
        else:
            assert (answer["codeStr"], [phone for phone, _ in world.outbox.sent]) == ("Ok", [PHONE])
            world.cool_down()


@each_case("case", inputs("headers"))
def test_every_header_that_clients_send_is_read_or_named(fresh_world: Make, case: dict[str, Any]) -> None:
    """A quoted key is the same key as without quotes, and the first language decides on the message."""
    world = fresh_world()
    headers = {case["header"]: case["input"]}
    answer = world.call("getSms", headers, phone=PHONE.e164)
    if "refused" in case:
        assert answer["codeStr"] == "InValidParam"
        assert case["refused"] in answer["errorMessage"]
    elif case["header"] == "Accept-Language":
        assert answer["errorMessage"] == {"zh": "成功", "en": "Success"}[case["gives"]]
    else:
        repeat = world.call("getSms", {"Idempotency-Key": case["gives"]}, phone=PHONE.e164)
        assert (repeat["data"]["sessionId"], len(world.outbox.sent)) == (answer["data"]["sessionId"], 1)


def test_the_text_undefined_counts_as_absent_except_in_a_name(world: World) -> None:
    """Mini Programs write a missing value as this text into a query string; a person may be called so."""
    text = "undefined"
    session = world.call("getSms", phone=PHONE.e164, sessionId=text, captchaTicket=text, captchaRandstr=text)
    login = {"phone": PHONE.e164, "code": world.outbox.code, "sessionId": session["data"]["sessionId"], "token": text}
    token = world.call("login", **login)["data"]["token"]
    assert world.call("setNickname", token=token, name=text)["data"]["name"] == text
    assert world.call("getUserInfo", token=text)["codeStr"] == "InValidParam"
    assert world.call("login", phone=PHONE.e164, code=text, token=text)["codeStr"] == "MissingCode"


def test_a_number_of_a_country_that_is_not_allowed_needs_its_plus(clock: time_machine.Traveller) -> None:
    """Digits are read as a country code only if the country is allowed, and a plus always is."""
    spellings = {
        "447400123456": "InvalidPhone",
        "+447400123456": "CountryNotAllowed",
        "00447400123456": "CountryNotAllowed",
    }
    home = World(fake_backend(), clock, countries=frozenset({"CN"}))
    assert {spelling: home.call("getSms", phone=spelling)["codeStr"] for spelling in spellings} == spellings
    wide = World(fake_backend(), clock, countries=frozenset({"CN", "GB"}))
    assert wide.call("getSms", phone="447400123456")["codeStr"] == "Ok"


def test_a_code_that_was_sent_first_still_works_if_it_arrives_last(world: World) -> None:
    """Both messages of a code that was asked for twice log in, in either order of arrival."""
    session = world.call("getSms", KEY, phone=PHONE.e164)["data"]["sessionId"]
    first = world.outbox.code
    world.cool_down()
    again = world.call("getSms", phone=PHONE.e164, sessionId=session)["data"]["sessionId"]
    spaced = f"{first[:3]} {first[3:]}"
    assert world.call("login", phone=PHONE.e164, code=spaced, sessionId=again)["codeStr"] == "Success"


def test_a_long_value_of_an_unknown_parameter_is_ignored(world: World) -> None:
    """An unknown parameter may fill the body up to its limit, with text or with objects in objects."""
    values: list[Any] = ["x" * (MAX_BODY - 200), {str(i): {} for i in range(1000)}, [[[]] * 100] * 20]
    assert {world.call("health", unknown=value)["codeStr"] for value in values} == {"Success"}
