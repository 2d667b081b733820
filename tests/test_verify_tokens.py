"""docs/verify-tokens.md: its instructions for another service work as printed."""

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import pytest
import yaml

from deploy import component
from local.cloud import local_cloud
from local.gateway import Gateway
from sms_login import wiring
from sms_login.phone import Phone
from sms_login.sessions.keys import KeyRing
from sms_login.sessions.proofs import Proofs
from sms_login.sessions.tokens import Payload
from sms_login.settings.settings import Settings
from tests.testkit.cases import each_case
from tests.testkit.environ import LEAST
from tests.testkit.forging import claims, forged, key
from tests.testkit.key_files import ALGORITHMS, private_pem
from tests.testkit.project import ROOT
from tests.testkit.servers import require

TEXT = (ROOT / "docs" / "verify-tokens.md").read_text(encoding="utf-8")
PHONE = "+8613800138000"
CODES = "c" * 32
NODE = ROOT / "tests" / "verifiers"  # its package.json names the libraries of the blocks for Node
TRY = """
const seen = [];
for (const token of JSON.parse(process.env.TOKENS)) {
  seen.push(await verify(token).then((claims) => claims.sub, (error) => error.code ?? error.name));
}
console.log(JSON.stringify(seen));
"""
Verify = Callable[[str], dict[str, Any]]


def blocks(language: str) -> list[str]:
    """Return the code blocks of the document in one language."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def post(url: str, **params: Any) -> Any:
    """Call the function as an app does; return the data of the answer."""
    request = urllib.request.Request(url, json.dumps(params).encode(), {"Content-Type": "application/json"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - loopback
        return json.load(response)["data"]


@contextmanager
def service(algorithm: str = "ES256", **environ: str) -> Iterator[tuple[Verify, str, str]]:
    """Run the function behind the local gateway; yield the document's `verify`, a user's token, and the URL.

    `algorithm` takes the place of the one that `verify` accepts.
    """
    with local_cloud(environ) as cloud, Gateway(wiring.build(cloud.environ).handle, cloud.tencent, port=0) as gateway:
        post(gateway.url, method="getSms", phone=PHONE)
        code = cloud.tencent.inbox(PHONE)[0].params[0]
        token = post(gateway.url, method="login", phone=PHONE, code=code)["token"]
        (block,) = blocks("python")
        names: dict[str, Any] = {}
        block = block.replace("https://login.example.com", gateway.url).replace("ES256", algorithm)
        exec(block, names)  # noqa: S102 - our own document
        yield names["verify"], token, gateway.url


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let urllib, which PyJWKClient uses, connect to loopback without a proxy."""
    monkeypatch.setenv("no_proxy", "*")


