"""Logout, from one session and from all, on every kind of Redis."""

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine

from sms_login.sessions.store import LONGEST_SESSION, SessionRules
from tests.testkit.backends import Backend
from tests.testkit.cases import each_case
from tests.testkit.devices import Device, devices, session_key, session_keys
from tests.testkit.limits import Make
from tests.testkit.world import OTHER_PHONE, PHONE, World

# The tokens that a device may send to log out.
SHOWN: dict[str, Callable[[Device], dict[str, str]]] = {
    "access token": lambda device: {"token": device.token},
    "refresh token": lambda device: {"refreshToken": device.refresh_token},
    "both": lambda device: {"token": device.token, "refreshToken": device.refresh_token},
}
each_token = pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)


@each_token
def test_a_logout_ends_its_session_and_no_other(world: World, show: Callable[[Device], dict[str, str]]) -> None:
    """After a logout, every method refuses the session's tokens, a second logout too, and Redis keeps nothing of it."""
    device, other = devices(world, 2)
    assert world.call("logout", **show(device))["data"] == {}
    assert device.tries() == {"TokenInvalid"}
    assert device.key not in world.backend.expiries()
    assert other.is_in
    assert other.refresh() == "Success"
    world.cool_down()
    assert Device(world).is_in


@each_token
def test_a_logout_everywhere_ends_all_earlier_sessions_and_no_later_one(
    world: World, show: Callable[[Device], dict[str, str]]
) -> None:
    """A logout everywhere ends no session of another number, and Redis keeps nothing of the ended sessions."""
    before = devices(world, 3)
    stranger = Device(world, OTHER_PHONE)
    assert world.call("logout", **show(before[1]), everywhere=True)["codeStr"] == "Success"
    assert [device.tries() for device in before] == [{"TokenInvalid"}] * 3
    assert not [key for key in world.backend.expiries() if f"session:{{{PHONE.e164}}}" in key]
    later = Device(world)
    assert later.is_in
    assert later.refresh() == "Success"
    assert [device.tries() for device in before] == [{"TokenInvalid"}] * 3
    assert later.is_in
    assert stranger.refresh() == "Success"


@pytest.mark.parametrize("everywhere", [True, False])
def test_an_older_refresh_token_logs_out(world: World, *, everywhere: bool) -> None:
    """An app that lost an answer can log out, and so ends a session whose token someone has copied."""
    device = Device(world)
    older = device.refresh_token
    device.refresh()
    device.refresh()
    assert device.call("logout", refreshToken=older, everywhere=everywhere) == "Success"
    assert device.tries() == {"TokenInvalid"}


@pytest.mark.parametrize("end", ["logout", "reuse", "deleteAccount"])
def test_a_token_of_an_ended_session_cannot_log_out_a_later_one(world: World, end: str) -> None:
    """A thief or an earlier owner of the number who kept a token cannot keep signing its user out."""
    device = Device(world)
    older = device.refresh_token
    world.cool_down()
    if end == "logout":
        device.call("logout")
    elif end == "deleteAccount":
        world.get_sms()
        assert device.call("deleteAccount", token=device.token, code=world.outbox.code) == "Success"
    else:
        device.refresh()
        world.wait(11)
        assert device.refresh(older) == "TokenInvalid"
    world.cool_down()
    other = Device(world)
    for token in (older, device.refresh_token):
        assert device.call("logout", refreshToken=token, everywhere=True) == "TokenInvalid"
    assert other.is_in
    assert other.refresh() == "Success"


def test_a_logout_accepts_the_bearer_token_of_the_request(world: World) -> None:
    """A logout accepts a bearer token, as every method does that takes a token; a refresh token takes precedence."""
    device, other = devices(world, 2)
    bearer = {"Authorization": f"Bearer {device.token}"}
    assert world.call("logout", bearer, refreshToken=other.refresh_token)["codeStr"] == "Success"
    assert (device.is_in, other.is_in) == (True, False)
    assert world.call("logout", bearer)["codeStr"] == "Success"
    assert not device.is_in


