"""`python -m sms_admin.users_table` creates the table of users, and migrates users of the 2020 demo."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sms_admin.users_table import main
from sms_login.adapters.sql.client import SqlClient, connect
from sms_login.adapters.sql.users import SqlUsers
from sms_login.calls import Later
from sms_login.phone import Phone
from sms_login.users import User
from tests.testkit.cases import each_case
from tests.testkit.mariadb import PASSWORD, MariaDbServer
from tests.testkit.users import lasting
from tests.testkit.world import OTHER_PHONE, PHONE

ROOT = Path(__file__).parent.parent
AVATAR = "https://example.com/a.png"


class Database:
    """A database, and our commands on it."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self.engine: Engine = connect(url)
        self.users = SqlUsers(SqlClient(self.engine))
        self._monkeypatch, self._capsys = monkeypatch, capsys
        monkeypatch.setenv("USERS_URL", url)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Return exit code, output and errors of a command, run in this process."""
        self._monkeypatch.setattr(sys, "argv", ["sql_users", *arguments])
        self._capsys.readouterr()
        code = main()
        return (code, *self._capsys.readouterr())

    def old(self, *rows: tuple[Any, ...], ids: str = "VARCHAR(255)", phones: str = "VARCHAR(32)") -> None:
        """Create the demo's table, with rows of userId, phone, name, avatar and time."""
        with self.engine.connect() as connection:
            charset = "CHARACTER SET utf8mb4" if self.engine.dialect.name == "mysql" else ""
            columns = f"`userId` {ids}, phone {phones}, name VARCHAR(255), avatar TEXT, time BIGINT"
            connection.execute(text(f"CREATE TABLE info ({columns}) {charset}"))
            for row in rows:
                values = dict(zip("abcde", row, strict=True))
                connection.execute(text("INSERT INTO info VALUES (:a, :b, :c, :d, :e)"), values)

    def dump(self, table: str) -> list[tuple[Any, ...]]:
        """Return the rows of a table."""
        with self.engine.connect() as connection:
            return sorted(tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}")))  # noqa: S608 - ours


@pytest.fixture(params=["sqlite", "mariadb"])
def database(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Database]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'users.db'}"
    else:
        url = request.getfixturevalue("mariadb").new_database()
    database = Database(url, monkeypatch, capsys)
    yield database
    database.engine.dispose()


def test_create_creates_the_table_once(database: Database) -> None:
    """The command reports its result, and a second run deletes nothing."""
    assert database.run("create") == (0, "The table sms_login_users is made.\n", "")
    user = database.users.sign_in(PHONE, "id").answer()
    assert database.run("create") == (0, "The table sms_login_users was there already.\n", "")
    assert (found := database.users.find(PHONE).answer())
    assert found.id == user.id


def test_create_refuses_a_table_that_is_not_ours(database: Database) -> None:
    """A table of that name with other columns would fail at the first login."""
    with database.engine.connect() as connection:
        connection.execute(text("CREATE TABLE sms_login_users (a INT)"))
    code, out, err = database.run("create")
    assert (code, out) == (1, "")
    assert "sql: OperationalError" in err


def test_a_database_of_mariadb_has_the_charset_that_emoji_need(mariadb: MariaDbServer, database: Database) -> None:
    """The charset does not depend on the server's default, and number and id are compared byte by byte."""
    database.run("create")
    if database.engine.dialect.name == "mysql":
        made = mariadb.query("SHOW CREATE TABLE sms_login_users", database.url.rsplit("/", 1)[1])[0][1]
        assert mariadb.query("SELECT @@character_set_server") == (("latin1",),)
        assert "DEFAULT CHARSET=utf8mb4" in made
        assert "ENGINE=InnoDB" in made
        assert made.count("CHARACTER SET ascii COLLATE ascii_bin") == 2


OLD = [
    ("1001", "13800138000", "小明😀", AVATAR, 1577808000000),
    ("a" * 32, "13800138001", None, None, 1577808000001),
    ("1002", "+86 138-0013-8002", "", "", None),
]


def test_migrate_keeps_every_user_unchanged(database: Database) -> None:
    """Id, name, avatar and time are migrated under the number in E.164, and the demo's own table stays unchanged."""
    database.old(*OLD)
    before = database.dump("info")
    code, out, err = database.run("migrate")
    assert (code, err) == (0, "")
    assert "Of the users in info, 3 are taken over now and 0 were before." in out
    assert lasting(database.users.find(PHONE).answer()) == lasting(User("1001", PHONE, "小明😀", AVATAR, 1577808000000))
    assert lasting(database.users.sign_in(OTHER_PHONE, "new").answer()) == lasting(
        User("a" * 32, OTHER_PHONE, "", "", 1577808000001)
    )
    third = Phone.parse("+8613800138002", "CN")
    assert lasting(database.users.find(third).answer()) == lasting(User("1002", third, "", "", 0))
    assert database.dump("info") == before


def test_migrate_may_be_repeated(database: Database) -> None:
    """A second run migrates users who came since, and keeps names that users have changed in between."""
    database.old(*OLD[:2])
    assert database.run("migrate")[0] == 0
    database.users.rename(PHONE, "1001", "renamed", only_if=Later(lambda: "1001")).answer()
    with database.engine.connect() as connection:
        connection.execute(text("INSERT INTO info VALUES ('1003', '13800138003', '', '', 1)"))
    code, out, _ = database.run("migrate")
    assert code == 0
    assert "1 are taken over now and 2 were before" in out
    assert database.users.sign_in(PHONE, "x").answer().name == "renamed"
    assert len(database.dump("sms_login_users")) == 3


