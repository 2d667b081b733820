"""The database of the users goes away, hangs and comes back while people log in."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymysql
import pytest
import time_machine
from sqlalchemy import event

from sms_admin.users_table import create
from sms_login.adapters.sql.client import SqlClient, connect
from sms_login.adapters.sql.users import SqlUsers
from sms_login.errors import ServiceUnavailable
from sms_login.phone import Phone
from sms_login.users import User
from tests.testkit.backends import fake_backend
from tests.testkit.mariadb import PASSWORD, MariaDbServer, find_mariadb
from tests.testkit.races import race
from tests.testkit.servers import require, until
from tests.testkit.world import OTHER_PHONE, PHONE, World

ANSWERS_WITHIN = 2.5  # s: one for the connection that hangs, one for the new one, and what a busy machine adds


@contextmanager
def users_at(url: str) -> Iterator[SqlUsers]:
    """Give the users of a USERS_URL, with a pool of their own."""
    engine = connect(url)
    yield SqlUsers(SqlClient(engine))
    engine.dispose()


@pytest.fixture
def url(mariadb: MariaDbServer) -> str:
    """The USERS_URL of a database with an empty table."""
    url = mariadb.new_database()
    engine = connect(url)
    create(SqlClient(engine))
    engine.dispose()
    return url


@pytest.fixture
def users(url: str) -> Iterator[SqlUsers]:
    """The users of an instance that has a connection already, as a warm one has."""
    with users_at(url) as users:
        users.sign_in(OTHER_PHONE, "warm")
        yield users


@contextmanager
def stopped(mariadb: MariaDbServer) -> Iterator[None]:
    """Let the server be away for as long as the block takes."""
    mariadb.kill()
    try:
        yield
    finally:
        mariadb.start()


def test_a_database_keeps_its_temporary_tables_to_itself(mariadb: MariaDbServer) -> None:
    """Another that starts in the same folder meanwhile would delete them."""
    assert mariadb.query("SELECT @@tmpdir") == ((str(mariadb.directory),),)


def test_a_restart_between_two_calls_costs_no_request(mariadb: MariaDbServer, users: SqlUsers) -> None:
    """Nor do all the connections of a pool, which are dead at once."""
    assert race(8, lambda _: {"user": users.find(OTHER_PHONE)})
    with stopped(mariadb):
        pass
    answers = race(8, lambda _: {"user": users.find(OTHER_PHONE)})
    assert [answer["user"].id for answer in answers] == ["warm"] * 8


def test_a_connection_that_the_server_has_ended_costs_no_request(mariadb: MariaDbServer, users: SqlUsers) -> None:
    """As it does with those that slept for too long."""
    sleeping = mariadb.query("SELECT id FROM information_schema.processlist WHERE command = 'Sleep'")
    assert sleeping
    for row in sleeping:
        mariadb.query(f"KILL {row[0]}")
    assert users.sign_in(PHONE, "id").id == "id"


def test_a_server_that_is_away_is_an_outage(mariadb: MariaDbServer, users: SqlUsers) -> None:
    """For every method, at once; and none any more when it is back."""
    with stopped(mariadb):
        started = time.perf_counter()
        for call in (
            lambda: users.sign_in(PHONE, "id"),
            lambda: users.find(PHONE),
            lambda: users.rename(PHONE, "id", "name"),
            lambda: users.delete(PHONE, "id"),
        ):
            with pytest.raises(ServiceUnavailable, match=r"sql: OperationalError: 2003 Can't connect .* refused"):
                call()
        assert time.perf_counter() - started < ANSWERS_WITHIN
    assert users.sign_in(PHONE, "id").id == "id"


def test_a_server_that_hangs_is_an_outage_within_two_seconds(mariadb: MariaDbServer, users: SqlUsers) -> None:
    """For any number at once: those that wait for a connection do not wait one after the other."""

    def outcome() -> dict[str, Any]:
        started = time.perf_counter()
        with pytest.raises(ServiceUnavailable) as unavailable:
            users.find(OTHER_PHONE)
        return {"detail": unavailable.value.detail, "seconds": time.perf_counter() - started}

    mariadb.pause()
    try:
        answers = race(20, lambda _: outcome())
    finally:
        mariadb.resume()
    lost = [answer for answer in answers if "sql: OperationalError: 2013 Lost connection" in answer["detail"]]
    assert all("timed out" in answer["detail"] for answer in answers)
    assert len(answers) == 20
    assert len(lost) >= 8  # as many as there are connections; for the others none became free, or it was lost again
    assert sorted(answer["seconds"] for answer in answers)[7] < ANSWERS_WITHIN
    assert max(answer["seconds"] for answer in answers) < 2 * ANSWERS_WITHIN
    assert users.find(OTHER_PHONE)


def test_a_row_that_somebody_keeps_locked_is_an_outage(mariadb: MariaDbServer, url: str, users: SqlUsers) -> None:
    """After a second, where the server itself would wait for fifty."""
    with closing(mariadb.connect(url.rsplit("/", 1)[1])) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM sms_login_users FOR UPDATE")
        started = time.perf_counter()
        with pytest.raises(ServiceUnavailable, match="timed out"):
            users.rename(OTHER_PHONE, "warm", "name")
        assert time.perf_counter() - started < ANSWERS_WITHIN
    assert users.rename(OTHER_PHONE, "warm", "name")


def test_an_instance_has_eight_connections_at_most(mariadb: MariaDbServer, url: str) -> None:
    """However many threads it has: the others wait for their turn, and the database has to serve more than us."""
    until(lambda: int(mariadb.query("SHOW STATUS LIKE 'Threads_connected'")[0][1]) == 1, 5)  # the test's own
    mariadb.query("FLUSH STATUS")
    eight = threading.Barrier(8, timeout=10)
    engine = connect(url)
    event.listen(engine, "before_cursor_execute", lambda *_: eight.wait())  # eight at once, then the next eight
    users = SqlUsers(SqlClient(engine))
    assert race(40, lambda _: {"user": users.find(OTHER_PHONE)}) == [{"user": None}] * 40
    most = int(mariadb.query("SHOW GLOBAL STATUS LIKE 'Max_used_connections'")[0][1])
    assert most == 8 + 1
    engine.dispose()


def test_a_server_that_takes_no_more_connections_is_an_outage(mariadb: MariaDbServer, url: str) -> None:
    """Its reason is in the log."""
    least = 10  # that MariaDB allows
    mariadb.query(f"SET GLOBAL max_connections = {least}")
    others: list[Any] = []
    try:
        with pytest.raises(pymysql.err.OperationalError):
            others.extend(mariadb.connect() for _ in range(least + 2))
        with users_at(url) as users, pytest.raises(ServiceUnavailable, match="1040 Too many connections"):
            users.find(PHONE)
    finally:
        for other in others:
            other.close()
        mariadb.query("SET GLOBAL max_connections = 151")


def test_what_fails_names_no_password(url: str) -> None:
    """Neither the right one nor a wrong one, nor who one is."""
    wrong = url.replace(quote(PASSWORD, safe=""), "wr0ng")
    assert wrong != url
    with users_at(wrong) as users, pytest.raises(ServiceUnavailable) as unavailable:
        users.find(PHONE)
    assert unavailable.value.detail == "sql: OperationalError: 1045 Access denied for user '…' (using password: YES)"
    chain: BaseException | None = unavailable.value
    while chain:
        assert "wr0ng" not in f"{chain} {chain!r} {chain.args}"
        chain = chain.__cause__


def test_a_way_of_signing_in_that_needs_another_library_is_an_outage() -> None:
    """PyMySQL raises RuntimeError for it; the code stays good until the operator has added the library."""

    def needs_another(*_: object) -> None:
        raise RuntimeError(
            "'cryptography' package is required for sha256_password or caching_sha2_password auth methods"
        )

    engine = connect("mysql+pymysql://login@127.0.0.1/app")
    event.listen(engine, "do_connect", needs_another)
    with pytest.raises(ServiceUnavailable, match="sql: RuntimeError: '…' package is required for sha256_password"):
        SqlUsers(SqlClient(engine)).find(PHONE)


def log_in(world: World, session: str, code: str) -> str:
    """Return the outcome of a login through the whole app."""
    outcome: str = world.call("login", phone=PHONE.e164, code=code, sessionId=session)["codeStr"]
    return outcome


def test_a_login_whose_user_cannot_be_written_keeps_its_code(
    mariadb: MariaDbServer, users: SqlUsers, clock: time_machine.Traveller
) -> None:
    """503, for as long as it takes; then the same code logs in, once."""
    world = World(fake_backend(), clock, other_users=users)
    session, code = world.get_sms().session_id, world.outbox.code
    with stopped(mariadb):
        assert [log_in(world, session, code) for _ in range(5)] == ["UserStoreFailed"] * 5
        assert world.call("health")["codeStr"] == "Success"
    assert log_in(world, session, code) == "Success"
    assert log_in(world, session, code) == "CodeHasValid"


def test_a_file_that_is_no_database_keeps_the_code(tmp_path: Path, clock: time_machine.Traveller) -> None:
    """SQLite raises the plainest of all its errors then."""
    (tmp_path / "users.db").write_text("no database " * 100)
    with users_at(f"sqlite:///{tmp_path / 'users.db'}") as users:
        world = World(fake_backend(), clock, other_users=users)
        session, code = world.get_sms().session_id, world.outbox.code
        assert [log_in(world, session, code) for _ in range(2)] == ["UserStoreFailed"] * 2


def test_the_server_dies_between_code_and_user(
    mariadb: MariaDbServer, users: SqlUsers, clock: time_machine.Traveller
) -> None:
    """When the code is spent and nobody is signed in: the code is made good, and is good when the server is back."""
    world = World(fake_backend(), clock, other_users=users)
    session, code = world.get_sms().session_id, world.outbox.code
    redeem = world.challenges.redeem

    def dies_after(*args: object, **named: object) -> object:
        redeemed = redeem(*args, **named)  # type: ignore[arg-type] # as they came
        mariadb.kill()
        return redeemed

    world.challenges.redeem = dies_after  # type: ignore[method-assign, assignment] # for this one call
    try:
        answer = world.call("login", phone=PHONE.e164, code=code, sessionId=session)
    finally:
        mariadb.start()
    assert (answer["codeStr"], answer["errorCode"]) == ("UserStoreFailed", -1201)
    world.challenges.redeem = redeem  # type: ignore[method-assign] # back again
    user = world.call("login", phone=PHONE.e164, code=code, sessionId=session)["data"]
    assert user["isNewUser"] is True
    found = users.find(PHONE)
    assert found
    assert found.id == user["userId"]


def test_a_token_holders_request_in_an_outage_is_unavailable(
    mariadb: MariaDbServer, users: SqlUsers, clock: time_machine.Traveller
) -> None:
    """Not NotRegistered: nobody is told that they are gone because a server is."""
    world = World(fake_backend(), clock, other_users=users)
    session, code = world.get_sms().session_id, world.outbox.code
    token = world.call("login", phone=PHONE.e164, code=code, sessionId=session)["data"]["token"]
    calls = [("getUserInfo", {}), ("setNickname", {"name": "x"}), ("login", {"phone": PHONE.e164})]
    with stopped(mariadb):
        answers = [world.call(method, token=token, **params)["codeStr"] for method, params in calls]
    assert answers == ["ServiceUnavailable"] * 3
    assert [world.call(method, token=token, **params)["codeStr"] for method, params in calls] == ["Success"] * 3


def test_a_killed_server_loses_nobody_who_has_a_token(mariadb: MariaDbServer, url: str) -> None:
    """Among many who sign up at once, each is there afterwards or was told of the outage."""
    engine = connect(url)
    users = SqlUsers(SqlClient(engine))
    people = [Phone.parse(f"+86138001{i:05}", "CN") for i in range(200)]
    signed_in: dict[str, User] = {}
    kills = iter([mariadb.kill])

    def sign_up(share: list[Phone]) -> dict[str, int]:
        failed = 0
        for phone in share:
            try:
                signed_in[phone.e164] = users.sign_in(phone, f"id-{phone.e164[1:]}")
            except ServiceUnavailable:
                failed += 1
            if len(signed_in) >= 50:
                next(kills, lambda: None)()
        return {"failed": failed}

    try:
        answers = race(4, lambda i: sign_up(people[i::4]))
    finally:
        mariadb.start()
    assert sum(answer["failed"] for answer in answers) == len(people) - len(signed_in)
    assert len(people) > len(signed_in) >= 50
    assert {number: users.find(Phone.parse(number, "CN")) for number in signed_in} == signed_in
    engine.dispose()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the key and the certificate of a server called localhost, and of one that pretends to be it."""
    require(shutil.which("openssl") is not None, "openssl")
    directory = tmp_path_factory.mktemp("tls")
    for name in ("server", "other"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *files, *names]
        subprocess.run(command, cwd=directory, check=True, capture_output=True)  # noqa: S603 - a program that we found
    return directory


