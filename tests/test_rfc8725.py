"""RFC 8725, JSON Web Token Best Current Practices: section 3, item by item.

| section | here |
|---|---|
| 3.1 to 3.12 | a test each, named after it |
| 3.3, nested JWTs | we neither issue nor accept them: the signed payload is the claims |
| 3.4, ECDH-ES and 3.6, encryption | we encrypt nothing, so no points are exchanged and no length leaks anything |
| 3.5, passwords | no password is used as a key: the operator generates long secrets |
| 3.10, database lookups by claims | `sub` is compared with the user that `phone` has, see test_rules.py |
"""

import base64
import hmac
import json
import zlib
from typing import Any

import pytest

from sms_login.errors import TokenInvalid
from sms_login.secret import derived_key
from sms_login.sessions.access_tokens import Claims
from sms_login.sessions.keys import shared_key
from tests.testkit.cases import each_case
from tests.testkit.environ import KEY, LEAST, problems
from tests.testkit.forging import KINDS, claims, encoded, forged, key, token_of, tokens
from tests.testkit.key_files import ALGORITHMS, private_pem, public_pem
from tests.testkit.tokens import USER
from tests.testkit.world import PHONE, SECRET

ALL_ALGORITHMS = [
    "none", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    "ES256", "ES256K", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448",
]  # fmt: skip

every_kind = each_case("kind", KINDS)


def refused(kind: str, *bad: str) -> None:
    """Assert that an issuer with the first key of a kind refuses each token as TokenInvalid."""
    for token in bad:
        with pytest.raises(TokenInvalid):
            tokens(kind).verify(token)


@every_kind
def test_the_forgeries_below_start_from_a_good_token(kind: str) -> None:
    """The unchanged token is accepted, so each forgery below is refused for its own change."""
    assert tokens(kind).verify(forged(kind)) == Claims("user-1", PHONE, "s")


@every_kind
def test_section_3_1_the_algorithm_is_verified(kind: str) -> None:
    """Each key has one algorithm: a token is refused if its header or its signature uses another one."""
    own = key(kind).algorithm
    for name in [*ALL_ALGORITHMS, own.lower(), f"{own} ", "", None, 1, [own]]:
        if name != own:
            refused(kind, token_of(key(kind), {"alg": name, "typ": "at+jwt", "kid": key(kind).kid}, claims()))
    others = {"HS256": ["HS384", "HS512"], "RSA": ["RS384", "RS512", "PS256", "PS384", "PS512"]}.get(kind, [])
    for name in others:
        header = {"typ": "at+jwt", "kid": key(kind).kid}
        refused(kind, token_of(key(kind), {**header, "alg": name}, claims(), algorithm=name))
        refused(kind, token_of(key(kind), header, claims(), algorithm=name))


@every_kind
def test_section_3_2_algorithms_are_appropriate(kind: str) -> None:
    """We support four algorithms and not `none`; an unsigned token is refused under any name."""
    assert {key(one).algorithm for one in KINDS} == {"HS256", "RS256", "ES256", "EdDSA"}
    for name in ("none", "None", "NONE", "nOnE", key(kind).algorithm):
        header = encoded({"alg": name, "typ": "at+jwt", "kid": key(kind).kid})
        refused(kind, f"{header}.{encoded(claims())}.", f"{header}.{encoded(claims())}")


@every_kind
def test_section_3_3_every_cryptographic_operation_is_validated(kind: str) -> None:
    """A signature is refused if it is absent, shortened, copied, changed in any bit, or all zeros (the ECDSA zero)."""
    message, _, signature = forged(kind).rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    other = forged(kind, claims(sub="user-2")).rpartition(".")[2]
    bad = [b"", raw[:-1], raw + b"\0", bytes(len(raw)), bytes(64), base64.urlsafe_b64decode(other + "==")]
    bad += [bytes([*raw[:at], raw[at] ^ 1 << at % 8, *raw[at + 1 :]]) for at in range(len(raw))]
    refused(kind, *(f"{message}.{encoded(one)}" for one in bad))


@each_case("kind", ALGORITHMS)
def test_section_3_4_cryptographic_inputs_are_validated(kind: str) -> None:
    """A setting with an invalid public key, such as a point that is not on its curve, is reported as a problem."""
    lines = public_pem(kind).split("\n")
    der = bytearray(base64.b64decode("".join(lines[1:-2])))
    bad = {"Ed25519": der[:-1], "P-256": der[:-1] + bytes([der[-1] ^ 1]), "RSA": der[:40]}[kind]
    text = f"{lines[0]}\n{base64.b64encode(bad).decode()}\n{lines[-2]}\n"
    assert [problem.split()[0] for problem in problems({**LEAST, "JWT_PUBLIC_KEYS_PREVIOUS": text})] == [
        "JWT_PUBLIC_KEYS_PREVIOUS"
    ]


