"""Request bodies: at most 16 KiB of JSON or form data; each refusal names the mistake."""

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


def refused(event: Any, words: str) -> None:
    """Assert that an event is refused with a message that contains `words`."""
    with pytest.raises(InvalidParam) as refusal:
        params(event)
    assert words in refusal.value.message("en")
    assert refusal.value.message("zh").startswith("参数错误：")


@pytest.mark.parametrize("body", [None, "", " ", "\r\n"])
@pytest.mark.parametrize("kind", [None, "application/json", FORM["Content-Type"], "image/png"])
def test_an_empty_body_of_any_type_has_no_parameters(body: str | None, kind: str | None) -> None:
    """An empty body is accepted with any type, since clients name a type for a body that they do not send."""
    assert params({"body": body, "headers": {"Content-Type": kind}, "queryString": {"a": "1"}}) == {"a": "1"}


def sized(size: int) -> str:
    """Return a JSON body of `size` bytes."""
    return json.dumps({"a": "x" * (size - len('{"a": ""}'))})


def b64(text: str) -> str:
    """Return the base64 of a text."""
    return base64.b64encode(text.encode()).decode()


def test_a_body_may_have_16_kib_and_not_a_byte_more() -> None:
    """The limit counts bytes; a base64 body is decoded before it is counted."""
    for event in ({"body": sized(16_384)}, {"body": b64(sized(16_384)), "isBase64Encoded": True}):
        assert len(params(event)["a"]) == MAX_BODY - 9
    wide = json.dumps({"a": "短" * 6000}, ensure_ascii=False)
    for event in ({"body": sized(16_385)}, {"body": b64(sized(16_385)), "isBase64Encoded": True}, {"body": wide}):
        refused(event, "over 16 KiB")


@pytest.mark.parametrize(
    ("event", "words"),
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
def test_a_parameter_has_one_plain_value(event: Any, words: str) -> None:
    """Repeated and nested parameters are refused: no value is chosen from them."""
    refused(event, words)


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
def test_a_body_that_is_not_a_json_object_is_refused(body: str, kind: str | None) -> None:
    """Deeply nested JSON, and a form without the type of a form, are refused too."""
    refused({"body": body, "headers": {"Content-Type": kind}}, "not a JSON object")


@pytest.mark.parametrize(
    "body", ['{"method": "getSms"}', "a", "a=%FF", "a=1&&b=2", "&".join(f"a{n}=" for n in range(65))]
)
def test_a_body_that_is_not_a_form_is_refused(body: str) -> None:
    """JSON under the type of a form, which curl -d sends, is refused too."""
    refused({"body": body, "headers": FORM}, "for JSON send Content-Type: application/json")


@pytest.mark.parametrize("body", ["e30", "e30=\n", "e30=e30=", "!!!!", "é", "{}", "\ud800"])
def test_a_body_that_is_not_valid_base64_is_refused(body: str) -> None:
    """Broken padding and foreign characters are refused, not skipped."""
    refused({"body": body, "isBase64Encoded": True}, "does not match its encoding")


@pytest.mark.parametrize("flag", [False, None, 0, "", "false"])
def test_a_body_is_base64_only_if_the_event_says_true(flag: Any) -> None:
    """Text is never the flag, even if it is truthy."""
    assert params({"body": '{"a": "1"}', "isBase64Encoded": flag}) == {"a": "1"}


@pytest.mark.parametrize("body", [{"a": "1"}, ["a"], 1, True, b"{}"])
def test_a_body_that_is_not_text_is_refused(body: Any) -> None:
    """The platform hands over text or null, so any other body is refused."""
    refused({"body": body}, "the body is not text")


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/xml", "application/jsonp", "*/*"])
def test_a_body_of_another_type_is_refused(kind: str) -> None:
    """The refusal of another type names the accepted types."""
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
    """A lone surrogate is refused in every place, since it cannot be stored, logged or answered."""
    with pytest.raises(InvalidParam):
        params(event)
