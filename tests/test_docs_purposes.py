"""docs/purposes.md: its flows run as printed, and a service that checks proofs as it says refuses every attack."""

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jwt
import pytest

from deploy import component
from local.cloud import Cloud, local_cloud
from local.gateway import Gateway
from sms_login import wiring
from sms_login.otp.purposes import bound
from sms_login.phone import Phone
from sms_login.sessions.keys import KeyRing
from sms_login.sessions.proofs import Proofs
from tests.testkit.forging import claims, forged, key
from tests.testkit.key_files import private_pem
from tests.testkit.project import ROOT
from tests.testkit.servers import require

TEXT = (ROOT / "docs" / "purposes.md").read_text(encoding="utf-8")
NODE = ROOT / "tests" / "verifiers"  # its package.json names jose
PHONE, OTHER, DETAIL = "+8613800138000", "+8613800138001", "order 4711, 99.00 CNY"
FLOWS = dict(re.findall(r"(?sm)^## (Reset a password|Confirm a payment|Change the number)\n(.*?)(?=^## |\Z)", TEXT))
TRY = """
const seen = [];
for (const args of JSON.parse(process.env.TRIES)) {
  seen.push(await check(...args).then((jti) => jti, (error) => error.code ?? error.name));
}
console.log(JSON.stringify(seen));
"""


class Service(NamedTuple):
    """The function behind the local gateway, with a key of P-256."""

    cloud: Cloud
    url: str

    def post(self, **params: Any) -> dict[str, Any]:
        """Call the function as an app does; return the data of the answer, which must be a success."""
        request = urllib.request.Request(self.url, json.dumps(params).encode(), {"Content-Type": "application/json"})  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - loopback
            answer: dict[str, Any] = json.load(response)
        return answer

    def code(self, phone: str) -> str:
        """Return the latest code to a number."""
        return next(text for text in self.cloud.tencent.inbox(phone)[0].params if len(text) == 6)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """Run the function with the purposes of the page and no cooldown worth waiting for."""
    environ = {"JWT_PRIVATE_KEY": private_pem("P-256"), "SECRET": "c" * 32, "RESEND_COOLDOWN": "1"}
    environ |= {"SMS_PURPOSES": re.findall("(?m)^SMS_PURPOSES=(.*)$", TEXT)[0], "CAPTCHA_MODE": "off"}
    with local_cloud(environ) as cloud, pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "*")  # urllib, which PyJWKClient uses, connects to loopback
        with Gateway(wiring.build(cloud.environ).handle, cloud.tencent, port=0) as gateway:
            yield Service(cloud, gateway.url)


def blocks(language: str, text: str = TEXT) -> list[str]:
    """Return the code blocks in one language."""
    return re.findall(rf"(?s)```{language}\n(.*?)```", text)


@pytest.fixture
def check(service: Service) -> Callable[..., str]:
    """Return the document's function in Python."""
    names: dict[str, Any] = {}
    (block,) = blocks("python")
    exec(block.replace("https://login.example.com", service.url), names)  # noqa: S102 - our own document
    checked: Callable[..., str] = names["check"]
    return checked


def proof_of(phone: str, purpose: str, detail: str = "", **where: str) -> str:
    """Return a proof that the function's own key has signed."""
    proofs = Proofs(KeyRing(key("P-256")), where.get("issuer", "sms-login"), where.get("audience", "sms-login"))
    return proofs.issue(proofs.new_id(), Phone.from_e164(phone), purpose, bound(purpose, detail).detail).proof


def attacks(access_token: str) -> dict[str, tuple[str, ...]]:
    """Return the arguments of `check` for each attack; the service expects a payment from PHONE with DETAIL."""
    mine = {**claims(iss="sms-login", aud="sms-login"), "purpose": "pay", "detail": bound("pay", DETAIL).detail}
    mine["phone"] = PHONE
    wanted = (PHONE, "pay", DETAIL)
    proofs = {
        "another purpose": proof_of(PHONE, "resetPassword", DETAIL),
        "another detail": proof_of(PHONE, "pay", DETAIL + "0"),
        "no detail": proof_of(PHONE, "pay"),
        "another number": proof_of(OTHER, "pay", DETAIL),
        "another audience": proof_of(PHONE, "pay", DETAIL, audience="other"),
        "another issuer": proof_of(PHONE, "pay", DETAIL, issuer="other"),
        "after its time": forged("P-256", {**mine, "exp": mine["iat"] - 6}, typ="proof+jwt"),
        "an access token": access_token,
        "an access token with the claims of a proof": forged("P-256", mine),
        "a JWT of no type": forged("P-256", mine, typ="JWT"),
        "a shared secret": forged("HS256", mine, typ="proof+jwt"),
        "another key": forged("Ed25519", mine, typ="proof+jwt"),
        "a cut signature": proof_of(PHONE, "pay", DETAIL)[:-4],
    }
    return {name: (proof, *wanted) for name, proof in proofs.items()} | {
        "a detail where none is wanted": (proof_of(PHONE, "pay", DETAIL), PHONE, "pay"),
    }


