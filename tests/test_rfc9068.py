"""RFC 9068, JWT Profile for OAuth 2.0 Access Tokens: sections 2 and 4, item by item.

| section | here |
|---|---|
| 2.1, 2.2, 4 | tests, named after them |
| 2.2.1, `auth_time`, `acr`, `amr` | not given: there is one way to sign in, and `iat` says when |
| 2.2.2, claims about a person | `phone`, `name` and `avatar`, as everywhere else in this API |
| 2.2.3, `scope`, roles | none: a token is for all that its user may do |
| 3, requests with `resource` | there is one audience |
| 4, encrypted tokens | none is made or taken |
| 4, errors of RFC 6750 | 401 in our own envelope, without WWW-Authenticate: our callers are our apps |
| 4, metadata of RFC 8414 | `jwks` alone, whose address an operator writes down |
"""

import json
import time
from typing import Any

import pytest
import time_machine

from sms_login.errors import TokenExpired, TokenInvalid
from sms_login.sessions.access_tokens import Claims
from sms_login.sessions.keys import shared_key
from tests.testkit.forging import KINDS, TTL, claims, encoded, forged, key, token_of, tokens
from tests.testkit.tokens import USER, parts
from tests.testkit.world import OLD_SECRET, PHONE, World

every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_section_2_1_header(kind: str) -> None:
    """Signed, of type at+jwt, and with the name of the key if it has one; RS256 is among the algorithms."""
    name = {"kid": key(kind).kid} if kind != "HS256" else {}
    assert parts(tokens(kind).issue(USER, "s"))[0] == {"alg": key(kind).algorithm, "typ": "at+jwt", **name}
    assert key("RSA").algorithm == "RS256"


@pytest.mark.usefixtures("clock")
@every_kind
def test_section_2_2_data_structure(kind: str) -> None:
    """Every claim that is required is there, of its type; the client is the app, and no user has its name."""
    payload = parts(tokens(kind).issue(USER, "s"))[1]
    now = int(time.time())
    required = {"iss": "issuer", "exp": now + TTL, "aud": "audience", "sub": "user-1", "client_id": "audience"}
    assert payload.items() >= {**required, "iat": now}.items()
    assert isinstance(payload["jti"], str)
    assert payload["sub"] != payload["client_id"]


@every_kind
@pytest.mark.parametrize("claim", ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"])
def test_section_2_2_no_required_claim_may_be_missing(kind: str, claim: str) -> None:
    """Nor be null, nor of another type."""
    for value in (None, [1], {"a": 1}, True):
        with pytest.raises(TokenInvalid):
            tokens(kind).verify(forged(kind, claims(**{claim: value})))
    with pytest.raises(TokenInvalid):
        tokens(kind).verify(forged(kind, json.dumps({**claims(), claim: None}).encode()))


@every_kind
def test_section_4_the_type_is_one_of_two(kind: str) -> None:
    """With or without `application/`, and nothing else."""
    for name in ("at+jwt", "application/at+jwt"):
        assert tokens(kind).verify(forged(kind, typ=name)) == Claims("user-1", PHONE, "s")
    for other in ("application/jwt", "JWT", "application/application/at+jwt", "x/at+jwt", None):
        with pytest.raises(TokenInvalid):
            tokens(kind).verify(forged(kind, typ=other))


@every_kind
def test_section_4_an_encrypted_token_is_refused(kind: str) -> None:
    """Five parts, as RFC 7516 has them, are no token of ours."""
    header = {"alg": "dir", "enc": "A256GCM", "typ": "at+jwt", "kid": key(kind).kid}
    with pytest.raises(TokenInvalid):
        tokens(kind).verify(".".join([encoded(header), "", encoded(b"iv"), encoded(claims()), encoded(b"tag")]))


@every_kind
def test_section_4_the_issuer_matches_exactly(kind: str) -> None:
    """Not in another case, not with a slash."""
    for issuer in ("ISSUER", "issuer/", "https://issuer", "another"):
        with pytest.raises(TokenInvalid):
            tokens(kind).verify(forged(kind, claims(iss=issuer)))


@every_kind
def test_section_4_the_audience_contains_us(kind: str) -> None:
    """Among others, too."""
    assert tokens(kind).verify(forged(kind, claims(aud=["another", "audience"])))
    with pytest.raises(TokenInvalid):
        tokens(kind).verify(forged(kind, claims(aud=["another"])))


@every_kind
def test_section_4_the_signature_is_validated_with_our_keys(kind: str) -> None:
    """Another key's token and an unsigned one are refused; a previous key's counts."""
    other = key(kind, 1)
    token = token_of(other, {"typ": "at+jwt", **({"kid": other.kid} if other.kid else {})}, claims())
    unsigned = f"{encoded({'alg': 'none', 'typ': 'at+jwt'})}.{encoded(claims())}."
    for bad in (token, unsigned):
        with pytest.raises(TokenInvalid):
            tokens(kind).verify(bad)
    assert tokens(kind, other).verify(token) == Claims("user-1", PHONE, "s")


@every_kind
def test_section_4_the_present_is_before_the_expiration(clock: time_machine.Traveller, kind: str) -> None:
    """With a minute for clocks that differ, and not a second more."""
    token = tokens(kind).issue(USER, "s")
    clock.shift(TTL + 59)
    assert tokens(kind).verify(token) == Claims("user-1", PHONE, "s")
    clock.shift(1)
    with pytest.raises(TokenExpired):
        tokens(kind).verify(token)


@pytest.mark.usefixtures("clock")
@every_kind
@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_of_the_future_has_the_same_minute(kind: str, claim: str) -> None:
    """RFC 7519, sections 4.1.5 and 4.1.6: another instance's clock may be ahead by 60 seconds, and not by more."""
    now = int(time.time())
    for ahead in (60, 60.0):
        assert tokens(kind).verify(forged(kind, claims(**{claim: now + ahead})))
    for ahead in (61, 60.001, 10**9, 10**30):
        with pytest.raises(TokenInvalid):
            tokens(kind).verify(forged(kind, claims(**{claim: now + ahead})))


@pytest.mark.usefixtures("clock")
def test_a_time_is_a_finite_number() -> None:
    """RFC 7519, section 2: neither text nor what JSON has no word for; one in a fraction of a second is."""
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
    """Whatever is wrong with it, and however it came; only that it has expired is told apart."""
    stranger = token_of(shared_key(OLD_SECRET), {"typ": "at+jwt"}, claims())
    for token, name in ((stranger, "TokenInvalid"), (forged("HS256", claims(exp=0)), "TokenExpired")):
        for answer in (
            world.answer("getUserInfo", token=token),
            world.answer("getUserInfo", {"authorization": f"Bearer {token}"}),
        ):
            assert (answer["statusCode"], json.loads(answer["body"])["codeStr"]) == (401, name)
