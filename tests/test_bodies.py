"""Request bodies: at most 16 KiB of JSON or form data; each refusal names the mistake."""

import base64
import io
import json
from typing import Any

import pytest

from sms_login.errors import InvalidParam
from sms_login.http.bodies import MAX_BODY
from sms_login.http.events import read_head, read_params
from sms_login.http.messages import parse
from sms_login.http.wsgi import Application
from tests.testkit.cases import each_case

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def params(event: Any) -> dict[str, Any]:
    """Return the parameters of an event."""
    return read_params(event, read_head(event, {}).headers)


def refused(event: Any, words: str) -> None:
    """Assert that an event is refused with a message that contains `words`."""
    with pytest.raises(InvalidParam) as refusal:
        parse(params(event))
    assert words in refusal.value.message("en")
    assert refusal.value.message("zh").startswith("参数错误：")


@each_case("body", [None, "", " ", "\r\n"])
@each_case("kind", [None, "application/json", FORM["Content-Type"], "image/png"])
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


TWICE = "phone is given twice"
PARAMS = {"method": "getSms", "phone": "1"}


@each_case(
    ("event", "words"),
    [
        ({"body": "method=getSms&phone=1&phone=2", "headers": FORM}, TWICE),
        ({"body": "method=getSms&phone=1&phone=", "headers": FORM}, TWICE),
        ({"queryString": {**PARAMS, "phone": ["1", "2"]}}, TWICE),
        ({"body": json.dumps(PARAMS), "queryString": {"phone": ["1", "2"]}}, TWICE),
        ({"body": '{"method": "getSms", "phone": "1", "phone": "2"}'}, TWICE),
        ({"body": '{"method": "getSms", "phone": "1", "\\u0070hone": "1"}'}, TWICE),
        ({"body": '{"method": "getSms", "phone": "1", "phone": "2", "phone": "3"}'}, TWICE),
        ({"body": '{"method": "getSms", "method": "login"}'}, "method is given twice"),
        ({"body": json.dumps({str(i): i for i in range(65)})}, "too many"),
        ({"body": "&".join(f"a{i}=" for i in range(65)), "headers": FORM}, "too many"),
        ({"queryString": {str(i): "1" for i in range(65)}}, "too many"),
        ({"body": '{"method": "getSms", "phone": ["1"]}'}, "not a plain value"),
        ({"body": '{"method": "getSms", "phone": {"b": "1"}}'}, "not a plain value"),
    ],
)
def test_a_parameter_has_one_plain_value(event: Any, words: str) -> None:
    """Repeated and nested parameters are refused: no value is chosen from them, not even if the body has one."""
    refused(event, words)


@each_case(
    "body", ["{", "[]", "{'a': 1}", '{"a": NaN}', '{"a": "\x00"}', "{} {}", "[" * 8000, '{"a":' * 3000, "\ufeff{"]
)
@each_case("kind", [None, "application/json", "text/plain", FORM["Content-Type"]])
def test_a_body_that_is_not_a_json_object_is_refused(body: str, kind: str | None) -> None:
    """A body that begins like JSON is read as JSON under the type of any text; deeply nested JSON is refused too."""
    refused({"body": body, "headers": {"Content-Type": kind}}, "not a JSON object")


@each_case("kind", ["application/json", "application/vnd.api+json; charset=utf-8"])
@each_case("body", ["a=1", '"a"', "1", "null"])
def test_a_form_under_the_type_of_json_is_refused(body: str, kind: str) -> None:
    """Under a type of JSON, nothing but an object is taken."""
    refused({"body": body, "headers": {"Content-Type": kind}}, "not a JSON object")


@each_case("body", ["a", '"a"', "1", "null", "hello world"])
@each_case("kind", [None, "text/plain", FORM["Content-Type"]])
def test_a_body_that_is_neither_json_nor_a_form_is_refused(body: str, kind: str | None) -> None:
    """The refusal of text that is neither an object nor has a pair names the accepted types."""
    refused({"body": body, "headers": {"Content-Type": kind}}, "the body must be application/json")


PAIRS = [
    ("method=getSms&phone=1", PARAMS),
    ("&method=getSms&&phone=1&", PARAMS),
    ("method=getSms&remember&phone=1\r\n", PARAMS),
    ("method=getSms&phone=1&a[b]=1&a[b]=2", PARAMS),
    ("phone=1+2%20%2B3%", {"phone": "1 2 +3%"}),
    ("name=%E5%B0%8F%E6%98%8E", {"name": "小明"}),
    ("name=小明", {"name": "小明"}),
    ("name==", {"name": "="}),
]