def test_section_3_5_keys_have_sufficient_entropy() -> None:
    """Secrets must be as long as the hash (RFC 7518, section 3.2), RSA keys must have 2048 bits (section 3.3)."""
    without = {name: value for name, value in LEAST.items() if name != "JWT_SECRET"}
    short = {**without, "JWT_SECRET": "k" * 31}
    weak = {**without, "JWT_PRIVATE_KEY": private_pem("RSA 1024"), "SECRET": KEY}
    assert [problem.split()[0] for problem in problems(short) + problems(weak)] == ["JWT_SECRET", "JWT_PRIVATE_KEY"]


@every_kind
def test_section_3_6_nothing_is_compressed(kind: str) -> None:
    """Tokens are issued without `zip`, and a compressed payload is refused without being unpacked."""
    header = tokens(kind).issue(USER, "s").partition(".")[0]
    assert b"zip" not in base64.urlsafe_b64decode(header + "==")
    packed = zlib.compress(json.dumps(claims()).encode())
    refused(kind, forged(kind, packed, zip="DEF"), forged(kind, packed[2:-4], zip="DEF"))


@every_kind
@each_case("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_section_3_7_json_is_utf_8(kind: str, encoding: str) -> None:
    """A header or claims in any encoding but UTF-8 are refused, although our key signed them."""
    header = {"alg": key(kind).algorithm, "typ": "at+jwt", **({"kid": key(kind).kid} if key(kind).kid else {})}
    assert tokens(kind).verify(token_of(key(kind), json.dumps(header).encode(), claims()))
    refused(kind, token_of(key(kind), json.dumps(header).encode(encoding), claims()))
    refused(kind, forged(kind, json.dumps(claims()).encode(encoding)))
    refused(kind, forged(kind, json.dumps(claims(name="小明"), ensure_ascii=False).encode("gb18030")))


@every_kind
def test_section_3_8_issuer_and_subject_are_validated(kind: str) -> None:
    """The issuer must match exactly, although the key is ours, and the subject must be the id of a user."""
    for issuer in ("another", "Issuer", "issuer/", "issuer ", "", ["issuer"], {"issuer": 1}, 1, None):
        refused(kind, forged(kind, claims(iss=issuer)))
    for subject in (1, ["user-1"], {"id": "user-1"}, None):
        refused(kind, forged(kind, claims(sub=subject)))


@every_kind
def test_section_3_9_the_audience_is_used_and_validated(kind: str) -> None:
    """The audience must contain ours, alone or among others; a token for another audience is refused."""
    assert tokens(kind).verify(forged(kind, claims(aud=["another", "audience"])))
    for audience in ("another", "Audience", "audience ", "", [], ["another"], [["audience"]], {"audience": 1}, None):
        refused(kind, forged(kind, claims(aud=audience)))


@every_kind
def test_section_3_10_received_claims_are_not_trusted(kind: str) -> None:
    """`kid` is looked up among our keys only; keys and URLs in a header are ignored.

    Tests may open sockets to loopback only, so fetching a URL would fail this test.
    """
    theirs = key("RSA" if kind == "RSA" else "Ed25519", 1)
    jwk = {**(theirs.jwk or {}), "kid": theirs.kid, "use": "sig"}
    brought = {"jwk": jwk, "jku": "https://example.com/keys", "x5u": "https://example.com/x5u", "x5c": ["AA=="]}
    for name in (theirs.kid, key(kind).kid):
        header: dict[str, Any] = {"typ": "at+jwt", **brought, **({"kid": name} if name else {})}
        refused(kind, token_of(theirs, header, claims()))
    names = ["../../dev/null", "/dev/null", "' OR 1=1 --", "$(id)", "https://example.com/key", "\0", "k" * 3000]
    refused(kind, *(forged(kind, kid=name) for name in names))
    assert tokens(kind).verify(forged(kind, **brought)) == Claims("user-1", PHONE, "s")


@every_kind
def test_section_3_11_tokens_have_an_explicit_type(kind: str) -> None:
    """The signed header must name the type of an access token."""
    for name in ("JWT", "jwt", "at+JWT ", "application/jwt", "rt+jwt", "logout+jwt", "", 1, ["at+jwt"], None):
        refused(kind, forged(kind, typ=name))


def test_section_3_12_kinds_of_tokens_are_mutually_exclusive() -> None:
    """Other uses of our keys, such as those for codes, and other types of JWT yield no access token."""
    for use in ("code", "digest"):
        refused("HS256", token_of(shared_key(derived_key(SECRET, use)), {"typ": "at+jwt"}, claims()))
    raw = hmac.digest(SECRET, b"a message", "sha256").hex()
    refused("HS256", raw, forged("HS256", typ="JWT"), forged("HS256", {"phone": PHONE.e164}))
