"""Signing keys, their names, and the one algorithm of each."""

import base64
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sms_login.errors import TokenInvalid
from sms_login.sessions import pem
from sms_login.sessions.keys import Key, KeyRing, shared_key, thumbprint
from tests.testkit.cases import each_case
from tests.testkit.forging import KINDS, encoded, key, token_of
from tests.testkit.key_files import ALGORITHMS, public_pem
from tests.testkit.world import SECRET

TYPES = {"at+jwt"}
# RFC 7638, section 3.1.
RSA_JWK = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAt"
    "VT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn6"
    "4tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FD"
    "W2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n9"
    "1CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINH"
    "aQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}
# RFC 8037, appendices A.1 to A.3.
ED25519_D, ED25519_X = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"


def public(one: Key) -> Key:
    """Return a key without its private half."""
    return Key(one.algorithm, one.verifier, jwk=one.jwk)


def test_a_thumbprint_is_that_of_rfc_7638() -> None:
    """The RFC's own example gives the RFC's thumbprint, in which `alg` and `kid` do not count."""
    assert thumbprint(RSA_JWK) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_an_ed25519_key_has_the_thumbprint_of_rfc_8037() -> None:
    """The RFC's private key gives the RFC's name for it."""
    private = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(ED25519_D + "="))
    one = pem.private_key(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    assert one.jwk == {"kty": "OKP", "crv": "Ed25519", "x": ED25519_X}
    assert one.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@each_case("kind", KINDS)
def test_a_key_verifies_the_tokens_that_it_signs(kind: str) -> None:
    """A key and its public half verify its tokens, and another key of its kind refuses them."""
    token = KeyRing(key(kind)).sign(b"{}", "at+jwt")
    assert KeyRing(key(kind)).verify(token, TYPES) == b"{}"
    if kind in ALGORITHMS:
        assert KeyRing(shared_key(SECRET), public(key(kind))).verify(token, TYPES) == b"{}"
    with pytest.raises(TokenInvalid):
        KeyRing(key(kind, 1)).verify(token, TYPES)


@each_case("new", KINDS)
@each_case("old", KINDS)
def test_a_rotation_between_any_two_kinds_of_keys_refuses_no_token(old: str, new: str) -> None:
    """After a rotation, tokens of the old key stay valid, and the new key signs."""
    before, after = key(old), key(new, 1)
    ring = KeyRing(after, before if old == "HS256" else public(before))
    assert ring.verify(KeyRing(before).sign(b"old", "at+jwt"), TYPES) == b"old"
    token = ring.sign(b"new", "at+jwt")
    assert KeyRing(after).verify(token, TYPES) == b"new"
    with pytest.raises(TokenInvalid):
        KeyRing(before).verify(token, TYPES)


def test_a_key_that_is_given_twice_counts_once() -> None:
    """A current key that is also among the previous ones signs, and stands in the key set once."""
    ring = KeyRing(key("Ed25519"), public(key("Ed25519")))
    assert ring.verify(ring.sign(b"{}", "at+jwt"), TYPES) == b"{}"
    assert len(ring.public()) == 1


@each_case("kind", ALGORITHMS)
def test_a_token_is_verified_by_no_key_but_the_one_that_it_names(kind: str) -> None:
    """A token with a good signature is TokenInvalid if it names another key, an unknown one or none."""
    ring = KeyRing(key(kind), public(key(kind, 1)), shared_key(SECRET))
    token_of_ours = token_of(key(kind), {"typ": "at+jwt", "kid": key(kind).kid}, b"{}")
    assert ring.verify(token_of_ours, TYPES) == b"{}"
    names: list[Any] = [key(kind, 1).kid, "unknown", "", None, 1, ["a"], f"{key(kind).kid} "]
    for header in [*({"typ": "at+jwt", "kid": name} for name in names), {"typ": "at+jwt"}]:
        with pytest.raises(TokenInvalid):
            ring.verify(token_of(key(kind), header, b"{}"), TYPES)


@each_case("kind", ALGORITHMS)
@each_case("beside", ["a secret", "nothing"])
def test_a_public_key_is_never_taken_for_an_hmac_secret(kind: str, beside: str) -> None:
    """An HS256 token that is signed with any form of a public key is TokenInvalid, with its `kid` and without."""
    one = key(kind)
    ring = KeyRing(one, *([shared_key(SECRET)] if beside == "a secret" else []))
    text = public_pem(kind)
    der = base64.b64decode("".join(text.split("\n")[1:-2]))
    for secret in (text.encode(), text.strip().encode(), der, *map(str.encode, (one.jwk or {}).values()), b""):
        for header in ({"kid": one.kid}, {}):
            message = f"{encoded({'alg': 'HS256', 'typ': 'at+jwt', **header})}.{encoded(b'{}')}"
            signature = encoded(hmac.digest(secret, message.encode(), "sha256"))
            with pytest.raises(TokenInvalid):
                ring.verify(f"{message}.{signature}", TYPES)


def test_a_token_with_padding_is_refused() -> None:
    """A token has one spelling (RFC 7515, section 2)."""
    ring = KeyRing(key("Ed25519"))
    parts = ring.sign(b"{}", "at+jwt").split(".")
    for at in range(3):
        padded = [part + "=" * (-len(part) % 4 if at == i else 0) for i, part in enumerate(parts)]
        if padded != parts:
            with pytest.raises(TokenInvalid):
                ring.verify(".".join(padded), TYPES)


def test_the_public_keys_of_a_ring_have_no_private_member() -> None:
    """The signing key comes first, and a shared secret is left out."""
    ring = KeyRing(key("RSA"), shared_key(SECRET), public(key("P-256")), public(key("Ed25519")))
    shown = ring.public()
    assert [one["alg"] for one in shown] == ["RS256", "ES256", "EdDSA"]
    members = [{"n", "e"}, {"crv", "x", "y"}, {"crv", "x"}]
    assert [one.keys() for one in shown] == [{"kty", "use", "alg", "kid", *more} for more in members]
    assert {one["use"] for one in shown} == {"sig"}
    assert [one["kid"] for one in shown] == [thumbprint(one) for one in shown]
    assert KeyRing(shared_key(SECRET)).public() == []
