"""Delivery receipts: the callback that brings them, and getSmsStatus, which tells them to the person who waits."""

import json
import time
from typing import Any

from sms_login.adapters.redis.codes import otp_key
from sms_login.adapters.tencent.receipt_codes import reason_of
from sms_login.otp.purposes import CHANGE_PHONE
from sms_login.otp.send import CodeSent
from sms_login.phone import Phone
from tests.testkit.cases import each_case
from tests.testkit.limits import FORGED, Printed
from tests.testkit.receipts import receipt
from tests.testkit.world import ENVIRON, OTHER_PHONE, PAY, PHONE, World

RECEIVED = (200, {"result": 0, "errmsg": "OK"})
KEY = ENVIRON["SMS_RECEIPT_KEY"]


def status(world: World, sent: CodeSent, phone: Phone = PHONE) -> tuple[str, str | None, int | None]:
    """Return what the holder of a session is told of its message."""
    body = world.call("getSmsStatus", phone=phone.e164, sessionId=sent.session_id, serialNo=sent.serial_no)
    assert body["codeStr"] == "Success"
    return body["data"]["status"], body["data"]["reason"], body["data"]["at"]


def test_the_fate_of_a_message_is_told_to_the_person_who_waits(world: World) -> None:
    """Receipts may come late, again, and in any order: each message has its own, and nothing undoes a delivery."""
    first = world.get_sms()
    assert status(world, first) == ("sent", None, None)
    world.cool_down()
    second = world.get_sms(first.session_id)
    at = int(time.time())
    assert world.receive([receipt(second.serial_no, "UNDELIV")]) == RECEIVED
    assert (status(world, second), status(world, first)) == (("failed", "unreachable", at), ("sent", None, None))
    world.wait(5)
    for code in ("UNDELIV", "REJECTD"):
        assert world.receive([receipt(second.serial_no, code)]) == RECEIVED
    assert status(world, second) == ("failed", "unreachable", at)
    assert (
        world.receive([receipt(first.serial_no), receipt(second.serial_no)]) == RECEIVED
    )  # at the carrier's second try
    world.wait(5)
    assert world.receive([receipt(second.serial_no, "UNDELIV"), receipt(first.serial_no)]) == RECEIVED
    assert status(world, first) == status(world, second) == ("delivered", None, at + 5)
    world.log_in(second.session_id)  # the status is there for as long as the record of the challenge
    assert status(world, first) == ("delivered", None, at + 5)
    assert all(ms > 0 for key, ms in world.backend.expiries().items() if not key.startswith("user"))
    world.wait(world.rules.age + world.rules.repeat_for + 1)
    assert not [key for key in world.backend.expiries() if key.startswith("otp:") and ":day:" not in key]


def test_a_message_for_another_purpose_has_a_fate_too(world: World) -> None:
    """Also if the number has had no code for a login."""
    for purpose in (PAY, CHANGE_PHONE):
        sent = world.get_sms(purpose=purpose)
        at = int(time.time())
        assert world.receive([receipt(sent.serial_no)]) == RECEIVED
        assert status(world, sent) == ("delivered", None, at)
        world.wait(world.rules.age + world.rules.repeat_for + 1)
        assert not [key for key in world.backend.expiries() if key.startswith("otp:") and ":day:" not in key]


def test_a_receipt_for_nothing_we_know_is_accepted_and_forgotten(world: World) -> None:
    """Strangers, late receipts and numbers that can receive no SMS leave nothing; one number has at most 32."""
    landline = receipt("1", nationcode="86", mobile="1012345678")
    before = world.backend.dump()
    flood = [receipt(f"serial-{i}", phone=Phone.parse(f"+861381234{i:04}", "CN")) for i in range(99)]
    assert world.receive([*flood, landline]) == RECEIVED
    assert world.backend.dump() == before
    sent = world.get_sms()
    for start in range(0, 300, 100):
        assert world.receive([receipt(f"foreign-{start + i}") for i in range(100)]) == RECEIVED
    assert world.backend.client.hlen(otp_key(PHONE, "receipts")) == 32
    assert world.receive([receipt("foreign-0", "UNDELIV")]) == RECEIVED
    world.wait(world.rules.age + world.rules.repeat_for + 1)
    assert world.receive([receipt(sent.serial_no)]) == RECEIVED
    assert otp_key(PHONE, "receipts") not in world.backend.expiries()


def test_only_the_holder_of_a_session_is_told(world: World) -> None:
    """With a foreign session, or a forged one, the answer is that of an unknown session, receipt or not."""
    sent, other = world.get_sms(), world.get_sms(phone=OTHER_PHONE)
    world.receive([receipt(sent.serial_no)])
    answers = []
    for phone, session in ((PHONE, other.session_id), (PHONE, FORGED), (OTHER_PHONE, sent.session_id)):
        body = world.call("getSmsStatus", phone=phone.e164, sessionId=session, serialNo=sent.serial_no)
        answers.append({name: value for name, value in body.items() if name != "requestId"})
    assert answers[0] == answers[1] == answers[2]
    assert (answers[0]["codeStr"], answers[0]["data"]) == ("CodeHasExpired", {})
    for changes in ({"serialNo": "a b"}, {"serialNo": "x" * 65}, {"serialNo": None}, {"sessionId": "short"}):
        params = {"phone": PHONE.e164, "sessionId": sent.session_id, "serialNo": sent.serial_no} | changes
        assert world.call("getSmsStatus", **params)["codeStr"] == "InValidParam"


