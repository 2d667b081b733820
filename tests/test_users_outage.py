"""The database of the users goes away, hangs and comes back while users log in."""

import inspect
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymysql
import pytest
import time_machine
from sqlalchemy import event

from sms_admin.check.report import State
from sms_admin.check.users import check as check_users
from sms_admin.users_table import create
from sms_login.adapters.sql.client import SqlClient, connect
from sms_login.adapters.sql.users import SqlUsers
from sms_login.calls import Later
from sms_login.errors import ServiceUnavailable
from sms_login.phone import Phone
from sms_login.users import User
from tests.testkit.backends import fake_backend
from tests.testkit.mariadb import PASSWORD, MariaDbServer, find_mariadb
from tests.testkit.peer import certificate
from tests.testkit.races import race
from tests.testkit.relay import Relay
from tests.testkit.servers import require, until
from tests.testkit.world import OTHER_PHONE, PHONE, World

TIMEOUT = 0.5  # s, in place of one second
ANSWERS_WITHIN = 2.5  # s: a timeout for the connection that hangs, one for a new one, and a margin for a busy machine


@contextmanager
def users_at(url: str, **options: float) -> Iterator[SqlUsers]:
    """Yield the users of a USERS_URL, with a pool of their own."""
    engine = connect(url, **options)
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
    """The users of an instance that has a connection already, as a warm instance has."""
    with users_at(url) as users:
        users.sign_in(OTHER_PHONE, "warm").answer()
        yield users


@pytest.fixture
def impatient(url: str) -> Iterator[SqlUsers]:
    """Users as `users`, which wait only for `TIMEOUT`."""
    with users_at(url, timeout=TIMEOUT) as users:
        users.sign_in(OTHER_PHONE, "warm").answer()
        yield users


@contextmanager
def stopped(mariadb: MariaDbServer) -> Iterator[None]:
    """Stop the server for the duration of the block."""
    mariadb.kill()
    try:
        yield
    finally:
        mariadb.start()


def test_a_database_has_a_temporary_folder_of_its_own(mariadb: MariaDbServer) -> None:
    """A server that starts in a shared folder would delete the other's temporary tables."""
    assert mariadb.query("SELECT @@tmpdir") == ((str(mariadb.directory),),)


def test_a_restart_between_two_calls_costs_no_request(mariadb: MariaDbServer, users: SqlUsers) -> None:
    """All connections of a pool are dead after the restart, and still no request fails."""
    assert race(8, lambda _: {"user": users.find(OTHER_PHONE).answer()})
    with stopped(mariadb):
        pass
    answers = race(8, lambda _: {"user": users.find(OTHER_PHONE).answer()})
    assert [answer["user"].id for answer in answers] == ["warm"] * 8


def test_a_connection_that_the_server_has_ended_costs_no_request(
    mariadb: MariaDbServer, url: str, users: SqlUsers
) -> None:
    """A server ends connections that slept for too long."""

    def connected() -> list[int]:
        database = url.rsplit("/", 1)[1]
        return [
            row[0] for row in mariadb.query("SELECT id, db FROM information_schema.processlist") if row[1] == database
        ]

    until(lambda: len(connected()) == 1, 30)  # that which made the table has ended
    mariadb.query(f"KILL {connected()[0]}")
    until(lambda: not connected(), 30)
    assert users.sign_in(PHONE, "id").answer().id == "id"


def test_a_server_that_is_away_is_an_outage(mariadb: MariaDbServer, users: SqlUsers) -> None:
    """Every method fails at once, and works when the server is back."""
    with stopped(mariadb):
        started = time.perf_counter()
        for call in (
            lambda: users.sign_in(PHONE, "id").answer(),
            lambda: users.find(PHONE).answer(),
            lambda: users.rename(PHONE, "id", "name", only_if=Later(lambda: "id")).answer(),
            lambda: users.delete(PHONE, "id").answer(),
        ):
            with pytest.raises(ServiceUnavailable, match=r"sql: OperationalError: 2003 Can't connect .* refused"):
                call()
        assert time.perf_counter() - started < ANSWERS_WITHIN
    assert users.sign_in(PHONE, "id").answer().id == "id"


