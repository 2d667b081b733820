"""docs/openapi.json says the same as the types, and its examples are valid."""

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
    """Return the errors of a value under one of the schemas."""
    schema = {**schemas.ref(name), "components": DOCUMENT["components"]}
    return [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(value)]


def test_the_committed_description_is_up_to_date() -> None:
    """`make openapi` would write the bytes that are committed."""
    assert (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8") == as_json()


def test_the_description_is_valid_openapi_3_1() -> None:
    """The description satisfies the meta-schema of the OpenAPI Initiative, and every reference has a target."""
    assert [error.message for error in jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(DOCUMENT)] == []
    text = json.dumps(DOCUMENT)
    for part in ("schemas", "responses", "parameters", "headers"):
        referred = set(text.split(f'"#/components/{part}/')[1:])
        assert {reference.split('"')[0] for reference in referred} <= DOCUMENT["components"][part].keys()


@pytest.mark.parametrize("name", examples.ALL)
def test_every_method_has_a_valid_example(name: str) -> None:
    """The function parses the example of a request, and the example of an answer has the method's own form."""
    sent = examples.request(name)
    assert errors_of("Request", sent) == []
    assert messages.parse(sent) == examples.ALL[name][0]
    kind = type(examples.ALL[name][0])
    assert errors_of("KeySet" if kind is messages.Jwks else f"{kind.__name__}Answer", examples.answer(name)) == []


def test_every_method_is_in_the_tables_of_examples_and_refusals() -> None:
    """The tables of examples and refusals have exactly the methods of the function."""
    methods = set(messages.METHODS.values())
    assert {type(sent) for sent, _ in examples.ALL.values()} == methods
    assert refusals.BY_METHOD.keys() == schemas.ANSWERS.keys() == methods


@pytest.mark.parametrize("kind", Refusal.__subclasses__(), ids=lambda kind: kind.name)
def test_every_refusal_has_a_valid_example(kind: type[Refusal]) -> None:
    """The example stands under its own status, and is valid for its own refusal alone."""
    example = DOCUMENT["components"]["responses"][str(kind.status)]["content"]["application/json"]["examples"][
        kind.name
    ]
    assert errors_of(kind.__name__, example["value"]) == []
    assert [other for other in Refusal.__subclasses__() if not errors_of(other.__name__, example["value"])] == [kind]
    assert example["value"]["errorCode"] == kind.number


def headers_of(response: dict[str, Any]) -> dict[str, Any]:
    """Return the descriptions of a response's headers, by name."""
    whole = DOCUMENT["components"]["responses"][response["$ref"].split("/")[-1]] if "$ref" in response else response
    known = DOCUMENT["components"]["headers"]
    return {name: known[name] if "$ref" in part else part for name, part in whole["headers"].items()}


@pytest.mark.parametrize(("verb", "status"), [("POST", 200), ("GET", 400), ("OPTIONS", 204)])
def test_the_headers_for_browsers_are_described(clock: time_machine.Traveller, verb: str, status: int) -> None:
    """The description has each header of an answer with its value."""
    page = "https://app.example.com"
    world = World(fake_backend(), clock, origins=frozenset({page}))
    body = json.dumps({"method": "health"}) if verb == "POST" else ""
    answer = world.app.handle({"httpMethod": verb, "headers": {"origin": page}, "body": body}, {})
    assert answer["statusCode"] == status
    described = headers_of(DOCUMENT["paths"]["/"][verb.lower()]["responses"][str(status)])
    told = {name: value for name, value in answer["headers"].items() if name != "Content-Type"}
    assert described.keys() - {"Retry-After", "ETag"} == told.keys()
    for name, text in told.items():
        schema = described[name]["schema"]
        assert text in schema.get("enum", [schema.get("const", page)])


@pytest.mark.parametrize(
    ("params", "good"),
    [
        ({"method": "getSms", "phone": "1" * 64}, True),
        ({"method": "getSms", "phone": "1" * 65}, False),
        ({"method": "getSms", "phone": ""}, False),
        ({"method": "getSms", "phone": "1", "sessionId": "", "captchaTicket": None, "more": 1}, True),
        ({"method": "getSms", "phone": "1", "more": [{}]}, True),
        ({"method": "getSms", "phone": ["1"]}, False),
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
def test_the_description_has_the_limits_of_the_code(params: dict[str, Any], good: bool) -> None:  # noqa: FBT001 - a column of the table
    """Lengths, patterns and empty values are valid in the description if the function accepts them."""
    assert (errors_of("Request", params) == []) is good