def test_tls_is_asked_for_in_the_url(authority: Path) -> None:
    """With `ssl_ca` the server has to show a certificate of that authority, in the name by which it was called."""
    require(find_mariadb() is not None, "mariadbd")
    with MariaDbServer(f"--ssl-cert={authority / 'server.pem'}", f"--ssl-key={authority / 'server.key'}") as server:
        url = server.new_database()
        called = url.replace("@127.0.0.1:", "@localhost:")
        assert called != url
        for address, works in (
            (f"{called}?ssl_ca={authority / 'server.pem'}", True),
            (f"{called}?ssl_ca={authority / 'other.pem'}", False),
            (f"{called}?ssl_ca={authority / 'absent.pem'}", False),
            (f"{url}?ssl_ca={authority / 'server.pem'}", False),
            (f"{url}?ssl_ca={authority / 'server.pem'}&ssl_check_hostname=false", True),
            (f"{url}?ssl_ca={authority / 'other.pem'}&ssl_check_hostname=false", False),
        ):
            engine = connect(address)
            if works:
                with SqlClient(engine).connection() as connection:
                    assert connection.exec_driver_sql("SHOW STATUS LIKE 'Ssl_cipher'").one()[1]
            else:
                with pytest.raises(ServiceUnavailable, match="sql: "):
                    SqlUsers(SqlClient(engine)).find(PHONE)
            engine.dispose()


def test_a_server_without_tls_is_refused_where_it_is_asked_for(authority: Path, url: str) -> None:
    """It is never sent a password in the clear instead."""
    address = f"{url}?ssl_ca={authority / 'server.pem'}"
    with users_at(address) as users, pytest.raises(ServiceUnavailable, match="SSL is required"):
        users.find(PHONE)