def test_a_server_that_hangs_is_an_outage_within_two_timeouts(mariadb: MariaDbServer, impatient: SqlUsers) -> None:
    """Simultaneous requests all fail in time: those without a connection do not wait one after the other."""
    assert inspect.signature(connect).parameters["timeout"].default == 1.0

    def outcome() -> dict[str, Any]:
        started = time.perf_counter()
        with pytest.raises(ServiceUnavailable) as unavailable:
            impatient.find(OTHER_PHONE).answer()
        return {"detail": unavailable.value.detail, "seconds": time.perf_counter() - started}

    mariadb.pause()
    try:
        answers = race(20, lambda _: outcome())
    finally:
        mariadb.resume()
    lost = [answer for answer in answers if "sql: OperationalError: 2013 Lost connection" in answer["detail"]]
    assert all("timed out" in answer["detail"] for answer in answers)
    assert len(answers) == 20
    assert len(lost) >= 8  # one for each connection; other requests waited in vain, or lost theirs as well
    assert sorted(answer["seconds"] for answer in answers)[7] < ANSWERS_WITHIN
    assert max(answer["seconds"] for answer in answers) < 2 * ANSWERS_WITHIN
    assert impatient.find(OTHER_PHONE).answer()


def test_a_row_that_stays_locked_is_an_outage(mariadb: MariaDbServer, url: str, impatient: SqlUsers) -> None:
    """The adapter gives up after its timeout, although the server itself would wait for fifty."""
    with closing(mariadb.connect(url.rsplit("/", 1)[1])) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM sms_login_users FOR UPDATE")
        started = time.perf_counter()
        with pytest.raises(ServiceUnavailable, match="timed out"):
            impatient.rename(OTHER_PHONE, "warm", "name", only_if=Later(lambda: "warm")).answer()
        assert time.perf_counter() - started < ANSWERS_WITHIN
        other.rollback()
    with users_at(url) as users:  # which are patient
        assert users.rename(OTHER_PHONE, "warm", "name", only_if=Later(lambda: "warm")).answer()


def test_connections_to_a_server_that_cannot_serve_are_given_up_at_once(
    mariadb: MariaDbServer, url: str, clock: time_machine.Traveller
) -> None:
    """The address leads to a new primary, the old one lives on and only reads: a request of each kind fails once."""
    address, name = mariadb.url_without_rights(url), url.rsplit("/", 1)[1]
    with MariaDbServer() as new, closing(Relay(mariadb.port)) as relay:
        new.query(f"CREATE DATABASE {name}")
        with closing(SqlClient(connect(new.url(name)))) as client:
            create(client)
        with users_at(address.replace(f":{mariadb.port}/", f":{relay.port}/")) as users:
            world = World(fake_backend(), clock, other_users=users)
            race(4, lambda i: {"user": users.find(Phone.parse(f"+861380013800{i}", "CN")).answer()})
            session_id, code = world.get_sms().session_id, world.outbox.code
            mariadb.query("SET GLOBAL read_only = 1")
            relay.target = new.port
            try:
                assert log_in(world, session_id, code) == "UserStoreFailed"
                assert log_in(world, session_id, code) == "Success"
                assert world.call("health")["data"]["users"] == "ok"
                with users_at(address) as there, pytest.raises(ServiceUnavailable, match="1290"):
                    there.check()
                (finding,) = check_users(address)
                assert (finding.state, finding.todo[:44]) == (
                    State.PROBLEM,
                    "USERS_URL leads to a server that only reads,",
                )
            finally:
                mariadb.query("SET GLOBAL read_only = 0")
    with users_at(address) as users:
        assert users.check()
        assert users.find(PHONE).answer() is None


