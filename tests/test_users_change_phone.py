"""changePhone, with users in every kind of Redis and of SQL: its result, its attackers, and every way to cut it off."""

import contextlib
import itertools
from collections import Counter

import pytest
import time_machine

from sms_login.adapters.redis.keys import user_key
from sms_login.adapters.sql.users import SqlUsers
from sms_login.errors import ServiceUnavailable
from sms_login.otp.purposes import CHANGE_PHONE, LOGIN
from sms_login.otp.rules import Rules
from sms_login.phone import Phone
from sms_login.sessions.proofs import LIFE
from tests.testkit.backends import Backend
from tests.testkit.devices import Device, session_keys
from tests.testkit.limits import FORGED, Make
from tests.testkit.races import outcomes, race
from tests.testkit.seams import FATES, Killed
from tests.testkit.world import OTHER_PHONE, PAY, PHONE, UNLIMITED, World

NEW = Phone.parse("+8613900139000", "CN")
KEY = {"Idempotency-Key": "idempotency-key-1"}


def numbers(i: int) -> tuple[Phone, Phone]:
    """Return the i-th pair of an old and a new number."""
    return Phone.parse(f"+861371000{i:04}", "CN"), Phone.parse(f"+861381000{i:04}", "CN")


def ask(world: World, phone: Phone) -> dict[str, str]:
    """Have a code for the change sent to a number; return what spends it."""
    session = world.get_sms(phone=phone, purpose=CHANGE_PHONE).session_id
    return {"phone": phone.e164, "code": world.outbox.code, "sessionId": session}


def prove(world: World, phone: Phone) -> str:
    """Return the proof of a number for the change, by a code."""
    world.cool_down()
    session = world.get_sms(phone=phone, purpose=CHANGE_PHONE).session_id
    return world.prove(session, phone=phone, purpose=CHANGE_PHONE).proof


class Change:
    """A user who has proved the present number, and has received a code at the new one."""

    def __init__(self, device: Device, new: Phone = NEW) -> None:
        self.world, self.device = device.world, device
        proof = prove(self.world, device.phone)
        self.params = {"token": device.token, "proof": proof, **ask(self.world, new)}

    def outcome(self, **params: str) -> str:
        """Change the number under an Idempotency-Key, with other parameters if they are given; return the outcome."""
        return str(self.world.call("changePhone", KEY, **{**self.params, **params})["codeStr"])


def user_of(world: World, phone: Phone) -> str | None:
    """Return the id of a number's user, as a request finds it."""
    user = world.users.find(phone).answer()
    return user.id if user else None


def test_the_user_has_the_new_number_and_nothing_else_has_changed(everywhere: Make) -> None:
    """All sessions end but the new one, and the old number is free for a new user, who has nothing of the old one."""
    world = everywhere()
    first = Device(world)
    first.call("setNickname", token=first.token, name="小明")
    world.cool_down()
    device = Device(world)
    data = world.call("changePhone", **Change(device).params)["data"]
    assert (data["userId"], data["phone"], data["name"]) == (device.user_id, NEW.e164, "小明")
    assert data["isNewUser"] is False
    assert first.tries() == device.tries() == {"TokenInvalid"}
    assert world.call("getUserInfo", token=data["token"])["data"]["phone"] == NEW.e164
    assert world.call("refresh", refreshToken=data["refreshToken"])["data"]["userId"] == device.user_id
    kept = {key for key in world.backend.dump() if PHONE.e164 in key and not key.startswith("otp:")}
    assert kept == set()
    world.cool_down()
    assert Device(world, NEW).user_id == device.user_id
    stranger = Device(world)
    assert (stranger.data["isNewUser"], stranger.data["name"]) == (True, "")
    assert stranger.user_id != device.user_id
    assert first.tries() == device.tries() == {"TokenInvalid"}
    # And back: the number that the stranger has now is taken, and it is free once they have left it.
    world.cool_down()
    back = Change(Device(world, NEW), PHONE)
    assert back.outcome() == "PhoneTaken"
    assert stranger.is_in
    assert Change(stranger, OTHER_PHONE).outcome() == "Success"
    world.cool_down()
    assert Change(Device(world, NEW), PHONE).outcome() == "Success"
    assert (user_of(world, PHONE), user_of(world, OTHER_PHONE)) == (device.user_id, stranger.user_id)
    assert user_of(world, NEW) is None


