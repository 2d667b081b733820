"""The contract of `users.Users`, on every table of users: fakeredis, Redis, SQLite and MariaDB."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import time_machine
from msgspec.structs import replace
from sqlalchemy import event, text

from sms_admin.users_table import create
from sms_login.adapters.redis.client import RedisClient, connect
from sms_login.adapters.redis.sessions import RedisSessions
from sms_login.adapters.redis.users import RedisUsers
from sms_login.adapters.sql.client import SqlClient
from sms_login.adapters.sql.client import connect as connect_sql
from sms_login.adapters.sql.schema import ADDED
from sms_login.adapters.sql.users import SqlUsers
from sms_login.calls import Call, Later
from sms_login.errors import ServiceUnavailable
from sms_login.phone import Phone
from sms_login.sessions.store import SessionRules
from sms_login.users import User, Users
from tests.testkit.backends import fake_backend
from tests.testkit.races import race
from tests.testkit.users import lasting
from tests.testkit.world import OTHER_PHONE, PHONE

FOREIGN = Phone.parse("+491711234567", "CN")


@dataclass
class Table:
    """An empty table of users; `open` returns it as one more instance sees it, with its `reverify_after`."""

    open: Callable[..., Users]


def owned_by(users: Users, user_id: str, phone: Phone = PHONE) -> Call[str | None]:
    """Return the call for the owner of a session that this user has."""
    if not isinstance(users, RedisUsers):
        return Later(lambda: user_id)
    sessions = RedisSessions(users._redis, SessionRules())  # noqa: SLF001 - on the same Redis
    sessions.begin(phone, "session", Later(lambda: User(user_id or "no id", phone, "", "", 0))).answer()
    return sessions.owner(phone, "session")


def rename(users: Users, user_id: str, name: str, phone: Phone = PHONE) -> User | None:
    """Rename the user of a number, while they are signed in."""
    return lasting(users.rename(phone, user_id, name, only_if=owned_by(users, user_id, phone)).answer())


def sql_table(url: str, closing: list[Callable[[], None]], *, made: bool = True) -> Table:
    """Return the table at a USERS_URL; `closing` collects the functions that close its connections."""

    def open_again(reverify_after: int = 0) -> Users:
        engine = connect_sql(url)
        closing.append(engine.dispose)
        return SqlUsers(SqlClient(engine), reverify_after)

    if made:
        engine = connect_sql(url)
        create(SqlClient(engine))
        engine.dispose()
    return Table(open_again)


def sql_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the USERS_URL of an empty database."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'users.db'}"
    url: str = request.getfixturevalue("mariadb").new_database()
    return url


@pytest.fixture(params=["fakeredis", "redis", "sqlite", "mariadb"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Table]:
    """An empty table of each kind."""
    closing: list[Callable[[], None]] = []
    if request.param == "fakeredis":
        fake = fake_backend().client
        yield Table(lambda reverify_after=0: RedisUsers(RedisClient(lambda: fake), reverify_after))
    elif request.param == "redis":
        client = connect("127.0.0.1", request.getfixturevalue("redis_server").port)
        client.flushall()
        closing.append(client.close)
        yield Table(lambda reverify_after=0: RedisUsers(RedisClient(lambda: client), reverify_after))
    else:
        yield sql_table(sql_url(request.param, request, tmp_path), closing)
    for close in closing:
        close()


@pytest.fixture
def users(table: Table) -> Users:
    """The users of the table."""
    return table.open()


def test_a_first_login_signs_up(users: Users) -> None:
    """A new user has the offered id, neither name nor avatar, and the present time."""
    before = int(time.time() * 1000)
    user = users.sign_in(PHONE, "a" * 32).answer()
    assert user == User("a" * 32, PHONE, "", "", user.created, last_login=user.created)
    assert before <= user.created <= int(time.time() * 1000)


def test_a_later_login_finds_the_user(table: Table) -> None:
    """A later login from any instance ignores the id that it offers."""
    first = table.open().sign_in(PHONE, "first").answer()
    assert lasting(table.open().sign_in(PHONE, "second").answer()) == first
    assert lasting(table.open().find(PHONE).answer()) == first


def test_numbers_have_users_of_their_own(users: Users) -> None:
    """Neighbouring and foreign numbers have users of their own."""
    made = [users.sign_in(phone, f"id-{i}").answer() for i, phone in enumerate([PHONE, OTHER_PHONE, FOREIGN])]
    assert [lasting(users.find(phone).answer()) for phone in (PHONE, OTHER_PHONE, FOREIGN)] == made


def test_a_number_that_has_not_signed_up_has_no_user(users: Users) -> None:
    """A search finds no user who has not signed up, and creates none."""
    assert users.find(PHONE).answer() is None
    assert users.find(PHONE).answer() is None


NAMES = [
    "小明",
    "😀👩‍👩‍👧🏳️‍🌈",
    "😀" * 64,  # 4 bytes each
    "\U0010ffff",
    "محمد علی",
    "שָׁלוֹם",
    "Zoe\u0308",
    " two  spaces ",
    "O'Brien \"x\" `y` \\ \\' %s %(name)s :name ? $1 {0} \x7f",
    "'; DROP TABLE sms_login_users; --",
    "x', id='another",
    "1",
    "NULL",
]


def test_a_name_is_stored_unchanged(table: Table) -> None:
    """A name may have characters of every script, and no part of it is executed as a command."""
    users = table.open()
    user = users.sign_in(PHONE, "id").answer()
    other = users.sign_in(OTHER_PHONE, "other").answer()
    for name in NAMES:
        renamed = replace(user, name=name)
        assert lasting(rename(users, "id", name)) == renamed
        assert lasting(rename(users, "id", name)) == renamed  # renaming to the same name is not a failure
        assert lasting(table.open().find(PHONE).answer()) == renamed
        assert lasting(users.sign_in(PHONE, "id-2").answer()) == renamed
        assert lasting(users.find(OTHER_PHONE).answer()) == other


def test_a_user_cannot_rename_another(users: Users) -> None:
    """A rename needs the number and the exact id of its current user."""
    user = users.sign_in(PHONE, "abc").answer()
    for user_id in ("ab", "ABC", "abc ", "äbc", "", "' OR '1'='1"):
        assert rename(users, user_id, "x") is None
    assert rename(users, "abc", "x", OTHER_PHONE) is None
    assert lasting(users.find(PHONE).answer()) == user
    assert users.find(OTHER_PHONE).answer() is None


def test_a_user_is_deleted_by_number_and_id(users: Users) -> None:
    """A user is deleted once, and no other user with them."""
    user = users.sign_in(PHONE, "id").answer()
    other = users.sign_in(OTHER_PHONE, "other").answer()
    for phone, user_id in (
        (PHONE, "other"),
        (PHONE, "ID"),
        (PHONE, "id "),
        (PHONE, ""),
        (OTHER_PHONE, "id"),
        (FOREIGN, "id"),
    ):
        assert users.delete(phone, user_id).answer() is False
    assert lasting(users.find(PHONE).answer()) == user
    assert users.delete(PHONE, "id").answer() is True
    assert users.delete(PHONE, "id").answer() is False
    assert users.find(PHONE).answer() is None
    assert rename(users, "id", "x") is None
    assert lasting(users.find(OTHER_PHONE).answer()) == other


def test_a_number_that_signs_up_after_a_deletion_is_a_new_user(users: Users) -> None:
    """The new user has no data of the deleted one."""
    users.sign_in(PHONE, "old").answer()
    rename(users, "old", "name")
    users.delete(PHONE, "old").answer()
    user = users.sign_in(PHONE, "new").answer()
    assert (user.id, user.name) == ("new", "")


@pytest.mark.parametrize("runners", [2, 50])
def test_simultaneous_first_logins_make_one_user(table: Table, runners: int) -> None:
    """The first login signs the number up, and the rest find its user, on one instance and on several."""
    for phone, instances in ((PHONE, [table.open()]), (OTHER_PHONE, [table.open() for _ in range(3)])):

        def sign_in(i: int, phone: Phone = phone, instances: list[Users] = instances) -> dict[str, User | None]:
            return {"user": lasting(instances[i % len(instances)].sign_in(phone, f"{phone.e164}-{i}").answer())}

        answers = race(runners, sign_in)
        assert len(answers) == runners
        assert {answer["user"] for answer in answers} == {lasting(instances[0].find(phone).answer())}


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_a_number_that_signs_up_during_our_sign_up_has_one_user(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """If another instance inserts the user between our search and our insert, theirs is the user."""
    closing: list[Callable[[], None]] = []
    url = sql_url(kind, request, tmp_path)
    faster = sql_table(url, closing).open()
    engine = connect_sql(url)
    closing.append(engine.dispose)

    def meanwhile(*args: Any) -> None:
        if args[2].startswith("INSERT"):
            faster.sign_in(PHONE, "theirs").answer()

    event.listen(engine, "before_cursor_execute", meanwhile)
    assert SqlUsers(SqlClient(engine)).sign_in(PHONE, "ours").answer().id == "theirs"
    for close in closing:
        close()


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_a_number_that_has_a_user_for_a_moment_is_an_outage(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """If that user is gone before we look, the sign-up and the move are refused, and the user keeps the old number."""
    closing: list[Callable[[], None]] = []
    url = sql_url(kind, request, tmp_path)
    other = sql_table(url, closing).open()
    mover = other.sign_in(PHONE, "mover").answer()
    engine = connect_sql(url)
    closing.append(engine.dispose)
    users = SqlUsers(SqlClient(engine))

    def comes(*args: Any) -> None:
        if args[2].startswith(("INSERT", "UPDATE")):
            other.sign_in(OTHER_PHONE, "theirs").answer()

    def goes(_context: Any) -> None:
        other.delete(OTHER_PHONE, "theirs").answer()

    event.listen(engine, "before_cursor_execute", comes)
    event.listen(engine, "handle_error", goes)
    for call in (users.sign_in(OTHER_PHONE, "ours"), users.move(PHONE, OTHER_PHONE, mover.id)):
        with pytest.raises(ServiceUnavailable):
            call.answer()
    assert (users.find(PHONE).answer(), users.find(OTHER_PHONE).answer()) == (mover, None)
    for close in closing:
        close()


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_a_missing_table_is_an_outage(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The code stays valid until the operator has created the table, and the log says that the table is missing."""
    closing: list[Callable[[], None]] = []
    users = sql_table(sql_url(kind, request, tmp_path), closing, made=False).open()
    with pytest.raises(ServiceUnavailable, match=r"sql: .*(no such table|1146 Table '…' doesn't exist)"):
        users.sign_in(PHONE, "id").answer()
    for close in closing:
        close()


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_an_id_of_another_user_is_refused(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A repeated login whose user has moved meanwhile is refused, and the message has no number."""
    closing: list[Callable[[], None]] = []
    users = sql_table(sql_url(kind, request, tmp_path), closing).open()
    users.sign_in(PHONE, "id").answer()
    with pytest.raises(ServiceUnavailable) as refusal:
        users.sign_in(OTHER_PHONE, "id").answer()
    assert OTHER_PHONE.e164[-11:] not in refusal.value.detail
    assert users.find(OTHER_PHONE).answer() is None
    for close in closing:
        close()


def test_a_banned_user_signs_in_as_before_and_is_marked(users: Users, clock: time_machine.Traveller) -> None:
    """A ban needs the exact id, may be repeated and lifted, and stops a rename and the record of logins."""
    user = users.sign_in(PHONE, "id").answer()
    banned = replace(user, banned=True, last_login=int(time.time() * 1000))
    assert [users.ban(PHONE, wrong).answer() for wrong in ("ID", "id ", "")] == [False] * 3
    assert users.ban(OTHER_PHONE, "id").answer() is False
    for _ in range(2):
        assert users.ban(PHONE, "id").answer() is True
        clock.shift(60)
        assert users.find(PHONE).answer() == users.sign_in(PHONE, "new").answer() == banned
    assert rename(users, "id", "x") is None
    for _ in range(2):
        assert users.ban(PHONE, "id", banned=False).answer() is True
        assert lasting(users.find(PHONE).answer()) == user
    assert lasting(rename(users, "id", "x")) == replace(user, name="x")
    assert users.find(OTHER_PHONE).answer() is None


DAY = 86_400


def test_a_user_who_was_away_is_a_returning_one_for_as_long_again(table: Table, clock: time_machine.Traveller) -> None:
    """Each login until then says so, with the last login before; then the user is known again."""
    users, never = table.open(10 * DAY), table.open()
    start = int(time.time() * 1000)
    user = users.sign_in(PHONE, "id").answer()
    for shift, last, returning in [
        (9, 0, False),
        (10, 9, True),
        (1, 9, True),
        (8, 9, True),
        (1, 9, False),
        (0, 29, False),
        (11, 29, True),
    ]:
        clock.shift(shift * DAY)
        assert users.sign_in(PHONE, "id").answer() == replace(
            user, last_login=start + last * DAY * 1000, returning=returning
        )
    assert (found := users.find(PHONE).answer())
    assert found.returning
    assert never.sign_in(PHONE, "id").answer().returning is False


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_a_table_without_the_newer_columns_works_without_them(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, clock: time_machine.Traveller
) -> None:
    """Users sign up and in, a ban is an outage that names the column, and `create` adds the columns."""
    closing: list[Callable[[], None]] = []
    url = sql_url(kind, request, tmp_path)
    users = sql_table(url, closing).open(DAY)
    engine = connect_sql(url)
    with engine.connect() as connection:
        for column in ADDED:
            connection.execute(text(f"ALTER TABLE sms_login_users DROP COLUMN {column.name}"))
    user = users.sign_in(PHONE, "id").answer()
    clock.shift(2 * DAY)
    assert users.find(PHONE).answer() == users.sign_in(PHONE, "x").answer() == user
    assert rename(users, "id", "x") == lasting(replace(user, name="x"))
    with pytest.raises(ServiceUnavailable, match=r"no such column: banned|1054 Unknown column"):
        users.ban(PHONE, "id").answer()
    made = create(SqlClient(engine))
    assert made == "The table sms_login_users has new columns: banned, last_login, returned."
    assert users.ban(PHONE, "id").answer() is True
    assert users.delete(PHONE, "id").answer() is True
    assert users.sign_in(PHONE, "id").answer()
    clock.shift(2 * DAY)
    assert users.sign_in(PHONE, "id").answer().returning
    engine.dispose()
    for close in closing:
        close()
