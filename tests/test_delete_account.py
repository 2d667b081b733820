"""deleteAccount: its callers, and the data that it removes and keeps, on every kind of Redis."""

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import time_machine

from sms_admin.users_table import create
from sms_login.adapters.redis.codes import otp_key
from sms_login.adapters.sql.client import SqlClient, connect
from sms_login.adapters.sql.users import SqlUsers
from sms_login.errors import InvalidPhone, ServiceUnavailable
from sms_login.otp.rules import Rules
from sms_login.phone import Phone
from tests.testkit.backends import fake_backend
from tests.testkit.devices import Device, devices
from tests.testkit.limits import Make, counts
from tests.testkit.world import OTHER_PHONE, PHONE, REVIEW_CODE, REVIEW_PHONE, UNLIMITED, World

KEY = {"Idempotency-Key": "idempotency-key-1"}
SESSION, USER = (f"{kind}:{{{PHONE.e164}}}" for kind in ("session", "user"))
RECORD = Rules().age + Rules().repeat_for  # seconds for which Redis keeps a challenge


def ask(world: World, phone: Phone = PHONE) -> dict[str, str]:
    """Have a code sent; return the parameters that spend it."""
    return {"sessionId": world.get_sms(phone=phone).session_id, "code": world.outbox.code}


def delete(device: Device, **spends: str) -> str:
    """Delete the account of a device; return the outcome."""
    return device.call("deleteAccount", token=device.token, **spends)


# Removed and kept data.


@pytest.mark.parametrize("with_session", [True, False])
def test_user_sessions_and_code_are_gone_and_the_counters_against_abuse_stay(
    world: World, *, with_session: bool
) -> None:
    """Redis then holds nothing of the user, and of the number only counters."""
    client = World(world.backend, world.clock, ip="203.0.113.7")
    device, other = devices(client, 2)
    client.call("setNickname", token=device.token, name="小明")
    client.wait(RECORD)
    spends = ask(client)
    if not with_session:
        del spends["sessionId"]
    before = client.backend.dump()
    assert client.call("deleteAccount", token=device.token, **spends)["data"] == {}
    after = client.backend.dump()
    kept = {key for key in after if PHONE.e164 in key}
    days = {key for key in kept if key.startswith(otp_key(PHONE, "day:"))}
    assert kept - days == {otp_key(PHONE, "cooldown")}
    assert client.sent_today() == 3
    totals = {key: value for key, value in before.items() if ":total:" in key}
    assert totals
    assert totals.items() <= after.items()
    told = [device.user_id, "小明", *(key.rpartition(":")[2] for key in (device.key, other.key))]
    assert [word for word in told if word in repr(after)] == []
    assert spends["code"] not in re.findall("[0-9]+", repr(after))  # the number has digits too
    assert [device.tries(), other.tries()] == [{"TokenInvalid"}] * 2


def test_a_deletion_clears_failures_and_does_not_bypass_a_lock(world: World) -> None:
    """The code that deletes counts like a login's, and a wrong one counts as a failure."""
    device = Device(world)
    world.cool_down()
    spends = ask(world)
    assert delete(device, code=world.wrong, sessionId=spends["sessionId"]) == "CodeIsError"
    assert world.failures() == "1"
    assert delete(device, **spends) == "Success"
    assert world.failures() is None
    world.cool_down()
    other = Device(world)
    world.cool_down()
    spends = ask(world)
    world.lock()
    assert delete(other, **spends) == "Locked"
    assert other.is_in


def test_a_deletion_refunds_its_sending(world: World) -> None:
    """The code of a deletion is verified like a login's, so its sending is refunded."""
    client = World(world.backend, world.clock, ip="203.0.113.7")
    device = Device(client)
    client.cool_down()
    assert delete(device, **ask(client)) == "Success"
    counted = {key: count for key, count in client.backend.dump().items() if key.startswith("budget:")}
    assert {int(count) for key, count in counted.items() if ":total:" not in key} <= {0}


