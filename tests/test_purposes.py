"""Codes for other purposes than a login: the rules hold for each, and no code works for another purpose or detail."""

from typing import Any

import pytest
import time_machine

from sms_login.adapters.redis.codes import otp_key
from sms_login.errors import CodeIsError, SendFailed, ServiceUnavailable
from sms_login.otp.purposes import LOGIN, Purpose, bound
from sms_login.otp.rules import Rules
from sms_login.sessions.keys import KeyRing
from tests.testkit.backends import Backend
from tests.testkit.devices import Device
from tests.testkit.limits import IP, Printed, counts
from tests.testkit.races import outcomes, race
from tests.testkit.tokens import parts
from tests.testkit.world import OLD_SECRET, OTHER_PHONE, PAY, PHONE, REVIEW_CODE, REVIEW_PHONE, SECRET, UNLIMITED, World

NUMBER, KEY = PHONE.e164, {"Idempotency-Key": "idempotency-key-1"}
DETAIL = "order 4711, 99.00 CNY"
PURPOSES = ["login", "changePhone", "pay", "resetPassword"]


@pytest.fixture(name="world")
def talkative(any_backend: Backend, clock: time_machine.Traveller) -> World:
    """A service that sends a number many codes a day."""
    return World(any_backend, clock, rules=Rules(daily=100))


def ask(world: World, purpose: str = "pay", session: str | None = None, **params: Any) -> str:
    """Ask for a code once the cooldown is over; return the sessionId."""
    world.cool_down()
    answer = world.call("getSms", phone=NUMBER, purpose=purpose, sessionId=session, **params)
    assert answer["codeStr"] == "Ok", answer
    return str(answer["data"]["sessionId"])


def use(world: World, purpose: str, session: str, code: str | None = None, /, **params: Any) -> str:
    """Use the last code for a purpose, a login or a proof; return the outcome."""
    given = {"phone": NUMBER, "sessionId": session, "code": code or world.outbox.code, **params}
    method, given = ("login", given) if purpose == "login" else ("verify", {**given, "purpose": purpose})
    return str(world.call(method, **given)["codeStr"])


def test_a_code_works_for_its_own_purpose_alone(world: World) -> None:
    """Under another purpose a live code is of another session, and no guess is counted; afterwards it still works."""
    for purpose in PURPOSES:
        session = ask(world, purpose)
        for other in PURPOSES:
            if other != purpose:
                codes = (world.outbox.code, world.wrong)
                assert {use(world, other, session, code) for code in codes} == {"SessionMismatch"}
        assert world.failures() is None
        assert [use(world, purpose, session) for _ in range(2)] == ["Success", "CodeHasValid"]
        others = {use(world, other, session) for other in PURPOSES if other != purpose}
        assert others == {"CodeHasExpired"}, "no code is live"


def test_a_login_without_a_session_id_is_compared_with_the_latest_code_of_a_login(world: World) -> None:
    """Codes for other purposes neither replace it nor lose a guess; deleteAccount takes a login's code, too."""
    ask(world, "login")
    code = world.outbox.code
    session = ask(world)
    answer = world.call("login", phone=NUMBER, code=code)
    assert answer["codeStr"] == "Success"
    token = answer["data"]["token"]
    assert world.call("login", phone=NUMBER, code=world.outbox.code)["codeStr"] == "CodeHasValid"
    for its in (session, None):
        deletion = world.call("deleteAccount", token=token, code=world.outbox.code, sessionId=its)
        assert deletion["codeStr"] == ("SessionMismatch" if its else "CodeHasValid")
    assert use(world, "pay", session) == "Success"
    session = ask(world, "login")
    assert world.call("deleteAccount", token=token, code=world.outbox.code, sessionId=session)["codeStr"] == "Success"


