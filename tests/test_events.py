"""Events in every shape that API Gateway and Function URL give them, and in some broken shapes."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_login.errors import InvalidParam
from sms_login.http.events import Request, read_head, read_params, to_event_answer
from tests.testkit.cases import each_case

EVENTS = {path.stem: json.loads(path.read_text()) for path in sorted(Path(__file__).with_name("events").glob("*.json"))}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def params(event: Any) -> dict[str, Any]:
    """Return the parameters of an event."""
    return read_params(event, read_head(event, {}).headers)


@each_case("name", EVENTS)
def test_every_shape_of_event_gives_the_same_parameters(name: str) -> None:
    """Query, form and JSON, plain and in base64, are read through either entry, also with missing or null fields."""
    assert params(EVENTS[name]) == {"method": "getSms", "phone": "+8613800138000"}


_GATEWAY = "c6af9ac6-7b61-11e6-9a41-93e8deadbee"


@each_case(
    ("name", "request_id", "language", "bearer"),
    [
        ("api-gateway-json", _GATEWAY + "1", "zh", "made-up-token"),
        ("api-gateway-json-base64", _GATEWAY + "2", "en", None),
        ("api-gateway-query", _GATEWAY + "5", "zh", None),
        ("api-gateway-nulls", "from-context", "zh", None),
        ("api-gateway-odd-headers", _GATEWAY + "7", "en", "made-up-token"),
        ("function-url-json", "from-context", "en", None),
        ("function-url-query", "from-context", "zh", None),
        ("function-url-without-headers", "from-context", "zh", None),
    ],
)
def test_the_head_of_every_shape_of_event_is_read(
    name: str, request_id: str, language: str, bearer: str | None
) -> None:
    """Id, language and token are found, in any case of the headers' names."""
    request = read_head(EVENTS[name], {"request_id": "from-context"})
    assert (request.id, request.language, request.bearer) == (request_id, language, bearer)


def test_names_of_headers_become_lower_case_and_values_that_are_not_text_are_dropped() -> None:
    """Numbers, lists, objects and nulls are not values of headers."""
    assert read_head(EVENTS["api-gateway-odd-headers"], {}).headers == {
        "content-type": "Application/JSON; Charset=UTF-8",
        "accept-language": "EN-gb",
        "authorization": "bEARER  made-up-token ",
        "idempotency-key": "idempotency-key-1",
    }


@each_case("event", [None, [], "event", b"event", 1, True])
def test_an_event_that_is_not_an_object_has_an_empty_head_and_is_refused(event: Any) -> None:
    """A timer or a person at the console may send anything."""
    request = read_head(event, None)
    assert UUID.fullmatch(request.id)
    assert (request.headers, request.language, request.bearer) == ({}, "zh", None)
    with pytest.raises(InvalidParam, match="not an HTTP event"):
        params(event)


@each_case("field", ["requestContext", "headers", "queryString", "queryStringParameters"])
@each_case("value", [None, [], "a=1", 1, True])
def test_a_field_of_another_type_counts_as_absent(field: str, value: Any) -> None:
    """The rest of the event is still read."""
    event = {"body": '{"a": "1"}', field: value}
    assert params(event) == {"a": "1"}
    assert read_head(event, {"request_id": "from-context"}).id == "from-context"


def test_the_request_id_is_the_gateways_else_the_contexts_else_our_own() -> None:
    """The context is an object in some runtimes and a dict in others."""
    event = {"requestContext": {"requestId": "from-gateway"}}
    assert read_head(event, {"request_id": "from-context"}).id == "from-gateway"
    assert read_head({}, {"request_id": "from-context"}).id == "from-context"
    assert read_head({}, SimpleNamespace(request_id="from-context")).id == "from-context"
    ours = read_head({}, None).id
    assert UUID.fullmatch(ours)
    assert read_head({}, None).id != ours


@each_case("bad", [None, 7, "", "a b", "x" * 65, "line\n", "\nline", '"', "１", "<script>", "a\u2028"])
def test_a_request_id_that_is_not_a_plain_name_is_ignored(bad: Any) -> None:
    """A request id goes into the log and into the answer."""
    assert read_head({"requestContext": {"requestId": bad}}, {"request_id": "from-context"}).id == "from-context"
    assert UUID.fullmatch(read_head({}, {"request_id": bad}).id)


