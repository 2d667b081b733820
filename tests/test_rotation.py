"""A running service changes its signing key, from any kind to any other: all users stay signed in, all codes work."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.cloud import Cloud, local_cloud
from sms_login import wiring
from tests.testkit.events import call, gateway_json, gateway_query
from tests.testkit.key_files import private_pem, public_pem

PHONE, OTHER_PHONE = "+8613800138000", "+8613800138001"
SECRET, NEW_SECRET, CODES = "j" * 32, "n" * 32, "c" * 32
Environ = dict[str, str]


def private(kind: str, nth: int = 0) -> Environ:
    """Return the settings with which a private key signs."""
    return {"JWT_PRIVATE_KEY": private_pem(kind, nth), "SECRET": CODES}


def public(kind: str, nth: int = 0) -> Environ:
    """Return the setting with which the public half of a key still verifies."""
    return {"JWT_PUBLIC_KEYS_PREVIOUS": public_pem(kind, nth)}


OLD_SECRET = {"JWT_SECRET_PREVIOUS": SECRET}
ROTATIONS: dict[str, tuple[Environ, Environ]] = {
    "HS256 to HS256": ({"JWT_SECRET": SECRET}, {"JWT_SECRET": NEW_SECRET, **OLD_SECRET}),
    "HS256 to EdDSA": ({"JWT_SECRET": SECRET}, {**private("Ed25519"), **OLD_SECRET}),
    "HS256 to ES256": ({"JWT_SECRET": SECRET}, {**private("P-256"), **OLD_SECRET}),
    "HS256 to RS256": ({"JWT_SECRET": SECRET}, {**private("RSA"), **OLD_SECRET}),
    "EdDSA to EdDSA": (private("Ed25519"), {**private("Ed25519", 1), **public("Ed25519")}),
    "RS256 to EdDSA": (private("RSA"), {**private("Ed25519"), **public("RSA")}),
    "ES256 to HS256": (private("P-256"), {"JWT_SECRET": NEW_SECRET, "SECRET": CODES, **public("P-256")}),
}


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """Redis and SendSms on this machine, with no signing key configured."""
    with local_cloud({}) as cloud:
        del cloud.environ["JWT_SECRET"]
        yield cloud


def deployed(cloud: Cloud, environ: Environ) -> wiring.Handler:
    """Return the function as an instance with these settings runs it."""
    return wiring.build(cloud.environ | environ)


def send(handler: wiring.Handler, phone: str) -> str:
    """Request a code; return the sessionId of its challenge."""
    session_id: str = call(handler, gateway_json, method="getSms", phone=phone)[2]["data"]["sessionId"]
    return session_id


def log_in(handler: wiring.Handler, cloud: Cloud, phone: str, session_id: str) -> Any:
    """Log in with the latest code of a number; return the data of the answer."""
    code = cloud.tencent.inbox(phone)[0].params[0]
    body = call(handler, gateway_json, method="login", phone=phone, code=code, sessionId=session_id)[2]
    assert body["codeStr"] == "Success", body
    return body["data"]


@pytest.mark.parametrize("direction", ROTATIONS)
def test_a_rotation_keeps_users_signed_in_and_codes_valid(cloud: Cloud, direction: str) -> None:
    """A token and a code from before the rotation still work after it, and new tokens are signed with the new key."""
    before, after = (deployed(cloud, environ) for environ in ROTATIONS[direction])
    user = log_in(before, cloud, PHONE, send(before, PHONE))
    on_its_way = send(before, OTHER_PHONE)
    assert call(after, gateway_json, method="getUserInfo", token=user["token"])[2]["data"]["userId"] == user["userId"]
    new = log_in(after, cloud, OTHER_PHONE, on_its_way)
    assert call(after, gateway_json, method="getUserInfo", token=new["token"])[2]["codeStr"] == "Success"
    assert call(before, gateway_json, method="getUserInfo", token=new["token"])[2]["codeStr"] == "TokenInvalid"


@pytest.mark.parametrize("direction", ROTATIONS)
def test_a_token_of_a_dropped_key_is_refused(cloud: Cloud, direction: str) -> None:
    """Without the previous key its tokens are TokenInvalid, so that an operator can revoke a leaked key."""
    old, new = ROTATIONS[direction]
    before = deployed(cloud, old)
    token = log_in(before, cloud, PHONE, send(before, PHONE))["token"]
    after = deployed(cloud, {name: value for name, value in new.items() if not name.endswith("PREVIOUS")})
    assert call(after, gateway_query, method="getUserInfo", token=token)[2]["codeStr"] == "TokenInvalid"


def test_a_key_may_be_announced_before_it_signs(cloud: Cloud) -> None:
    """Instances that list the next key as a previous one verify its tokens before they sign with it themselves."""
    prepared = deployed(cloud, {**private("Ed25519"), **public("Ed25519", 1)})
    after = deployed(cloud, {**private("Ed25519", 1), **public("Ed25519")})
    token = log_in(after, cloud, PHONE, send(after, PHONE))["token"]
    assert call(prepared, gateway_json, method="getUserInfo", token=token)[2]["codeStr"] == "Success"