def test_an_expired_access_token_does_not_log_out_and_the_refresh_token_does(world: World) -> None:
    """An app that was asleep still has a valid refresh token."""
    device = Device(world)
    world.wait(7261)
    assert device.call("logout") == "TokenExpired"
    assert device.call("logout", refreshToken=device.refresh_token) == "Success"
    assert device.refresh() == "TokenInvalid"


def test_a_logout_without_a_token_is_refused(world: World) -> None:
    """A logout needs an access token or a refresh token."""
    answer = world.call("logout", {"Accept-Language": "en"}, everywhere=True)
    assert (answer["codeStr"], "token is missing" in answer["errorMessage"]) == ("InValidParam", True)


def test_a_logout_everywhere_ends_the_100_sessions_that_a_number_can_have(world: World) -> None:
    """Redis keeps nothing of the 100 sessions, nor of the earlier ones that new sessions had ended."""
    first = Device(world)
    tokens = [world.begin_session().token for _ in range(110)]
    assert session_keys(world) == set(map(session_key, tokens[-100:]))
    assert first.call("logout", token=tokens[-1], everywhere=True) == "Success"
    assert first.tries() == {"TokenInvalid"}
    assert {first.call("getUserInfo", token=token) for token in tokens} == {"TokenInvalid"}
    assert not [key for key in world.backend.expiries() if key.startswith("session:")]


def test_a_logout_everywhere_holds_although_its_clean_up_fails(world: World) -> None:
    """If Redis fails after the decision, the sessions still in it have ended all the same."""
    before = devices(world, 2)
    with world.redis.losing("DEL", arrives=False):
        assert before[0].call("logout", token=before[0].token, everywhere=True) == "Success"
    assert [device.tries() for device in before] == [{"TokenInvalid"}] * 2
    assert Device(world).is_in


@pytest.mark.parametrize("most", [SessionRules().most, LONGEST_SESSION])
def test_the_record_of_a_logout_everywhere_outlives_every_earlier_session(
    any_backend: Backend, clock: time_machine.Traveller, most: int
) -> None:
    """Even a session that Redis still has stays ended, although the user does not sign in again."""
    world = World(any_backend, clock, session_rules=SessionRules(most=most))
    device = Device(world)
    kept = world.backend.client.hgetall(device.key)
    assert device.call("logout", token=device.token, everywhere=True) == "Success"
    world.backend.client.hset(device.key, mapping=kept)
    world.backend.client.pexpire(device.key, world.session_rules.most * 1000)
    world.wait(most - 10)
    assert device.refresh() == "TokenInvalid"
    world.wait(11)
    assert device.key not in world.backend.expiries()


@pytest.mark.parametrize("by", ["access token", "refresh token"])
def test_a_lower_session_ttl_does_not_undo_a_logout_everywhere(
    any_backend: Backend, clock: time_machine.Traveller, by: str
) -> None:
    """A session that began under the longer SESSION_TTL stays ended for as long as it would have lived."""
    device = Device(World(any_backend, clock))
    kept = any_backend.client.hgetall(device.key)
    device.world = lowered = World(any_backend, clock, session_rules=SessionRules(most=3600))
    assert lowered.call("logout", **SHOWN[by](device), everywhere=True)["codeStr"] == "Success"
    any_backend.client.hset(device.key, mapping=kept)  # as if it had not been cleaned up
    any_backend.client.pexpire(device.key, SessionRules().idle * 1000)
    lowered.cool_down()
    later = Device(lowered)
    assert later.is_in
    for _ in range(3):
        lowered.wait(3601)
        assert device.key in any_backend.expiries()
        assert device.refresh() == "TokenInvalid"
        assert device.call("logout", refreshToken=device.refresh_token, everywhere=True) == "TokenInvalid"
    assert later.refresh() == "TokenInvalid"


