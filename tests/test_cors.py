"""CORS: the web pages that may call the function, and the headers for their browsers. Apps need neither."""

import itertools
import json
from typing import Any

import pytest
import time_machine

from sms_login.errors import OriginNotAllowed
from sms_login.http.cors import Origins
from sms_login.wiring import build
from tests.testkit.backends import fake_backend
from tests.testkit.cases import each_case
from tests.testkit.limits import Printed
from tests.testkit.world import PHONE, World

APP = "https://app.example.com"
FOREIGN = "https://evil.example"
ALLOWED = frozenset({APP, "https://app.example.com:8443", "http://[::1]:9000", "capacitor://localhost", "null"})
CORS = {"Access-Control-Allow-Origin": APP, "Access-Control-Expose-Headers": "Retry-After", "Vary": "Origin"}

NONE: dict[str, str] = {}


def check(preflight: bool = False, /, **headers: str) -> dict[str, str]:  # noqa: FBT001, FBT002 - positional by intent
    """Return the headers for a request with these; underscores in their names stand for dashes."""
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


# The check of one request.


@each_case(
    "origin",
    [*sorted(ALLOWED), "HTTPS://APP.EXAMPLE.COM", "https://App.Example.com:8443", "Capacitor://localhost", "NULL"],
)
def test_an_allowed_origin_may_read_the_answer(origin: str) -> None:
    """The header repeats the origin as sent, in any case and for any host, and Retry-After is readable."""
    expected = {**CORS, "Access-Control-Allow-Origin": origin}
    for host in ("api.example.com", ""):
        assert check(origin=origin, host=host) == check(origin=origin) == expected


OTHERS = [
    *(FOREIGN, "http://app.example.com", "https://app.example.com:444", "https://example.com", "https://com"),
    *("https://app.example.com.evil.example", "https://evil-app.example.com", "https://www.app.example.com"),
    *("https://app.example.com/", "https://app.example.com/x", "https://app.example.com@evil.example"),
    *("https://app.example.com, https://evil.example", "https://app.example.com https://evil.example"),
    *("app.example.com", "//app.example.com", "capacitor://localhost:80", "ionic://localhost", "file://"),
    *("http://[::1]", "http://[::1]:9001", "http://[", "http://]", "http://[::1", "http://[x]:9000", "[", ":", "?"),
    *(" ", "https://", "https:", "undefined", "\x00", "\ud800", "nullx", "*", "https://*.example.com"),
]


def test_another_origin_is_refused() -> None:
    """An origin that resembles a listed one is refused for any host, and so is a malformed one."""
    hosts: list[dict[str, str]] = [{}, {"host": ""}, {"host": "api.example.com"}]
    assert [(origin, host) for origin in OTHERS for host in hosts if not refused(origin=origin, **host)] == []


@each_case(
    ("origin", "host"),
    [
        ("https://api.example.com", "api.example.com"),
        ("https://API.example.com", "Api.Example.COM"),
        ("http://127.0.0.1:9000", "127.0.0.1:9000"),
        ("http://[::1]:9001", "[::1]:9001"),
        ("https://[2001:db8::1]", "[2001:DB8::1]"),
        ("https://api.example.com", "api.example.com:443"),
        ("https://api.example.com:443", "api.example.com"),
        ("http://api.example.com", "api.example.com:80"),
        ("http://[::1]:80", "[::1]"),
    ],
)
def test_a_page_of_our_own_host_may_call_and_gets_no_headers(origin: str, host: str) -> None:
    """A browser needs none for a page of the same origin."""
    assert check(origin=origin, host=host) == {}
    for site in ("same-origin", "none"):
        assert check(origin=origin, host=host, sec_fetch_site=site) == {}