def test_the_number_signs_up_anew(world: World) -> None:
    """A new login makes a new user; tokens of the old user stay refused, and other accounts stay untouched."""
    old, stranger = Device(world), Device(world, OTHER_PHONE)
    world.call("setNickname", token=old.token, name="小明")
    world.cool_down()
    assert delete(old, **ask(world)) == "Success"
    world.cool_down()
    new = Device(world)
    assert (new.data["isNewUser"], new.data["name"]) == (True, "")
    assert new.user_id != old.user_id
    assert old.tries() == {"TokenInvalid"}
    assert new.is_in
    assert new.refresh() == "Success"
    assert stranger.is_in


def test_a_repeat_of_the_login_that_signed_up_does_not_bring_the_user_back(world: World) -> None:
    """The repeat is refused, since its user is gone: the number signs up again with a new code only."""
    login = {"phone": PHONE.e164, **ask(world)}
    data = world.call("login", KEY, **login)["data"]
    world.cool_down()
    assert world.call("deleteAccount", token=data["token"], **ask(world))["codeStr"] == "Success"
    assert world.call("login", KEY, **login)["codeStr"] in {"CodeHasValid", "CodeHasExpired"}
    assert world.users.find(PHONE).answer() is None


def test_a_first_login_that_a_deletion_overtakes_does_not_bring_the_user_back(world: World) -> None:
    """The deletion comes after the code of the first request, or of its repeat, was right, and before the sign-in."""
    fast = World(world.backend, world.clock, limits=UNLIMITED, rules=Rules(cooldown=1, daily=100))
    for phone, then in itertools.product((PHONE, OTHER_PHONE), ("nothing", "a lost login", "a login")):
        asked = []
        for _ in range(3):
            fast.cool_down()
            asked.append({"phone": phone.e164, **ask(fast, phone)})
        first, deletes, later = asked
        ids: list[str | None] = []

        def overtake(
            first: dict[str, str] = first,
            deletes: dict[str, str] = deletes,
            later: dict[str, str] = later,
            then: str = then,
            ids: list[str | None] = ids,
        ) -> None:
            data = fast.call("login", KEY, **first)["data"]
            assert fast.call("deleteAccount", token=data["token"], **deletes)["codeStr"] == "Success"
            ids.append(data["userId"])
            if then != "nothing":
                with fast.redis.losing(*(["begin_session"] if then == "a lost login" else []), arrives=False):
                    ids.append(fast.call("login", **later)["data"].get("userId"))

        if phone == PHONE:
            fast.call("login", KEY, **first)
        fast.redis.after("redeem", overtake)
        answer = fast.call("login", KEY, **first)
        found = fast.users.find(phone).answer()
        if then == "a login":
            assert answer["data"]["userId"] == ids[1] != ids[0]
        else:
            assert (answer["codeStr"], found) == ("ServiceUnavailable", None)
            assert fast.call("login", KEY, **first)["codeStr"] == "CodeHasValid"


@pytest.mark.parametrize("everywhere", ["real", "cluster", "sqlite", "mariadb"], indirect=True)
def test_a_logout_everywhere_in_the_middle_of_a_deletion_changes_nothing(everywhere: Make) -> None:
    """The token was valid when the deletion began: user and sessions are gone, also those that began in between."""
    world = everywhere(limits=UNLIMITED, rules=Rules(cooldown=1, daily=100))
    for step, again in itertools.product(("redeem", "end_sessions"), (False, True)):
        first, device = devices(world, 2)
        spends = ask(world)
        world.cool_down()
        later = ask(world)
        logins: list[dict[str, str]] = []

        def log_out(
            device: Device = device,
            again: bool = again,  # noqa: FBT001 - a value of this round
            later: dict[str, str] = later,
            logins: list[dict[str, str]] = logins,
        ) -> None:
            assert device.call("logout", token=device.token, everywhere=True) == "Success"
            if again:
                logins.append(world.call("login", phone=PHONE.e164, **later)["data"])

        world.redis.before(step, log_out)
        assert delete(device, **spends) == "Success"
        assert first.tries() | device.tries() <= {"TokenInvalid", "NotRegistered"}
        found = world.users.find(PHONE).answer()
        for login in logins:  # in SQL the number may have signed up anew by then
            is_in = world.call("getUserInfo", token=login["token"])["codeStr"] == "Success"
            assert is_in is (login["userId"] != device.user_id) is (found is not None)
        world.cool_down()
        new = Device(world)
        assert new.user_id != device.user_id
        assert first.tries() | device.tries() == {"TokenInvalid"}
        assert new.is_in
        world.cool_down()
        assert delete(new, **ask(world)) == "Success"
        world.cool_down()