def test_tokens_of_an_earlier_user_do_nothing_to_the_new_one(world: World) -> None:
    """If a user's row is deleted in Redis and the number signs up again, every method refuses the old tokens."""
    old, other = devices(world, 2)
    world.backend.client.delete(f"user:{{{PHONE.e164}}}")
    new = Device(world)
    assert new.user_id != old.user_id
    world.cool_down()
    spends = {"sessionId": world.get_sms().session_id, "code": world.outbox.code}
    for device in (old, other):
        assert device.tries() == {"TokenInvalid"}
        assert device.call("deleteAccount", token=device.token, **spends) == "TokenInvalid"
    assert world.users.find(PHONE).answer()
    assert new.is_in
    assert new.refresh() == "Success"
    assert world.call("login", phone=PHONE.e164, **spends)["data"]["userId"] == new.user_id
    assert new.is_in


def test_the_record_of_a_logout_everywhere_outlives_the_later_sessions(
    any_backend: Backend, clock: time_machine.Traveller
) -> None:
    """A user who signs in long after a logout everywhere stays signed in."""
    world = World(any_backend, clock, session_rules=SessionRules(idle=600, most=1500))
    device = Device(world)
    assert device.call("logout", token=device.token, everywhere=True) == "Success"
    world.wait(1000)
    later = Device(world)
    for _ in range(2):
        world.wait(550)
        assert later.refresh() == "Success"
        assert later.is_in


# The spellings of `everywhere`.

FORM = "application/x-www-form-urlencoded"
SHAPES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "JSON": lambda params: {"body": json.dumps(params)},
    "form": lambda params: {"headers": {"Content-Type": FORM}, "body": urlencode(params)},
    "base64": lambda params: {
        "headers": {"Content-Type": FORM},
        "body": b64encode(urlencode(params).encode()).decode(),
        "isBase64Encoded": True,
    },
    "query": lambda params: {"queryString": params},
    "function URL": lambda params: {"queryStringParameters": params},
}
SPELLINGS = {"true": True, "True": True, "1": True, "false": False, "0": False, "": False}
VALUES = [(True, True), (False, False), (1, True), (0, False), (None, False)]
NEITHER = ["yes", "2", "tru", " true", "null", "真", "-1"]
NO_BOOLEANS: list[object] = [2, -1, 1.5, 10**30, [True], {"a": True}]


def log_out(device: Device, shape: str, everywhere: object) -> dict[str, Any]:
    """Log out with an event of a shape, and return the body of the answer."""
    params = {"method": "logout", "token": device.token, "everywhere": everywhere}
    event = {"httpMethod": "POST", "headers": {"Accept-Language": "en"}, **SHAPES[shape](params)}
    body: dict[str, Any] = json.loads(device.world.app.handle(event, {})["body"])
    return body


@each_case(
    ("shape", "told", "everywhere"),
    [*((shape, *pair) for shape in SHAPES for pair in SPELLINGS.items()), *(("JSON", *pair) for pair in VALUES)],
)
def test_everywhere_may_be_a_word_or_a_boolean(
    fresh_world: Make, shape: str, told: object, *, everywhere: bool
) -> None:
    """A form and a query take words, JSON also true, false, 1 and 0; an empty value is false."""
    device, other = devices(fresh_world(), 2)
    assert log_out(device, shape, told)["codeStr"] == "Success"
    assert (device.is_in, other.is_in) == (False, not everywhere)


@each_case(
    ("shape", "garbage"),
    [*((shape, word) for shape in SHAPES for word in NEITHER), *(("JSON", value) for value in NO_BOOLEANS)],
)
def test_everywhere_that_is_neither_true_nor_false_is_refused(fresh_world: Make, shape: str, garbage: object) -> None:
    """For a malformed `everywhere`, the message names the parameter, and no session ends."""
    device = Device(fresh_world())
    answer = log_out(device, shape, garbage)
    assert (answer["codeStr"], "everywhere" in answer["errorMessage"]) == ("InValidParam", True)
    assert device.is_in
