"""docs/verify-tokens.md: its instructions for another service work as printed."""

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import pytest

from local.cloud import local_cloud
from local.gateway import Gateway
from sms_login import wiring
from sms_login.settings.settings import Settings
from tests.testkit.environ import LEAST
from tests.testkit.forging import claims, forged
from tests.testkit.key_files import ALGORITHMS, private_pem
from tests.testkit.project import ROOT
from tests.testkit.servers import require

TEXT = (ROOT / "docs" / "verify-tokens.md").read_text(encoding="utf-8")
PHONE = "+8613800138000"
CODES = "c" * 32
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
def service(**environ: str) -> Iterator[tuple[Verify, str, str]]:
    """Run the function behind the local gateway; yield the document's `verify`, a user's token, and the URL."""
    with local_cloud(environ) as cloud, Gateway(wiring.build(cloud.environ).handle, cloud.tencent, port=0) as gateway:
        post(gateway.url, method="getSms", phone=PHONE)
        code = cloud.tencent.inbox(PHONE)[0].params[0]
        token = post(gateway.url, method="login", phone=PHONE, code=code)["token"]
        (block,) = blocks("python")
        names: dict[str, Any] = {}
        exec(block.replace("https://login.example.com", gateway.url), names)  # noqa: S102 - our own document
        yield names["verify"], token, gateway.url


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let urllib, which PyJWKClient uses, connect to loopback without a proxy."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.parametrize("kind", ALGORITHMS)
def test_another_service_verifies_our_token(kind: str) -> None:
    """The URL of the key set suffices to verify a token, and the claims are those of the document's table."""
    with service(JWT_PRIVATE_KEY=private_pem(kind), SECRET=CODES) as (verify, token, _):
        seen = verify(token)
    assert (seen["phone"], seen["exp"] - seen["iat"]) == (PHONE, 7200)
    (table,) = re.findall(r"\| claim \|.*?\n\n", TEXT, re.DOTALL)
    listed = {name for row in table.strip().splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert seen.keys() == listed


def test_another_service_refuses_every_other_token() -> None:
    """Other types, audiences, issuers, keys and algorithms, expired tokens and rubbish are refused."""
    with service(JWT_PRIVATE_KEY=private_pem("Ed25519"), SECRET=CODES) as (verify, token, _):
        ours = claims(iss="sms-login", aud="sms-login")
        assert verify(forged("Ed25519", ours)) == ours
        bad = [forged("Ed25519", ours, typ="JWT"), forged("Ed25519", claims(aud="sms-login")), forged("RSA", ours)]
        bad += [forged("Ed25519", claims(iss="sms-login")), forged("HS256", ours), token[:-4], "rubbish", ""]
        bad += [forged("Ed25519", {**ours, "exp": ours["iat"] - 61})]
        for one in bad:
            with pytest.raises(jwt.PyJWTError):
                verify(one)


def test_another_service_cannot_verify_a_token_of_a_shared_secret() -> None:
    """With JWT_SECRET the key set is empty, so PyJWT raises an error."""
    with service(JWT_SECRET=CODES) as (verify, token, _), pytest.raises(jwt.PyJWTError):
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
    assert current.algorithm == "EdDSA"
    assert current.kid == previous.kid
