"""Web pages: whose may call, what their browsers are told, and that apps are not concerned."""

import json
from typing import Any

import pytest
import time_machine

from sms_login.errors import OriginNotAllowed
from sms_login.http.cors import Origins
from sms_login.wiring import build
from tests.testkit.backends import fake_backend
from tests.testkit.world import PHONE, World

APP = "https://app.example.com"
FOREIGN = "https://evil.example"
ALLOWED = frozenset({APP, "https://app.example.com:8443", "http://[::1]:9000", "capacitor://localhost", "null"})
CORS = {"Access-Control-Allow-Origin": APP, "Access-Control-Expose-Headers": "Retry-After", "Vary": "Origin"}

NONE: dict[str, str] = {}


def check(preflight: bool = False, /, **headers: str) -> dict[str, str]:  # noqa: FBT001, FBT002 - positional by intent
    """Return the headers for a request with these; dashes are underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Origins(ALLOWED).check(named, preflight=preflight)


def refused(**headers: str) -> bool:
    """Tell whether a request and its preflight are refused."""

    def is_refused(preflight: bool) -> bool:  # noqa: FBT001 - as above
        try:
            check(preflight, **headers)
        except OriginNotAllowed:
            return True
        return False

    answers = {is_refused(preflight) for preflight in (False, True)}
    assert len(answers) == 1
    return answers == {True}


# One by one.


@pytest.mark.parametrize(
    "origin",
    [*sorted(ALLOWED), "HTTPS://APP.EXAMPLE.COM", "https://App.Example.com:8443", "Capacitor://localhost", "NULL"],
)
def test_an_allowed_origin_may_read_the_answer(origin: str) -> None:
    """The origin comes back as it was sent, whatever its case, whatever the host, and Retry-After may be read."""
    expected = {**CORS, "Access-Control-Allow-Origin": origin}
    for host in ("api.example.com", ""):
        assert check(origin=origin, host=host) == check(origin=origin) == expected


@pytest.mark.parametrize(
    "origin",
    [
        *(FOREIGN, "http://app.example.com", "https://app.example.com:444", "https://example.com", "https://com"),
        *("https://app.example.com.evil.example", "https://evil-app.example.com", "https://www.app.example.com"),
        *("https://app.example.com/", "https://app.example.com/x", "https://app.example.com@evil.example"),
        *("https://app.example.com, https://evil.example", "https://app.example.com https://evil.example"),
        *("app.example.com", "//app.example.com", "capacitor://localhost:80", "ionic://localhost", "file://"),
        *("http://[::1]", "http://[::1]:9001", "http://[", "http://]", "http://[::1", "http://[x]:9000", "[", ":", "?"),
        *(" ", "https://", "https:", "undefined", "\x00", "\ud800", "nullx", "*", "https://*.example.com"),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("host", ["", "api.example.com"])
def test_another_origin_is_refused(origin: str, host: str) -> None:
    """Also one that only looks like one of ours, and one that is no origin at all."""
    assert refused(origin=origin, host=host)
    assert refused(origin=origin)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://api.example.com", "api.example.com"),
        ("https://API.example.com", "Api.Example.COM"),
        ("http://127.0.0.1:9000", "127.0.0.1:9000"),
        ("http://[::1]:9001", "[::1]:9001"),
        ("https://[2001:db8::1]", "[2001:DB8::1]"),
    ],
)
def test_our_own_host_may_call_and_needs_no_headers(origin: str, host: str) -> None:
    """It is the same origin to the browser, which asks for nothing."""
    assert check(origin=origin, host=host) == {}
    for site in ("same-origin", "none"):
        assert check(origin=origin, host=host, sec_fetch_site=site) == {}


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://api.example.com", "api.example.com:8443"),
        ("https://api.example.com:8443", "api.example.com"),
        ("https://api.example.com.evil.example", "api.example.com"),
        ("https://api.example.com@evil.example", "api.example.com"),
        ("https://evil.example/api.example.com", "api.example.com"),
        ("https://evil.example", ""),
        ("https://", ""),
        ("http://[::1]:9001", "::1:9001"),
        ("http://[::1]:9001", "[::1]"),
        ("http://[", "["),
    ],
)
def test_another_host_is_not_our_own(origin: str, host: str) -> None:
    """Ports count, and no host at all is nobody's."""
    assert refused(origin=origin, host=host)


def test_null_is_no_origin_of_ours_unless_it_is_listed() -> None:
    """A sandboxed frame on any page sends it."""
    with pytest.raises(OriginNotAllowed):
        Origins(frozenset({APP})).check({"origin": "null", "host": "api.example.com"}, preflight=False)
    with pytest.raises(OriginNotAllowed):
        Origins(frozenset({APP})).check({"origin": "null"}, preflight=False)


@pytest.mark.parametrize("host", ["", "api.example.com"])
def test_an_app_is_not_concerned(host: str) -> None:
    """It sends no Origin."""
    assert check() == check(host=host) == check(origin="", host=host) == {}


@pytest.mark.parametrize(
    ("site", "passes"), [("same-origin", True), ("same-site", False), ("none", True), ("", True), ("cross-site", False)]
)
def test_a_request_that_another_site_causes_is_refused_without_an_origin_too(site: str, *, passes: bool) -> None:
    """An image or a link of a foreign page sends a GET that has none."""
    assert refused(sec_fetch_site=site, host="api.example.com") is not passes