def test_a_resend_needs_the_same_purpose_and_detail(world: World) -> None:
    """With them, the same code is sent again in the words of its purpose; else a new challenge is opened."""
    session = ask(world, detail=DETAIL)
    code = world.outbox.code
    assert ask(world, session=session, detail=DETAIL) == session
    assert (world.outbox.code, world.outbox.purposes) == (code, ["pay", "pay"])
    others: list[dict[str, str]] = [{}, {"detail": DETAIL + " "}, {"purpose": "resetPassword", "detail": DETAIL}]
    for other in [*others, {"purpose": "login"}]:
        assert ask(world, session=session, **other) != session
    assert use(world, "pay", session, code, detail=DETAIL) == "Success"


def test_a_detail_binds_a_code(world: World) -> None:
    """With another detail, or without it, no code is right, and a guess is counted. Redis does not hold the detail."""
    for detail in (DETAIL, "明细 🧾" * 30, ""):
        session = ask(world, detail=detail)
        for other in (DETAIL + ".", "" if detail else DETAIL):
            assert use(world, "pay", session, detail=other) == "CodeIsError"
        assert use(world, "pay", session, detail=detail) == "Success"
        assert bound("pay", DETAIL).detail not in repr(world.backend.dump())
        assert "order 4711" not in repr(world.backend.dump())


def test_the_rules_hold_for_each_purpose(world: World) -> None:
    """Three guesses, then the code is spent; five minutes, then it has expired; failures count for the number."""
    rules = world.rules
    for purpose in PURPOSES:
        session = ask(world, purpose)
        left = [f"{use(world, purpose, session, world.wrong)} {i}" for i in range(rules.guesses)]
        assert left == [f"CodeIsError {i}" for i in range(rules.guesses)]
        assert use(world, purpose, session) == "CodeHasValid"
        assert ask(world, purpose, session) != session
        session = ask(world, purpose)
        world.wait(rules.life + 1)
        assert use(world, purpose, session) == "CodeHasExpired"
    assert world.failures() == str(rules.guesses * len(PURPOSES))
    world.set_failures(rules.lock_at)
    assert [use(world, purpose, session) for purpose in PURPOSES] == ["Locked"] * len(PURPOSES)
    refused = [world.call("getSms", phone=NUMBER, purpose=purpose)["codeStr"] for purpose in PURPOSES]
    assert refused == ["Locked"] * len(PURPOSES)


def test_cooldown_and_day_are_the_numbers(any_backend: Backend, clock: time_machine.Traveller) -> None:
    """A number gets ten messages a day with a cooldown between them, for all purposes together."""
    world = World(any_backend, clock)
    for i in range(world.rules.daily):
        ask(world, PURPOSES[i % len(PURPOSES)])
        early = world.call("getSms", phone=NUMBER, purpose=PURPOSES[(i + 1) % len(PURPOSES)])
        assert early["codeStr"] == "TooManyRequests"
    world.cool_down()
    refused = [world.call("getSms", phone=NUMBER, purpose=purpose)["codeStr"] for purpose in PURPOSES]
    assert refused == ["TooManyRequests"] * len(PURPOSES)
    assert world.sent_today() == world.rules.daily


def test_a_right_code_for_any_purpose_clears_failures_and_is_refunded(
    backend: Backend, clock: time_machine.Traveller
) -> None:
    """It has shown that the number is in hand, as a login does."""
    world = World(backend, clock, rules=Rules(daily=100), ip=IP)
    for purpose in PURPOSES:
        session = ask(world, purpose)
        session = ask(world, purpose, session)
        assert use(world, purpose, session, world.wrong) == "CodeIsError"
        assert use(world, purpose, session) == "Success"
        assert world.failures() is None
        left = {name: count for name, count in counts(world).items() if "total" not in name and count}
        assert left == {f"ip:{IP} guesses": PURPOSES.index(purpose) + 1}  # the wrong ones


def test_a_verify_signs_nobody_in_or_up(world: World) -> None:
    """No user is made, no session begins, and those that there are go on."""
    device = Device(world)
    users = {key for key in world.backend.dump() if key.startswith("user")}
    world.wait(world.rules.age * 2)
    assert use(world, "pay", ask(world)) == "Success"
    world.call("getSms", phone=OTHER_PHONE.e164, purpose="pay")
    assert world.prove(str(world.latest(OTHER_PHONE, PAY)), phone=OTHER_PHONE).proof
    assert {key for key in world.backend.dump() if key.startswith("user")} == users
    assert device.is_in


