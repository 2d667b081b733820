"""docs/openapi.json: what it says is what the types say, and its examples are true to it."""

import json
from typing import Any

import jsonschema_rs
import pytest
import time_machine
from schemathesis.specs.openapi.definitions import OPENAPI_31

from openapi import examples, refusals, schemas
from openapi.document import as_json, build
from sms_login.errors import Refusal
from sms_login.http import messages
from tests.testkit.backends import fake_backend
from tests.testkit.project import ROOT
from tests.testkit.world import World

DOCUMENT = build()


def errors_of(name: str, value: Any) -> list[str]:
    """Return what is wrong with a value, held against one of the schemas."""
    schema = {**schemas.ref(name), "components": DOCUMENT["components"]}
    return [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(value)]


def test_the_committed_description_is_that_of_the_code() -> None:
    """`make openapi` would write the same bytes; run it where this fails."""
    assert (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8") == as_json()


def test_it_is_openapi_3_1() -> None:
    """By the meta-schema of the OpenAPI Initiative, and with no reference that leads nowhere."""
    assert [error.message for error in jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(DOCUMENT)] == []
    text = json.dumps(DOCUMENT)
    for part in ("schemas", "responses", "parameters", "headers"):
        referred = set(text.split(f'"#/components/{part}/')[1:])
        assert {reference.split('"')[0] for reference in referred} <= DOCUMENT["components"][part].keys()


@pytest.mark.parametrize("name", examples.ALL)
def test_every_method_has_an_example_that_is_true(name: str) -> None:
    """What is sent is what we would parse, and the answer is of the method's own form."""
    sent = examples.request(name)
    assert errors_of("Request", sent) == []
    assert messages.parse(sent) == examples.ALL[name][0]
    kind = type(examples.ALL[name][0])
    assert errors_of("KeySet" if kind is messages.Jwks else f"{kind.__name__}Answer", examples.answer(name)) == []


def test_no_method_is_without_an_example() -> None:
    """Nor without a row in the table of refusals."""
    methods = set(messages.METHODS.values())
    assert {type(sent) for sent, _ in examples.ALL.values()} == methods
    assert refusals.BY_METHOD.keys() == schemas.ANSWERS.keys() == methods


@pytest.mark.parametrize("kind", Refusal.__subclasses__(), ids=lambda kind: kind.name)
def test_every_refusal_has_an_example_that_is_true(kind: type[Refusal]) -> None:
    """Under its own status; and a form that no other refusal has."""
    example = DOCUMENT["components"]["responses"][str(kind.status)]["content"]["application/json"]["examples"][
        kind.name
    ]
    assert errors_of(kind.__name__, example["value"]) == []
    assert [other for other in Refusal.__subclasses__() if not errors_of(other.__name__, example["value"])] == [kind]
    assert example["value"]["errorCode"] == kind.number


def headers_of(response: dict[str, Any]) -> dict[str, Any]:
    """Return what the description says of a response's headers, by name."""
    whole = DOCUMENT["components"]["responses"][response["$ref"].split("/")[-1]] if "$ref" in response else response
    parts = {name: part.get("$ref", "").split("/")[-1] for name, part in whole["headers"].items()}
    return {name: DOCUMENT["components"]["headers"][known] for name, known in parts.items() if known}


@pytest.mark.parametrize(("verb", "status"), [("POST", 200), ("GET", 400), ("OPTIONS", 204)])
def test_what_a_web_page_is_told_is_described(clock: time_machine.Traveller, verb: str, status: int) -> None:
    """Each header that is for a browser, with what it says."""
    page = "https://app.example.com"
    world = World(fake_backend(), clock, origins=frozenset({page}))
    body = json.dumps({"method": "health"}) if verb == "POST" else ""
    answer = world.app.handle({"httpMethod": verb, "headers": {"origin": page}, "body": body}, {})
    assert answer["statusCode"] == status
    described = headers_of(DOCUMENT["paths"]["/"][verb.lower()]["responses"][str(status)])
    told = {name: value for name, value in answer["headers"].items() if name != "Content-Type"}
    assert described.keys() - {"Retry-After"} == told.keys()
    assert {name: described[name]["schema"].get("const", page) for name in told} == told


@pytest.mark.parametrize(
    ("params", "good"),
    [
        ({"method": "getSms", "phone": "1" * 40}, True),
        ({"method": "getSms", "phone": "1" * 41}, False),
        ({"method": "getSms", "phone": ""}, False),
        ({"method": "getSms", "phone": "1", "sessionId": "", "captchaTicket": None, "more": 1}, True),
        ({"method": "getSms", "phone": "1", "more": []}, False),
        ({"method": "login", "phone": "1", "code": "123456"}, True),
        ({"method": "login", "phone": "1", "code": "１２３４５６"}, False),
        ({"method": "login", "phone": "1", "code": "123456\n"}, False),
        ({"method": "logout", "token": "x", "everywhere": "True"}, True),
        ({"method": "logout", "token": "x", "everywhere": "yes"}, False),
        ({"method": "getUserInfo"}, True),  # the token may be in the header
        ({"method": "Health"}, False),
        ({"method": "health", **{f"p{i}": 0 for i in range(63)}}, True),
        ({"method": "health", **{f"p{i}": 0 for i in range(64)}}, False),
    ],
)
def test_limits_are_those_of_the_code(params: dict[str, Any], good: bool) -> None:  # noqa: FBT001 - a column of the table
    """Lengths, patterns and what counts as absent."""
    assert (errors_of("Request", params) == []) is good