def test_a_code_that_deleted_an_account_does_nothing_more(world: World) -> None:
    """It neither logs in nor deletes again, and is not sent again."""
    device = Device(world)
    world.cool_down()
    spends = ask(world)
    assert delete(device, **spends) == "Success"
    for again in (spends, {"code": spends["code"]}):
        assert world.call("login", phone=PHONE.e164, **again)["codeStr"] == "CodeHasExpired"
    assert delete(device, **spends) == "TokenInvalid"
    world.cool_down()
    assert world.get_sms(spends["sessionId"]).session_id != spends["sessionId"]


def test_of_two_live_codes_the_one_that_deleted_is_forgotten(world: World) -> None:
    """The deleting code is forgotten even if it is not the latest one, and the other one still signs up."""
    device = Device(world)
    world.cool_down()
    spends = ask(world)
    world.cool_down()
    later = ask(world)
    assert delete(device, **spends) == "Success"
    assert not [key for key in world.backend.expiries() if spends["sessionId"] in key]
    assert world.call("login", phone=PHONE.e164, **later)["data"]["isNewUser"]


def test_a_code_that_is_sent_during_a_deletion_is_not_forgotten(world: World) -> None:
    """Without a sessionId, the deletion forgets the code that was the latest when it was spent."""
    device = Device(world)
    world.cool_down()
    code = ask(world)["code"]
    later: dict[str, str] = {}

    def meanwhile() -> None:
        world.cool_down()
        later.update(ask(world))

    world.redis.before("end_sessions", meanwhile)
    assert delete(device, code=code) == "Success"
    assert world.call("login", phone=PHONE.e164, **later)["data"]["isNewUser"]


def test_a_resend_that_is_refused_after_the_deletion_is_refunded_once(world: World) -> None:
    """The deletion has already refunded all sendings of its challenge, and the resend's reservation is among them."""
    client = World(world.backend, world.clock, ip="203.0.113.7", rules=Rules(cooldown=1))
    device = Device(client)
    for _ in range(2):  # for another number, and never verified
        client.wait(2)
        client.get_sms(phone=OTHER_PHONE)
    client.wait(2)
    spends = ask(client)
    client.wait(2)

    def meanwhile() -> None:
        client.outbox.meanwhile = lambda: None
        assert delete(device, **spends) == "Success"
        client.outbox.refuse = [InvalidPhone()]

    client.outbox.meanwhile = meanwhile
    with pytest.raises(InvalidPhone):
        client.get_sms(spends["sessionId"])
    assert counts(client)["ip:203.0.113.7 hour"] == 2


def test_a_deletion_needs_a_session_id_if_one_is_required(world: World) -> None:
    """Otherwise deleteAccount would allow guesses without a sessionId."""
    strict = World(world.backend, world.clock, require_session=True)
    sent = strict.get_sms()
    token = strict.log_in(sent.session_id).token
    strict.cool_down()
    spends = ask(strict)
    refused = strict.call("deleteAccount", token=token, code=spends["code"])
    assert refused["codeStr"] == "InValidParam"
    assert "sessionId" in refused["errorMessage"]
    assert strict.call("deleteAccount", token=token, **spends)["codeStr"] == "Success"


def test_a_test_numbers_account_is_deleted_with_its_fixed_code(world: World) -> None:
    """Reviewers of an app test the deletion of an account, too."""
    login = {"phone": REVIEW_PHONE.e164, "code": REVIEW_CODE}
    first = world.call("login", **login)["data"]
    assert world.call("deleteAccount", token=first["token"], code="654321")["codeStr"] == "CodeIsError"
    assert world.call("deleteAccount", token=first["token"], code=REVIEW_CODE)["codeStr"] == "Success"
    assert world.call("getUserInfo", token=first["token"])["codeStr"] == "TokenInvalid"
    second = world.call("login", **login)["data"]
    assert second["isNewUser"]
    assert second["userId"] != first["userId"]