@pytest.mark.parametrize(("ids", "phones"), [("BIGINT", "BIGINT"), ("INT", "CHAR(11)"), ("CHAR(36)", "BIGINT")])
def test_ids_and_numbers_may_be_numeric(database: Database, ids: str, phones: str) -> None:
    """Numeric ids and numbers become the same digits as text."""
    database.old((42, 13800138000, "", "", 1), ids=ids, phones=phones)
    assert database.run("migrate")[0] == 0
    user = database.users.find(PHONE).answer()
    assert user
    assert user.id == "42"


def test_a_user_who_is_not_migrated_is_named_by_id(database: Database) -> None:
    """The command prints the reason and no number, and its exit code says that users are left."""
    database.run("create")
    database.users.sign_in(OTHER_PHONE, "came-anew").answer()
    database.old(
        ("later", "+8613800138000", "", "", 3),
        ("first", "13800138000", "", "", 2),
        ("again", "008613800138000", "", "", 4),
        ("old", "13800138001", "", "", 1),
        ("short", "1380013800", "", "", 5),
        ("fixed", "02112345678", "", "", 6),
        ("nanp", "12025550123", "", "", 7),  # invalid in China, but valid in the United States
        ("abroad", "85261234567", "", "", 8),
        ("none", None, "", "", 9),
        ("first", "13800138004", "", "", 10),
        (None, "13800138005", "", "", 11),
        ("", "13800138006", "", "", 12),
        ("i" * 65, "13800138007", "", "", 13),
        ("good", "13800138009", "", "", 14),
    )
    code, out, err = database.run("migrate")
    assert (code, err) == (1, "")
    assert out.splitlines()[1:] == [
        "Of the users in info, 2 are taken over now and 0 were before.",
        "5 are NOT taken over: they have no valid mobile number of mainland China: short fixed nanp abroad none",
        f"3 are NOT taken over: they have no userId of at most 64 ASCII characters: (none) (none) {'i' * 65}",
        "3 are NOT taken over: they have the number of another user: old later again",
        "1 are NOT taken over: they have the userId of another number: first",
    ]
    assert "138" not in out
    assert {row[1] for row in database.dump("sms_login_users")} == {"came-anew", "first", "good"}


def test_a_long_name_or_avatar_costs_no_account(database: Database) -> None:
    """The command cuts a name, leaves an avatar out, and reports both."""
    database.old(
        ("long-name", "13800138000", "😀" * 65, AVATAR, 1),
        ("long-avatar", "13800138001", "n" * 64, "a" * 2049, 2),
    )
    code, out, _ = database.run("migrate")
    assert code == 0
    assert "2 had a name or an avatar that is too long: long-name long-avatar\n" in out
    assert lasting(database.users.find(PHONE).answer()) == lasting(User("long-name", PHONE, "😀" * 64, AVATAR, 1))
    assert lasting(database.users.find(OTHER_PHONE).answer()) == lasting(
        User("long-avatar", OTHER_PHONE, "n" * 64, "", 2)
    )


def test_thousands_are_migrated_in_batches(database: Database) -> None:
    """Users who are left out are counted across batches."""
    database.old()
    rows = [{"a": f"id-{i}", "b": f"138{i % 1200:08}"} for i in range(1300)]
    with database.engine.connect() as connection:
        connection.execute(text("INSERT INTO info VALUES (:a, :b, '', '', 1)"), rows)
    code, out, _ = database.run("migrate")
    assert code == 1
    assert "1200 are taken over now and 0 were before" in out
    assert "100 are NOT taken over: they have the number of another user" in out
    assert "0 are taken over now and 1200 were before" in database.run("migrate")[1]


def test_migrate_without_the_old_table_is_an_error(database: Database) -> None:
    """The error is one sentence."""
    assert database.run("migrate")[::2] == (1, "sql: there is no table info to take users from\n")


@each_case("arguments", [[], ["drop"], ["create", "migrate"], ["--help"]])
def test_an_unknown_command_prints_the_usage(database: Database, arguments: list[str]) -> None:
    """An unknown command prints the usage and changes nothing."""
    code, out, err = database.run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("usage: USERS_URL=… python -m sms_admin.users_table create|migrate\n")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (None, "USERS_URL is required"),
        ("mysql://u:hunter2@h/db", "USERS_URL must be mysql+pymysql://"),
        ("mysql+pymysql://u:hunter2@127.0.0.1:1/db", "sql: OperationalError: 2003 Can't connect"),
        (f"mysql+pymysql://u:hunter2@{'a' * 64}.example/db", "sql: "),
        ("sqlite:////no/such/directory/users.db", "sql: OperationalError: unable to open database file"),
    ],
)
def test_an_unusable_url_is_reported_in_one_sentence(
    url: str | None, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command returns exit code 1 and prints one sentence, without the password."""
    monkeypatch.delenv("USERS_URL", raising=False)
    if url:
        monkeypatch.setenv("USERS_URL", url)
    monkeypatch.setattr(sys, "argv", ["users_table", "create"])
    assert main() == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(message)
    assert "hunter2" not in err


def test_a_wrong_password_is_reported_in_one_sentence(mariadb: MariaDbServer) -> None:
    """A process of its own ends with exit code 1, without a traceback, a warning, or one of the two passwords."""
    url = mariadb.new_database().replace("%40", "wrong")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "sms_admin.users_table", "create"],
        cwd=ROOT,
        env={**os.environ, "USERS_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "sql: OperationalError: 1045 Access denied for user '…' (using password: YES)\n"
    assert PASSWORD not in done.stderr
