"""The method `jwks` answers with the public keys in the form of RFC 7517, and with nothing else."""

import json
from typing import Any

import pytest

from local.cloud import local_cloud
from sms_login import wiring
from tests.testkit.events import SHAPES, Shape, gateway_query
from tests.testkit.forging import key
from tests.testkit.key_files import ALGORITHMS, private_pem, public_pem

SECRET = "c" * 32


def answer(shape: Shape = gateway_query, **environ: str) -> dict[str, Any]:
    """Answer `jwks` with these settings and a Redis that does not answer."""
    with local_cloud({"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1", **environ}) as cloud:
        return wiring.build(cloud.environ).handle(shape({"method": "jwks"}, {}), {})


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_key_set_has_no_envelope(shape: Shape) -> None:
    """In every shape of event, a GET with a query string included, the body is {"keys": [...]}."""
    got = answer(shape, JWT_PRIVATE_KEY=private_pem("Ed25519"), SECRET=SECRET)
    assert got["statusCode"] == 200
    assert got["headers"] == {"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"}
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


@pytest.mark.parametrize("kind", ALGORITHMS)
def test_a_key_set_has_no_private_member(kind: str) -> None:
    """A key set has neither d nor RSA's p, q, dp, dq, qi, oth, nor a secret's k (RFC 7518, section 6)."""
    shown = json.loads(answer(JWT_PRIVATE_KEY=private_pem(kind), SECRET=SECRET, JWT_SECRET_PREVIOUS="p" * 32)["body"])
    assert len(shown["keys"]) == 1
    assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & shown["keys"][0].keys()


def test_with_wrong_settings_jwks_is_an_internal_error() -> None:
    """With wrong settings, `jwks` answers with an error in the usual envelope."""
    got = wiring.build({}).handle(gateway_query({"method": "jwks"}, {}), {})
    assert (got["statusCode"], json.loads(got["body"])["codeStr"]) == (500, "InternalError")