# Refused deletions.


def spent(world: World) -> dict[str, str]:
    """Log in with a code, and return its parameters."""
    spends = ask(world)
    world.call("login", KEY, phone=PHONE.e164, **spends)
    return spends


def anothers(world: World) -> dict[str, str]:
    """Have a code sent to another number, while this one has a live code of its own."""
    world.get_sms()
    return ask(world, OTHER_PHONE)


REFUSED: dict[str, tuple[str, Callable[[World], dict[str, str]]]] = {
    "wrong": ("CodeIsError", lambda world: {**ask(world), "code": world.wrong}),
    "spent by a login": ("CodeHasValid", spent),
    "none was sent": ("CodeHasExpired", lambda _: {"code": "123456"}),
    "another number's": ("SessionMismatch", anothers),
    "another number's, no session": ("CodeIsError", lambda world: {"code": anothers(world)["code"]}),
    "another number's, none of its own": ("CodeHasExpired", lambda world: ask(world, OTHER_PHONE)),
    "missing": ("InValidParam", lambda _: {}),
    "malformed": ("InValidParam", lambda _: {"code": "12345"}),
}


@pytest.mark.parametrize(("outcome", "code"), REFUSED.values(), ids=REFUSED)
def test_without_a_fresh_code_of_the_number_nothing_is_deleted(
    world: World, outcome: str, code: Callable[[World], dict[str, str]]
) -> None:
    """A stolen token is not enough, with any code but a fresh one of the number."""
    device = Device(world)
    world.wait(RECORD)
    spends = code(world)
    kept = [key for key in world.backend.expiries() if key.startswith((USER, SESSION))]
    assert delete(device, **spends) == outcome
    assert delete(device, **spends) in {outcome, "CodeHasValid"}
    assert set(kept) <= world.backend.expiries().keys()
    assert device.is_in
    assert device.refresh() == "Success"


@pytest.mark.parametrize("end", ["logged out", "everywhere", "expired", "refresh token", "none"])
def test_without_a_valid_token_nothing_is_deleted_and_no_code_is_spent(world: World, end: str) -> None:
    """A person who can read the SMS is not signed in by that."""
    device, other = devices(world, 2)
    if end == "expired":
        world.wait(7261)
    elif end in {"logged out", "everywhere"}:
        device.call("logout", token=device.token, everywhere=end == "everywhere")
    elif end == "refresh token":
        device.token = device.refresh_token
    spends = ask(world)
    outcome = world.call("deleteAccount", **({} if end == "none" else {"token": device.token}), **spends)["codeStr"]
    assert outcome == {"expired": "TokenExpired", "none": "InValidParam"}.get(end, "TokenInvalid")
    assert world.users.find(PHONE).answer()
    assert other.refresh() == ("TokenInvalid" if end == "everywhere" else "Success")
    assert world.call("login", phone=PHONE.e164, **spends)["data"]["userId"] == device.user_id


# Failures during a deletion.


