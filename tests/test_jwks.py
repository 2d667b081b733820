"""The method `jwks` answers with the public keys in the form of RFC 7517, and caches may keep them for a while."""

import http.client
import json
from typing import Any

from local.cloud import local_cloud
from local.gateway import Gateway
from sms_login import wiring
from tests.testkit.cases import each_case
from tests.testkit.events import SHAPES, Shape, gateway_form, gateway_json, gateway_query, url_form, url_mixed
from tests.testkit.forging import key
from tests.testkit.key_files import ALGORITHMS, private_pem, public_pem

SECRET = "c" * 32
ASYMMETRIC = {"JWT_PRIVATE_KEY": private_pem("P-256"), "SECRET": SECRET}
WELL_KNOWN = "/.well-known/jwks.json"
CACHEABLE, PRIVATE = "public, max-age=300", "no-store"


def answers(*events: dict[str, Any], **environ: str) -> list[dict[str, Any]]:
    """Answer events with these settings and a Redis that does not answer."""
    with local_cloud({"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1", **(environ or ASYMMETRIC)}) as cloud:
        handler = wiring.build(cloud.environ)
        return [handler.handle(event, {}) for event in events]


def answer(shape: Shape = gateway_query, **environ: str) -> dict[str, Any]:
    """Answer one request for `jwks`."""
    return answers(shape({"method": "jwks"}, {}), **environ)[0]


def get(path: str = "/", method: str = "", **headers: str) -> dict[str, Any]:
    """Return the event of a GET; names of headers have underscores."""
    query = {"method": method} if method else {}
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"httpMethod": "GET", "path": path, "headers": sent, "queryString": query, "body": ""}