def test_a_wrong_key_is_refused_before_the_body_is_read(backend: Any, clock: Any, printed: Printed) -> None:
    """A forged callback changes nothing, not even with a body that would crash a parser; no key reaches the log."""
    world = World(backend, clock)
    sent = world.get_sms()
    before = world.backend.dump()
    for body in ([receipt(sent.serial_no)], "[" * 100_000, "", "{}"):
        for key in ("x" * 32, KEY[:-1], KEY + "x", KEY.upper(), "\u5bc6\u94a5"):
            code, answer = world.receive(body, key)
            assert (code, answer["codeStr"]) == (403, "ReceiptKeyInvalid")
    assert world.receive([receipt(sent.serial_no)], "")[1]["codeStr"] == "InValidParam"
    assert world.backend.dump() == before
    assert world.receive([receipt(sent.serial_no)]) == RECEIVED
    assert not [line for line in printed() if KEY[:-1].lower() in json.dumps(line).lower()]


def test_malformed_callbacks_lose_nothing(backend: Any, clock: Any, printed: Printed) -> None:
    """A body of another form is refused; an unreadable receipt among good ones is skipped, and an alert counts it."""
    world = World(backend, clock)
    sent = world.get_sms()
    bad: list[Any] = [None, 1, "x", [], {}, receipt(None), receipt(7), receipt("a b"), receipt("x" * 65)]
    odd = ("", "1a", 86, "1" * 16)
    bad += [{**receipt("1"), name: value} for name in ("mobile", "nationcode") for value in odd]
    bad += [receipt("1", report_status="DONE"), receipt("1", errmsg=["x"])]
    printed()
    assert world.receive([*bad, receipt(sent.serial_no)]) == RECEIVED
    assert status(world, sent)[0] == "delivered"
    line = printed()[0]
    assert line["alerts"] == [{"alert": "receipts_unreadable", "count": len(bad)}]
    assert (line["receipts"], line["fates"], line["level"]) == (1, {"delivered": 1}, "WARNING")
    before = world.backend.dump()
    for body in (
        "",
        "{}",
        "[",
        '"x"',
        "[" * 100_000,
        [receipt("1")] * 101,
        [receipt("1", description="x" * 600)] * 100,
    ):
        code, answer = world.receive(body)
        assert (code, answer["codeStr"]) == (400, "InValidParam")
    assert world.backend.dump() == before


def test_a_failure_of_ours_makes_tencent_send_the_receipts_again(world: World) -> None:
    """Without Redis, or with the answer to one receipt lost, the callback is answered 503; again, it is OK."""
    sent = world.get_sms()
    for arrives in (False, True):
        with world.redis.losing("note_receipt", arrives=arrives):
            code, answer = world.receive([receipt(sent.serial_no)])
            assert (code, answer["codeStr"]) == (503, "ServiceUnavailable")
    assert world.receive([receipt(sent.serial_no)]) == RECEIVED
    assert status(world, sent)[0] == "delivered"


def test_a_callback_may_name_its_method_in_the_path(world: World) -> None:
    """Its key and method stand in the URL; a method in the body is of no use, since the body has the receipts."""
    sent = world.get_sms()
    body = json.dumps([receipt(sent.serial_no)])
    event = {"httpMethod": "POST", "path": "/release/smsReceipt", "queryString": {"key": KEY}, "body": body}
    assert json.loads(world.app.handle(event, {})["body"]) == RECEIVED[1]
    assert status(world, sent)[0] == "delivered"
    assert world.call("smsReceipt", key=KEY)["codeStr"] == "InValidParam"


def test_the_record_of_a_receipt_that_is_corrupt_counts_as_none(world: World) -> None:
    """The person is told that the message is under way."""
    sent = world.get_sms()
    world.receive([receipt("another")])
    world.backend.client.hset(otp_key(PHONE, "receipts"), sent.serial_no, "delivered soon")
    assert status(world, sent) == ("sent", None, None)


@each_case(
    ("reason", "codes"),
    [
        ("noSuchNumber", "MK:0000 MK00001 mk:0012 ERR_NUM_006 XL:169 1"),
        ("blocked", "MX:0012 BWLIST_006 DB00144 MOBILE·BLACK 69"),
        ("limited", "MX:0003 MB:1042"),
        ("rejected", "REJECTD REJECTD_706 MN:0017 -106"),
        ("unreachable", "EXPIRED UNDELIV_006 MN:0001 MN00013 MI:0099 MK:0010 IA:0054 12 219 002"),
        ("carrier", "UNKNOWN COMFAIL SUBFAIL IA:0001 CB:0010 2:12 LÜGE · 999"),
    ],
)
def test_the_codes_of_the_carriers_have_reasons(reason: str, codes: str) -> None:
    """Codes are read in every spelling, and an unknown one is the carrier's."""
    assert {code: reason_of(code.replace("·", " ")) for code in codes.split()} == dict.fromkeys(codes.split(), reason)