def test_an_instance_has_eight_connections_at_most(mariadb: MariaDbServer, url: str) -> None:
    """Any further threads wait for their turn, since the database has to serve more than this function."""
    until(lambda: int(mariadb.query("SHOW STATUS LIKE 'Threads_connected'")[0][1]) == 1, 30)  # the test's own
    mariadb.query("FLUSH STATUS")
    eight = threading.Barrier(8, timeout=10)
    engine = connect(url)
    event.listen(engine, "before_cursor_execute", lambda *_: eight.wait())  # eight at once, then the next eight
    users = SqlUsers(SqlClient(engine))
    assert race(40, lambda _: {"user": users.find(OTHER_PHONE).answer()}) == [{"user": None}] * 40
    most = int(mariadb.query("SHOW GLOBAL STATUS LIKE 'Max_used_connections'")[0][1])
    assert most == 8 + 1
    engine.dispose()


def test_a_server_that_takes_no_more_connections_is_an_outage(mariadb: MariaDbServer, url: str) -> None:
    """The log has the server's reason."""
    least = 10  # the least that MariaDB allows
    with ExitStack() as stack:
        cursor = stack.enter_context(closing(mariadb.connect())).cursor()

        def connected() -> int:
            cursor.execute("SHOW STATUS LIKE 'Threads_connected'")
            return int(cursor.fetchall()[0][1])

        until(lambda: connected() == 1, 30)  # no place is given up later
        cursor.execute(f"SET GLOBAL max_connections = {least}")
        stack.callback(cursor.execute, "SET GLOBAL max_connections = 151")
        with pytest.raises(pymysql.err.OperationalError):
            _ = [stack.enter_context(closing(mariadb.connect())) for _ in range(least + 2)]
        with users_at(url) as users, pytest.raises(ServiceUnavailable, match="1040 Too many connections"):
            users.find(PHONE).answer()


def test_a_failure_names_no_password(url: str) -> None:
    """The log has neither the right password nor a wrong one, and no user name."""
    wrong = url.replace(quote(PASSWORD, safe=""), "wr0ng")
    assert wrong != url
    with users_at(wrong) as users, pytest.raises(ServiceUnavailable) as unavailable:
        users.find(PHONE).answer()
    assert unavailable.value.detail == "sql: OperationalError: 1045 Access denied for user '…' (using password: YES)"
    chain: BaseException | None = unavailable.value
    while chain:
        assert "wr0ng" not in f"{chain} {chain!r} {chain.args}"
        chain = chain.__cause__


def test_an_authentication_method_that_needs_another_library_is_an_outage() -> None:
    """PyMySQL raises RuntimeError; the code stays valid until the operator has added the library."""

    def needs_another(*_: object) -> None:
        raise RuntimeError(
            "'cryptography' package is required for sha256_password or caching_sha2_password auth methods"
        )

    engine = connect("mysql+pymysql://login@127.0.0.1/app")
    event.listen(engine, "do_connect", needs_another)
    with pytest.raises(ServiceUnavailable, match="sql: RuntimeError: '…' package is required for sha256_password"):
        SqlUsers(SqlClient(engine)).find(PHONE).answer()


def log_in(world: World, session_id: str, code: str) -> str:
    """Return the outcome of a login through the whole app."""
    outcome: str = world.call("login", phone=PHONE.e164, code=code, sessionId=session_id)["codeStr"]
    return outcome


def test_a_code_survives_an_outage_of_the_user_table(
    mariadb: MariaDbServer, users: SqlUsers, clock: time_machine.Traveller
) -> None:
    """Each login is answered with 503 during the outage; then the same code logs in, once."""
    world = World(fake_backend(), clock, other_users=users)
    session_id, code = world.get_sms().session_id, world.outbox.code
    with stopped(mariadb):
        assert [log_in(world, session_id, code) for _ in range(5)] == ["UserStoreFailed"] * 5
        assert world.call("health")["codeStr"] == "ServiceUnavailable"
    assert world.call("health")["data"]["users"] == "ok"
    assert log_in(world, session_id, code) == "Success"
    assert log_in(world, session_id, code) == "CodeHasValid"