def test_a_refused_sending_is_undone_for_each_purpose(world: World) -> None:
    """Cooldown, day and Idempotency-Key are given back, a new challenge is gone, and an older one still works."""
    older = ask(world)
    code = world.outbox.code
    for asked in (None, older):
        world.cool_down()
        before = world.backend.dump()
        for lost in (False, True):
            world.outbox.refuse = [SendFailed()]
            with world.redis.losing(*["issue"] * lost), pytest.raises((SendFailed, ServiceUnavailable)):
                world.get_sms(asked, key=KEY["Idempotency-Key"], purpose=PAY)
            assert world.backend.dump().keys() - {f"budget:{{{name}}}" for name in counts(world)} == before.keys()
    assert world.sent_today() == 1
    assert world.latest(purpose=PAY) == older
    assert use(world, "pay", older, code) == "Success"


def test_an_idempotency_key_is_a_purposes_and_a_methods(world: World) -> None:
    """A repeated getSms sends nothing, and a repeated verify gets the same proof; neither answers anything else."""
    world.cool_down()
    sent = [world.call("getSms", KEY, phone=NUMBER, purpose="pay") for _ in range(2)]
    assert outcomes(sent) == {"Ok": 2}
    session = sent[0]["data"]["sessionId"]
    assert sent[1]["data"]["sessionId"] == session
    assert len(world.outbox.sent) == 1
    verify = {"phone": NUMBER, "sessionId": session, "code": world.outbox.code, "purpose": "pay"}
    proofs = []
    for _ in range(3):
        proofs.append(world.call("verify", KEY, **verify)["data"])
        world.clock.shift(20)
    assert {proof["proof"] for proof in proofs} == {proofs[0]["proof"]}
    assert [proof["expiresIn"] for proof in proofs] == [300, 280, 260]
    assert world.call("verify", **verify)["codeStr"] == "CodeHasValid"
    world.clock.shift(-60)
    world.cool_down()
    assert world.call("getSms", KEY, phone=NUMBER)["data"]["sessionId"] != session
    login = {"phone": NUMBER, "sessionId": world.latest(), "code": world.outbox.code}
    assert world.call("verify", KEY, **login, purpose="login")["codeStr"] == "Success"
    assert world.call("login", KEY, **login)["codeStr"] == "CodeHasValid"


