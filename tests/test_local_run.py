import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

import pytest
import redis
import time_machine

from local import __main__ as command
from local.cloud import Cloud, local_cloud
from local.gateway import Gateway
from local.redis_view import trouble
from sms_login.limits.policy import Limits
from tests.testkit.admin import admin
from tests.testkit.backends import NOON
from tests.testkit.servers import RedisServer

ROOT = Path(__file__).parent.parent
ENV_FILE = Path(tempfile.gettempdir()) / f"sms-login-tests-{os.getpid()}.env"  # of each run that names no other
SDK = "ignore::DeprecationWarning:tencentcloud.common.abstract_client"  # it warns on 3.12 and newer
DEADLINE = 60  # s that a process has in all, far more than it needs


@contextlib.contextmanager
def run(deadline: int = DEADLINE, /, **settings: str) -> Iterator["subprocess.Popen[str]"]:
    """Start ``python -m local`` with its output in pipes, and kill it in the end."""
    # REDIS_HOST may name a real Redis that other tests use; PYTHONUNBUFFERED would hide a line that is not flushed.
    inherited = {name: value for name, value in os.environ.items() if name not in ("REDIS_HOST", "PYTHONUNBUFFERED")}
    process = subprocess.Popen(  # noqa: S603 - our own program, with the name of a warning
        [sys.executable, "-X", "dev", "-W", SDK, "-m", "local"],  # -X dev reports sockets that were left open
        cwd=ROOT,
        env={**inherited, "PORT": "0", "RUN_ENV_FILE": str(ENV_FILE), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(deadline, process.kill)  # ends a readline() that would never return
    watchdog.start()
    try:
        with process:
            try:
                yield process
            finally:
                process.kill()
    finally:
        watchdog.cancel()


def read_banner(process: "subprocess.Popen[str]") -> list[str]:
    """Return the lines of the banner, the last of which says how to stop."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("Stop:"):
            return lines
    assert process.stderr
    raise AssertionError(process.stderr.read())


def url_of(banner: list[str]) -> str:
    """Return the address at which the function is served."""
    return str(re.findall(r"https?://\S+", "\n".join(banner))[0])


def sh(command: str) -> str:
    """Run one line in a shell, as after copying it, and return its output."""
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=DEADLINE, check=True)  # noqa: S603 - our own banner
    return done.stdout


def end(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """Send a signal, and assert that the run ends with exit code 0, and without a traceback or a warning."""
    process.send_signal(number)
    said, errors = process.communicate(timeout=DEADLINE)
    assert "still running" not in said  # as the HTTP server says if it has given up waiting
    assert (process.returncode, errors) == (0, "")


@pytest.fixture(scope="module")
def running() -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """A run without options, for several tests, with its banner."""
    with run(10 * DEADLINE) as process:  # it waits for tests between those that use it
        yield process, read_banner(process)


def test_the_banner_names_page_inbox_redis_captcha_and_failure_switch_and_logs_in(
    running: tuple["subprocess.Popen[str]", list[str]],
) -> None:
    """Each address in the banner works; the printed commands log in, and the SMS is printed in between."""
    process, lines = running
    banner = "\n".join(lines)
    [inbox] = re.findall(r"^Inbox: +(\S+)$", banner, re.MULTILINE)
    [captcha] = re.findall(r"^Captcha: +(curl .+)$", banner, re.MULTILINE)
    [switch] = re.findall(r"^Failures: (curl .+)$", banner, re.MULTILINE)
    [page] = re.findall(r"^Open (\S+) in a browser", banner, re.MULTILINE)
    [keys] = re.findall(r"^Redis: +(\S+)$", banner, re.MULTILINE)
    assert "<title>sms-login</title>" in sh(f"curl -s -H 'Accept: text/html' '{page}'")
    assert json.loads(sh(f"curl -s '{inbox}'")) == []
    assert json.loads(sh(f"curl -s '{keys}'")) == []
    assert set(json.loads(sh(f"{captcha} -s"))) == {"ticket", "randstr"}
    first, second = [line.strip() for line in lines if line.startswith("  curl ")]
    assert json.loads(sh(first))["errorCode"] == 0
    assert process.stdout
    shown = next(line for line in process.stdout if line.startswith("SMS to "))
    assert re.fullmatch(r"SMS to \+8613800138000: 【sms-login】[0-9]{6} 为您的登录验证码，.*\n", shown)
    answer = json.loads(sh(second))
    assert answer["errorCode"] == 0, answer
    assert answer["data"]["token"]
    assert json.loads(sh(f"{switch} -s")) == {"mode": "timeout", "times": 1}


@contextlib.contextmanager
def here(monkeypatch: pytest.MonkeyPatch, *options: str, **settings: str) -> Iterator[None]:
    """Prepare this process, which is faster than another, for `main`; REDIS_HOST may name a Redis of other tests."""
    monkeypatch.setattr(sys, "argv", ["local", *options])
    before = signal.getsignal(signal.SIGTERM)
    try:
        with mock.patch.dict(os.environ, {"REDIS_HOST": "", **settings}):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


def refusals(monkeypatch: pytest.MonkeyPatch, count: int, *options: str, **settings: str) -> list[str]:
    """Ask a run for codes for as many numbers that follow one another; return the refusals."""
    outcomes = []

    def ask(cloud: Cloud) -> None:
        """Take the place of the wait for Ctrl-C."""
        with Gateway(command.assemble(cloud.environ).handle, cloud.tencent, port=0) as gateway:
            connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=DEADLINE)
            with contextlib.closing(connection):
                for number in range(count):
                    connection.request("GET", f"/?method=getSms&phone={13_800_138_000 + number}")
                    outcomes.append(json.load(connection.getresponse())["codeStr"])

    monkeypatch.setattr(command, "serve", ask)
    with here(monkeypatch, *options, **settings):
        command.main()
    assert len(outcomes) == count
    return [outcome for outcome in outcomes if outcome != "Ok"]


def test_an_apps_test_suite_meets_no_limit_of_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """More codes than one address or one range may have in a day of the deployed function are sent."""
    assert refusals(monkeypatch, Limits().range_day + 1) == []


def test_the_limits_of_production_can_be_brought_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option brings all of them back, and a setting one; half of a limit later a captcha is required."""
    half, limit = Limits().ip_hour // 2, str(Limits().ip_hour)
    with time_machine.travel(NOON):  # at the end of an hour, the count would begin anew
        assert refusals(monkeypatch, half + 1, "--production-limits") == ["CaptchaRequired"]
        assert refusals(monkeypatch, half + 1, IP_HOURLY_LIMIT=limit) == ["CaptchaRequired"]


def test_a_page_of_the_local_network_may_call_and_a_refused_one_is_printed_with_its_setting(
    running: tuple["subprocess.Popen[str]", list[str]],
) -> None:
    """The developer of a page reads which setting would allow it."""
    process, banner = running
    call = f"curl -s {url_of(banner)} -d method=health -H 'Sec-Fetch-Site: cross-site' -H 'Origin: http"
    allowed = sh(f"{call}://192.168.1.20:5173' -o /dev/null -D -")
    refused = json.loads(sh(f"{call}s://preview.example'"))
    assert process.stdout
    printed = next(line for line in process.stdout if "OriginNotAllowed" in line)
    assert "Access-Control-Allow-Origin: http://192.168.1.20:5173" in allowed
    assert refused["codeStr"] == "OriginNotAllowed"
    assert json.loads(printed)["detail"] == "ALLOWED_ORIGINS does not list https://preview.example"


def refused(monkeypatch: pytest.MonkeyPatch, **settings: str) -> object:
    """Return the sentence with which a run ends."""
    with here(monkeypatch, **settings), pytest.raises(SystemExit) as ended:
        command.main()
    return ended.value.code


def test_a_wrong_port_or_setting_is_reported_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port in use, text that is no port, and invalid settings, in the function's own words; without a banner."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        in_use = refused(monkeypatch, PORT=str(port))
    problems = "CODE_TTL must be a whole number from 30 to 600; LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR"
    assert in_use == f"Cannot listen on port {port} (Address already in use): choose another one, as in PORT=9001."
    assert refused(monkeypatch, PORT="80 80") == "PORT is '80 80', but a port is a number from 0 to 65535."
    assert refused(monkeypatch, CODE_TTL="abc", LOG_LEVEL="loud") == f"Cannot run: {problems}"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("library", "settings", "extra", "module"),
    [
        ("sqlalchemy", {"USERS_URL": "sqlite:///users.db"}, "sql", "sms_login.adapters.sql.client"),
        ("cryptography", {"JWT_PRIVATE_KEY": "made-up"}, "asymmetric", "sms_login.sessions.pem"),
    ],
)
def test_a_missing_library_is_reported_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, library: str, settings: dict[str, str], extra: str, module: str
) -> None:
    """The command installs the library for the running Python, while `make build` would repair a deployment."""
    monkeypatch.delattr(module, raising=False)
    with mock.patch.dict(sys.modules, {library: None}):
        for name in [name for name in sys.modules if name == module or name.startswith(f"{library}.")]:
            del sys.modules[name]
        sentence = str(refused(monkeypatch, **settings))
    assert re.fullmatch(rf"Cannot run: [A-Z_]+ needs [a-z ]*{library}: .*", sentence)
    python = os.path.relpath(sys.executable)
    assert sentence.endswith(f": {python} -m pip install --no-deps --require-hashes -r requirements/{extra}.txt")
    assert (ROOT / f"requirements/{extra}.txt").exists()