@each_case("kind", ALGORITHMS)
def test_another_service_verifies_our_token(kind: str) -> None:
    """The URL of the key set suffices to verify a token, and the claims are those of the document's table."""
    with service(ALGORITHMS[kind], JWT_PRIVATE_KEY=private_pem(kind), SECRET=CODES) as (verify, token, _):
        seen = verify(token)
    assert (seen["phone"], seen["exp"] - seen["iat"]) == (PHONE, 7200)
    (table,) = re.findall(r"\| claim \|.*?\n\n", TEXT, re.DOTALL)
    listed = {name for row in table.strip().splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert seen.keys() == listed


def test_another_service_refuses_every_other_token() -> None:
    """Other types, audiences, issuers, keys and algorithms, expired tokens and rubbish are refused."""
    with service(JWT_PRIVATE_KEY=private_pem("P-256"), SECRET=CODES) as (verify, token, _):
        ours = claims(iss="sms-login", aud="sms-login")
        assert verify(forged("P-256", ours)) == ours
        for one in bad_tokens(token):
            with pytest.raises(jwt.InvalidTokenError):
                verify(one)


def bad_tokens(token: str) -> list[str]:
    """Return tokens that no service may accept; `token` is good."""
    ours = claims(iss="sms-login", aud="sms-login")
    bad = [forged("P-256", ours, typ="JWT"), forged("P-256", claims(aud="sms-login")), forged("RSA", ours)]
    bad += [forged("P-256", claims(iss="sms-login")), forged("HS256", ours), token[:-4], "rubbish", ""]
    bad += [forged("P-256", ours, typ=typ) for typ in ("proof+jwt", "application/proof+jwt")]
    signer = Proofs(KeyRing(key("P-256")), "sms-login", "sms-login")
    bad.append(signer.issue(signer.new_id(), Phone.from_e164(PHONE), "login", "").proof)
    return [*bad, forged("P-256", {**ours, "exp": ours["iat"] - 61})]


@each_case("block", blocks("js"), ids=["jose", "jsonwebtoken"])
def test_a_service_in_node_verifies_our_token_and_refuses_every_other(block: str) -> None:
    """With either library, a token that our key did not sign for this service is refused with an error for 401."""
    try:
        component.install(NODE)
    except component.Unavailable as reason:
        require(False, f"{reason};")  # noqa: FBT003 - reads well enough
    with service(JWT_PRIVATE_KEY=private_pem("P-256"), SECRET=CODES) as (verify, token, url):
        program = block.replace("https://login.example.com", url) + TRY
        environ = {"PATH": os.environ["PATH"], "TOKENS": json.dumps([token, *bad_tokens(token)])}
        command = ["node", "--input-type=module", "-e", program]
        done = subprocess.run(command, cwd=NODE, env=environ, capture_output=True, text=True, check=True)  # noqa: S603 - our own document
        subject, *errors = json.loads(done.stdout)
        assert subject == verify(token)["sub"]
    for_401 = r"ERR_JW[TS]_\w+|ERR_JOSE_ALG_NOT_ALLOWED|(JsonWebToken|TokenExpired|SigningKeyNotFound)Error"
    assert [error for error in errors if not re.fullmatch(for_401, error)] == []
    assert len(errors) == len(bad_tokens(token))


def test_the_blocks_that_no_test_runs_say_so() -> None:
    """A reader can tell a configuration that was tried from one that was written after documentation."""
    for language in ("java", "yaml"):
        (before,) = re.findall(rf"### [^\n]*\n((?:(?!###).)*?)```{language}\n", TEXT, re.DOTALL)
        assert "run here" in before
    (filters,) = (yaml.safe_load(block) for block in blocks("yaml"))
    assert [one["name"] for one in filters] == ["envoy.filters.http.jwt_authn"]
    (provider,) = filters[0]["typed_config"]["providers"].values()
    assert re.fullmatch(provider["subjects"]["safe_regex"]["regex"], "user-1")
    assert "sub" not in Payload.__struct_encode_fields__, "Envoy would take a proof for an access token"


def test_a_key_set_that_cannot_be_fetched_is_no_bad_token() -> None:
    """A service that answers 401 to InvalidTokenError alone signs nobody out while the network fails."""
    with service(JWT_PRIVATE_KEY=private_pem("P-256"), SECRET=CODES) as (verify, token, _):
        pass
    with pytest.raises(jwt.PyJWKClientConnectionError):
        verify(token)
    assert not issubclass(jwt.PyJWKClientConnectionError, jwt.InvalidTokenError)


def test_another_service_cannot_verify_a_token_of_a_shared_secret() -> None:
    """With JWT_SECRET the key set is empty, so the token is bad."""
    with service(JWT_SECRET=CODES) as (verify, token, _), pytest.raises(jwt.InvalidTokenError):
        verify(token)


def test_a_token_does_not_reflect_later_changes() -> None:
    """As the document warns, a token does not reflect later changes, while the function does."""
    with service(JWT_PRIVATE_KEY=private_pem("P-256"), SECRET=CODES) as (verify, token, url):
        post(url, method="setNickname", token=token, name="new name")
        assert post(url, method="getUserInfo", token=token)["name"] == "new name"
        assert verify(token)["name"] == ""
    assert "at most `TOKEN_TTL`" in TEXT


def test_the_shell_commands_produce_valid_settings() -> None:
    """The commands produce a JWT_PRIVATE_KEY, a SECRET and, for JWT_PUBLIC_KEYS_PREVIOUS, the public half."""
    require(shutil.which("openssl") is not None and shutil.which("bash") is not None, "openssl")
    make, publish = blocks("sh")
    script = f'{make}\nprintf "%s\\n" "$JWT_PRIVATE_KEY" "$SECRET"\n{publish}'
    made = subprocess.run(["bash", "-euc", script], check=True, capture_output=True, text=True).stdout.split()  # noqa: S603, S607 - as above
    environ = dict(zip(("JWT_PRIVATE_KEY", "SECRET", "JWT_PUBLIC_KEYS_PREVIOUS"), made, strict=True))
    current, previous = Settings.read({**LEAST, "JWT_SECRET": "", **environ}).jwt_keys
    assert current.algorithm == "ES256"
    assert current.kid == previous.kid