def test_a_proof_that_cannot_be_signed_leaves_the_code_valid(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 8 holds for a proof: the code was spent for nothing."""
    session = ask(world)
    with monkeypatch.context() as broken:
        broken.setattr(KeyRing, "sign", lambda *_: 1 // 0)
        assert use(world, "pay", session) == "InternalError"
    with world.redis.losing("redeem"):
        assert use(world, "pay", session) == "ServiceUnavailable"
    assert [use(world, "pay", session) for _ in range(2)] == ["Success", "CodeHasValid"]


def test_of_100_simultaneous_right_codes_1_gets_a_proof(backend: Backend, clock: time_machine.Traveller) -> None:
    """A code proves once; requests for another purpose at the same moment neither win nor cost a guess."""
    world = World(backend, clock, limits=UNLIMITED)
    session = ask(world)
    given = {"phone": NUMBER, "sessionId": session, "code": world.outbox.code}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("verify", {**given, "purpose": "pay"}),
        ("login", given),
        ("verify", {**given, "purpose": "resetPassword"}),
    ]
    answers = race(150, lambda i: world.call(calls[i % 3][0], **calls[i % 3][1]))
    found = outcomes(answers)
    assert found["Success"] == 1
    assert found.keys() <= {"Success", "CodeHasValid", "SessionMismatch", "CodeHasExpired"}
    assert [answer["data"].keys() for answer in answers if answer["data"]] == [{"proof", "expiresIn"}]
    assert world.failures() is None


def test_a_change_of_the_secret_refuses_no_code_of_any_purpose(
    any_backend: Backend, clock: time_machine.Traveller
) -> None:
    """A code with a detail that was sent under the previous secret still works, and is sent again."""
    old, new = World(any_backend, clock, secrets=(OLD_SECRET,)), World(any_backend, clock, secrets=(SECRET, OLD_SECRET))
    session = ask(old, detail=DETAIL)
    assert ask(new, session=session, detail=DETAIL) == session
    assert use(new, "pay", session, old.outbox.code, detail=DETAIL) == "Success"


def test_a_test_number_has_every_purpose(world: World) -> None:
    """Its fixed code proves, so that a reviewer can go through every flow."""
    sent = world.call("getSms", phone=REVIEW_PHONE.e164, purpose="pay", detail=DETAIL)["data"]
    given = {"phone": REVIEW_PHONE.e164, "sessionId": sent["sessionId"], "purpose": "pay", "detail": DETAIL}
    assert world.call("verify", **given, code="000000")["codeStr"] == "CodeIsError"
    proof = world.call("verify", **given, code=REVIEW_CODE)["data"]["proof"]
    assert parts(proof)[1]["phone"] == REVIEW_PHONE.e164
    assert world.outbox.sent == []


def test_parameters_of_purposes_are_checked(world: World, printed: Printed) -> None:
    """An unknown purpose, a detail that is too long or for a login, and a missing sessionId are refused by name."""
    verify = {"phone": NUMBER, "code": "123456", "sessionId": "A" * 22, "purpose": "pay"}
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("getSms", {"purpose": "unknown"}, "purpose must be login, changePhone,"),
        ("getSms", {"purpose": "a b"}, "purpose must be"),
        ("getSms", {"purpose": 7}, "purpose must be"),
        ("getSms", {"purpose": ["pay", "pay"]}, "purpose is given twice"),
        ("getSms", {"detail": "for a login"}, "detail must be at most 512 bytes"),
        ("getSms", {"purpose": "pay", "detail": "x" * 513}, "detail must be"),
        ("getSms", {"purpose": "pay", "detail": "明" * 171}, "detail must be"),
        ("getSms", {"purpose": "pay", "detail": 99}, "detail must be"),
        ("getSms", {"purpose": "pay", "detail": "\ud800"}, "detail is not UTF-8"),
        ("verify", {**verify, "sessionId": ""}, "sessionId is missing"),
        ("verify", {**verify, "purpose": None}, "purpose is missing"),
        ("verify", {**verify, "purpose": "unknown"}, "purpose must be"),
        ("verify", {**verify, "code": ""}, "code is missing"),
        ("verify", {**verify, "detail": "x" * 513}, "detail must be"),
    ]
    for method, params, message in wrong:
        answer = world.call(method, {"Accept-Language": "en"}, **{"phone": NUMBER, **params})
        assert answer["codeStr"] == "InValidParam", params
        assert message in answer["errorMessage"], answer["errorMessage"]
    assert world.outbox.sent == []
    ask(world, detail="明" * 170)  # 510 bytes
    *_, line = printed()
    assert (line["purpose"], "明" in repr(line)) == ("pay", False)


def test_a_challenge_of_another_purpose_has_one_more_field(world: World) -> None:
    """A login's record is as it was before there were purposes, so that older and newer instances share it."""
    sessions = [ask(world, purpose) for purpose in ("login", "pay")]
    dump = world.backend.dump()
    names = [{name.partition(":")[0] for name in dump[otp_key(PHONE, session)]} for session in sessions]
    assert names[1] - names[0] == {"purpose"}
    assert names[0] - names[1] == set()


@pytest.mark.parametrize("purpose", [LOGIN, PAY, Purpose("changePhone")])
def test_a_code_of_one_purpose_has_the_digest_of_no_other(world: World, purpose: Purpose) -> None:
    """An older instance, which knows no purposes, holds every other code against the login's digest: it is wrong."""
    session = world.get_sms(purpose=purpose).session_id
    world.backend.client.hdel(otp_key(PHONE, session), "purpose")  # as an older instance reads it
    if purpose == LOGIN:
        assert world.log_in(session).token
        return
    with pytest.raises(CodeIsError):
        world.log_in(session)