@pytest.mark.parametrize("flow", FLOWS)
def test_each_flow_runs_as_printed(service: Service, check: Callable[..., str], flow: str) -> None:
    """The requests succeed in their order, the answers have the printed fields, and the service accepts the proof."""
    present, new = PHONE[:-1] + str([*FLOWS].index(flow)), "+8613912340000"
    known: dict[str, Any] = {"token": log_in(service, present)}
    parts = [json.loads(block) for block in blocks("json", FLOWS[flow])]
    assert "sequenceDiagram" in FLOWS[flow]
    for request, answer in zip(parts[::2], parts[1::2], strict=True):
        phone = {PHONE: present, "+86…": new}[request["phone"]]
        wait(service)
        if "code" in request:
            known["code"] = service.code(phone)
        got = service.post(**request | {name: known[name] for name in request if name in known} | {"phone": phone})
        assert (got["errorCode"], got["codeStr"], got["errorMessage"]) == tuple(answer.values())[:3]
        assert got["data"].keys() == answer["data"].keys()
        known |= {name: got["data"][name] for name in ("sessionId", "proof") if name in got["data"]}
        if request["method"] == "verify":
            proof = got["data"]["proof"]
            assert check(proof, present, request["purpose"], request.get("detail"))
            assert proof.startswith(answer["data"]["proof"][:4])
    if flow == "Change the number":
        assert (got["data"]["phone"], got["data"]["isNewUser"]) == (new, False)


def log_in(service: Service, phone: str) -> str:
    """Sign a number in; return the access token."""
    session = service.post(method="getSms", phone=phone)["data"]["sessionId"]
    login = service.post(method="login", phone=phone, code=service.code(phone), sessionId=session)
    return str(login["data"]["token"])


def wait(service: Service) -> None:
    """End every cooldown."""
    import redis  # noqa: PLC0415 - of this helper alone

    host, port, password = (service.cloud.environ[f"REDIS_{name}"] for name in ("HOST", "PORT", "PASSWORD"))
    with redis.Redis(host=host, port=int(port), password=password, protocol=2) as client:
        for found in client.keys("otp:*:cooldown"):
            client.delete(found)


def test_a_service_with_pyjwt_refuses_every_attack(service: Service, check: Callable[..., str]) -> None:
    """A proof for anything else, after its time or of another kind is refused with an error for 401."""
    assert check(proof_of(PHONE, "pay", DETAIL), PHONE, "pay", DETAIL)
    assert check(proof_of(PHONE, "pay"), PHONE, "pay")
    for name, arguments in attacks(log_in(service, "+8613912341111")).items():
        with pytest.raises(jwt.InvalidTokenError):
            pytest.fail(f"accepted: {name} {check(*arguments)}")


def test_a_service_with_jose_refuses_every_attack(service: Service) -> None:
    """The same, in Node."""
    try:
        component.install(NODE)
    except component.Unavailable as reason:
        require(False, f"{reason};")  # noqa: FBT003 - reads well enough
    tries = [(proof_of(PHONE, "pay", DETAIL), PHONE, "pay", DETAIL), (proof_of(PHONE, "pay"), PHONE, "pay")]
    bad = attacks(log_in(service, "+8613912342222"))
    (block,) = blocks("js")
    program = block.replace("https://login.example.com", service.url) + TRY
    environ = {"PATH": os.environ["PATH"], "TRIES": json.dumps([*tries, *bad.values()])}
    command = ["node", "--input-type=module", "-e", program]
    done = subprocess.run(command, cwd=NODE, env=environ, capture_output=True, text=True, check=True)  # noqa: S603 - our own document
    first, second, *errors = json.loads(done.stdout)
    assert all(re.fullmatch(r"[0-9]+\.[\w-]{22}", jti) for jti in (first, second))
    for_401 = r"ERR_JW[TS]_\w+|ERR_JWKS_NO_MATCHING_KEY|ERR_JOSE_ALG_NOT_ALLOWED"
    assert {name: error for name, error in zip(bad, errors, strict=True) if not re.fullmatch(for_401, error)} == {}


def test_the_page_has_the_claims_of_a_proof() -> None:
    """The table lists each claim, and no other."""
    (table,) = re.findall(r"\| claim \|.*?\n\n", TEXT, re.DOTALL)
    listed = {name for row in table.strip().splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    proof = proof_of(PHONE, "pay", DETAIL)
    assert jwt.decode(proof, options={"verify_signature": False}).keys() == listed
