"""`sms-admin users`, on Redis, a cluster, SQLite and MariaDB."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from local.cloud import ADMIN, local_cloud
from sms_admin.failures import Failed
from sms_admin.place import Place
from sms_admin.users import operations, records, redis_records, sql_records
from sms_admin.users.records import Who
from sms_admin.users_table import create
from sms_login.adapters.redis.client import RedisClient, connect
from sms_login.adapters.redis.sessions import RedisSessions
from sms_login.adapters.redis.users import RedisUsers
from sms_login.adapters.sql.client import SqlClient
from sms_login.adapters.sql.client import connect as connect_sql
from sms_login.adapters.sql.schema import USERS
from sms_login.adapters.sql.users import SqlUsers
from sms_login.phone import Phone
from sms_login.sessions.store import SessionRules
from sms_login.users import User, Users
from tests.testkit.admin import Done, admin
from tests.testkit.world import OTHER_PHONE, PHONE

MANY = 110  # more than two pages of 50 users
PHONES = [Phone.from_e164(f"+86138{i:08}") for i in range(MANY)]
SESSION = "s" * 22


class Deployment:
    """The users and sessions of a function, and the environment that leads an operator to them."""

    def __init__(self, environ: dict[str, str], users: Users, client: Any) -> None:
        self.environ, self.users, self.client = environ, users, client
        self.sessions = RedisSessions(RedisClient(lambda: client), SessionRules())

    def fill(self) -> None:
        """Sign up all of PHONES, each with its place as id and name."""
        if url := self.environ.get("USERS_URL"):
            names = [{"phone": phone.e164, "id": f"id-{i}", "name": f"Name {i}"} for i, phone in enumerate(PHONES)]
            with closing(SqlClient(connect_sql(url))) as sql, sql.connection() as connection:
                connection.execute(
                    insert(USERS), [{**row, "avatar": "", "created": 1_700_000_000_999} for row in names]
                )
            return
        pipeline = self.client.pipeline(transaction=False)
        for i, phone in enumerate(PHONES):
            user = {"id": f"id-{i}", "name": f"Name {i}", "avatar": "", "created": "1700000000999"}
            pipeline.hset(f"user:{{{phone.e164}}}", mapping=user)
            pipeline.set(f"otp:{{{phone.e164}}}:cooldown", "x", px=60_000)
        pipeline.execute()

    def sign_in(self, phone: Phone, session: str = SESSION) -> User:
        """Sign a number in."""
        return self.sessions.begin(phone, session, self.users.sign_in(phone, phone.e164[1:])).answer().user

    def call(self, *arguments: str) -> Done:
        """Run `sms-admin users`."""
        return admin(self.environ, "users", *arguments)

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        """Run `sms-admin users --json`, which succeeds; return its rows."""
        done = self.call(*arguments, "--json")
        assert done.code == 0, done.err
        return [json.loads(line) for line in done.out.splitlines()]

    def log(self) -> list[dict[str, Any]]:
        """Return the log of changes."""
        path = Path(self.environ["XDG_STATE_HOME"], "sms-admin/changes.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(params=["redis", "cluster", "sqlite", "mariadb"])
def deployment(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """A deployment without users, whose lists have pages of a tenth of their usual size."""
    monkeypatch.setattr(redis_records, "_PAGE", 25)
    monkeypatch.setattr(redis_records, "_COUNT", 50)
    monkeypatch.setattr(sql_records, "_PAGE", 50)
    monkeypatch.setattr(operations, "_ROWS", 10)
    server = request.getfixturevalue("redis_cluster" if request.param == "cluster" else "redis_server")
    client = connect(
        server.host if request.param != "cluster" else "127.0.0.1", server.port, cluster=request.param == "cluster"
    )
    client.flushall()
    environ = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(server.port), "XDG_STATE_HOME": str(tmp_path / "state")}
    if request.param in {"redis", "cluster"}:
        environ["REDIS_CLUSTER"] = "1" if request.param == "cluster" else "0"
        yield Deployment(environ, RedisUsers(RedisClient(lambda: client)), client)
    else:
        sqlite = request.param == "sqlite"
        url = f"sqlite:///{tmp_path / 'users.db'}" if sqlite else request.getfixturevalue("mariadb").new_database()
        with closing(SqlClient(connect_sql(url))) as sql:
            create(sql)
            yield Deployment({**environ, "USERS_URL": url}, SqlUsers(sql), client)
    client.close()


def test_all_users_are_listed_page_by_page(deployment: Deployment) -> None:
    """Each is there once, with a masked number; in SQL they are in the order of their numbers."""
    assert deployment.rows("list") == []
    assert "There are no such users." in deployment.call("list").out
    deployment.fill()
    rows = deployment.rows("list", "--clear")
    assert sorted(row["phone"] for row in rows) == [phone.e164 for phone in PHONES]
    if "USERS_URL" in deployment.environ:
        assert [row["phone"] for row in rows] == [phone.e164 for phone in PHONES]
    first = next(row for row in rows if row["userId"] == "id-7")
    assert first == {
        "userId": "id-7",
        "phone": PHONES[7].e164,
        "name": "Name 7",
        "created": 1_700_000_000,
        "lastLogin": first["lastLogin"],
        "banned": False,
    }
    assert {row["phone"] for row in deployment.rows("list", "--limit", "3")} <= {str(phone) for phone in PHONES}
    assert len(deployment.rows("list", "--limit", "3")) == 3
    table = deployment.call("list", "--number", "+86 138 0000 0007").out
    assert str(PHONES[7]) in table
    assert PHONES[7].e164 not in table
    assert "Name 7" in table


def test_users_are_found_by_the_beginning_of_a_number_and_by_name(deployment: Deployment) -> None:
    """A prefix that cannot begin a number is a wrong command line; a name without users finds none."""
    deployment.fill()
    deployment.sign_in(OTHER_PHONE)
    for prefix, count in (("+86138000000", 100), ("+861380000010", 10), ("+8613800000101", 1), ("+", MANY + 1)):
        assert len(deployment.rows("list", "--number", prefix)) == count if prefix != "+" else True
    assert [row["userId"] for row in deployment.rows("list", "--name", "name 7")].count("id-7") == 1
    assert len(deployment.rows("list", "--name", "name 7")) == 11
    assert deployment.rows("list", "--number", "+4479", "--name", "x") == []
    for wrong in ("138", "+", "+86x", "+86*", "+86?"):
        assert deployment.call("list", "--number", wrong).code == 2


def test_one_user_is_found_by_number_and_by_id(deployment: Deployment) -> None:
    """Sessions are counted while they last; an unknown user is a failure."""
    deployment.fill()
    for _ in range(2):
        deployment.sign_in(PHONES[109], f"{_}" * 22)
    (row,) = deployment.rows("show", PHONES[109].e164)
    assert row == {
        "userId": "id-109",
        "phone": str(PHONES[109]),
        "name": "Name 109",
        "created": 1_700_000_000,
        "lastLogin": row["lastLogin"],
        "banned": False,
        "avatar": "",
        "sessions": 2,
    }
    assert deployment.rows("show", "id-109") == deployment.rows("show", f" {PHONES[109].e164} ") == [row]
    deployment.client.delete(f"session:{{{PHONES[109].e164}}}:{'0' * 22}")  # as if it had expired
    assert deployment.rows("show", "id-109")[0]["sessions"] == 1
    assert deployment.rows("show", "id-0")[0]["sessions"] == 0
    for nobody in ("id-110", "ID-7", "id-7_", PHONE.e164):
        done = deployment.call("show", nobody)
        assert (done.code, done.out, done.err) == (1, "", "there is no such user\n")
    for number in ("13800138000", "008613800138000", "138-0013-8000"):
        assert "write its plus and country" in deployment.call("show", number).err
    for wrong in ("", "+86", "8613800138000 ", "x" * 65, "名字"):
        assert deployment.call("show", wrong).code == (1 if wrong.startswith("86") else 2)


def test_a_user_is_signed_out_after_a_yes(deployment: Deployment) -> None:
    """All sessions of the user end, and no other; the log says who did it, and masks the number."""
    user, other = deployment.sign_in(PHONE), deployment.sign_in(OTHER_PHONE)
    asked = deployment.call("sign-out", PHONE.e164)
    assert asked.code == 2
    assert f"Sign {PHONE} out everywhere?" in asked.err
    assert deployment.log() == []
    assert deployment.sessions.owner(PHONE, SESSION).answer() == user.id
    (row,) = deployment.rows("sign-out", PHONE.e164, "--yes", "--operator", "小王")
    assert row["sessions"] == 1
    assert deployment.sessions.owner(PHONE, SESSION).answer() is None
    assert deployment.sessions.owner(OTHER_PHONE, SESSION).answer() == other.id
    assert deployment.users.find(PHONE).answer() is not None
    (line,) = deployment.log()
    assert line | {"time": ""} == {
        "time": "",
        "event": "admin",
        "action": "users.sign-out",
        "by": "小王",
        "phone": str(PHONE),
        "userId": user.id,
    }


def test_a_user_is_banned_and_the_ban_lifted(deployment: Deployment) -> None:
    """The table has it at once; a list may be of banned users alone; the log has both changes."""
    deployment.fill()
    assert deployment.call("ban", "id-7").code == 2
    assert not deployment.rows("show", "id-7")[0]["banned"]
    lines = deployment.call("ban", "id-7", "--yes").out.splitlines()
    assert ([line.split()[1:] for line in lines if line.startswith("banned")], lines[-1]) == ([["yes"]], "Banned.")
    assert deployment.call("ban", PHONES[7].e164, "--yes").code == 0  # twice is once
    assert [row["userId"] for row in deployment.rows("list", "--banned")] == ["id-7"]
    assert deployment.rows("show", "id-7")[0]["banned"]
    user = deployment.users.find(PHONES[7]).answer()
    assert user
    assert user.banned
    lines = deployment.call("unban", "id-7").out.splitlines()
    assert [line.split()[1:] for line in lines if line.startswith("banned")] == [["no"]]
    assert lines[-1] == "The ban is lifted."
    again = deployment.call("unban", "id-7")
    assert (again.code, again.out, again.err) == (1, "", "the user is not banned: nothing was changed\n")
    assert deployment.rows("list", "--banned") == []
    assert [line["action"] for line in deployment.log()] == ["users.ban", "users.ban", "users.unban"]


def test_a_user_is_deleted_after_a_yes(deployment: Deployment) -> None:
    """The user and all sessions are gone, found by id; all others stay, and a repeat fails."""
    deployment.fill()
    deployment.sign_in(PHONES[50]), deployment.sign_in(PHONES[51])
    assert deployment.call("delete", "id-50").code == 2
    assert deployment.users.find(PHONES[50]).answer() is not None
    done = deployment.call("delete", "id-50", "--yes")
    assert (done.code, done.out.splitlines()[-1]) == (0, "Deleted.")
    assert deployment.users.find(PHONES[50]).answer() is None
    assert deployment.sessions.owner(PHONES[50], SESSION).answer() is None
    assert deployment.sessions.owner(PHONES[51], SESSION).answer() == "id-51"
    assert deployment.call("delete", "id-50", "--yes").code == 1
    assert [line["action"] for line in deployment.log()] == ["users.delete"]
    assert "@" in deployment.log()[0]["by"]


def test_a_user_is_moved_to_a_new_number_after_a_yes(deployment: Deployment) -> None:
    """The user keeps the id, the old number is free, and all sessions have ended; a taken number is refused."""
    deployment.fill()
    deployment.sign_in(PHONES[7]), deployment.sign_in(PHONES[8])
    asked = deployment.call("move", PHONES[7].e164, PHONE.e164)
    assert asked.code == 2
    assert f"Give the user {PHONES[7]} the number {PHONE}?" in asked.err
    taken = deployment.call("move", "id-7", PHONES[8].e164, "--yes")
    assert (taken.code, "the new number has a user already" in taken.err) == (1, True)
    assert deployment.call("move", "id-7", PHONES[7].e164, "--yes").code == 1  # the same number
    assert deployment.sessions.owner(PHONES[7], SESSION).answer() == "id-7"
    assert deployment.log() == []
    done = deployment.call("move", "id-7", PHONE.e164, "--yes")
    assert (done.code, done.err) == (0, "")
    moved = deployment.users.find(PHONE).answer()
    assert moved
    assert (moved.id, moved.name, moved.created) == ("id-7", "Name 7", 1_700_000_000_999)
    assert deployment.users.find(PHONES[7]).answer() is None
    assert deployment.sessions.owner(PHONES[7], SESSION).answer() is None
    assert deployment.sessions.owner(PHONES[8], SESSION).answer() == "id-8"
    assert deployment.sign_in(PHONE).id == "id-7"
    assert deployment.sign_in(PHONES[7], "t" * 22).id != "id-7"
    (line,) = deployment.log()
    assert (line["action"], line["phone"], line["to"]) == ("users.move", str(PHONES[7]), str(PHONE))
    assert deployment.call("ban", "id-9", "--yes").code == 0
    assert "banned" in deployment.call("move", "id-9", OTHER_PHONE.e164, "--yes").err
    assert deployment.users.find(OTHER_PHONE).answer() is None


def test_a_cursor_that_leads_nowhere_is_told(deployment: Deployment) -> None:
    """A node of a cluster may be gone after a failover, or all the last users of a page be deleted: begin again."""
    deployment.fill()
    with closing(Place(deployment.environ, "", lambda _: None)) as place:
        some = records.page(place, None)
        assert some.cursor is not None
        cursors = {"SQL": ["nobody"], "Redis": ("127.0.0.1:1", 7)}
        with pytest.raises(Failed, match="begin again"):
            records.page(place, cursors["SQL" if "USERS_URL" in deployment.environ else "Redis"])
        for malformed in (
            True,
            7,
            [7, "x"],
            "x",
            ["x"] if "USERS_URL" not in deployment.environ else ["x", 7],
            {"x": 1},
        ):
            with pytest.raises(Failed, match="the cursor is malformed"):
                records.page(place, malformed)
        assert json.loads(json.dumps(some.cursor)) is not None  # it travels as JSON
        assert len(records.page(place, json.loads(json.dumps(some.cursor))).users) > 10
        assert not any(phone.e164[1:] in json.dumps(some.cursor) for phone in PHONES)
        with pytest.raises(Failed, match="no such user"):
            records.find(place, Who(phone=PHONE.e164), None)


def test_a_list_goes_on_if_users_of_its_page_are_deleted_or_moved(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others come once and in order, also those after a user who took a far number between two pages."""
    if "USERS_URL" not in deployment.environ:  # Redis goes by its own tables
        return
    deployment.fill()
    monkeypatch.setattr(sql_records, "_PAGE", 20)
    with closing(Place(deployment.environ, "", lambda _: None)) as place:
        users, cursor = records.page(place, None)
        gone, moved = users[-1], users[-2]
        place.users.delete(gone.phone, gone.id).answer()
        place.users.move(moved.phone, Phone.from_e164("+8619999999999"), moved.id).answer()
        listed = [*users]
        while cursor is not None:
            users, cursor = records.page(place, cursor)
            listed += users
    ids = [user.id for user in listed]
    assert ids.pop() == moved.id  # once more, with the new number
    assert ids == [f"id-{number}" for number in range(len(PHONES))]