def test_a_repeat_is_answered_again_and_a_replay_is_not(everywhere: Make) -> None:
    """Under its key, the lost answer comes once more; the proof is of a number that the user no longer has."""
    world = everywhere()
    change = Change(Device(world))
    first, again = (world.call("changePhone", KEY, **change.params)["data"] for _ in range(2))
    assert first["userId"] == again["userId"] == change.device.user_id
    assert first["token"] != again["token"]
    assert world.call("getUserInfo", token=first["token"])["codeStr"] == "Success"
    assert world.call("changePhone", **change.params)["codeStr"] == "CodeHasValid"
    assert len(session_keys(world)) == 2
    further = ask(world, OTHER_PHONE)
    assert change.outcome(**further) == "TokenInvalid"
    assert change.outcome(**further, token=first["token"]) == "TokenMismatch"
    assert (user_of(world, PHONE), user_of(world, NEW)) == (None, change.device.user_id)


def test_a_change_to_the_present_number_changes_nothing(everywhere: Make) -> None:
    """In every spelling it is refused before the code is spent, and the user table itself keeps user and sessions."""
    world = everywhere(limits=UNLIMITED, rules=Rules(cooldown=1))
    device = Device(world)
    device.call("setNickname", token=device.token, name="小明")
    change = {"token": device.token, "proof": prove(world, PHONE)}
    world.cool_down()
    spends = ask(world, PHONE)
    for spelling in (PHONE.e164, PHONE.e164[1:], PHONE.e164[3:], f" {PHONE.e164[3:6]}-{PHONE.e164[6:]}"):
        assert world.call("changePhone", **{**change, **spends, "phone": spelling})["codeStr"] == "InValidParam"
    for same in (PHONE, Phone.from_e164(PHONE.e164), Phone(PHONE.e164, "ZZ")):
        assert world.users.move(PHONE, same, device.user_id).answer().id == device.user_id
        found = world.users.find(PHONE).answer()
        assert found
        assert (found.id, found.name) == (device.user_id, "小明")
    assert device.is_in
    assert Change(device).outcome() == "Success"  # no note of a change is left
    with pytest.raises(ServiceUnavailable):
        world.users.move(OTHER_PHONE, OTHER_PHONE, "nobody").answer()
    assert user_of(world, OTHER_PHONE) is None


# Attacks.


def test_login_code_used_to_change_a_number(everywhere: Make) -> None:
    """Neither a login's code nor one for another purpose changes a number, and no code for a change logs in."""
    world = everywhere()
    change = Change(Device(world))
    for purpose in (LOGIN, PAY):
        world.cool_down()
        session = world.get_sms(phone=NEW, purpose=purpose).session_id
        assert change.outcome(code=world.outbox.code, sessionId=session) == "SessionMismatch"
    taken = {name: change.params[name] for name in ("phone", "code", "sessionId")}
    assert world.call("login", **taken)["codeStr"] == "SessionMismatch"
    assert user_of(world, NEW) is None
    assert change.outcome() == "Success"


def test_proof_replayed_for_a_change(everywhere: Make) -> None:
    """A proof of another number, for another purpose, after its time, or made of a token changes nothing."""
    world = everywhere()
    device, thief = Device(world), Device(world, OTHER_PHONE)
    change, own = Change(device), prove(world, OTHER_PHONE)
    world.cool_down()
    session = world.get_sms(purpose=PAY).session_id
    paid = world.prove(session).proof
    refused = {
        "TokenMismatch": [(own, device.token), (change.params["proof"], thief.token)],
        "TokenInvalid": [
            (paid, device.token),
            (device.token, device.token),
            (change.params["proof"], change.params["proof"]),
        ],
    }
    for outcome, pairs in refused.items():
        assert {change.outcome(proof=proof, token=token) for proof, token in pairs} == {outcome}
    assert world.failures(NEW) is None
    assert (user_of(world, PHONE), user_of(world, NEW)) == (device.user_id, None)
    assert change.outcome(phone=PHONE.e164) == "InValidParam"
    world.clock.shift(LIFE + 61)
    assert change.outcome() == "TokenExpired"


def test_ban_outlived_by_a_change_of_the_number(everywhere: Make) -> None:
    """A banned user keeps number and ban, even if the ban comes in the middle of the change."""
    world = everywhere(limits=UNLIMITED, rules=Rules(cooldown=1))
    middle = {"redeem": "UserBanned", "begin_session": "Success"}
    if not isinstance(world.users, SqlUsers):
        middle = {"redeem": "UserStoreFailed", "start_change": "UserStoreFailed"}
    for i, (step, outcome) in enumerate({"": "UserBanned", **middle}.items()):
        device = Device(world, numbers(i)[0])
        change, phones = Change(device, numbers(i)[1]), numbers(i)
        bans: list[bool] = []

        def ban(device: Device = device, phones: tuple[Phone, Phone] = phones, bans: list[bool] = bans) -> None:
            bans.extend(world.users.ban(phone, device.user_id).answer() for phone in phones)

        world.redis.before(step, ban) if step else ban()
        assert change.outcome() == outcome
        assert bans.count(True) == 1
        assert change.outcome() == "UserBanned"
        found = [world.users.find(phone).answer() for phone in phones]
        assert [user.banned for user in found if user] == [True]