@each_case(
    ("header", "language"),
    [
        (text, "zh")
        for text in (None, "", "*", ";", "1", "zh-CN,zh;q=0.9,en;q=0.8", "zh_TW", "ZH", ",zh", "yue-HK", "cmn")
    ]
    + [(text, "en") for text in ("en", "EN", "en-GB", " en-US,en;q=0.9,zh-CN;q=0.8", "fr", "ja,zh;q=0.9", "za", "zhx")],
)
def test_messages_are_in_english_unless_the_first_language_is_chinese(header: str | None, language: str) -> None:
    """A caller who names no language gets Chinese messages."""
    assert read_head({"headers": {} if header is None else {"accept-language": header}}, {}).language == language


@each_case(
    ("header", "bearer"),
    [(None, None), ("Bearer a.b.c", "a.b.c"), ("bearer  a.b.c ", "a.b.c"), ("Bearer", None), ("Bearer ", None)]
    + [(text, None) for text in ("", "Basic YTpi", "a.b.c", "Bearera.b.c", "Token Bearer a.b.c")],
)
def test_a_token_may_come_in_the_authorization_header(header: str | None, bearer: str | None) -> None:
    """Schemes other than Bearer are ignored."""
    assert Request("id", {} if header is None else {"authorization": header}).bearer == bearer


@each_case(
    ("sent", "read"),
    [
        ("a, a", "a"),
        ("a,a,\ta", "a"),
        ("https://a.example, https://a.example", "https://a.example"),
        *((text, text) for text in ("a", "", "a, b", "a, a, b", "a, A", "a,", "zh-CN,zh;q=0.9")),
    ],
)
def test_a_header_that_was_sent_twice_with_one_value_counts_once(sent: str, read: str) -> None:
    """Servers join the values of a header that a client or proxy repeats; different values stay as they are."""
    names = ("Origin", "sec-fetch-site", "HOST", "Authorization", "Content-Type", "Idempotency-Key", "Referer")
    assert read_head({"headers": dict.fromkeys(names, sent)}, {}).headers == dict.fromkeys(map(str.lower, names), read)


def test_equal_hops_stay_as_many_as_they_are() -> None:
    """The second of two equal addresses in X-Forwarded-For is another proxy's."""
    hops = "203.0.113.7, 203.0.113.7"
    assert read_head({"headers": {"X-Forwarded-For": hops}}, {}).headers == {"x-forwarded-for": hops}


def test_the_body_wins_over_the_query_string() -> None:
    """A parameter that the body lacks may come from the query string."""
    event = {"body": '{"a": "body", "b": "", "c": null}', "queryString": {"a": "query", "b": "query", "c": "query"}}
    assert params(event) == {"a": "body", "b": "query", "c": "query"}


def test_null_and_empty_count_as_absent_but_false_and_zero_do_not() -> None:
    """Body and query string follow the same rule."""
    assert params({"body": '{"a": null, "b": "", "c": false, "d": 0}'}) == {"c": False, "d": 0}
    assert params({"body": "a=&b=1", "headers": FORM, "queryString": {"c": "", "d": None}}) == {"b": "1"}


_TEXT = st.text(st.characters())
_ANY = st.recursive(st.none() | st.booleans() | st.integers() | _TEXT, st.lists, max_leaves=3)
_FIELDS = ("body", "headers", "queryString", "queryStringParameters", "requestContext", "isBase64Encoded")


@given(st.dictionaries(st.sampled_from(_FIELDS), _ANY | st.dictionaries(_TEXT, _ANY, max_size=3)), _ANY)
@settings(deadline=None)  # a busy machine is slow, not wrong
def test_no_event_crashes_the_reader(event: Any, context: Any) -> None:
    """Every event has a head that can be answered, and gives parameters or a refusal."""
    assert read_head(event, context).id
    try:
        found = params(event)
    except InvalidParam:
        return
    assert [value for value in found.values() if value is None or value == ""] == []


def test_an_answer_has_the_form_that_the_platform_expects() -> None:
    """It is an integrated response, with its body as text."""
    assert to_event_answer(201, {"Name": "value"}, "答".encode()) == {
        "isBase64Encoded": False,
        "statusCode": 201,
        "headers": {"Name": "value"},
        "body": "答",
    }