def test_the_admin_function_gives_the_same_users_and_logs_the_caller(deployment: Deployment) -> None:
    """It is asked page by page, and neither its rows nor its cursors have a clear number."""
    deployment.fill()
    deployment.sign_in(PHONES[109])
    here, log = deployment.rows("list"), list[str]()
    with local_cloud(deployment.environ, on_log=log.append) as cloud:
        deployment.environ |= cloud.environ
        before = cloud.tencent.requests("Invoke")
        there = deployment.rows("list", "--function", ADMIN)
        assert sorted(row["userId"] for row in there) == sorted(row["userId"] for row in here)
        assert cloud.tencent.requests("Invoke") - before > 2
        (row,) = deployment.rows("sign-out", "id-109", "--yes", "--operator", "x", "--function", ADMIN)
        assert (row["userId"], row["sessions"]) == ("id-109", 1)
        done = deployment.call("show", PHONE.e164, "--function", ADMIN)
        assert (done.code, done.err) == (1, "there is no such user\n")
    assert deployment.sessions.owner(PHONES[109], SESSION).answer() is None
    (line,) = (json.loads(line) for line in log if '"action"' in line)
    assert (line["action"], line["phone"]) == ("users.sign-out", str(PHONES[109]))
    assert line["by"].startswith("qcs::cam::")
    assert deployment.log() == []


def test_a_database_that_is_away_is_told_without_a_traceback(tmp_path: Path) -> None:
    """So is a wrong setting, without its value."""
    environ = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1", "XDG_STATE_HOME": str(tmp_path)}
    for command in (["list"], ["show", "+8613800138000"], ["show", "id"], ["sign-out", "id", "--yes"]):
        for more in ({}, {"USERS_URL": "mysql+pymysql://u:hunter2@127.0.0.1:1/db"}, {"REDIS_HOST": "redis://hunter2"}):
            done = admin({**environ, **more}, "users", *command)
            assert done.code == 1
            assert "Traceback" not in done.err
            assert "hunter2" not in done.out + done.err
            assert done.err