def test_a_code_survives_a_file_that_is_not_a_database(tmp_path: Path, clock: time_machine.Traveller) -> None:
    """SQLite raises a plain DatabaseError for such a file."""
    (tmp_path / "users.db").write_text("no database " * 100)
    with users_at(f"sqlite:///{tmp_path / 'users.db'}") as users:
        world = World(fake_backend(), clock, other_users=users)
        session_id, code = world.get_sms().session_id, world.outbox.code
        assert [log_in(world, session_id, code) for _ in range(2)] == ["UserStoreFailed"] * 2


def test_a_code_survives_a_crash_between_its_redemption_and_the_sign_in(
    mariadb: MariaDbServer, users: SqlUsers, clock: time_machine.Traveller
) -> None:
    """The code has been redeemed and no user has been signed in, so the code is unredeemed and works later."""
    world = World(fake_backend(), clock, other_users=users)
    session_id, code = world.get_sms().session_id, world.outbox.code
    world.redis.after("redeem", mariadb.kill)
    try:
        answer = world.call("login", phone=PHONE.e164, code=code, sessionId=session_id)
    finally:
        mariadb.start()
    assert (answer["codeStr"], answer["errorCode"]) == ("UserStoreFailed", -1201)
    user = world.call("login", phone=PHONE.e164, code=code, sessionId=session_id)["data"]
    assert user["isNewUser"] is True
    found = users.find(PHONE).answer()
    assert found
    assert found.id == user["userId"]


def test_a_request_with_a_token_is_unavailable_in_an_outage(
    mariadb: MariaDbServer, users: SqlUsers, clock: time_machine.Traveller
) -> None:
    """The answer is not NotRegistered: an outage must not look like a deleted account."""
    world = World(fake_backend(), clock, other_users=users)
    session_id, code = world.get_sms().session_id, world.outbox.code
    token = world.call("login", phone=PHONE.e164, code=code, sessionId=session_id)["data"]["token"]
    calls = [("getUserInfo", {}), ("setNickname", {"name": "x"}), ("login", {"phone": PHONE.e164})]
    with stopped(mariadb):
        answers = [world.call(method, token=token, **params)["codeStr"] for method, params in calls]
    assert answers == ["ServiceUnavailable"] * 3
    assert [world.call(method, token=token, **params)["codeStr"] for method, params in calls] == ["Success"] * 3


def test_a_killed_server_loses_no_user_who_has_a_token(mariadb: MariaDbServer, url: str) -> None:
    """Of many simultaneous sign-ups, each user is in the table afterwards or was told of the outage."""
    engine = connect(url)
    users = SqlUsers(SqlClient(engine))
    people = [Phone.parse(f"+86138001{i:05}", "CN") for i in range(200)]
    signed_in: dict[str, User] = {}
    kills = iter([mariadb.kill])

    def sign_up(share: list[Phone]) -> dict[str, int]:
        failed = 0
        for phone in share:
            try:
                signed_in[phone.e164] = users.sign_in(phone, f"id-{phone.e164[1:]}").answer()
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
    found = {number: users.find(Phone.parse(number, "CN")).answer() for number in signed_in}
    assert {number: user and user.id for number, user in found.items()} == {
        number: user.id for number, user in signed_in.items()
    }
    engine.dispose()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the key and certificate of a server called localhost, and those of an impostor."""
    directory = tmp_path_factory.mktemp("tls")
    for name in ("server", "other"):
        certificate(directory, name)
    return directory


def test_the_url_requires_tls_and_names_its_authority(authority: Path) -> None:
    """With `ssl_ca` the server must present a certificate of that authority for the name in the URL."""
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
                    SqlUsers(SqlClient(engine)).find(PHONE).answer()
            engine.dispose()


def test_a_server_without_tls_is_refused_if_the_url_requires_tls(authority: Path, url: str) -> None:
    """The client never sends a password in the clear instead."""
    address = f"{url}?ssl_ca={authority / 'server.pem'}"
    with users_at(address) as users, pytest.raises(ServiceUnavailable, match="SSL is required"):
        users.find(PHONE).answer()
