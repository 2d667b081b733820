"""Banned users, and users who return after a long absence: with users in every kind of Redis and of SQL."""

import time

import pytest

from sms_login.errors import CodeHasValid, UserBanned
from tests.testkit.devices import Device, session_keys
from tests.testkit.limits import Make, Printed
from tests.testkit.world import OTHER_PHONE, PHONE, World

DAY = 86_400
KEY = "idempotency-key-1"


def ban(world: World, device: Device, *, banned: bool = True) -> None:
    """Ban the user of a device, or lift the ban."""
    assert world.users.ban(device.phone, device.user_id, banned=banned).answer() is True


def test_ban_outlived_by_a_refresh(everywhere: Make, printed: Printed) -> None:
    """Every token of the user is refused from the next request on, no new one is issued, and the log names the user."""
    world = everywhere()
    device, stranger = Device(world), Device(world, OTHER_PHONE)
    old = device.refresh_token
    assert device.refresh() == "Success"
    ban(world, device)
    printed()
    assert device.refresh() == device.refresh(old) == "UserBanned"
    for line in printed():
        assert (line["outcome"], line["status"], line["user_id"]) == ("UserBanned", 403, device.user_id)
    calls = {
        "getUserInfo": {},
        "setNickname": {"name": "x"},
        "login": {"phone": PHONE.e164},
        "deleteAccount": {"code": "123456"},
    }
    for method, params in calls.items():
        assert device.call(method, token=device.token, **params) == "UserBanned"
    assert stranger.is_in
    assert stranger.refresh() == "Success"
    # An old token that is used again is told nothing, and ends the session as ever.
    world.wait(world.session_rules.repeat_for + 1)
    assert device.refresh(old) == "TokenInvalid"
    assert device.refresh() == "TokenInvalid"


def test_a_ban_that_is_lifted_finds_the_sessions_as_they_were(everywhere: Make) -> None:
    """The present tokens work again, however often they were used meanwhile; an ended session stays ended."""
    world = everywhere()
    device = Device(world)
    world.cool_down()
    other = Device(world)
    ban(world, device)
    for _ in range(3):
        world.wait(60)
        assert device.refresh() == "UserBanned"
    assert other.call("logout") == "Success"
    assert other.call("getUserInfo") == other.refresh() == "TokenInvalid"
    ban(world, device, banned=False)
    assert device.is_in
    assert device.refresh() == "Success"
    assert other.call("getUserInfo") == other.refresh() == "TokenInvalid"


def test_a_login_of_a_banned_user_spends_the_code_and_begins_no_session(everywhere: Make) -> None:
    """Only a right code is told of the ban, also again under its key; a login that was under way gets no further."""
    world = everywhere(ip="203.0.113.7")
    device = Device(world)
    ban(world, device)
    sessions = session_keys(world)
    world.cool_down()
    session = world.get_sms().session_id
    assert world.call("login", phone=PHONE.e164, code=world.wrong, sessionId=session)["codeStr"] == "CodeIsError"
    for _ in range(2):
        with pytest.raises(UserBanned):
            world.log_in(session, key=KEY)
    with pytest.raises(CodeHasValid):
        world.log_in(session)
    assert session_keys(world) == sessions
    ban(world, device, banned=False)
    world.cool_down()
    session = world.get_sms().session_id
    world.redis.after("redeem", lambda: ban(world, device))
    with pytest.raises(UserBanned):
        world.log_in(session)
    assert session_keys(world) == sessions


def test_a_ban_in_the_middle_of_a_request_is_kept(everywhere: Make) -> None:
    """A request that has passed the ban may still be answered, but its tokens are refused afterwards."""
    for method, call in (
        ("refresh", "rotate_session"),
        ("setNickname", "session_owner"),
        ("getUserInfo", "session_owner"),
    ):
        world = everywhere()
        device = Device(world)
        world.redis.before(call, lambda world=world, device=device: ban(world, device))  # type: ignore[misc] # mypy infers no lambda with defaults
        if method == "refresh":
            assert device.refresh() in {"Success", "UserBanned"}
        else:
            assert device.call(method, token=device.token, name="x") in {"Success", "UserBanned"}
        assert device.refresh() == device.call("getUserInfo") == "UserBanned"
        ban(world, device, banned=False)
        world.cool_down()


def test_a_recycled_number_is_told_at_every_login(everywhere: Make) -> None:
    """After REVERIFY_AFTER a login says so, and so do its repeat and later logins for as long again."""
    world = everywhere(reverify_after=90 * DAY)
    start = int(time.time())
    assert "isReturning" not in Device(world).data
    world.wait(89 * DAY)
    device = Device(world)
    assert not {"isReturning", "lastLoginAt"} & device.data.keys()
    world.wait(90 * DAY)
    session = world.get_sms().session_id
    login = {"phone": PHONE.e164, "code": world.outbox.code, "sessionId": session}
    logged_in = world.log_in(session, key=KEY)
    assert (logged_in.is_returning, logged_in.last_login_at) == (True, start + 89 * DAY)
    first = world.call("login", {"Idempotency-Key": KEY}, **login)["data"]
    again = world.call("login", {"Idempotency-Key": KEY}, **login)["data"]
    for data in (first, again):
        assert (data["userId"], data["isNewUser"]) == (device.user_id, False)
        assert (data["isReturning"], data["lastLoginAt"]) == (True, start + 89 * DAY)
    for days, returning in ((89, True), (2, False), (0, False)):
        world.wait(days * DAY)
        world.cool_down()
        assert Device(world).data.get("isReturning", False) is returning


def test_without_reverify_after_no_login_is_a_return(everywhere: Make) -> None:
    """It is off by default."""
    world = everywhere()
    Device(world)
    world.wait(3650 * DAY)
    assert "isReturning" not in Device(world).data
