"""RFC 9068, JWT Profile for OAuth 2.0 Access Tokens: sections 2 and 4, item by item.

| section | here |
|---|---|
| 2.1, 2.2, 4 | tests, named after them |
| 2.2.1, `auth_time`, `acr`, `amr` | absent: there is one way to sign in, and `iat` has its time |
| 2.2.2, claims about a person | `phone`, `name` and `avatar`, as everywhere else in this API |
| 2.2.3, `scope`, roles | absent: a token permits everything that its user may do |
| 3, requests with `resource` | there is one audience |
| 4, encrypted tokens | we neither issue nor accept them |
| 4, errors of RFC 6750 | 401 in our own envelope, without WWW-Authenticate: our callers are our apps |
| 4, metadata of RFC 8414 | `jwks` alone, whose URL an operator writes down |
"""

import json
import time
from typing import Any

import pytest
import time_machine

from sms_login.errors import TokenExpired, TokenInvalid
from sms_login.sessions.access_tokens import Claims
from sms_login.sessions.keys import shared_key
from tests.testkit.cases import each_case
from tests.testkit.forging import KINDS, TTL, claims, encoded, forged, key, token_of, tokens
from tests.testkit.tokens import USER, parts
from tests.testkit.world import OLD_SECRET, PHONE, World

every_kind = each_case("kind", KINDS)


@every_kind
def test_section_2_1_header(kind: str) -> None:
    """A token is signed, has type at+jwt, and names its key if the key has a name; RS256 is among the algorithms."""
    name = {"kid": key(kind).kid} if kind != "HS256" else {}
    assert parts(tokens(kind).issue(USER, "s"))[0] == {"alg": key(kind).algorithm, "typ": "at+jwt", **name}
    assert key("RSA").algorithm == "RS256"


@pytest.mark.usefixtures("clock")
@every_kind
def test_section_2_2_data_structure(kind: str) -> None:
    """Every required claim is present and has its type; `client_id` is the app's, and differs from every user's id."""
    payload = parts(tokens(kind).issue(USER, "s"))[1]
    now = int(time.time())
    required = {"iss": "issuer", "exp": now + TTL, "aud": "audience", "sub": "user-1", "client_id": "audience"}
    assert payload.items() >= {**required, "iat": now}.items()
    assert isinstance(payload["jti"], str)
    assert payload["sub"] != payload["client_id"]


@every_kind
@each_case("claim", ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"])
def test_section_2_2_no_required_claim_may_be_missing(kind: str, claim: str) -> None:
    """A required claim that is missing, null or of another type is refused."""
    for value in (None, [1], {"a": 1}, True):
        with pytest.raises(TokenInvalid):
            tokens(kind).verify(forged(kind, claims(**{claim: value})))
    with pytest.raises(TokenInvalid):
        tokens(kind).verify(forged(kind, json.dumps({**claims(), claim: None}).encode()))


@every_kind
def test_section_4_the_type_is_validated(kind: str) -> None:
    """The type is accepted with or without `application/`, and every other type is refused."""
    for name in ("at+jwt", "application/at+jwt"):
        assert tokens(kind).verify(forged(kind, typ=name)) == Claims("user-1", PHONE, "s")
    for other in ("application/jwt", "JWT", "application/application/at+jwt", "x/at+jwt", None):
        with pytest.raises(TokenInvalid):
            tokens(kind).verify(forged(kind, typ=other))


@every_kind
def test_section_4_an_encrypted_token_is_refused(kind: str) -> None:
    """A token of five parts, as RFC 7516 defines, is refused."""
    header = {"alg": "dir", "enc": "A256GCM", "typ": "at+jwt", "kid": key(kind).kid}
    with pytest.raises(TokenInvalid):
        tokens(kind).verify(".".join([encoded(header), "", encoded(b"iv"), encoded(claims()), encoded(b"tag")]))


@every_kind
def test_section_4_the_issuer_matches_exactly(kind: str) -> None:
    """An issuer in another case, or with a trailing slash, is refused."""
    for issuer in ("ISSUER", "issuer/", "https://issuer", "another"):
        with pytest.raises(TokenInvalid):
            tokens(kind).verify(forged(kind, claims(iss=issuer)))


@every_kind
def test_section_4_the_audience_contains_us(kind: str) -> None:
    """The audience may be one of several."""
    assert tokens(kind).verify(forged(kind, claims(aud=["another", "audience"])))
    with pytest.raises(TokenInvalid):
        tokens(kind).verify(forged(kind, claims(aud=["another"])))


@every_kind
def test_section_4_the_signature_is_validated_with_our_keys(kind: str) -> None:
    """A token of an unknown key and an unsigned token are refused; a token of a previous key is accepted."""
    other = key(kind, 1)
    token = token_of(other, {"typ": "at+jwt", **({"kid": other.kid} if other.kid else {})}, claims())
    unsigned = f"{encoded({'alg': 'none', 'typ': 'at+jwt'})}.{encoded(claims())}."
    for bad in (token, unsigned):
        with pytest.raises(TokenInvalid):
            tokens(kind).verify(bad)
    assert tokens(kind, other).verify(token) == Claims("user-1", PHONE, "s")


@every_kind
def test_section_4_the_present_is_before_the_expiration(clock: time_machine.Traveller, kind: str) -> None:
    """A token stays valid for 60 seconds after its expiration, for clocks that differ, and not a second longer."""
    token = tokens(kind).issue(USER, "s")
    clock.shift(TTL + 59)
    assert tokens(kind).verify(token) == Claims("user-1", PHONE, "s")
    clock.shift(1)
    with pytest.raises(TokenExpired):
        tokens(kind).verify(token)


@pytest.mark.usefixtures("clock")
@every_kind
@each_case("claim", ["iat", "nbf"])
def test_a_token_may_begin_at_most_a_minute_ahead(kind: str, claim: str) -> None:
    """RFC 7519, sections 4.1.5 and 4.1.6: another instance's clock may be ahead by 60 seconds and no more."""
    now = int(time.time())
    for ahead in (60, 60.0):
        assert tokens(kind).verify(forged(kind, claims(**{claim: now + ahead})))
    for ahead in (61, 60.001, 10**9, 10**30):
        with pytest.raises(TokenInvalid):
            tokens(kind).verify(forged(kind, claims(**{claim: now + ahead})))


@pytest.mark.usefixtures("clock")
def test_a_time_is_a_finite_number() -> None:
    """RFC 7519, section 2: a time may have a fraction; text, NaN and infinity are refused."""
    now = time.time()
    assert tokens("HS256").verify(forged("HS256", claims(exp=now + 0.5)))
    bad: list[Any] = [str(int(now) + 9), "", [now], float("nan"), float("inf"), True]
    for value in bad:
        with pytest.raises(TokenInvalid):
            tokens("HS256").verify(forged("HS256", claims(exp=value)))
    for long_ago in (-1, 0, now - 60):
        with pytest.raises(TokenExpired):
            tokens("HS256").verify(forged("HS256", claims(exp=long_ago)))


def test_section_4_a_refusal_is_401(world: World) -> None:
    """Any invalid token is answered with 401, in a parameter or a header; only an expired one has a name of its own."""
    stranger = token_of(shared_key(OLD_SECRET), {"typ": "at+jwt"}, claims())
    for token, name in ((stranger, "TokenInvalid"), (forged("HS256", claims(exp=0)), "TokenExpired")):
        for answer in (
            world.answer("getUserInfo", token=token),
            world.answer("getUserInfo", {"authorization": f"Bearer {token}"}),
        ):
            assert (answer["statusCode"], json.loads(answer["body"])["codeStr"]) == (401, name)
