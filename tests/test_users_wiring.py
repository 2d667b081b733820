"""USERS_URL and the whole function: imported libraries, errors of wrong settings, and secrecy of the log."""

import json
import logging
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis

from local.cloud import Cloud, local_cloud
from sms_admin.users_table import create
from sms_login import logs, wiring
from sms_login.adapters.sql.client import SqlClient, connect
from tests.testkit.environ import LEAST
from tests.testkit.leaks import Raw, call, leaked
from tests.testkit.mariadb import PASSWORD, MariaDbServer
from tests.testkit.servers import RedisServer

ROOT = Path(__file__).parent.parent
PHONE, NATIONAL = "+8613800138000", "13800138000"
MYSQL = "mysql+pymysql://u:hunter2@127.0.0.1:1/db"


# Each instance is a child of one process, which has imported the modules of every instance.
INSTANCES = """
import json, os, sys
from sms_login import wiring
for url, missing in json.loads(sys.argv[1]):
    if os.fork():
        assert os.wait()[1] == 0
        continue
    os.environ["USERS_URL"] = url
    sys.modules.update(dict.fromkeys(missing))
    import index
    params = {"phone": "13800138000", "code": "123456", "token": "x"}
    events = [{"queryString": {"method": method, **params}} for method in ("health", "getSms", "login", "getUserInfo")]
    answers = [index.main_handler(event, None) for event in events]
    imported = sorted(name for name in ("pymysql", "sqlalchemy") if sys.modules.get(name))
    print(imported, [answer["statusCode"] for answer in answers], end="\\0")
    break
"""


def instances(*cases: tuple[str, list[str]]) -> list[tuple[list[str], str]]:
    """Call the methods of instances, each with its USERS_URL and its missing libraries.

    Return, for each, the lines of its log, and the libraries that it has imported with the statuses of its answers.
    """
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-W", "error", "-c", INSTANCES, json.dumps(cases)],
        cwd=ROOT,
        env={**LEAST, "REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    printed = [out.splitlines() for out in done.stdout.removesuffix("\0").split("\0")]
    assert len(printed) == len(cases)
    return [(log, answers) for *log, answers in printed]


def test_only_a_function_with_users_in_sql_imports_the_libraries() -> None:
    """A cold start of any other function imports neither library, in no method."""
    found = [answers for _, answers in instances(("", []), (" ", []), ("sqlite:///users.db", []), (MYSQL, []))]
    imported = ("[]", "[]", "['sqlalchemy']", "['pymysql', 'sqlalchemy']")
    assert found == [f"{names} [503, 503, 503, 401]" for names in imported]


def test_a_library_that_is_not_deployed_is_a_problem_of_the_settings() -> None:
    """The problem is logged at the start and with every answer, by name, without a value and without a traceback."""
    missing = [("sqlalchemy", "sqlite:///users.db"), ("sqlalchemy", MYSQL), ("pymysql", MYSQL)]
    found = instances(*((url, [library]) for library, url in missing))
    for (library, _), (log, answers) in zip(missing, found, strict=True):
        lines = [json.loads(line) for line in log]
        assert [line["event"] for line in lines] == ["misconfigured", *["request"] * 4]
        assert [line["problems"] for line in lines] == [[f"USERS_URL needs {library}: make build WITH=sql"]] * 5
        assert "hunter2" not in "".join(log)
        assert "Traceback" not in "".join(log)
        assert answers.endswith("[500, 500, 500, 500]")


@pytest.fixture
def cloud(redis_server: RedisServer, mariadb: MariaDbServer) -> Iterator[Cloud]:
    """SendSms on this machine, Redis and MariaDB in processes of their own, and everything logged."""
    with redis.Redis(redis_server.host, redis_server.port) as client:
        client.flushall()
    url = mariadb.new_database()
    engine = connect(url)
    create(SqlClient(engine))
    engine.dispose()
    environ = {"LOG_LEVEL": "DEBUG", "REDIS_HOST": redis_server.host, "REDIS_PORT": str(redis_server.port)}
    with local_cloud({**environ, "USERS_URL": url}) as cloud:
        yield cloud


def close(handler: wiring.Handler) -> None:
    """Close the connections of a handler."""
    users: Any = handler.sessions.users  # type: ignore[union-attr] # only tests close them
    users.sql.close()


def log_in(handler: wiring.Handler, cloud: Cloud) -> tuple[str, dict[str, Any]]:
    """Return the code, and the answer to a login with it."""
    session_id = call(handler, "getSms", phone=PHONE)["data"]["sessionId"]
    code = cloud.tencent.inbox(PHONE)[0].params[0]
    return code, call(handler, "login", phone=NATIONAL, code=code, sessionId=session_id)


def test_a_login_writes_to_the_database(cloud: Cloud, mariadb: MariaDbServer) -> None:
    """Redis has no user, and the next instance finds the user in the table."""
    handler, another = wiring.build(cloud.environ), wiring.build(cloud.environ)
    _, answer = log_in(handler, cloud)
    user = answer["data"]
    assert user["isNewUser"] is True
    named = call(handler, "setNickname", token=user["token"], name="小明😀")["data"]
    assert named == {"userId": user["userId"], "phone": PHONE, "name": "小明😀", "avatar": ""}
    assert call(another, "getUserInfo", token=user["token"])["data"] == named
    rows = mariadb.query("SELECT id, phone FROM sms_login_users", cloud.environ["USERS_URL"].rsplit("/", 1)[1])
    assert rows == ((user["userId"], PHONE),)
    with redis.Redis(port=int(cloud.environ["REDIS_PORT"])) as client:
        assert list(client.scan_iter("user*")) == []
    for each in (handler, another):
        close(each)


def test_no_secret_is_printed_at_debug_with_users_in_sql(
    cloud: Cloud, mariadb: MariaDbServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A login, an outage and a crash print neither password nor number nor name, even before redaction."""
    handler = wiring.build(cloud.environ)
    raw = Raw()
    logging.getLogger().addHandler(raw)

    def line(*args: Any) -> str:
        if args[4:] and args[4]:
            raw.text += "".join(traceback.format_exception(*args[4]))
        return raw.line(*args)

    monkeypatch.setattr(logs, "_line", line)
    code, answer = log_in(handler, cloud)
    token = answer["data"]["token"]
    call(handler, "setNickname", token=token, name="a-secret-name")
    mariadb.kill()
    try:
        assert call(handler, "getUserInfo", token=token)["codeStr"] == "ServiceUnavailable"
    finally:
        mariadb.start()
    database = cloud.environ["USERS_URL"].rsplit("/", 1)[1]
    outcomes = []
    for spoiling in ("name = ''", "MODIFY name VARCHAR(4)", "DROP COLUMN avatar", "RENAME TO gone"):
        verb = "UPDATE sms_login_users SET" if "=" in spoiling else "ALTER TABLE sms_login_users"
        mariadb.query(f"{verb} {spoiling}", database)
        outcomes.append(
            call(handler, "setNickname", token=token, name="a-secret-name"[: 4 if "=" in spoiling else None])
        )
    names = [outcome["codeStr"] for outcome in outcomes]
    assert names == ["Success", "InternalError", "ServiceUnavailable", "ServiceUnavailable"]
    assert "DataError" in raw.text
    out, err = capfd.readouterr()
    secrets = [PHONE, NATIONAL, PASSWORD, quote(PASSWORD, safe=""), code, token, "a-secret-name"]
    for printed in (raw.text, out, err):
        assert leaked(secrets, printed) == []
    close(handler)