def test_a_user_table_that_is_down_costs_no_code_and_deletes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same code deletes the account when the table is up again."""
    device = Device(world)
    world.cool_down()
    spends = ask(world)
    before = world.backend.dump()

    def unavailable(_phone: Phone, _id: str) -> bool:
        raise ServiceUnavailable

    with monkeypatch.context() as down:
        down.setattr(world.users, "delete", unavailable)
        assert delete(device, **spends) == "UserStoreFailed"
    assert world.backend.dump() == before
    assert device.is_in
    assert delete(device, **spends) == "Success"
    assert device.tries() == {"TokenInvalid"}


@pytest.mark.parametrize("arrives", [True, False])
def test_a_deletion_whose_answer_was_lost_was_made_whole_or_not_at_all(world: World, *, arrives: bool) -> None:
    """User and sessions are in one script: the code finishes the deletion, unless it was made."""
    device = Device(world)
    world.cool_down()
    spends = ask(world)
    with world.redis.losing("end_sessions", arrives=arrives):
        assert delete(device, **spends) == "UserStoreFailed"
    assert device.is_in is not arrives
    assert (world.users.find(PHONE).answer() is None) is arrives
    assert delete(device, **spends) == ("TokenInvalid" if arrives else "Success")
    assert device.tries() == {"TokenInvalid"}
    assert world.users.find(PHONE).answer() is None


@pytest.fixture
def in_sql(clock: time_machine.Traveller, tmp_path: Path) -> Iterator[World]:
    """A service with its users in SQL, where a deletion takes two calls."""
    engine = connect(f"sqlite:///{tmp_path / 'users.db'}")
    create(SqlClient(engine))
    yield World(fake_backend(), clock, other_users=SqlUsers(SqlClient(engine)))
    engine.dispose()


def test_an_interrupted_deletion_refuses_all_tokens_and_is_repeated_with_its_code(in_sql: World) -> None:
    """Without the user no token works, and the same code finishes the deletion."""
    device = Device(in_sql)
    in_sql.wait(RECORD + 1)
    spends = ask(in_sql)
    with in_sql.redis.losing("end_sessions", arrives=False):
        assert delete(device, **spends) == "UserStoreFailed"
        assert delete(device, **spends) == "UserStoreFailed"
    assert in_sql.users.find(PHONE).answer() is None
    assert not device.is_in
    assert device.refresh() == "NotRegistered"
    assert delete(device, **spends) == "Success"
    assert [key for key, value in in_sql.backend.dump().items() if device.user_id in repr(value)] == []
    assert device.tries() == {"TokenInvalid"}
    in_sql.cool_down()
    new = Device(in_sql)
    assert new.user_id != device.user_id
    assert device.tries() == {"TokenInvalid"}
    assert new.is_in


def test_an_interrupted_deletion_is_not_finished_on_the_next_user(in_sql: World) -> None:
    """If the number has signed up again meanwhile, with that very code, the repeat deletes nothing."""
    device = Device(in_sql)
    in_sql.wait(RECORD)
    spends = ask(in_sql)
    with in_sql.redis.losing("end_sessions", arrives=False):
        assert delete(device, **spends) == "UserStoreFailed"
    data = in_sql.call("login", phone=PHONE.e164, **spends)["data"]
    assert (data["isNewUser"], data["userId"] != device.user_id) == (True, True)
    in_sql.cool_down()
    assert delete(device, **ask(in_sql)) == "TokenInvalid"
    assert device.tries() == {"TokenInvalid"}
    assert in_sql.call("refresh", refreshToken=data["refreshToken"])["codeStr"] == "Success"


def test_a_deletion_does_not_end_the_session_of_the_next_user(in_sql: World) -> None:
    """The number signs up anew between the two calls of the deletion."""
    device = Device(in_sql)
    in_sql.wait(RECORD)
    spends = ask(in_sql)
    in_sql.cool_down()
    later = ask(in_sql)
    new: list[dict[str, str]] = []
    in_sql.redis.before("end_sessions", lambda: new.append(in_sql.call("login", phone=PHONE.e164, **later)["data"]))
    assert delete(device, **spends) == "Success"
    assert device.tries() == {"TokenInvalid"}
    assert in_sql.call("getUserInfo", token=new[0]["token"])["codeStr"] == "Success"


@pytest.mark.parametrize("with_session", [True, False])
def test_a_deletion_succeeds_although_its_code_cannot_be_cleaned_up(world: World, *, with_session: bool) -> None:
    """The code is spent all the same, and its remaining keys expire by themselves."""
    device = Device(world)
    world.wait(RECORD)
    spends = ask(world)
    with world.redis.losing("forget", arrives=False):
        assert delete(device, **(spends if with_session else {"code": spends["code"]})) == "Success"
    assert world.users.find(PHONE).answer() is None
    assert device.tries() == {"TokenInvalid"}
    assert world.call("login", phone=PHONE.e164, **spends)["codeStr"] == "CodeHasValid"
    world.cool_down()
    new = Device(world)
    assert new.user_id != device.user_id
    assert device.tries() == {"TokenInvalid"}
    assert new.is_in
    world.wait(RECORD)
    assert not [key for key in world.backend.expiries() if spends["sessionId"] in key]