def test_what_another_site_causes_is_refused_even_with_our_own_origin() -> None:
    """Only a listed origin is an answer to that."""
    assert refused(sec_fetch_site="cross-site", origin="https://api.example.com", host="api.example.com")
    assert refused(sec_fetch_site="cross-site", origin=FOREIGN)
    assert check(sec_fetch_site="cross-site", origin=APP) == CORS


def test_a_preflight_says_what_may_be_sent() -> None:
    """For a listed origin; our own needs none."""
    headers = check(True, origin=APP)  # noqa: FBT003 - as above
    assert headers == {
        **CORS,
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "Accept-Language, Authorization, Content-Type, Idempotency-Key",
        "Access-Control-Max-Age": "7200",
    }
    assert check(True, origin="https://api.example.com", host="api.example.com") == {}  # noqa: FBT003 - as above


# Through the whole function.


@pytest.fixture
def world(clock: time_machine.Traveller) -> World:
    """A login service that one web page may call."""
    return World(fake_backend(), clock, origins=frozenset({APP}))


def ask(world: World, headers: dict[str, str], verb: str = "POST", method: str = "getSms") -> tuple[Any, Any, Any]:
    """Send a request; return status, headers and body."""
    body = json.dumps({"method": method, "phone": PHONE.e164, "code": "12345"})
    event = {"httpMethod": verb, "headers": {"Host": "api.example.com", **headers}, "body": body}
    answer = world.app.handle(event, {})
    return answer["statusCode"], answer["headers"], json.loads(answer["body"] or "null")


def cors(headers: dict[str, str]) -> dict[str, str]:
    """Return those of an answer's headers that are for a browser."""
    return {name: value for name, value in headers.items() if name.startswith("Access-") or name == "Vary"}


def test_a_listed_page_may_read_every_answer(world: World) -> None:
    """A success, a refusal, a limit with its Retry-After, and a request that is malformed."""
    outcomes = []
    for method in ("getSms", "getSms", "login", "rubbish"):
        _, headers, body = ask(world, {"Origin": APP}, method=method)
        assert cors(headers) == CORS
        assert ("Retry-After" in headers) == ("retryAfter" in body)
        outcomes.append(body["codeStr"])
    assert outcomes == ["Ok", "TooManyRequests", "InValidParam", "UnknownMethod"]


def test_a_bug_can_be_read_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page then shows what the app would show, not a failure of the network."""
    monkeypatch.setattr(world.app, "_ping", lambda: 1 // 0)
    status, headers, body = ask(world, {"Origin": APP}, method="health")
    assert (status, body["codeStr"]) == (500, "InternalError")
    assert cors(headers) == CORS


def test_a_foreign_page_is_refused_before_anything_happens(world: World) -> None:
    """Nothing is read, sent or counted, and the page cannot read why."""
    for headers in ({"Origin": FOREIGN}, {"ORIGIN": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        for verb in ("POST", "GET", "OPTIONS"):
            status, answered, body = ask(world, headers, verb)
            assert (status, body["errorCode"], body["codeStr"]) == (403, -1305, "OriginNotAllowed")
            assert cors(answered) == {}
    assert world.outbox.sent == []
    assert world.backend.dump() == {}


def test_an_app_and_our_own_page_are_served_without_headers_for_a_browser(world: World) -> None:
    """Neither needs any."""
    assert [cors(ask(world, headers)[1]) for headers in ({}, {"Origin": "https://api.example.com"})] == [{}, {}]
    assert len(world.outbox.sent) == 1


@pytest.mark.parametrize("place", ["httpMethod", "requestContext"])
def test_a_preflight_is_answered_without_a_body_and_does_nothing(
    world: World, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """204, with what may be sent; wherever the platform has put the verb."""
    asked = {"Origin": APP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    event = {"headers": asked, "body": json.dumps({"method": "getSms", "phone": PHONE.e164})}
    verb: dict[str, Any] = {"httpMethod": "OPTIONS"}
    answer = world.app.handle({**event, **(verb if place == "httpMethod" else {place: verb})}, {})
    assert (answer["statusCode"], answer["body"], answer["isBase64Encoded"]) == (204, "", False)
    assert answer["headers"]["Access-Control-Allow-Origin"] == APP
    assert answer["headers"]["Access-Control-Allow-Methods"] == "GET, POST"
    assert "Idempotency-Key" in answer["headers"]["Access-Control-Allow-Headers"]
    assert answer["headers"]["Access-Control-Max-Age"] == "7200"
    assert answer["headers"]["Vary"] == "Origin"
    assert answer["headers"]["Cache-Control"] == "no-store"
    assert world.outbox.sent == []
    assert world.backend.dump() == {}
    assert capsys.readouterr().err == ""


def test_without_allowed_origins_no_page_but_our_own_may_call(clock: time_machine.Traveller) -> None:
    """Apps do not notice."""
    world = World(fake_backend(), clock)
    headers = [{"Origin": APP}, {"Origin": "https://api.example.com"}, NONE]
    assert [ask(world, some, method="health")[0] for some in headers] == [403, 200, 200]


@pytest.mark.parametrize("headers", [NONE, {"Origin": APP}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://["}])
@pytest.mark.parametrize("verb", ["POST", "OPTIONS"])
def test_with_wrong_settings_a_page_is_answered_500_like_everybody(headers: dict[str, str], verb: str) -> None:
    """Whom the operator wants to allow is not known then, and what is wrong is not the caller's origin."""
    answer = build({}).handle({"httpMethod": verb, "headers": headers, "body": '{"method": "health"}'}, {})
    assert answer["statusCode"] == 500
    assert json.loads(answer["body"])["codeStr"] == "InternalError"