def test_enumeration_of_taken_numbers(everywhere: Make) -> None:
    """Before a right code, a taken number and a free one get the same answers, in as many round trips."""
    world = everywhere(limits=UNLIMITED)
    device, other = Device(world), Device(world, OTHER_PHONE)
    proof = prove(world, PHONE)
    seen = []
    for number in (OTHER_PHONE, NEW):
        spends, batches = ask(world, number), len(world.redis.batches)
        told = []
        for params in [{"sessionId": FORGED}, *[{"code": world.wrong}] * 4]:
            answer = world.call("changePhone", token=device.token, proof=proof, **{**spends, **params})
            told.append((answer["codeStr"], answer["errorMessage"], answer["data"]))
        seen.append((told, len(world.redis.batches) - batches))
    assert seen[0] == seen[1]
    world.cool_down()
    spends = ask(world, OTHER_PHONE)
    change = {"token": device.token, "proof": proof, **spends}
    assert [world.call("changePhone", KEY, **change)["codeStr"] for _ in range(2)] == ["PhoneTaken"] * 2
    assert world.call("changePhone", **change)["codeStr"] == "CodeHasValid"
    assert device.is_in
    assert other.is_in


def test_race_of_two_users_to_one_number(everywhere: Make) -> None:
    """Exactly one of them wins, and the others keep their numbers and sessions."""
    world = everywhere(limits=UNLIMITED, rules=Rules(cooldown=1))
    devices = [Device(world, numbers(i)[0]) for i in range(4)]
    changes = []
    for device in devices:
        changes.append(Change(device))
        world.cool_down()
    answers = race(4, lambda i: world.call("changePhone", **changes[i].params))
    assert outcomes(answers) == {"Success": 1, "PhoneTaken": 3}
    winner = next(answer["data"]["userId"] for answer in answers if answer["data"])
    assert user_of(world, NEW) == winner
    for device in devices:
        assert user_of(world, device.phone) == (None if device.user_id == winner else device.user_id)
        assert device.is_in is (device.user_id != winner)


@pytest.mark.parametrize("cut", [False, True])
def test_repeated_login_meets_a_user_who_leaves_the_number(everywhere: Make, *, cut: bool) -> None:
    """If a user leaves between the two steps of a repeat of their first login, their id stays theirs."""
    world = everywhere(limits=UNLIMITED, rules=Rules(cooldown=1))
    session = world.get_sms().session_id
    login = {"phone": PHONE.e164, "code": world.outbox.code, "sessionId": session}
    moved, token = (world.call("login", KEY, **login)["data"][name] for name in ("userId", "token"))
    change = {"token": token, "proof": prove(world, PHONE), **ask(world, NEW)}

    def leave() -> None:
        last = CUTS[isinstance(world.users, SqlUsers)][0] - 2  # the end of the old number
        with world.redis.cut_at(last, "dies before") if cut else contextlib.nullcontext(), contextlib.suppress(Killed):
            world.call("changePhone", **change)

    world.redis.after("redeem", leave)
    assert world.call("login", KEY, **login)["codeStr"] == "ServiceUnavailable"
    assert (user_of(world, PHONE), user_of(world, NEW)) == (None, moved)
    again = "ServiceUnavailable" if cut and isinstance(world.users, SqlUsers) else "CodeHasValid"
    assert world.call("login", KEY, **login)["codeStr"] == again
    world.cool_down()
    stranger = Device(world)
    assert stranger.data["isNewUser"] is True
    assert stranger.user_id != moved


def test_race_of_one_user_to_two_numbers(everywhere: Make) -> None:
    """The user has exactly one number afterwards, and a token of it."""
    world = everywhere(limits=UNLIMITED, rules=Rules(cooldown=1))
    for i in range(5):
        phones = [*numbers(i), numbers(i + 100)[1]]
        device = Device(world, phones[0])
        tokens = {"token": device.token, "proof": prove(world, phones[0])}
        changes = [{**tokens, **ask(world, phone)} for phone in phones[1:]]
        answers = race(2, lambda i, changes=changes: world.call("changePhone", **changes[i]))  # type: ignore[misc] # mypy infers no lambda with defaults
        told = [answer["data"]["phone"] for answer in answers if answer["codeStr"] == "Success"]
        has = [phone for phone in phones if user_of(world, phone) == device.user_id]
        assert len(has) == 1
        assert set(told) <= {has[0].e164}
        world.cool_down()


# Cut off.


def at(world: World, phone: Phone) -> str | None:
    """Return the id in a number's record, without settling anything."""
    if isinstance(world.users, SqlUsers):
        return user_of(world, phone)
    user_id: str | None = world.backend.client.hget(user_key(phone), "id")
    return user_id


