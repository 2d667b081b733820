"""Sessions: rotation, reuse and lifetimes, on every kind of Redis."""

import itertools
import re
from copy import copy

import phonenumbers
import pytest
import time_machine

from sms_login.calls import Later
from sms_login.errors import CodeHasValid
from sms_login.phone import Phone
from sms_login.sessions.store import SessionRules
from sms_login.users import User
from tests.testkit.backends import Backend, fake_backend
from tests.testkit.devices import Device, alerts, devices, session_key, session_keys
from tests.testkit.world import OLD_SECRET, OTHER_PHONE, PHONE, SECRET, World

INDEX = f"session:{{{PHONE.e164}}}:index"
RULES = SessionRules(idle=600, most=1500)  # shorter than an access token lives


@pytest.fixture
def short(any_backend: Backend, clock: time_machine.Traveller) -> World:
    """A service whose sessions are short."""
    return World(any_backend, clock, session_rules=RULES)


@pytest.fixture
def exact(clock: time_machine.Traveller) -> World:
    """A service whose sessions are short, on a clock that only the test moves."""
    return World(fake_backend(), clock, session_rules=RULES)


# Rotation.


def test_a_login_begins_a_session(world: World) -> None:
    """The answer has both tokens and their lifetimes."""
    device = Device(world)
    assert device.is_in
    assert device.refresh_token.startswith("rt_")
    assert device.data["expiresIn"] == 7200
    assert world.session_rules.idle - 2 <= device.data["refreshExpiresIn"] <= world.session_rules.idle


def test_neither_a_login_by_token_nor_a_repeated_refresh_begins_a_session(world: World) -> None:
    """Only a code begins a session; a login by token gives the same token again, and no other."""
    device = Device(world)
    before = session_keys(world)
    still = world.call("login", phone=device.phone.e164, token=device.token)["data"]
    assert (still["token"], "refreshToken" in still) == (device.token, False)
    first = device.refresh_token
    assert [device.refresh(first), device.refresh(first)] == ["Success", "Success"]
    assert session_keys(world) == before


def test_every_login_begins_a_session_of_its_own(world: World) -> None:
    """A second login of the same user begins a session, and so does a repeat under its Idempotency-Key."""
    one, other = devices(world, 2)
    assert one.user_id == other.user_id
    opened = world.get_sms().session_id
    repeats = [world.log_in(opened, key="idempotency-key-1") for _ in range(2)]
    assert len({one.key, other.key, *(session_key(repeat.token) for repeat in repeats)}) == 4
    assert len(session_keys(world)) == 4


def test_a_refresh_replaces_both_tokens(world: World) -> None:
    """Both new tokens are valid, the answer has the fields of a login, and the previous access token stays valid."""
    device = Device(world)
    old = copy(device)
    assert device.refresh() == "Success"
    assert device.data.keys() == old.data.keys() - {"isNewUser"}
    assert device.token != old.token
    assert device.refresh_token != old.refresh_token
    assert device.key == session_key(device.token)
    assert device.is_in
    assert old.is_in
    assert device.refresh() == "Success"


def test_a_refresh_works_when_the_access_token_has_expired(world: World) -> None:
    """Renewing an expired access token is the purpose of a refresh; the new token has the current nickname."""
    device = Device(world)
    world.call("setNickname", token=device.token, name="小明")
    world.wait(7261)
    assert device.call("getUserInfo") == "TokenExpired"
    assert device.refresh() == "Success"
    assert device.data["name"] == "小明"
    assert device.is_in


def test_a_lost_answer_is_repeated_for_ten_seconds(world: World) -> None:
    """For ten seconds each repeat gets the same refresh token and a valid access token."""
    device = Device(world)
    first = device.refresh_token
    device.refresh()
    second = device.refresh_token
    for seconds in (0, 1, 2, 3):
        world.wait(seconds)
        assert device.refresh(first) == "Success"
        assert device.refresh_token == second
        assert device.is_in
    assert device.refresh() == "Success"
    assert device.refresh_token != second


def test_two_tabs_with_the_same_tokens_stay_signed_in(world: World) -> None:
    """If two tabs refresh a moment apart, both get the same refresh token, every time."""
    tab = Device(world)
    other = copy(tab)
    for _ in range(5):
        assert [tab.refresh(), other.refresh()] == ["Success", "Success"]
        assert tab.refresh_token == other.refresh_token
        world.wait(3600)
        tab, other = other, tab
    assert tab.is_in
    assert other.is_in


