"""Bodies: 16 KiB of JSON or form and nothing else, each refusal saying what is wrong."""

import base64
import json
from typing import Any

import pytest

from sms_login.errors import InvalidParam
from sms_login.http.events import MAX_BODY, read_head, read_params

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def params(event: Any) -> dict[str, Any]:
    """Return the parameters of an event."""
    return read_params(event, read_head(event, {}).headers)


def refused(event: Any, what: str) -> None:
    """Assert that an event is refused, and what the caller is told."""
    with pytest.raises(InvalidParam) as refusal:
        params(event)
    assert what in refusal.value.message("en")
    assert refusal.value.message("zh").startswith("参数错误：")


@pytest.mark.parametrize("body", [None, "", " ", "\r\n"])
@pytest.mark.parametrize("kind", [None, "application/json", FORM["Content-Type"], "image/png"])
def test_an_empty_body_has_no_parameters_whatever_its_type(body: str | None, kind: str | None) -> None:
    """Clients name a type for a body that they do not send."""
    assert params({"body": body, "headers": {"Content-Type": kind}, "queryString": {"a": "1"}}) == {"a": "1"}


def sized(size: int) -> str:
    """Return a JSON body of so many bytes."""
    return json.dumps({"a": "x" * (size - len('{"a": ""}'))})


def b64(text: str) -> str:
    """Return the base64 of a text."""
    return base64.b64encode(text.encode()).decode()


def test_a_body_has_16_kib_and_not_a_byte_more() -> None:
    """Bytes are counted, and those of the content where it comes in base64."""
    for event in ({"body": sized(16_384)}, {"body": b64(sized(16_384)), "isBase64Encoded": True}):
        assert len(params(event)["a"]) == MAX_BODY - 9
    wide = json.dumps({"a": "短" * 6000}, ensure_ascii=False)
    for event in ({"body": sized(16_385)}, {"body": b64(sized(16_385)), "isBase64Encoded": True}, {"body": wide}):
        refused(event, "over 16 KiB")


@pytest.mark.parametrize(
    ("event", "what"),
    [
        ({"body": "a=1&a=2", "headers": FORM}, "given twice"),
        ({"body": "a=1&a=", "headers": FORM}, "given twice"),
        ({"queryString": {"a": ["1", "2"]}}, "given twice"),
        ({"body": '{"a": "1"}', "queryString": {"a": ["1", "2"]}}, "given twice"),
        ({"body": '{"a": "1", "a": "2"}'}, "given twice"),
        ({"body": '{"a": "1", "\\u0061": "1"}'}, "given twice"),
        ({"body": '{"a": {"b": 1, "b": 2}}'}, "given twice"),
        ({"body": json.dumps({str(i): i for i in range(65)})}, "too many"),
        ({"queryString": {str(i): "1" for i in range(65)}}, "too many"),
        ({"body": '{"a": ["1"]}'}, "not a plain value"),
        ({"body": '{"a": {"b": "1"}}'}, "not a plain value"),
    ],
)
def test_a_parameter_has_one_plain_value(event: Any, what: str) -> None:
    """Repeated and nested ones are refused, not picked from."""
    refused(event, what)


@pytest.mark.parametrize(
    "body",
    [
        "a=1",
        "{",
        "[]",
        '"a"',
        "1",
        "null",
        "{'a': 1}",
        '{"a": NaN}',
        '{"a": "\x00"}',
        '\ufeff{"a": "1"}',
        "{} {}",
        "[" * 8000,
        '{"a":' * 3000,
    ],
)
@pytest.mark.parametrize("kind", [None, "application/json", "text/plain"])
def test_a_body_that_is_no_json_object_is_refused(body: str, kind: str | None) -> None:
    """Deep nesting and lone surrogates too, and a form that does not say that it is one."""
    refused({"body": body, "headers": {"Content-Type": kind}}, "not a JSON object")


@pytest.mark.parametrize(
    "body", ['{"method": "getSms"}', "a", "a=%FF", "a=1&&b=2", "&".join(f"a{n}=" for n in range(65))]
)
def test_a_body_that_is_no_form_is_refused(body: str) -> None:
    """JSON under the type of a form among them, which is what curl -d sends."""
    refused({"body": body, "headers": FORM}, "for JSON send Content-Type: application/json")


@pytest.mark.parametrize("body", ["e30", "e30=\n", "e30=e30=", "!!!!", "é", "{}", "\ud800"])
def test_a_body_that_is_not_base64_as_it_says_is_refused(body: str) -> None:
    """Broken padding and foreign characters are not skipped."""
    refused({"body": body, "isBase64Encoded": True}, "does not match its encoding")


@pytest.mark.parametrize("flag", [False, None, 0, "", "false"])
def test_a_body_is_base64_only_where_the_event_says_true(flag: Any) -> None:
    """Text that happens to be truthy is not the flag."""
    assert params({"body": '{"a": "1"}', "isBase64Encoded": flag}) == {"a": "1"}


@pytest.mark.parametrize("body", [{"a": "1"}, ["a"], 1, True, b"{}"])
def test_a_body_that_is_no_text_is_refused(body: Any) -> None:
    """The platform hands over text or nothing."""
    refused({"body": body}, "the body is not text")


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/xml", "application/jsonp", "*/*"])
def test_a_body_of_another_type_is_refused(kind: str) -> None:
    """The answer names the types that are taken."""
    refused({"body": "{}", "headers": {"Content-Type": kind}}, "application/json or application/x-www-form-urlencoded")


@pytest.mark.parametrize(
    "event",
    [
        {"body": "\ud800"},
        {"queryString": {"a": "\ud800"}},
        {"queryString": {"\udfff": "a"}},
        {"body": '{"a": "\\ud800"}'},
        {"body": '{"\\udfff": "a"}'},
    ],
)
def test_a_lone_surrogate_is_refused(event: Any) -> None:
    """It is no text that could be stored, logged or answered."""
    with pytest.raises(InvalidParam):
        params(event)
