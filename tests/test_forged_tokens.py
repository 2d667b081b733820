"""Tokens that our own code would never make: each is refused, and none causes a crash."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_login.errors import TokenExpired, TokenInvalid
from sms_login.sessions.access_tokens import Claims
from tests.testkit.cases import each_case
from tests.testkit.forging import claims
from tests.testkit.text import UNICODE
from tests.testkit.tokens import HEADER, signed, tokens
from tests.testkit.world import PHONE


def test_a_token_of_our_form_and_key_is_accepted() -> None:
    """The forgeries below are changes to this token."""
    assert tokens().verify(signed(claims())) == Claims("user-1", PHONE, "s")


@each_case("algorithm", ["none", "None", "NONE", "", "HS384", "RS256", "ES256", "EdDSA", None, 256, ["HS256"]])
@each_case("signature", ["empty", "ours"])
def test_a_token_never_chooses_its_algorithm(algorithm: Any, signature: str) -> None:
    """A header with another algorithm is refused, even if our secret serves as that algorithm's key."""
    token = signed(claims(), {**HEADER, "alg": algorithm})
    if signature == "empty":
        token = token.rpartition(".")[0] + "."
    with pytest.raises(TokenInvalid):
        tokens().verify(token)


@each_case(("algorithm", "digest"), [("HS384", "sha384"), ("HS512", "sha512")])
def test_another_hash_with_our_key_is_refused(algorithm: str, digest: str) -> None:
    """HS384 and HS512 are refused, under their own name and under HS256."""
    for named in (algorithm, "HS256"):
        with pytest.raises(TokenInvalid):
            tokens().verify(signed(claims(), {**HEADER, "alg": named}, digest=digest))


@each_case(
    "header",
    [
        {"alg": "HS256"},
        {"alg": "HS256", "typ": "JWT"},
        {"alg": "HS256", "typ": "rt+jwt"},
        {"alg": "HS256", "typ": None},
        {"alg": "HS256", "typ": ["at+jwt"]},
        {**HEADER, "crit": ["exp"]},
        {**HEADER, "b64": False, "crit": ["b64"]},
        {**HEADER, "kid": 1},
        {**HEADER, "kid": None},
        {**HEADER, "kid": "a key of somebody"},
        {"typ": "at+jwt"},
        [],
        "at+jwt",
        b"not JSON",
        b"\xff\xfe",
    ],
)
def test_another_kind_of_token_is_not_an_access_token(header: Any) -> None:
    """Only `typ` at+jwt is accepted, and a header with demands that we do not know is refused."""
    with pytest.raises(TokenInvalid):
        tokens().verify(signed(claims(), header))


@each_case(
    "changes",
    [
        *({name: None} for name in ("iss", "sub", "aud", "client_id", "iat", "exp", "jti", "sid", "phone")),
        {"iss": "another"},
        {"iss": ["issuer"]},
        {"aud": "another"},
        {"aud": []},
        {"sub": 1},
        {"sub": ["user-1"]},
        {"jti": 1},
        {"client_id": 1},
        {"iat": "now"},
        {"iat": "1795233600"},  # a time is a number: RFC 7519, section 2
        {"iat": True},
        {"exp": "never"},
        {"phone": 8613800138000},
        {"phone": ["+8613800138000"]},
        {"phone": ""},
        {"phone": "+86"},
        {"phone": "13800138000"},  # without its country
        {"phone": "+86138001380001111"},
    ],
)
def test_claims_that_are_missing_or_wrong_are_refused(changes: dict[str, Any]) -> None:
    """Every claim is required, has its type, and is ours."""
    with pytest.raises(TokenInvalid):
        tokens().verify(signed(claims(**changes)))


@each_case("payload", [b"", b"{}", b"[]", b'"text"', b"null", b"not JSON", b"\xff", b"[" * 2000])
def test_a_payload_that_is_not_a_set_of_claims_is_refused(payload: bytes) -> None:
    """Our signature does not make it acceptable."""
    with pytest.raises(TokenInvalid):
        tokens().verify(signed(payload))


def test_a_claim_that_is_nested_too_deeply_is_refused() -> None:
    """An unknown claim is refused too: a payload that cannot be parsed to its end is not a set of claims."""
    deep = b"[" * 100_000 + b"]" * 100_000
    for name in (b"sub", b"another"):
        with pytest.raises(TokenInvalid):
            tokens().verify(signed(json.dumps(claims()).encode()[:-1] + b', "' + name + b'": ' + deep + b"}"))


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(UNICODE),
    st.lists,
    max_leaves=3,
)


@given(_JSON, _JSON)
@settings(deadline=None)  # a busy machine is slow, not wrong
def test_random_json_is_refused_without_a_crash(payload: Any, header: Any) -> None:
    """Random JSON under our own signature is TokenInvalid, never another exception."""
    for token in (signed(payload), signed(claims(), {**HEADER, "alg": header}), signed(payload, [header])):
        with pytest.raises(TokenInvalid):
            tokens().verify(token)


@given(st.sampled_from([*claims(), "nbf", "name", "avatar"]), _JSON)
@settings(deadline=None)  # a busy machine is slow, not wrong
def test_a_claim_of_any_value_is_accepted_or_refused(name: str, value: Any) -> None:
    """A token that is accepted always has a user's id and a number."""
    try:
        verified = tokens().verify(signed({**claims(), name: value}))
    except (TokenInvalid, TokenExpired):
        return
    assert isinstance(verified.user_id, str)
    assert verified.phone == PHONE


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_from_the_future_is_refused_beyond_a_minute(claim: str) -> None:
    """Another clock may be 59 seconds ahead of ours, but not 61."""
    now = int(time.time())
    assert tokens().verify(signed(claims(**{claim: now + 59})))
    with pytest.raises(TokenInvalid):
        tokens().verify(signed(claims(**{claim: now + 61})))
