"""The handler answers every event, and never with a 500."""

import copy
import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.testkit.backends import NOON, fake_backend
from tests.testkit.world import World

PHONE = "+8613800138000"
CALLS: list[dict[str, Any]] = [
    {"method": "getSms", "phone": PHONE},
    {"method": "getSms", "phone": PHONE, "sessionId": "A" * 22},
    {"method": "login", "phone": PHONE, "code": "123456", "sessionId": "A" * 22},
    {"method": "login", "phone": PHONE, "code": "123456"},
    {"method": "login", "phone": PHONE, "token": "eyJhbGciOiJub25lIn0.e30."},
    {"method": "getUserInfo", "token": "a.b.c"},
    {"method": "setNickname", "token": "a.b.c", "name": "name"},
    {"method": "refresh", "refreshToken": "rt_" + "A" * 70},
    {"method": "logout", "token": "a.b.c"},
    {"method": "logout", "refreshToken": "rt_" + "A" * 70, "everywhere": "true"},
    {"method": "logout", "everywhere": True},
    {"method": "deleteAccount", "token": "a.b.c", "code": "123456", "sessionId": "A" * 22},
    {"method": "health"},
]
PARAMETERS = ["phone", "code", "sessionId", "token", "name", "refreshToken", "everywhere"]
VALUES = [
    "",
    "\ud800",
    "\0",
    "1" * 40,
    "１２３４５６",
    "123456\n",
    "+",
    "latest",
    "*",
    "a.b.c",
    "k" * 16,
    "Bearer x",
    "rt_",
    "true",
]
ODD: list[Any] = [None, True, 0, -1, 10**30, 1e400, [], {}, [{}], {"a": []}, ["x", "y"], b"bytes"]
BODIES = ["{", "[]", "1", '"x"', "[" * 9000, '{"a":' * 3000, '{"method": "\\ud800"}', "a=1&a=2", "=", "%", "x" * 20_000]
FORM, JSON = "application/x-www-form-urlencoded", "application/json; charset=utf-8"

text = st.text(st.characters(exclude_categories=[]), max_size=6)  # lone surrogates too
value = st.sampled_from(VALUES) | text
anything = st.sampled_from(ODD) | value


def event(call: dict[str, Any], shape: int) -> dict[str, Any]:
    """Put a call into an event of one of the shapes."""
    form = urlencode({name: str(value) for name, value in call.items()}, errors="replace")
    as_json = json.dumps(call, default=str)
    shapes: list[dict[str, Any]] = [
        {"headers": {"Content-Type": JSON}, "body": as_json},
        {"headers": {"content-type": FORM}, "body": form},
        {"headers": {"Content-Type": FORM}, "body": b64encode(form.encode()).decode(), "isBase64Encoded": True},
        {"headers": {"X": "y"}, "body": None, "queryString": call},
        {"headers": {}, "body": as_json, "queryStringParameters": call},
    ]
    return {"httpMethod": "POST", "path": "/", "requestContext": {"requestId": "r"}} | shapes[shape]


@st.composite
def events(draw: st.DrawFn) -> Any:
    """Draw a good event with up to three mistakes in it, or a value that is nothing like an event."""
    call = copy.deepcopy(draw(st.sampled_from(CALLS)))
    wrongs = draw(st.lists(st.integers(0, 7), max_size=3))
    if 0 in wrongs:
        call[draw(st.sampled_from(sorted(call)))] = draw(anything)
    if 1 in wrongs:
        call[draw(st.sampled_from(PARAMETERS))] = draw(anything)
    if 2 in wrongs:
        call[draw(text)] = draw(anything)
    drawn = event(call, draw(st.integers(0, 4)))
    if 3 in wrongs:
        drawn[draw(st.sampled_from(sorted(drawn)))] = draw(anything)
    if 4 in wrongs:
        drawn["headers"] = {
            draw(st.sampled_from(["Authorization", "Accept-Language", "Idempotency-Key", "content-type"])): draw(
                anything
            )
        }
    if 5 in wrongs:
        drawn["body"] = draw(st.sampled_from(BODIES) | text)
    if 6 in wrongs:
        del drawn[draw(st.sampled_from(sorted(drawn)))]
    return draw(anything) if wrongs == [7] else drawn


@pytest.fixture(scope="module")
def handler() -> Iterator[Any]:
    """The function's entry point, index.main_handler, with an app on fakeredis behind it."""
    import index  # noqa: PLC0415 - importing it builds an app, and takes over logging

    app = index._app  # noqa: SLF001 - the module's one global
    with time_machine.travel(NOON, tick=False) as clock:
        index._app = World(fake_backend(), clock).app  # noqa: SLF001 - as above
        yield index.main_handler
    index._app = app  # noqa: SLF001 - as above


# 2,000 events, by tens: what Hypothesis does for each example takes longer than the handler.
@settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(calls=st.lists(st.tuples(events(), st.sampled_from([{"request_id": "c"}, *ODD])), min_size=10, max_size=10))
def test_no_event_reaches_the_catch_all(handler: Any, calls: list[tuple[Any, Any]]) -> None:
    """Bad input gets a specific answer; the catch-all is for our own bugs."""
    for drawn, context in calls:
        answer = handler(drawn, context)
        assert answer["statusCode"] in {200, 400, 401, 403, 404, 405, 429}
        body = json.loads(answer["body"])
        assert (body["errorCode"] == 0) == (answer["statusCode"] == 200)
        assert body["codeStr"] not in {"InternalError", "ServiceUnavailable"}
        json.dumps(answer)  # the platform does this
