"""A state machine of users who change their numbers, delete themselves and are banned, while changes are cut off.

It compares the service with a plain model: who has which number, and which sessions are open.
"""

import contextlib

import time_machine
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from msgspec import Struct

from sms_login.adapters.redis.keys import user_key
from sms_login.otp.purposes import CHANGE_PHONE
from sms_login.otp.rules import Rules
from sms_login.phone import Phone
from tests.testkit.backends import NOON, fake_backend
from tests.testkit.seams import FATES, Killed
from tests.testkit.world import UNLIMITED, World

PHONES = [Phone.parse(f"+861390013900{i}", "CN") for i in range(3)]
numbers = st.sampled_from(PHONES)
picks = st.integers(0, 9)


class Session(Struct):
    """A session in the model: its user, the number that it belongs to, and its access token."""

    user: str
    phone: Phone
    token: str


class Movers(RuleBasedStateMachine):
    """People with three numbers between them."""

    steps = 0
    cuts = 0

    @initialize()
    def begin(self) -> None:
        """Start at noon without users."""
        self.travel = time_machine.travel(NOON, tick=False)
        rules = Rules(cooldown=1, daily=1000)
        self.world = World(fake_backend(), self.travel.start(), limits=UNLIMITED, rules=rules)
        self.has: dict[Phone, str] = {}
        self.banned: set[str] = set()
        self.sessions: list[Session] = []
        self.ended: list[Session] = []

    def teardown(self) -> None:
        """Restore the clock."""
        self.travel.stop()

    def code(self, phone: Phone, **purpose: str) -> dict[str, str]:
        """Have a code sent to a number; return the parameters that spend it."""
        self.world.cool_down()
        session = self.world.call("getSms", phone=phone.e164, **purpose)["data"]["sessionId"]
        return {"code": self.world.outbox.code, "sessionId": session}

    def judge(self, session: Session) -> str:
        """Return the outcome of a session's token."""
        return "UserBanned" if session.user in self.banned else "Success"

    def picked(self, pick: int) -> Session:
        """Return an open session, a new one if there is none."""
        if not self.sessions:
            self.banned.clear()
            for phone in PHONES:
                if user := self.world.users.find(phone).answer():
                    self.world.users.ban(phone, user.id, banned=False).answer()
            self.log_in(PHONES[pick % len(PHONES)])
        return self.sessions[-1 - pick % len(self.sessions)]

    @rule(phone=numbers)
    def log_in(self, phone: Phone) -> None:
        """Sign a number in or up."""
        answer = self.world.call("login", phone=phone.e164, **self.code(phone))
        user = self.has.get(phone)
        if user in self.banned:
            assert answer["codeStr"] == "UserBanned"
            return
        data = answer["data"]
        assert (data["isNewUser"], data["phone"]) == (user is None, phone.e164)
        assert user is None or data["userId"] == user
        assert user or data["userId"] not in self.has.values()
        self.has[phone] = data["userId"]
        self.sessions.append(Session(data["userId"], phone, data["token"]))

    def request(self, session: Session, new: Phone) -> dict[str, str]:
        """Return the parameters of a change, with a fresh proof and a fresh code."""
        proofs = self.world.login.proofs
        proof = proofs.issue(proofs.new_id(), session.phone, CHANGE_PHONE.name, "").proof
        return {"token": session.token, "proof": proof, "phone": new.e164, **self.code(new, purpose="changePhone")}

    @rule(pick=picks, new=numbers)
    def change(self, pick: int, new: Phone) -> None:
        """Change the number of a session's user."""
        session = self.picked(pick)
        answer = self.world.call("changePhone", **self.request(session, new))
        if new == session.phone:
            assert answer["codeStr"] == "InValidParam"
        elif self.judge(session) != "Success":
            assert answer["codeStr"] == self.judge(session)
        elif new in self.has:
            assert answer["codeStr"] == "PhoneTaken"
        else:
            assert (answer["data"]["userId"], answer["data"]["phone"]) == (session.user, new.e164)
            self.moved(session, new)
            self.sessions.append(Session(session.user, new, answer["data"]["token"]))

    @rule(pick=picks, new=numbers, batch=st.integers(0, 5), fate=st.sampled_from(FATES))
    def cut_off(self, pick: int, new: Phone, batch: int, fate: str) -> None:
        """Change the number of a session's user, and meet a fate on the way."""
        type(self).cuts += 1
        session = self.picked(pick)
        change = self.request(session, new)
        with self.world.redis.cut_at(batch, fate), contextlib.suppress(Killed):
            self.world.call("changePhone", **change)
        has = self.world.backend.client.hget(user_key(new), "id")  # a request would settle the change
        if has == session.user and new != session.phone:
            self.moved(session, new)

    def moved(self, session: Session, new: Phone) -> None:
        """Note that a user has another number."""
        del self.has[session.phone]
        self.has[new] = session.user
        self.end_sessions(session.user)

    def end_sessions(self, user: str) -> None:
        """Note that all sessions of a user have ended."""
        self.ended += [session for session in self.sessions if session.user == user]
        self.sessions = [session for session in self.sessions if session.user != user]

    @rule(pick=picks)
    def show(self, pick: int) -> None:
        """Use a token."""
        session = self.picked(pick)
        answer = self.world.call("getUserInfo", token=session.token)
        assert answer["codeStr"] == self.judge(session)
        assert answer["data"].get("phone", session.phone.e164) == session.phone.e164

    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        """Delete a user."""
        session = self.picked(pick)
        answer = self.world.call("deleteAccount", token=session.token, **self.code(session.phone))
        assert answer["codeStr"] == self.judge(session)
        if answer["codeStr"] == "Success":
            del self.has[session.phone]
            self.end_sessions(session.user)

    @rule(phone=numbers, banned=st.booleans())
    def ban(self, phone: Phone, banned: bool) -> None:  # noqa: FBT001 - drawn by name
        """Ban a user, or lift the ban."""
        if user := self.has.get(phone):
            assert self.world.users.find(phone).answer()  # as an operator's command does
            assert self.world.users.ban(phone, user, banned=banned).answer() is True
            (self.banned.add if banned else self.banned.discard)(user)

    @rule()
    def look(self) -> None:
        """Compare the users of all numbers with the model, and try the tokens of ended sessions."""
        found = {phone: user for phone in PHONES if (user := self.world.users.find(phone).answer())}
        assert {phone: user.id for phone, user in found.items()} == self.has
        assert {user.id for user in found.values() if user.banned} == self.banned & {*self.has.values()}
        for session in self.ended:
            answer = self.world.call("getUserInfo", token=session.token)["codeStr"]
            assert answer in {"TokenInvalid", "NotRegistered"}

    @invariant()
    def no_number_has_a_user_of_another_and_no_user_is_lost(self) -> None:
        """Redis holds each user of the model at their number, even after a cut."""
        type(self).steps += 1
        for phone, user in getattr(self, "has", {}).items():
            assert self.world.backend.client.hget(user_key(phone), "id") == user


STEPS = settings(max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck))


def test_changes_follow_the_model() -> None:
    """Over at least 300 steps and 10 cuts, the service behaves like the model."""
    Movers.steps = Movers.cuts = 0
    while Movers.steps < 300 or Movers.cuts < 10:  # one run in a hundred draws fewer
        run_state_machine_as_test(Movers, settings=STEPS)
