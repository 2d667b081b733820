"""Proofs: their claims, and attacks on them. The service behind checks them as docs/purposes.md says."""

import hashlib
import time
from typing import Any

import pytest
import time_machine

from sms_login import base64url
from sms_login.errors import TokenExpired, TokenInvalid
from sms_login.otp.purposes import CHANGE_PHONE, LOGIN, Purpose, bound
from sms_login.sessions.keys import KeyRing
from sms_login.sessions.proofs import LIFE, Proof, Proofs
from tests.testkit.backends import fake_backend
from tests.testkit.cases import each_case
from tests.testkit.devices import Device
from tests.testkit.forging import KINDS, forged, key, tokens
from tests.testkit.tokens import USER, parts
from tests.testkit.world import PAY, PHONE, World

DETAIL = "order 4711, 99.00 CNY"
TYPE = "proof+jwt"


@pytest.fixture(name="world")
def quick(clock: time_machine.Traveller) -> World:
    """A service on fakeredis."""
    return World(fake_backend(), clock)


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a valid proof, with `changes`; a claim that is None is left out."""
    now = int(time.time())
    standard = {"iss": "issuer", "aud": "audience", "iat": now, "exp": now + LIFE, "jti": "id", "phone": PHONE.e164}
    standard |= {"purpose": "pay", "amr": ["sms"]}
    return {name: value for name, value in {**standard, **changes}.items() if value is not None}


def proofs(kind: str) -> Proofs:
    """Return an issuer and verifier of proofs with the first key of a kind."""
    return Proofs(KeyRing(key(kind)), "issuer", "audience")


@pytest.mark.parametrize("kind", KINDS)
def test_a_proof_says_who_what_and_how(kind: str, clock: time_machine.Traveller) -> None:
    """It has the claims of the contract and no others, and it is verified for its purpose alone."""
    signer = proofs(kind)
    for detail in ("", bound("pay", DETAIL).detail):
        issued = signer.issue(signer.new_id(), PHONE, "pay", detail)
        header, seen = parts(issued.proof)
        assert (header["typ"], header["alg"], header.get("kid")) == (TYPE, key(kind).algorithm, key(kind).kid)
        assert seen == claims(jti=seen["jti"], detail=detail or None)
        assert issued.expires_in == seen["exp"] - seen["iat"] == LIFE
        assert signer.verify(issued.proof, "pay") == Proof(seen["jti"], PHONE, detail)
        for other in ("login", "changePhone", "resetPassword", "PAY", ""):
            with pytest.raises(TokenInvalid):
                signer.verify(issued.proof, other)
        clock.shift(LIFE - 1)
        assert signer.verify(issued.proof, "pay")
        clock.shift(1)
        with pytest.raises(TokenExpired):
            signer.verify(issued.proof, "pay")


def test_the_detail_of_a_proof_is_its_sha_256(world: World) -> None:
    """The base64url of the SHA-256 of the UTF-8 text, without padding."""
    for detail in (DETAIL, "明细 🧾"):
        world.cool_down()
        given = {"phone": PHONE.e164, "purpose": "pay", "detail": detail}
        session = world.call("getSms", **given)["data"]["sessionId"]
        proof = world.call("verify", **given, sessionId=session, code=world.outbox.code)["data"]["proof"]
        assert parts(proof)[1]["detail"] == base64url.encode(hashlib.sha256(detail.encode()).digest())


@each_case("kind", KINDS)
def test_attack_proof_as_access_token_and_the_reverse(kind: str) -> None:
    """Neither passes as the other, even with the claims of the other, although one key signs both."""
    access, proving = tokens(kind), proofs(kind)
    proof = proving.issue(proving.new_id(), PHONE, "pay", "").proof
    everything = {**claims(), "sub": "user-1", "client_id": "audience", "sid": "s"}
    for no_access_token in (proof, *(forged(kind, everything, typ=typ) for typ in (TYPE, f"application/{TYPE}"))):
        with pytest.raises(TokenInvalid):
            access.verify(no_access_token)
    assert proving.verify(forged(kind, everything, typ=f"application/{TYPE}"), "pay")
    others = [forged(kind, everything, typ=typ) for typ in ("at+jwt", "JWT", "PROOF+JWT", "", None)]
    for no_proof in (access.issue(USER, "s"), *others):
        with pytest.raises(TokenInvalid):
            proving.verify(no_proof, "pay")


@pytest.mark.parametrize("method", ["getUserInfo", "setNickname", "logout", "login", "deleteAccount", "refresh"])
def test_attack_proof_for_every_method_with_a_token(world: World, method: str) -> None:
    """No method takes a proof for a token of the user, even of the signed-in number itself."""
    device = Device(world)
    for purpose in (LOGIN, CHANGE_PHONE, PAY):
        world.cool_down()
        proof = world.prove(world.get_sms(purpose=purpose).session_id, purpose=purpose).proof
        given = {"phone": PHONE.e164} if method == "login" else {"name": "x", "code": "123456"}
        assert device.call(method, token=proof, refreshToken=proof, **given) == "TokenInvalid"
    assert device.is_in


def test_attack_proof_replayed_for_another_issuer_key_or_time(clock: time_machine.Traveller) -> None:
    """Another service's proof, one from the future, one without an end, and one of a shared key are refused."""
    proving = proofs("P-256")
    good = forged("P-256", claims(), typ=TYPE)
    assert proving.verify(good, "pay")
    now = int(clock.time.time()) if hasattr(clock, "time") else int(time.time())
    bad = [claims(iss="other"), claims(aud="other"), claims(aud=["other"]), claims(iat=now + 61), claims(nbf=now + 61)]
    bad += [claims(**{name: None}) for name in ("iss", "aud", "iat", "exp", "jti", "phone", "purpose")]
    bad += [claims(phone="+86"), claims(purpose=["pay"]), claims(detail=7)]
    for payload in bad:
        with pytest.raises(TokenInvalid):
            proving.verify(forged("P-256", payload, typ=TYPE), "pay")
    for other in (
        forged("HS256", claims(), typ=TYPE),
        forged("Ed25519", claims(), typ=TYPE),
        good[:-4],
        good + "A",
        "",
    ):
        with pytest.raises(TokenInvalid):
            proving.verify(other, "pay")
    with pytest.raises(TokenExpired):
        proving.verify(forged("P-256", claims(exp=now), typ=TYPE), "pay")


def test_a_proof_with_a_detail_is_of_no_other(world: World) -> None:
    """Two details have two digests, and none is the digest of a longer or shorter text."""
    details = ["a", "a ", "A", "\u00e1", "a\u0301", "a\n", "a" * 512]
    assert len({bound("pay", detail) for detail in details}) == len(details)
    assert bound("pay", "") == Purpose("pay") == PAY
    assert world.outbox.sent == []
