"""docs/openapi.json says the same as the types, and its examples are valid."""

import json
import re
from typing import Any

import jsonschema_rs
from schemathesis.specs.openapi.definitions import OPENAPI_31

from openapi import examples, refusals, schemas
from openapi.document import as_json, build
from sms_login.errors import Refusal
from sms_login.http import messages
from tests.testkit.cases import each_case
from tests.testkit.project import ROOT

DOCUMENT = build()
# The order of a login, which is that of a reader's menu.
ORDER = [
    *("getSms", "getSmsStatus", "login", "verify", "refresh", "logout", "getUserInfo", "setNickname"),
    *("changePhone", "deleteAccount", "smsReceipt", "health", "jwks"),
]
OPERATIONS = {part["operationId"]: part for verbs in DOCUMENT["paths"].values() for part in verbs.values()}


def errors_of(name: str, value: Any) -> list[str]:
    """Return the errors of a value under one of the schemas."""
    schema = {**schemas.ref(name), "components": DOCUMENT["components"]}
    return [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(value)]


def test_the_committed_description_is_up_to_date() -> None:
    """`make openapi` would write the bytes that are committed."""
    assert (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8") == as_json()


def test_the_description_is_valid_openapi_3_1() -> None:
    """The description satisfies the meta-schema of the OpenAPI Initiative, and refers to all its parts and no other."""
    assert [error.message for error in jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(DOCUMENT)] == []
    text = json.dumps(DOCUMENT)
    for part in ("schemas", "parameters", "headers", "examples"):
        referred = {found.split('"')[0] for found in text.split(f'"#/components/{part}/')[1:]}
        assert referred == DOCUMENT["components"][part].keys()


def test_each_method_has_a_path_of_its_own_and_the_order_is_that_of_a_login() -> None:
    """The function finds the method in the path; the menu has the groups in the same order, and names the methods."""
    assert [messages.method_at(path) for path in DOCUMENT["paths"]] == ORDER == list(OPERATIONS)
    assert all(len(verbs) == 1 for verbs in DOCUMENT["paths"].values())
    assert [operation["summary"].partition(":")[0] for operation in OPERATIONS.values()] == ORDER
    groups = [group for operation in OPERATIONS.values() for group in operation["tags"]]
    assert list(dict.fromkeys(groups)) == [tag["name"] for tag in DOCUMENT["tags"]]


def test_generators_understand_every_schema() -> None:
    """Constants are of type string, and no value has a choice of schemas: generators make wrong clients of both."""
    text = json.dumps(DOCUMENT["components"]["schemas"])
    assert [word for word in ("anyOf", "oneOf", "allOf", "enum") if f'"{word}"' in text] == []
    assert set(re.findall('"([a-z]+)", "const"', text)) == {"string"}
    assert text.count('"const"') == text.count('"type": "string", "const"')


@each_case("name", examples.ALL)
def test_every_method_has_a_valid_example(name: str) -> None:
    """The function parses the example of a request, and the example of an answer has the method's own form."""
    sent, kind = examples.ALL[name][0], type(examples.ALL[name][0])
    body = examples.body(name, kind)
    operation = OPERATIONS[schemas.tag(kind)]
    params = {"token": examples.ACCESS_TOKEN} if operation["security"] == [{"token": []}] else {}
    params |= {part["name"]: part["example"] for part in operation.get("parameters", []) if "name" in part}
    params |= body if isinstance(body, dict) else {}
    assert messages.parse({"method": schemas.tag(kind), **params}) == sent
    assert body == {} or errors_of(f"{kind.__name__}Request", body) == []
    assert errors_of(schemas.answer_name(kind), examples.answer(name)) == []


def test_every_method_is_in_the_tables_of_examples_and_refusals() -> None:
    """The tables of examples and refusals have exactly the methods of the function."""
    methods = set(messages.METHODS.values())
    assert {type(sent) for sent, _ in examples.ALL.values()} == methods
    assert refusals.BY_METHOD.keys() == schemas.ANSWERS.keys() == methods


@each_case("kind", Refusal.__subclasses__(), ids=lambda kind: kind.name)
def test_every_refusal_has_a_valid_example(kind: type[Refusal]) -> None:
    """The example is valid, and each method that can be refused so shows it under its status."""
    example = schemas.example_of(kind)
    assert errors_of("Refusal", example) == []
    assert (example["errorCode"], example["codeStr"]) == (kind.number, kind.name)
    shown = {
        (name, status)
        for name, operation in OPERATIONS.items()
        for status, response in operation["responses"].items()
        if kind.name in response["content"]["application/json"]["examples"]
    }
    methods = [sent for sent, kinds in refusals.BY_METHOD.items() if kind in (*kinds, *refusals.ALWAYS)]
    assert shown == {(schemas.tag(sent), str(kind.status)) for sent in methods}
    assert bool(shown) is (kind not in refusals.NO_METHOD)


@each_case(
    ("name", "params", "good"),
    [
        ("GetSms", {"phone": "1" * 64}, True),
        ("GetSms", {"phone": "1" * 65}, False),
        ("GetSms", {"phone": ""}, False),
        ("GetSms", {}, False),
        ("GetSms", {"phone": "1", "more": 1}, True),
        ("Login", {"phone": "1", "code": "123456"}, True),
        ("Login", {"phone": "1"}, False),
        ("Login", {"phone": "1", "code": "１２３４５６"}, False),
        ("Login", {"phone": "1", "code": "123456\n"}, False),
        ("Logout", {"everywhere": True}, True),
        ("Logout", {"everywhere": "yes"}, False),
        ("Refresh", {"refreshToken": "x", **{f"p{i}": 0 for i in range(63)}}, True),
        ("Refresh", {"refreshToken": "x", **{f"p{i}": 0 for i in range(64)}}, False),
    ],
)
def test_the_description_has_the_limits_of_the_code(name: str, params: dict[str, Any], good: bool) -> None:  # noqa: FBT001 - a column of the table
    """Lengths, patterns and required parameters are those of the function."""
    assert (errors_of(f"{name}Request", params) == []) is good