def then(world: World, action: str, change: dict[str, str], old: Phone) -> str:
    """Do one thing after a change was cut off; return its outcome, for a login with whether it signed up."""
    if action == "repeat":
        return str(world.call("changePhone", KEY, **change)["codeStr"])
    if action == "token":
        return str(world.call("getUserInfo", token=change["token"])["codeStr"])
    phone = old if action == "login old" else Phone.from_e164(change["phone"])
    session = world.get_sms(phone=phone).session_id
    return "new user" if world.log_in(session, phone=phone).is_new_user else "the user"


ACTIONS = {  # after the cut, with the outcomes if the user has kept the number, and if they have the new one
    "repeat": ({"Success"}, {"Success"}),
    "token": ({"Success"}, {"TokenInvalid", "NotRegistered"}),
    "login old": ({"the user"}, {"new user"}),
    "login new": ({"new user"}, {"the user"}),
}
# By whether users are in SQL: the batches of a change, and in how many of them each fate leaves the new number.
CUTS = {
    False: (6, {"dies before": 2, "is lost": 3, "never arrives": 2}),
    True: (5, {"dies before": 2, "is lost": 2, "never arrives": 2}),
}


@pytest.mark.parametrize("everywhere", ["real", "cluster", "sqlite", "mariadb"], indirect=True)
@pytest.mark.parametrize("fate", FATES)
def test_a_change_that_is_cut_off_anywhere_is_finished_or_cancelled(everywhere: Make, fate: str) -> None:
    """After each cut, and each request that comes next, the user has one number, and no other user has it."""
    world = everywhere(limits=UNLIMITED, rules=Rules(cooldown=1))
    batches, left_new = CUTS[isinstance(world.users, SqlUsers)]
    moved_by: Counter[str] = Counter()
    for i, (batch, action) in enumerate(itertools.product(range(batches), ACTIONS)):
        old, new = numbers(i)
        user, tokens = world.sessions.begin(old, world.users.sign_in(old, f"user-{i}")).answer()
        assert tokens
        proof = world.login.proofs.issue(world.login.proofs.new_id(), old, CHANGE_PHONE.name, "").proof
        change = {"token": tokens.token, "proof": proof, **ask(world, new)}
        with world.redis.cut_at(batch, fate), contextlib.suppress(Killed):
            world.call("changePhone", KEY, **change)
        there = [at(world, phone) for phone in (old, new)]
        assert {*there} - {None} == {user.id}
        moved = there[1] == user.id
        moved_by[action] += moved
        world.cool_down()
        assert then(world, action, change, old) in ACTIONS[action][moved], (batch, action)
        assert [user_of(world, phone) for phone in (old, new)].count(user.id) == 1, (batch, action)
        taken = action == "login new" and not moved
        assert (then(world, "repeat", change, old) == "Success") is not taken, (batch, action)
        assert [user_of(world, phone) for phone in (old, new)].count(user.id) == 1, (batch, action)
    assert moved_by == dict.fromkeys(ACTIONS, left_new[fate])


@pytest.mark.parametrize("everywhere", ["sqlite", "mariadb"], indirect=True)
def test_sessions_that_a_change_left_behind_stay_ended_when_the_user_moves_back(everywhere: Make) -> None:
    """In SQL, a change that was cut off and is not repeated leaves the sessions of the old number to the way back."""
    world = everywhere(limits=UNLIMITED, rules=Rules(cooldown=1))
    batches, left_new = CUTS[True]
    moved = 0
    for i in range(batches):
        old, new = numbers(i)
        first = Device(world, old)
        world.cool_down()
        change = Change(Device(world, old), new)
        with world.redis.cut_at(i, "dies before"), contextlib.suppress(Killed):
            change.outcome()
        if user_of(world, new):
            moved += 1
            world.cool_down()
            assert Change(Device(world, new), old).outcome() == "Success"
            assert user_of(world, old) == first.user_id
            assert [each.is_in or each.refresh() == "Success" for each in (first, change.device)] == [False] * 2
    assert moved == left_new["dies before"]


def test_a_corrupt_note_of_a_change_is_an_outage(backend: Backend, clock: time_machine.Traveller) -> None:
    """The user is told to try again, not that the number is wrong; code and record stay as they are."""
    world = World(backend, clock, rules=Rules(cooldown=1, daily=100))
    device = Device(world)
    for field, text in itertools.product(("moving", "moved_from"), (" ", "x", "+1", "\t+8613900139000 id")):
        backend.client.hset(user_key(PHONE), field, text)
        assert device.call("getUserInfo") == "ServiceUnavailable"
        world.cool_down()
        session = world.get_sms().session_id
        login = {"phone": PHONE.e164, "code": world.outbox.code, "sessionId": session}
        assert world.call("login", **login)["codeStr"] == "UserStoreFailed"
        backend.client.hdel(user_key(PHONE), field)
        assert world.call("login", **login)["data"]["userId"] == device.user_id