@each_case("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_key_set_has_no_envelope(shape: Shape) -> None:
    """In every shape of event, a GET with a query string included, the body is {"keys": [...]}."""
    got = answer(shape, JWT_PRIVATE_KEY=private_pem("Ed25519"), SECRET=SECRET)
    assert got["statusCode"] == 200
    assert got["headers"]["Content-Type"] == "application/json; charset=utf-8"
    one = key("Ed25519")
    assert json.loads(got["body"]) == {"keys": [{**(one.jwk or {}), "use": "sig", "alg": "EdDSA", "kid": one.kid}]}


def test_previous_keys_follow_the_signing_key() -> None:
    """A service that verifies tokens itself needs the previous keys for as long as the function does."""
    previous = public_pem("RSA") + public_pem("P-256")
    for signs in ({"JWT_PRIVATE_KEY": private_pem("Ed25519"), "SECRET": SECRET}, {"JWT_SECRET": SECRET}):
        keys = json.loads(answer(JWT_PUBLIC_KEYS_PREVIOUS=previous, **signs)["body"])["keys"]
        assert [one["alg"] for one in keys] == ["EdDSA", "RS256", "ES256"][-len(keys) :]
        assert len(keys) == (3 if "JWT_PRIVATE_KEY" in signs else 2)


def test_a_key_set_never_contains_the_shared_secret() -> None:
    """With HS256, the key set is empty."""
    assert answer(JWT_SECRET=SECRET)["body"] == '{"keys":[]}'


@each_case("kind", ALGORITHMS)
def test_a_key_set_has_no_private_member(kind: str) -> None:
    """A key set has neither d nor RSA's p, q, dp, dq, qi, oth, nor a secret's k (RFC 7518, section 6)."""
    shown = json.loads(answer(JWT_PRIVATE_KEY=private_pem(kind), SECRET=SECRET, JWT_SECRET_PREVIOUS="p" * 32)["body"])
    assert len(shown["keys"]) == 1
    assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & shown["keys"][0].keys()


def test_with_wrong_settings_jwks_is_an_internal_error() -> None:
    """With wrong settings, `jwks` answers with an error in the usual envelope."""
    got = wiring.build({}).handle(gateway_query({"method": "jwks"}, {}), {})
    assert (got["statusCode"], json.loads(got["body"])["codeStr"]) == (500, "InternalError")


@each_case(
    "event",
    [
        get(WELL_KNOWN),
        {"httpMethod": "GET", "path": f"/sms-login{WELL_KNOWN}", "headers": None, "queryStringParameters": None},
        {"path": WELL_KNOWN, "requestContext": {"httpMethod": "GET"}},
    ],
    ids=["Function URL", "API Gateway with the path of its service", "API Gateway with its method in the context"],
)
def test_the_key_set_has_a_well_known_path(event: dict[str, Any]) -> None:
    """At the path that libraries know, no method is needed, and the answer is the same as that of `jwks`."""
    well_known, named = answers(event, get(method="jwks"))
    assert well_known == named
    assert len(json.loads(well_known["body"])["keys"]) == 1


def test_a_named_method_wins_over_the_well_known_path() -> None:
    """The path decides only if neither the body nor the query string names a method."""
    body = {**get(WELL_KNOWN), "httpMethod": "POST", "body": '{"method": "logout"}'}
    for one in answers(get(WELL_KNOWN, "logout"), body):
        assert json.loads(one["body"])["codeStr"] == "InValidParam"


def test_the_key_set_may_be_cached_for_five_minutes() -> None:
    """Caches keep it apart for pages, whose answers have other headers than those of services."""
    by_path, by_query = answers(get(WELL_KNOWN), get(method="jwks"))
    for one in (by_path, by_query):
        assert (one["headers"]["Cache-Control"], one["headers"]["Vary"]) == (CACHEABLE, "Origin")
    page = get(WELL_KNOWN, origin="https://app.example.com")
    (allowed,) = answers(page, ALLOWED_ORIGINS="https://app.example.com", **ASYMMETRIC)
    assert allowed["headers"]["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert (allowed["headers"]["Cache-Control"], allowed["headers"]["Vary"]) == (CACHEABLE, "Origin")


def test_a_body_cannot_put_the_key_set_into_a_cache() -> None:
    """Caches go by the URL: what a body has selected would take the place of the URL's own answer."""
    fat = {**get(method="login"), "body": '{"method": "jwks"}'}
    for one in answers(
        fat, *(shape({"method": "jwks"}, {}) for shape in (gateway_json, gateway_form, url_form, url_mixed))
    ):
        assert len(json.loads(one["body"])["keys"]) == 1
        assert (one["headers"]["Cache-Control"], "ETag" in one["headers"]) == (PRIVATE, False)


def test_refusals_at_the_well_known_path_are_not_cached() -> None:
    """A refused page, a wrong verb, another method and wrong settings leave no answer in a cache."""
    page = get(WELL_KNOWN, origin="https://other.example.com")
    refused = answers(page, {**get(WELL_KNOWN), "httpMethod": "PUT"}, get(WELL_KNOWN, "health"))
    refused.append(wiring.build({}).handle(get(WELL_KNOWN), {}))
    assert [one["statusCode"] for one in refused] == [403, 405, 503, 500]
    assert {one["headers"]["Cache-Control"] for one in refused} == {PRIVATE}


def test_a_current_copy_of_the_key_set_is_not_sent_again() -> None:
    """If-None-Match with the ETag, also among others, weak or as *, is answered with 304; another one with 200."""
    (first,) = answers(get(WELL_KNOWN))
    tag = first["headers"]["ETag"]
    same = answers(*(get(WELL_KNOWN, If_None_Match=text) for text in (tag, f'"a", W/{tag}', "*")))
    assert [(one["statusCode"], one["body"], one["headers"]["ETag"]) for one in same] == [(304, "", tag)] * 3
    assert {one["headers"]["Cache-Control"] for one in same} == {CACHEABLE}
    other = answers(*(get(WELL_KNOWN, If_None_Match=text) for text in ('"a"', tag[1:-1], tag[:9] + '"', "", ",")))
    assert [one["body"] for one in other] == [first["body"]] * 5
    (rotated,) = answers(get(WELL_KNOWN, If_None_Match=tag), JWT_PRIVATE_KEY=private_pem("P-256", 1), SECRET=SECRET)
    assert (rotated["statusCode"], rotated["headers"]["ETag"] == tag) == (200, False)


def test_a_web_function_answers_with_304_too() -> None:
    """Over HTTP, an answer with 304 has neither a body nor the length of one (RFC 9110, section 8.6)."""
    with (
        local_cloud(ASYMMETRIC) as cloud,
        Gateway(wiring.build(cloud.environ).handle, cloud.tencent, port=0) as gateway,
    ):
        tag = None
        for status in (200, 304):
            connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=10)
            connection.request("GET", WELL_KNOWN, headers={"If-None-Match": tag} if tag else {})
            got = connection.getresponse()
            assert (got.status, bool(got.read())) == (status, status == 200)
            tag = got.headers["ETag"]
            connection.close()
        assert (got.headers["Content-Length"], got.headers["Cache-Control"]) == (None, CACHEABLE)
