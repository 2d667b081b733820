"""One .env for every reader: a shell, docker's --env-file, the CLI that deploys, and the operator's commands."""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.env import of_the_cli, read_file
from deploy.sources import ROOT
from local.env_file import env_file as kept
from sms_admin import env_file
from sms_admin.failures import Failed
from sms_login.settings.settings import TABLE, Settings
from tests.testkit.key_files import private_pem, public_pem
from tests.testkit.servers import require

KEY = "Kx3/+tZ0b9cQ8yL5n1uVwA7eRfGhJpMs2DqTzXoYiE4="  # as from `openssl rand -base64 32`
RSA, ED25519 = public_pem("RSA"), public_pem("Ed25519")
VALUES = {
    "REDIS_HOST": "crs-1a2b3c.sql.tencentcdb.com",
    "REDIS_PASSWORD": "crs-1a2b3c:aZ-_.+=@%:,/^9",
    "USERS_URL": "mysql+pymysql://login:p%40ss%26word@10.0.0.3/users?ssl_ca=/opt/ca.pem,ssl_check_hostname=false",
    "SMS_SDKAPPID": "1400000000",
    "SMS_SIGN": "签名",
    "SMS_TEMPLATE_ID": "1000000",
    "JWT_PRIVATE_KEY": base64.b64encode(private_pem("P-256").encode()).decode(),
    "JWT_PUBLIC_KEYS_PREVIOUS": ",".join(base64.b64encode(pem.encode()).decode() for pem in (RSA, ED25519)),
    "SECRET": KEY,
    "JWT_ISSUER": "https://login.example.com/?a=b#c",
    "ALLOWED_COUNTRIES": "*",
    "SENDING": "OFF",
    "ALLOWED_ORIGINS": "https://app.example.com,capacitor://localhost,file://,null",
    "TEST_NUMBERS": "+8615400000000=123456,+447700900123=654321",
    "TEST_NUMBERS_UNTIL": "2027-01-31",
    "LOG_LEVEL": "debug",
}


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """A copy of deploy/env.example, filled in as docs/settings.md asks."""
    lines = (ROOT / "deploy/env.example").read_text(encoding="utf-8").splitlines()
    names = [line.partition("=")[0] for line in lines]
    filled = [f"{name}={VALUES[name]}" if name in VALUES else line for name, line in zip(names, lines, strict=True)]
    path = tmp_path / ".env"
    path.write_text("\n".join(filled) + "\n", encoding="utf-8")
    assert VALUES.keys() <= set(names)
    return path


def as_a_shell(path: Path, shell: str) -> dict[str, str]:
    """Return the variables of a file as `set -a; . ./.env; set +a` exports them."""
    script = f"set -a; . {path}; set +a; env -0"
    done = subprocess.run([shell, "-c", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=True)  # noqa: S603 - our own script
    assert done.stderr == b""
    pairs = [line.partition("=") for line in done.stdout.decode().split("\0")]
    return {name: value for name, _, value in pairs}


def as_docker(path: Path) -> dict[str, str]:
    """Return the variables of a file as docker's --env-file reads it: all after = is the value (docker/cli, kvfile)."""
    lines = [line.lstrip() for line in path.read_text(encoding="utf-8").splitlines()]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    assert not any(" " in name for name, _, _ in pairs)
    return {name: value for name, _, value in pairs}


def test_all_readers_agree_on_every_value(env: Path) -> None:
    """A shell, docker, the CLI and our own commands read the same values, with which the function starts."""
    docker = as_docker(env)
    assert {name: docker[name] for name in VALUES} == VALUES
    assert read_file(env) == env_file.read(env) == docker
    for shell in ("sh", "bash"):
        require(shutil.which(shell) is not None, shell)
        exported = as_a_shell(env, shell)
        assert {name: exported[name] for name in docker} == docker
    settings = Settings.read(docker)
    assert not settings.sending
    assert settings.allowed_origins == {"https://app.example.com", "capacitor://localhost", "file://", "null"}
    assert [key.algorithm for key in settings.jwt_keys] == ["ES256", "RS256", "EdDSA"]
    assert settings.users_url.reveal().endswith("?ssl_ca=/opt/ca.pem&ssl_check_hostname=false")
    assert {row.name for row in TABLE} <= docker.keys()


ODD = r"""
A="b" # c
export B='b' #c
C=b # c
 D = b#c
E= # c
F="two
lines" # c
G="a\"b\\n\n"
H='a\nb'
"""


def test_comments_quotes_and_odd_line_breaks_are_read_as_python_dotenv_reads_them(tmp_path: Path) -> None:
    """A comment may follow a value; what else follows a closing quote is an error; only ends of lines end a line."""
    path = tmp_path / ".env"
    path.write_text(ODD + "I=\t\u2028x\x0cy\u2028z\n", encoding="utf-8")
    assert env_file.read(path) == {
        "A": "b",
        "B": "b",
        "C": "b",
        "D": "b#c",
        "E": "",
        "F": "two\nlines",
        "G": 'a"b\\n\n',
        "H": "a\\nb",
        "I": "x\x0cy\u2028z",
    }
    for number, line in ((1, 'A="b" c'), (3, "A=1\r\n\nA='b"), (2, "A=1\nA"), (2, "\u2028A=1\nB C=1")):
        path.write_bytes(line.encode())
        with pytest.raises(Failed, match=f"line {number}: must be NAME=value"):
            env_file.read(path)
    every = {"SMS_SIGN": "\\n\"'\n\r\t\x0c\u2028#$ ", "SECRET": "\\"}
    with kept({**every, "RUN_ENV_FILE": str(path)}):
        assert env_file.read(path) == every


def test_a_file_that_the_cli_reads_in_another_way_is_not_deployed(tmp_path: Path) -> None:
    """The CLI keeps a comment, and quotes before it; the check before a deployment names the variables."""
    (tmp_path / "serverless.yml").write_text("stage: prod\n")
    (tmp_path / ".env").write_text('A="b" # c\nB=b # c\nC=b#c\nD="d"\nE=\u2028x\n', encoding="utf-8")
    with pytest.raises(SystemExit, match="A, B: write the value without quotes, and no comment"):
        of_the_cli(tmp_path)
    (tmp_path / ".env").write_text("A=1\nB-C=1\n")
    with pytest.raises(SystemExit, match="line 2: must be NAME=value"):
        of_the_cli(tmp_path)


def test_quotes_are_where_the_readers_differ(env: Path) -> None:
    """Docker keeps them, so the function reports them by name instead of using them."""
    env.write_text(env.read_text(encoding="utf-8").replace("SMS_SIGN=签名", 'SMS_SIGN="签名"'), encoding="utf-8")
    assert read_file(env)["SMS_SIGN"] == as_a_shell(env, "sh")["SMS_SIGN"] == "签名"
    assert as_docker(env)["SMS_SIGN"] == '"签名"'