# Reuse.


@pytest.mark.parametrize("first", ["thief", "owner"])
def test_a_token_with_two_holders_ends_the_session(
    world: World, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second holder's refresh ends the session for both, in either order; the user's other sessions live on."""
    owner, elsewhere = devices(world, 2)
    thief = copy(owner)
    early, late = (thief, owner) if first == "thief" else (owner, thief)
    assert early.refresh() == "Success"
    world.wait(11)
    assert early.refresh() == "Success"
    assert alerts(capsys) == []
    assert late.refresh() == "TokenInvalid"
    assert alerts(capsys) == [{"alert": "refresh_token_reused", "user": owner.user_id}]
    assert early.tries() == late.tries() == {"TokenInvalid"}
    assert alerts(capsys) == []
    assert elsewhere.is_in
    assert elsewhere.refresh() == "Success"


@pytest.mark.parametrize("others", [0, 1, 3])
def test_a_replaced_refresh_token_is_reuse_later(world: World, capsys: pytest.CaptureFixture[str], others: int) -> None:
    """A replaced token is reuse ten seconds after its own rotation, although others followed a moment ago."""
    device = Device(world)
    first = device.refresh_token
    device.refresh()
    for _ in range(others):
        world.wait(4)
        device.refresh()
    world.wait(12 - 4 * others)
    assert device.refresh(first) == "TokenInvalid"
    assert [alert["alert"] for alert in alerts(capsys)] == ["refresh_token_reused"]
    assert device.tries() == {"TokenInvalid"}
    assert device.key not in world.backend.expiries()


def test_a_reuse_whose_user_is_gone_is_an_alert_as_well(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The alert has no user."""
    device = Device(world)
    first = device.refresh_token
    device.refresh()
    world.wait(12)
    world.users.delete(PHONE, device.user_id).answer()
    assert device.refresh(first) == "TokenInvalid"
    assert alerts(capsys) == [{"alert": "refresh_token_reused", "user": None}]


def test_the_next_user_of_a_number_does_not_continue_a_session(world: World) -> None:
    """The sessions of the last user are invalid even before the next user's first login ends them."""
    device = Device(world)
    world.users.delete(PHONE, device.user_id).answer()
    world.users.sign_in(PHONE, "b" * 32).answer()
    assert device.call("getUserInfo") == "TokenInvalid"
    assert device.call("setNickname", token=device.token, name="name") == "TokenInvalid"
    assert device.call("login", token=device.token, phone=PHONE.e164) == "TokenInvalid"
    assert device.refresh() == "TokenInvalid"
    user = world.users.find(PHONE).answer()
    assert user is not None
    assert (user.id, user.name) == ("b" * 32, "")


def test_a_session_has_an_id_of_128_random_bits(world: World) -> None:
    """The id has 22 characters of base64url and differs in each session."""
    names = [device.key.rpartition(":")[2] for device in devices(world, 3)]
    assert all(re.fullmatch("[A-Za-z0-9_-]{22}", name) for name in names)
    assert len(set(names)) == 3


def test_a_chain_of_refreshes_is_repeated_from_each_of_its_tokens(world: World) -> None:
    """Tabs that hold tokens of a burst all get the present one, and go on with it."""
    device = Device(world)
    chain = [device.refresh_token]
    for _ in range(5):
        assert device.refresh() == "Success"
        chain.append(device.refresh_token)
    assert len(set(chain)) == len(chain)
    for token in chain[-2::-1]:
        assert device.refresh(token) == "Success"
        assert device.refresh_token == chain[-1]
        assert device.is_in
    assert device.refresh() == "Success"
    assert device.refresh_token not in chain


def test_the_ten_seconds_of_each_token_in_a_chain_are_its_own(exact: World) -> None:
    """They are exact, and neither a repeat nor a later rotation extends them; the first reuse ends the session."""
    device = Device(exact)
    tokens = [device.refresh_token]
    for _ in range(3):  # at 0, 3 and 6 seconds
        device.refresh()
        tokens.append(device.refresh_token)
        exact.wait(3)
    exact.wait(1)
    assert [device.refresh(token) for token in tokens[:3]] == ["Success"] * 3
    assert device.refresh_token == tokens[3]
    thieves = [copy(device) for _ in range(2)]
    exact.wait(0.001)
    assert [device.refresh(token) for token in (tokens[2], tokens[1], tokens[0])] == ["Success"] * 2 + ["TokenInvalid"]
    assert [thief.refresh() for thief in thieves] == ["TokenInvalid"] * 2


def test_a_burst_without_end_neither_fills_redis_nor_ends_the_session(exact: World) -> None:
    """From the 33rd refresh within ten seconds on, the present token is the answer again, until the ten are over."""
    device = Device(exact)
    exact.wait(11)
    chain = []
    for _ in range(40):
        assert device.refresh() == "Success"
        chain.append(device.refresh_token)
    assert len(set(chain)) == 32
    assert device.refresh(chain[0]) == "Success"
    assert len(exact.backend.client.hget(device.key, "recent")) < 200
    exact.wait(11)
    assert device.refresh() == "Success"
    assert device.refresh_token not in chain
    assert exact.backend.client.hget(device.key, "recent") == ""
    assert device.refresh(chain[30]) == "TokenInvalid"


def test_the_ten_seconds_are_exact_and_no_repeat_extends_them(exact: World) -> None:
    """The ten seconds begin with the rotation."""
    device = Device(exact)
    first = device.refresh_token
    device.refresh()
    exact.wait(5)
    assert device.refresh(first) == "Success"
    exact.wait(5)
    assert device.refresh(first) == "Success"
    exact.wait(0.001)
    assert device.refresh(first) == "TokenInvalid"
    assert not device.is_in


def test_a_number_whose_country_has_changed_its_plan_stays_signed_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tokens name a number that was valid when they were signed; only codes are refused to it."""
    device = Device(world)
    monkeypatch.setattr(phonenumbers, "number_type", lambda _: phonenumbers.PhoneNumberType.UNKNOWN)
    monkeypatch.setattr(phonenumbers, "region_code_for_number", lambda _: None)
    for cached in (Phone.parse, Phone.from_e164):
        cached.cache_clear()
    assert device.call("getSms", phone=PHONE.e164) == "InvalidPhone"
    assert device.refresh() == "Success"
    assert device.is_in
    assert device.call("setNickname", token=device.token, name="name") == "Success"
    for spelling in (PHONE.e164, PHONE.e164[3:]):
        assert device.call("login", phone=spelling, token=device.token) == "Success"
    assert device.call("login", phone=OTHER_PHONE.e164, token=device.token) == "InvalidPhone"
    assert device.call("login", phone=PHONE.e164, token="token") == "TokenInvalid"
    assert device.call("login", phone=PHONE.e164, token=device.token, code="123456") == "InvalidPhone"
    assert device.call("logout") == "Success"
    monkeypatch.undo()
    for cached in (Phone.parse, Phone.from_e164):
        cached.cache_clear()


# Lifetimes.


def test_a_session_ends_after_refresh_ttl_without_a_refresh(short: World) -> None:
    """Each refresh restarts REFRESH_TTL, nothing else does, and the access token ends with the session."""
    device = Device(short)
    short.wait(300)
    assert device.is_in
    short.wait(290)
    assert device.refresh() == "Success"
    assert 595 <= device.data["refreshExpiresIn"] <= 600
    short.wait(590)
    assert device.refresh() == "Success"
    device = Device(short, OTHER_PHONE)
    short.wait(595)
    assert device.is_in
    short.wait(6)
    assert device.tries() == {"TokenInvalid"}


def test_a_session_ends_after_session_ttl_in_any_case(short: World) -> None:
    """No refresh extends SESSION_TTL; every answer, including a repeat, states the rest of it."""
    device = Device(short)
    left = []
    for wait in (500, 500, 400, 80):
        short.wait(wait)
        first = device.refresh_token
        assert device.refresh() == "Success"
        left.append(device.data["refreshExpiresIn"])
        short.wait(2)
        assert device.refresh(first) == "Success"
        left.append(device.data["refreshExpiresIn"] + 2)
    assert all(true - 5 <= said <= true for said, true in zip(left, (600, 600, 498, 498, 96, 96, 14, 14), strict=True))
    short.wait(13)
    assert device.tries() == {"TokenInvalid"}


@pytest.mark.parametrize("refreshed", [[], [599], [599, 599], [1, 598, 300], [400, 400, 400, 299]])
def test_the_lifetimes_are_exact(exact: World, refreshed: list[int]) -> None:
    """The lifetimes are exact to the millisecond, after any number of refreshes."""
    device, age = Device(exact), 0
    for seconds in refreshed:
        exact.wait(seconds)
        age += seconds
        assert device.refresh() == "Success"
    left = min(RULES.idle, RULES.most - age)
    assert device.data["refreshExpiresIn"] == left
    exact.wait(left - 0.001)
    assert device.is_in
    assert device.refresh() == "Success"
    assert device.data["refreshExpiresIn"] == min(RULES.idle, int(RULES.most - age - left + 0.001))


@pytest.mark.parametrize("refreshed", [[], [599], [599, 599], [1, 598, 300], [400, 400, 400, 299]])
def test_no_session_outlives_its_life_by_a_moment(exact: World, refreshed: list[int]) -> None:
    """A moment after the end both tokens are invalid."""
    device, age = Device(exact), 0
    for seconds in refreshed:
        exact.wait(seconds)
        age += seconds
        assert device.refresh() == "Success"
    exact.wait(min(RULES.idle, RULES.most - age) + 0.001)
    assert device.tries() == {"TokenInvalid"}


@pytest.mark.parametrize(
    ("age", "left"), [(0, 7200), (3000, 7000), (9998, 2), (9999.5, 0)], ids=["whole", "less", "seconds", "a moment"]
)
def test_no_access_token_outlives_its_session_in_an_answer(
    clock: time_machine.Traveller, age: float, left: int
) -> None:
    """Near the end of SESSION_TTL, `expiresIn` is the rest of the session, in repeated answers too."""
    world = World(fake_backend(), clock, session_rules=SessionRules(idle=10_000, most=10_000))
    device = Device(world)
    world.wait(age)
    first = device.refresh_token
    for _ in range(2):
        assert device.refresh(first) == "Success"
        assert device.data["expiresIn"] == left
        assert device.data["expiresIn"] <= device.data["refreshExpiresIn"]
    assert device.is_in
    world.wait(10_000 - age + 0.001)
    assert device.call("getUserInfo") == ("TokenExpired" if age == 0 else "TokenInvalid")


def test_an_access_token_of_a_short_session_ends_with_it(exact: World) -> None:
    """From the login on, `expiresIn` is REFRESH_TTL if that is shorter than the life of an access token."""
    assert Device(exact).data["expiresIn"] == RULES.idle


def test_session_ttl_applies_if_refresh_ttl_is_longer(any_backend: Backend, clock: time_machine.Traveller) -> None:
    """From the login on, the session ends after SESSION_TTL, and the answer says so."""
    world = World(any_backend, clock, session_rules=SessionRules(idle=1500, most=600))
    device = Device(world)
    assert 595 <= device.data["refreshExpiresIn"] <= 600
    world.wait(590)
    assert device.is_in
    world.wait(11)
    assert device.tries() == {"TokenInvalid"}


def test_the_longest_lifetimes_that_can_be_set_work(any_backend: Backend, clock: time_machine.Traveller) -> None:
    """Ten years in milliseconds fit into every place that stores them."""
    years = 10 * 365 * 86400
    world = World(any_backend, clock, session_rules=SessionRules(idle=years, most=years))
    device = Device(world)
    world.wait(years - 100)
    assert device.refresh() == "Success"
    assert 90 <= device.data["refreshExpiresIn"] <= 100
    world.wait(101)
    assert device.refresh() == "TokenInvalid"


def test_every_key_of_a_session_expires(world: World) -> None:
    """After login, refresh, reuse and both kinds of logout, no key outlives the sessions but the user's."""
    one, two, three = devices(world, 3)
    first = one.refresh_token
    one.refresh()
    world.wait(11)
    one.refresh(first)
    two.refresh()
    assert two.call("logout") == "Success"
    assert three.call("logout", token=three.token, everywhere=True) == "Success"
    assert not [key for key in world.backend.expiries() if key.startswith("session:")]
    last = Device(world)
    expiries = world.backend.expiries()
    assert {key for key, ms in expiries.items() if ms == -1} == {f"user:{{{one.phone.e164}}}"}
    held = {key: ms for key, ms in expiries.items() if key.startswith("session:")}
    assert held.keys() == {last.key, INDEX}
    assert max(held.values()) <= world.session_rules.idle * 1000


@pytest.mark.parametrize("end", ["logout", "reuse"])
def test_a_number_whose_last_session_has_ended_leaves_nothing(world: World, end: str) -> None:
    """The index stays as long as another session may need it, and then until no login can be repeated any more."""
    other, device = devices(world, 2)
    first = device.refresh_token
    device.refresh()
    world.wait(11)
    assert other.call("logout") == "Success"
    assert world.backend.expiries()[INDEX] > 86_400_000
    if end == "logout":
        assert device.call("logout") == "Success"
    else:
        assert device.refresh(first) == "TokenInvalid"
    assert 0 < world.backend.expiries()[INDEX] <= 120_000
    world.wait(121)
    assert not [key for key in world.backend.expiries() if key.startswith("session:")]


def test_a_login_is_repeated_although_its_session_was_logged_out(world: World) -> None:
    """A logout ends one session; after a logout everywhere, the repeat is refused."""
    session_id = world.get_sms().session_id
    login = world.log_in(session_id, key="idempotency-key-1")
    assert world.call("logout", token=login.token)["codeStr"] == "Success"
    world.wait(55)
    repeat = world.log_in(session_id, key="idempotency-key-1")
    assert world.call("logout", token=repeat.token, everywhere=True)["codeStr"] == "Success"
    with pytest.raises(CodeHasValid):
        world.log_in(session_id, key="idempotency-key-1")


EVENTS = ["begin 0", "begin 1", "refresh 0", "refresh 1", "end 0", "end 1", "end all", "wait"]


@pytest.mark.parametrize("first", EVENTS)
def test_instances_with_different_lifetimes_agree_on_every_session(  # noqa: C901 - a model of all events
    clock: time_machine.Traveller, first: str
) -> None:
    """In all short histories ended sessions stay ended, live ones live, and nothing outlives the longest of them."""
    client = (backend := fake_backend()).client
    rules = SessionRules(idle=300, most=900), SessionRules(idle=1000, most=4000)
    worlds = [World(backend, clock, session_rules=its) for its in rules]
    stores = [world.session_store for world in worlds]
    user = Later(lambda: User("user", PHONE, "", "", 0))
    for begun, second in itertools.product([["begin 0", "begin 1"], ["begin 1", "begin 0"]], EVENTS):
        history = [*begun, first, second]
        client.flushall()
        left: dict[str, int] = {}  # ms that the sessions have, 0 or less for ended ones
        records: dict[str, dict[str, str]] = {}
        kept = 0  # ms that the index may be kept
        for event in history:
            what, _, number = event.partition(" ")
            live = [session for session, ms in left.items() if ms > 0]
            if what == "begin":
                left[f"{len(left):022}"] = stores[int(number)].begin(PHONE, f"{len(left):022}", user).answer().left_ms
            elif what == "wait":
                worlds[0].wait(299)
                left, kept = {session: ms - 299_000 for session, ms in left.items()}, kept - 299_000
            elif number == "all":
                stores[0].end_all(PHONE).answer()
                left, kept = dict.fromkeys(left, 0), 0
            elif live and what == "end":
                stores[int(number)].end(PHONE, live[0]).answer()
                left[live[0]] = 0
                kept = kept if live[1:] else min(kept, 120_000)
            elif live:
                record = records[live[0]]
                left[live[0]] = stores[int(number)].rotate(PHONE, live[0], int(record["count"]), user).answer().left_ms
            kept = max(kept, *left.values(), 0)
            for session, ms in left.items():
                key = f"session:{{{PHONE.e164}}}:{session}"
                if ms > 0:
                    records[session] = client.hgetall(key)
                    assert client.pttl(key) == ms
                elif number == "all":  # as if the clean-up had failed
                    client.hset(key, mapping=records[session])
                    client.pexpire(key, 4_000_000)
                assert stores[0].owner(PHONE, session).answer() == ("user" if ms > 0 else None), (history, event)
            index = client.pttl(INDEX)
            assert max([*left.values(), -2]) <= index <= kept or (index, kept) == (-2, 0), (history, event)


# Many sessions.


def test_the_hundred_and_first_session_ends_the_first_although_its_clean_up_fails(world: World) -> None:
    """Redis fails after it has begun the session, so the first one is still in it, and has ended all the same."""
    first = Device(world)

    for _ in range(99):
        world.begin_session()
    with world.redis.losing("DEL", arrives=False):
        later = world.begin_session()
    assert first.key in session_keys(world)
    assert first.tries() == {"TokenInvalid"}
    assert first.call("getUserInfo", token=later.token) == "Success"


def test_the_hundred_and_first_session_ends_the_first_and_no_other(world: World) -> None:
    """The limit counts the sessions of one number, and each further session ends the oldest."""
    stranger, first = Device(world, OTHER_PHONE), Device(world)
    later = [world.begin_session().token for _ in range(99)]
    assert first.is_in
    hundred = session_keys(world)
    assert len(hundred - {stranger.key}) == 100
    later.append(world.begin_session().token)
    assert first.tries() == {"TokenInvalid"}
    assert session_keys(world) == hundred - {first.key} | {session_key(later[-1])}
    assert {first.call("getUserInfo", token=token) for token in later} == {"Success"}
    later.append(world.begin_session().token)
    assert [first.call("getUserInfo", token=token) for token in later] == ["TokenInvalid"] + ["Success"] * 100
    assert stranger.is_in


# Losses in Redis and changes of settings.


def test_a_failover_that_loses_a_rotation_keeps_users_signed_in(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """The app's token is then ahead of Redis: it is accepted and rotated, and its predecessor is reuse."""
    device = Device(world)
    device.refresh()
    client = world.backend.client
    older, left, second = client.hgetall(device.key), client.pttl(device.key), device.refresh_token
    device.refresh()
    client.hset(device.key, mapping=older)
    client.pexpire(device.key, left)
    third = device.refresh_token
    assert device.is_in
    assert device.refresh() == "Success"
    fourth = device.refresh_token
    assert fourth not in {second, third}
    assert device.refresh(third) == "Success"
    assert device.refresh_token == fourth
    assert device.refresh() == "Success"
    assert alerts(capsys) == []
    assert device.refresh(second) == "TokenInvalid"
    assert [alert["alert"] for alert in alerts(capsys)] == ["refresh_token_reused"]
    assert device.tries() == {"TokenInvalid"}


def test_a_failover_does_not_extend_the_validity_of_an_older_token(world: World) -> None:
    """Ten seconds after the next rotation, the token that was ahead of Redis is reuse as well."""
    device = Device(world)
    client = world.backend.client
    older, left = client.hgetall(device.key), client.pttl(device.key)
    device.refresh()
    second = device.refresh_token
    client.hset(device.key, mapping=older)
    client.pexpire(device.key, left)
    assert device.refresh() == "Success"
    world.wait(11)
    assert device.refresh(second) == "TokenInvalid"
    assert not device.is_in


@pytest.mark.parametrize("lost", ["session", "everything"])
def test_a_session_that_redis_has_lost_has_ended(world: World, lost: str) -> None:
    """Every token is then refused, and a new login works."""
    device = Device(world)
    if lost == "session":
        world.backend.client.delete(device.key)
    else:
        world.backend.client.flushall()
    assert device.tries() == {"TokenInvalid"}
    world.cool_down()
    assert Device(world).is_in


def test_a_rotation_of_the_secret_keeps_users_signed_in(any_backend: Backend, clock: time_machine.Traveller) -> None:
    """Tokens of the previous secret are valid and replaced by tokens of the new one, which outlive the old secret."""
    device = Device(World(any_backend, clock, secrets=(OLD_SECRET,)))
    old = copy(device)
    device.world = World(any_backend, clock, secrets=(SECRET, OLD_SECRET))
    assert device.is_in
    assert device.refresh() == "Success"
    device.world = old.world = World(any_backend, clock, secrets=(SECRET,))
    assert device.is_in
    assert device.refresh() == "Success"
    assert old.tries() == {"TokenInvalid"}
    assert device.is_in


# Clocks.


def test_an_access_token_is_valid_for_a_minute_more_if_clocks_differ(exact: World) -> None:
    """An access token is valid from 60 seconds before its beginning until 60 seconds after its end, and no longer."""
    exact = World(exact.backend, exact.clock)
    device = Device(exact)
    for seconds, outcome in (
        (-61, "TokenInvalid"),
        (-60, "Success"),
        (7200, "Success"),
        (7259, "Success"),
        (7260, "TokenExpired"),
    ):
        exact.clock.shift(seconds)
        assert device.call("getUserInfo") == outcome
        assert device.call("login", phone=device.phone.e164, token=device.token) == outcome
        exact.clock.shift(-seconds)