def test_the_banner_warns_of_a_redis_that_does_not_answer_and_ctrl_c_ends_the_run() -> None:
    """`make run` starts nevertheless, since Redis may come back, and refuses every call until then."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits an ignored SIGINT
    with run(REDIS_HOST="127.0.0.1", REDIS_PORT="1") as process:
        signal.signal(signal.SIGINT, before)
        banner = read_banner(process)
        [get_sms] = [line.strip() for line in banner if "getSms" in line]
        answer = json.loads(sh(get_sms))
        end(process, signal.SIGINT)
    assert "Redis at 127.0.0.1:1 does not answer: every call will be refused with 503." in banner
    assert answer["codeStr"] == "ServiceUnavailable"


def test_the_banner_names_the_setting_of_a_wrong_redis_password(redis_server: RedisServer) -> None:
    """A Redis with another password does answer, so the warning names REDIS_PASSWORD."""
    at = {"REDIS_HOST": redis_server.host, "REDIS_PORT": str(redis_server.port)}
    with redis.Redis(redis_server.host, redis_server.port, protocol=2) as admin:
        admin.config_set("requirepass", "made-up")
        try:
            found = [trouble({**at, **login}) for login in ({}, {"REDIS_PASSWORD": "x"}, {"REDIS_PASSWORD": "made-up"})]
        finally:
            admin.config_set("requirepass", "")
    address = f"{redis_server.host}:{redis_server.port}"
    wants = f"Redis at {address} wants another REDIS_PASSWORD: every call will be refused with 503."
    assert found == [wants, wants, ""]


def test_the_local_cloud_completes_an_empty_environment() -> None:
    """The local cloud adds all settings that the function needs, and a Redis that answers."""
    with local_cloud({}) as cloud:
        settings = cloud.environ
        host, port, password = (settings[f"REDIS_{name}"] for name in ("HOST", "PORT", "PASSWORD"))
        with redis.Redis(host=host, port=int(port), password=password, protocol=2) as client:
            assert client.ping()
    assert settings["SMS_ENDPOINT"] == settings["CAPTCHA_ENDPOINT"] == cloud.tencent.url
    assert len(settings["JWT_SECRET"]) >= 32
    assert settings["ALLOWED_COUNTRIES"] == "CN"
    sms = {f"SMS_{kind}{name}" for kind in ("", "INTL_") for name in ("SDKAPPID", "SIGN", "TEMPLATE_ID")}
    keys = {"TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SESSIONTOKEN"}
    captcha = {"CAPTCHA_APP_ID", "CAPTCHA_APP_SECRET"}
    assert all(settings[name] for name in sms | keys | captcha)
    assert "CAPTCHA_MODE" not in settings


def test_the_local_cloud_never_uses_real_keys_or_endpoints() -> None:
    """Keys and endpoints of the real Tencent Cloud, proxies and the password of a real Redis are left out."""
    real = {
        "TENCENTCLOUD_SECRETID": "real",
        "TENCENTCLOUD_SECRETKEY": "real",
        "TENCENTCLOUD_SESSIONTOKEN": "real",
        "SMS_ENDPOINT": "real",
        "CAPTCHA_ENDPOINT": "real",
        "CAPTCHA_APP_ID": "real",
        "CAPTCHA_APP_SECRET": "real",
        "HTTP_PROXY": "real",
        "http_proxy": "real",
        "ALL_PROXY": "real",
        "all_proxy": "real",
        "REDIS_PASSWORD": "real",
        "REDIS_TLS": "real",
    }
    with local_cloud(real) as cloud:
        assert "real" not in cloud.environ.values()


def test_the_local_cloud_keeps_the_settings_of_the_environment() -> None:
    """The function sees the settings of the environment, including a Redis named there."""
    own = {
        "CODE_TTL": "60",
        "SMS_SIGN": "腾讯云",
        "ALLOWED_COUNTRIES": "*",
        "REDIS_HOST": "redis.example",
        "REDIS_PASSWORD": "made-up",
        "JWT_SECRET": "j" * 32,
        "CAPTCHA_MODE": "on",
    }
    with local_cloud(own) as cloud:
        assert own.items() <= cloud.environ.items()
        assert "REDIS_PORT" not in cloud.environ


def test_the_local_cloud_adds_no_secret_to_a_private_key() -> None:
    """The function takes JWT_PRIVATE_KEY or JWT_SECRET, but not both."""
    with local_cloud({"JWT_PRIVATE_KEY": "made-up"}) as cloud:
        assert "JWT_SECRET" not in cloud.environ


def test_the_operators_commands_run_beside_it_until_it_ends_while_an_sms_hangs(tmp_path: Path) -> None:
    """`make admin` finds the run by its file, an ASCII terminal shows escapes, and SIGTERM ends it all at once."""
    file = tmp_path / ".env.run"
    with run(RUN_ENV_FILE=str(file), PYTHONIOENCODING="ascii", SMS_TIMEOUT="30") as process:
        assert process.stdout
        banner = read_banner(process)
        get_sms, login = [line.strip() for line in banner if line.startswith("  curl ")]
        assert json.loads(sh(get_sms))["codeStr"] == "Ok"
        shown = next(line for line in process.stdout if line.startswith("SMS to "))
        assert re.search(r"\\u3010sms-login\\u3011[0-9]{6} \\u4e3a", shown)
        assert json.loads(sh(login))["codeStr"] == "Success"
        (told,) = re.findall(r"^Operator: make (.+)$", "\n".join(banner), re.MULTILINE)
        assert told == 'admin ARGS="check"'
        sheet = tmp_path / "members.csv"
        sheet.write_text("13800138001,王小明,春节\n", encoding="utf-8")
        for arguments, word in (
            ("check", "0 problems"),
            ("users list --json", "+86138****8000"),
            ("stats", "funnel: asked 1 → sent 1"),
            (
                f"bulk preview {sheet} --template 1000010 --notice",
                "【sms-login】尊敬的王小明，公司A祝您春节快乐！拒收请回复R",
            ),
        ):
            rows = admin({**os.environ, "SMS_ADMIN_ENV_FILE": str(file)}, *arguments.split())
            assert (rows.code, word in rows.out) == (0, True), rows
        [switch] = [line.removeprefix("Failures: ") for line in banner if line.startswith("Failures: ")]
        sh(f"{switch} -s")
        another = get_sms.replace("13800138000", "13800138002")
        with subprocess.Popen(["/bin/sh", "-c", another], stdout=subprocess.DEVNULL):  # noqa: S603 - our own banner
            next(line for line in process.stdout if line.startswith("SMS to "))
            end(process, signal.SIGTERM)
    assert not file.exists()