@each_case(
    ("origin", "host"),
    [
        ("https://api.example.com", "api.example.com:8443"),
        ("https://api.example.com:8443", "api.example.com"),
        ("https://api.example.com", "api.example.com:80"),
        ("http://api.example.com", "api.example.com:443"),
        ("https://api.example.com:80", "api.example.com"),
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
def test_an_origin_with_another_host_or_port_is_refused(origin: str, host: str) -> None:
    """An origin is our own only if host and port equal the Host header, and never without that header."""
    assert refused(origin=origin, host=host)


def test_the_origin_null_is_refused_unless_it_is_listed() -> None:
    """Any page can send the origin null, from a sandboxed frame."""
    with pytest.raises(OriginNotAllowed):
        Origins(frozenset({APP})).check({"origin": "null", "host": "api.example.com"}, preflight=False)
    with pytest.raises(OriginNotAllowed):
        Origins(frozenset({APP})).check({"origin": "null"}, preflight=False)


@each_case("host", ["", "10.0.0.7:9000", "upstream"])
@each_case("origin", ["https://api.example.com", "http://localhost", ""])
def test_the_browsers_word_counts_if_a_proxy_has_replaced_the_host(host: str, origin: str) -> None:
    """`Sec-Fetch-Site: same-origin` is enough, since no page can write it; without it the origin is foreign."""
    assert check(origin=origin, host=host, sec_fetch_site="same-origin") == {}
    assert refused(origin=origin, host=host) is bool(origin)


def test_a_default_port_makes_no_difference_to_a_listed_origin() -> None:
    """It makes none in ALLOWED_ORIGINS either, and the header repeats the origin as sent."""
    listed = Origins(frozenset({"https://app.example.com:443", "http://app.example.com"}))
    for origin in ("https://app.example.com", "https://APP.example.com:443", "http://app.example.com:80"):
        assert listed.check({"origin": origin}, preflight=False)["Access-Control-Allow-Origin"] == origin
    for origin in ("https://app.example.com:80", "http://app.example.com:443"):
        with pytest.raises(OriginNotAllowed):
            listed.check({"origin": origin}, preflight=False)


def test_a_cross_site_get_of_a_listed_page_is_served() -> None:
    """A page of a listed origin may show an image, or lead to an address, of ours."""
    for path in ("", "/", "/page?a=b#c"):
        for site in ("cross-site", "same-site"):
            assert check(sec_fetch_site=site, referer=f"{APP}{path}") == {}


@each_case("host", ["", "api.example.com"])
def test_an_app_may_call_and_gets_no_headers(host: str) -> None:
    """A request without an Origin, as apps send it, is served without CORS headers."""
    assert check() == check(host=host) == check(origin="", host=host) == {}


@each_case(
    ("site", "passes"), [("same-origin", True), ("same-site", False), ("none", True), ("", True), ("cross-site", False)]
)
def test_a_cross_site_request_without_an_origin_is_refused(site: str, *, passes: bool) -> None:
    """A GET that an image or a link on a foreign page sends is refused, although it has no Origin."""
    assert refused(sec_fetch_site=site, host="api.example.com") is not passes


def test_a_cross_site_request_is_refused_even_with_our_own_origin() -> None:
    """A cross-site request is allowed only from a listed origin."""
    assert refused(sec_fetch_site="cross-site", origin="https://api.example.com", host="api.example.com")
    assert refused(sec_fetch_site="cross-site", origin=FOREIGN)
    assert check(sec_fetch_site="cross-site", origin=APP) == CORS


def test_a_preflight_lists_the_allowed_methods_and_headers() -> None:
    """A preflight from a listed origin gets all CORS headers, and one from our own host none."""
    headers = check(True, origin=APP)  # noqa: FBT003 - as above
    assert headers == {
        **CORS,
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "Accept-Language, Authorization, Content-Type, Idempotency-Key",
        "Access-Control-Max-Age": "7200",
    }
    assert check(True, origin="https://api.example.com", host="api.example.com") == {}  # noqa: FBT003 - as above


# The whole function.


@pytest.fixture
def world(clock: time_machine.Traveller) -> World:
    """Build a login service that one web page may call."""
    return World(fake_backend(), clock, origins=frozenset({APP}))


def ask(world: World, headers: dict[str, str], verb: str = "POST", method: str = "getSms") -> tuple[Any, Any, Any]:
    """Send a request, and return the status, the headers and the body of its answer."""
    body = json.dumps({"method": method, "phone": PHONE.e164, "code": "12345"})
    event = {"httpMethod": verb, "headers": {"Host": "api.example.com", **headers}, "body": body}
    answer = world.app.handle(event, {})
    return answer["statusCode"], answer["headers"], json.loads(answer["body"] or "null")


def cors(headers: dict[str, str]) -> dict[str, str]:
    """Return those headers of an answer that are for browsers."""
    return {name: value for name, value in headers.items() if name.startswith("Access-") or name == "Vary"}


def test_a_listed_page_may_read_every_answer(world: World) -> None:
    """A listed page can read a success, a refusal, a 429 with Retry-After, and the answer to a malformed request."""
    outcomes = []
    for method in ("getSms", "getSms", "login", "rubbish"):
        _, headers, body = ask(world, {"Origin": APP}, method=method)
        assert cors(headers) == CORS
        assert ("Retry-After" in headers) == ("retryAfter" in body)
        outcomes.append(body["codeStr"])
    assert outcomes == ["Ok", "TooManyRequests", "InValidParam", "UnknownMethod"]


def test_a_listed_page_may_read_an_internal_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listed page can show the same message as an app, instead of a network failure."""
    monkeypatch.setattr(world.app, "check_redis", lambda: 1 // 0)
    status, headers, body = ask(world, {"Origin": APP}, method="health")
    assert (status, body["codeStr"]) == (500, "InternalError")
    assert cors(headers) == CORS


def test_a_foreign_page_is_refused_before_anything_happens(world: World) -> None:
    """For a foreign page nothing is read, sent or counted, and the page cannot read the reason."""
    pages = itertools.product(({"Origin": FOREIGN}, {"ORIGIN": "null"}), ("POST", "GET", "OPTIONS"))
    for headers, verb in [*pages, ({"Sec-Fetch-Site": "cross-site"}, "GET"), ({"Sec-Fetch-Site": "cross-site"}, "")]:
        status, answered, body = ask(world, headers, verb)
        assert (status, body["errorCode"], body["codeStr"]) == (403, -1305, "OriginNotAllowed")
        assert cors(answered) == {}
    assert world.outbox.sent == []
    assert world.backend.dump() == {}


@pytest.mark.parametrize(
    ("headers", "verb", "detail"),
    [
        ({"Origin": FOREIGN}, "POST", f"ALLOWED_ORIGINS does not list {FOREIGN}"),
        ({"Origin": "null"}, "POST", "ALLOWED_ORIGINS does not list null"),
        ({"Origin": "http://192.168.1.20:5173"}, "OPTIONS", "ALLOWED_ORIGINS does not list http://192.168.1.20:5173"),
        (
            {"Sec-Fetch-Site": "cross-site", "Referer": f"{FOREIGN}/path?token=made-up"},
            "GET",
            f"ALLOWED_ORIGINS does not list {FOREIGN}",
        ),
        (
            {"Sec-Fetch-Site": "cross-site"},
            "GET",
            "ALLOWED_ORIGINS cannot list a page that sends neither Origin nor Referer",
        ),
    ],
)
def test_the_log_names_the_refused_origin_and_its_setting(
    world: World, printed: Printed, headers: dict[str, str], verb: str, detail: str
) -> None:
    """The operator reads what to set; of a Referer, only its origin is logged."""
    ask(world, headers, verb)
    [line] = printed()
    assert (line["outcome"], line["detail"]) == ("OriginNotAllowed", detail)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_post_without_an_origin_comes_from_a_program(world: World, site: str) -> None:
    """Pages send an Origin with every POST, so a program may send the other headers of a browser."""
    for headers in ({"Origin": ""}, {"Referer": f"{FOREIGN}/"}, {}):
        assert ask(world, {"Sec-Fetch-Site": site, **headers}, method="health")[0] == 200


def test_an_app_and_a_page_of_our_own_host_are_served_without_cors_headers(world: World) -> None:
    """Neither an app nor a page of our own host needs CORS headers."""
    assert [cors(ask(world, headers)[1]) for headers in ({}, {"Origin": "https://api.example.com"})] == [{}, {}]
    assert len(world.outbox.sent) == 1


@each_case("place", ["httpMethod", "requestContext"])
def test_a_preflight_is_answered_without_a_body_and_does_nothing(
    world: World, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A preflight is a 204 with the CORS headers, wherever the platform puts the HTTP verb."""
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


def test_without_allowed_origins_only_pages_of_our_own_host_may_call(clock: time_machine.Traveller) -> None:
    """Without allowed origins, foreign pages are refused, and apps are served."""
    world = World(fake_backend(), clock)
    headers = [{"Origin": APP}, {"Origin": "https://api.example.com"}, NONE]
    assert [ask(world, some, method="health")[0] for some in headers] == [403, 200, 200]


@each_case("headers", [NONE, {"Origin": APP}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://["}])
@each_case("verb", ["POST", "OPTIONS"])
def test_with_wrong_settings_every_page_gets_a_500(headers: dict[str, str], verb: str) -> None:
    """With wrong settings the allowed origins are unknown, and the caller's origin is not the error."""
    answer = build({}).handle({"httpMethod": verb, "headers": headers, "body": '{"method": "health"}'}, {})
    assert answer["statusCode"] == 500
    assert json.loads(answer["body"])["codeStr"] == "InternalError"
