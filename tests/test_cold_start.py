"""The imports of a cold start: a function that signs with a secret does not load the library for private keys."""

import json
import subprocess
import sys
from typing import Any

from local.cloud import Cloud, local_cloud
from sms_login import wiring
from tests.testkit.events import PHONE, call, gateway_json
from tests.testkit.key_files import private_pem
from tests.testkit.project import ROOT

# As if only requirements.txt were deployed: `cryptography` cannot be imported.
PROGRAM = """
import json, sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "cryptography" and {without}:
            frame = sys._getframe()
            while "importlib" in frame.f_code.co_filename or frame.f_globals is globals():
                frame = frame.f_back
            tried.append(frame.f_globals["__name__"])
            raise ModuleNotFoundError(name)
tried = []
sys.meta_path.insert(0, Without())
import index
at_import = set(sys.modules)
answer = json.loads(index.main_handler({event!r}, {{}})["body"])
print(json.dumps([answer, sorted(at_import), sorted(sys.modules), tried]))
"""


def run(cloud: Cloud, params: dict[str, Any], *, without: bool) -> tuple[dict[str, Any], set[str], set[str], list[str]]:
    """Answer an event in a process of its own.

    Return the answer, the modules that `import index` loads, the modules at the end, and those that tried to import
    `cryptography`.
    """
    code = PROGRAM.format(event=gateway_json(params, {}), without=without)
    command = [sys.executable, "-W", "error::SyntaxWarning", "-c", code]
    process = subprocess.run(command, cwd=ROOT, env=cloud.environ, check=True, capture_output=True, text=True)  # noqa: S603 - our own program
    answer, at_import, at_end, tried = json.loads(process.stdout.splitlines()[-1])
    return answer, set(at_import), set(at_end), tried


def login(cloud: Cloud) -> dict[str, Any]:
    """Have a code sent, and return the parameters of the login with it."""
    sender = wiring.build(cloud.environ)
    call(sender, gateway_json, method="getSms", phone=PHONE)
    return {"method": "login", "phone": PHONE, "code": cloud.tencent.inbox(PHONE)[0].params[0]}


def test_a_login_with_a_secret_needs_no_cryptography() -> None:
    """None of our modules tries to import it; libraries do, and work without it."""
    with local_cloud({}) as cloud:
        answer, at_import, at_end, tried = run(cloud, login(cloud), without=True)
    assert answer["codeStr"] == "Success"
    heavy = {"jwt", "cryptography", "tencentcloud", "sms_login.sessions.pem"}
    assert not heavy & at_import
    assert heavy & at_end == {"jwt"}
    assert "jwt.algorithms" in tried  # the finder does see an attempt
    assert not [name for name in tried if name.startswith(("sms_login", "index"))]


def test_a_method_without_a_token_does_not_load_pyjwt() -> None:
    """With a secret, `jwks` and other methods without a token need only the modules that `import index` loads."""
    with local_cloud({}) as cloud:
        answer, _, at_end, tried = run(cloud, {"method": "jwks"}, without=True)
    assert answer == {"keys": []}
    assert "jwt.algorithms" not in tried
    assert not {"jwt", "sms_login.sessions.pem"} & at_end


def test_a_private_key_is_read_with_the_settings() -> None:
    """A bad key is reported before the first login, which is still the first to load PyJWT."""
    with local_cloud({"JWT_PRIVATE_KEY": private_pem("Ed25519"), "SECRET": "c" * 32}) as cloud:
        answer, at_import, at_end, _ = run(cloud, login(cloud), without=False)
    assert answer["codeStr"] == "Success"
    assert {"cryptography", "sms_login.sessions.pem"} <= at_import
    assert "jwt" in at_end - at_import