@each_case(("text", "expected"), PAIRS)
def test_a_form_and_a_query_string_are_read_alike(text: str, expected: dict[str, Any]) -> None:
    """Empty pairs and names without values do no harm, and unescaped text is UTF-8, in a body and in a query string."""
    form = params({"body": text, "headers": FORM})
    answers: list[Any] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "REMOTE_ADDR": "192.0.2.1", "wsgi.input": io.BytesIO()}
    query = text.strip().encode().decode("latin-1")  # as PEP 3333 has it

    def handle(event: Any, _context: Any) -> dict[str, Any]:
        answers.append(params(event))
        return {"statusCode": 200, "headers": {}}

    Application(handle)({**environ, "QUERY_STRING": query}, lambda *_: None)
    assert answers == [form]
    assert {name: value for name, value in form.items() if isinstance(value, str)} == expected


@each_case("value", ["%FF", "%C4%E3", "%ED%A0%80", "a%80"])
def test_a_form_that_is_not_utf_8_is_refused(value: str) -> None:
    """Escaped bytes that are not UTF-8 never become U+FFFD."""
    refused({"body": f"method=setNickname&token=x&name={value}", "headers": FORM}, "name is not UTF-8 text")


MULTIPART = {"Content-Type": 'multipart/form-data; boundary="a.b"'}


def multipart(*parts: str) -> str:
    """Return a body of parts, each with its head and value."""
    return "".join(f"--a.b\r\n{part}\r\n" for part in parts) + "--a.b--\r\n"


def test_multipart_fields_are_read_to_their_boundary() -> None:
    """A value keeps its lines, and a delimiter inside a line does not end it."""
    body = multipart(
        "Content-Disposition: form-data; name=method\r\n\r\ngetSms",
        'content-type: text/plain\r\ncontent-disposition: form-data; name="phone"\r\n\r\none\r\n\r\nthree--a.b',
        'Content-Disposition: form-data; name="avatar"; filename="a.png"\r\nContent-Type: image/png\r\n\r\nPNG',
        "X: y\r\n\r\nwithout a name",
    )
    found = params({"body": f"preamble\r\n{body}epilogue", "headers": MULTIPART})
    assert {name: found[name] for name in ("method", "phone")} == {"method": "getSms", "phone": "one\r\n\r\nthree--a.b"}
    assert "PNG" not in str(found)


@each_case(
    "body",
    ["--a.b", "--a.b--", "--a.b\r\nx", multipart()[:-3], multipart("X: y\r\n\r\nz")[:-5], "method=getSms", "--x--"],
)
def test_a_body_that_is_not_multipart_is_refused(body: str) -> None:
    """A body without its boundary, its end or any part gets an error that says what to send instead."""
    refused({"body": body, "headers": MULTIPART}, "application/json is simpler")


@each_case("body", ["e30", "e30=\n", "e30=e30=", "!!!!", "é", "{}", "\ud800"])
def test_a_body_that_is_not_valid_base64_is_refused(body: str) -> None:
    """Broken padding and foreign characters are refused, not skipped."""
    refused({"body": body, "isBase64Encoded": True}, "does not match its encoding")


@each_case("flag", [False, None, 0, "", "false"])
def test_a_body_is_base64_only_if_the_event_says_true(flag: Any) -> None:
    """Text is never the flag, even if it is truthy."""
    assert params({"body": '{"a": "1"}', "isBase64Encoded": flag}) == {"a": "1"}


@each_case("body", [{"a": "1"}, ["a"], 1, True, b"{}"])
def test_a_body_that_is_not_text_is_refused(body: Any) -> None:
    """The platform hands over text or null, so any other body is refused."""
    refused({"body": body}, "the body is not text")


@each_case("kind", ["application/xml", "application/jsonp", "multipart/mixed", "json", "*/*"])
def test_a_body_of_another_type_is_refused(kind: str) -> None:
    """The refusal of another type names the accepted types."""
    refused(
        {"body": "{}", "headers": {"Content-Type": kind}},
        "application/json, application/x-www-form-urlencoded or multipart/form-data",
    )


@each_case(
    "event",
    [
        {"body": "\ud800"},
        {"queryString": {**PARAMS, "phone": "\ud800"}},
        {"body": '{"method": "getSms", "phone": "\\ud800"}'},
        {"body": b64("{}").replace("e", "/"), "isBase64Encoded": True},
    ],
)
def test_a_lone_surrogate_and_other_bytes_that_are_not_utf_8_are_refused(event: Any) -> None:
    """Such text is refused in every place, since it cannot be stored, logged or answered."""
    with pytest.raises(InvalidParam):
        parse(params(event))
