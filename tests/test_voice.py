"""Voice calls: the code of a live session, read aloud to a number of the mainland."""

import time
from typing import Any

import pytest

from local.tencent import TencentStandIn
from sms_login.adapters.tencent import receipts
from sms_login.adapters.tencent.voice import TencentVoice, voice_api
from sms_login.errors import InvalidPhone, Refusal, SendFailed, SendUnknown, TooManyRequests
from sms_login.limits.policy import Limits
from tests.testkit.limits import ABROAD, FORGED, counts, stranger
from tests.testkit.tencent_client import SECRET_ID, SECRET_KEY, TOKEN
from tests.testkit.tokens import parts
from tests.testkit.world import OTHER_PHONE, PHONE, World


def call(world: World, session: str | None, phone: str = PHONE.e164, **params: Any) -> Any:
    """Ask for a call; return the body of the answer."""
    return world.call("getSms", phone=phone, sessionId=session, channel="voice", **params)


def test_a_call_reads_the_code_of_the_session_aloud(world: World) -> None:
    """It counts as a sending everywhere, and the code logs in; its receipt is told like that of a message."""
    sent = world.get_sms()
    assert call(world, sent.session_id)["codeStr"] == "TooManyRequests"  # the cooldown is the number's
    world.cool_down()
    body = call(world, sent.session_id)
    assert (body["codeStr"], body["data"]["sessionId"]) == ("Ok", sent.session_id)
    assert world.calls.made == [(PHONE, world.outbox.code)]
    assert world.sent_today() == counts(world)["all total"] == 2
    assert counts(world)["voice total"] == 1
    number = {"nationcode": "86", "mobile": PHONE.e164[3:], "callid": "call-1"}
    assert world.receive({"voicecode_callback": {"result": "1", **number}})[0] == 200
    assert world.receive({"voice_failure_callback": {"failure_code": 1, **number}})[0] == 200
    waiting = {"phone": PHONE.e164, "sessionId": sent.session_id, "serialNo": "call-1"}
    assert world.call("getSmsStatus", **waiting)["data"]["reason"] == "unreachable"
    assert world.receive({"voicecode_callback": {"result": "0", **number}})[0] == 200
    assert world.call("getSmsStatus", **waiting)["data"]["status"] == "delivered"
    world.log_in(sent.session_id)


def test_a_refused_call_costs_nothing(world: World) -> None:
    """The call is undone, the earlier message keeps its code; without a clear answer it counts as made."""
    sent = world.get_sms()
    world.cool_down()
    before = {key: value for key, value in world.backend.dump().items() if "refused" not in key}
    for refusal in (SendFailed("x"), TooManyRequests("x", retry_after=600), InvalidPhone("x")):
        world.calls.refuse = [refusal]
        assert call(world, sent.session_id)["codeStr"] == refusal.name
        assert {key: value for key, value in world.backend.dump().items() if "refused" not in key} == before
    world.calls.refuse = [SendUnknown("timeout")]
    body = call(world, sent.session_id)
    assert (body["codeStr"], body["data"]["sessionId"]) == ("SendUnknown", sent.session_id)
    assert counts(world)["voice total"] == 1
    world.log_in(sent.session_id)


def test_a_proof_says_that_the_code_was_read_aloud_too(world: World) -> None:
    """Its `amr` names the call beside the message (RFC 8176), in a repeat as well; a refused call leaves no trace."""
    asked = {"phone": PHONE.e164, "purpose": "changePhone"}
    refused: list[Refusal] = [SendFailed("x")]
    for refusals, amr in ((refused, ["sms"]), ([], ["sms", "tel"])):
        session = world.call("getSms", **asked)["data"]["sessionId"]
        world.cool_down()
        world.calls.refuse = refusals
        call(world, session, purpose="changePhone")
        guess = {**asked, "sessionId": session, "code": world.outbox.code}
        first, again = (
            parts(world.call("verify", {"idempotency-key": "k" * 16}, **guess)["data"]["proof"])[1] for _ in range(2)
        )
        assert (first["amr"], again) == (amr, first)
        world.cool_down()


def test_voice_cannot_ring_strangers(make: Any) -> None:
    """A call needs a session of the number with a live code, which costs a message first, and a budget caps the day."""
    world: World = make(limits=Limits(calls=2), countries=None)
    refused = {
        "without a session": call(world, None),
        "a forged session": call(world, FORGED),
        "an expensive country": call(world, None, ABROAD.e164),
        "not configured": call(make(calls_on=False), None),
    }
    other = world.get_sms(phone=OTHER_PHONE)
    refused["a session of another number"] = call(world, other.session_id)
    world.cool_down()
    world.log_in(other.session_id, phone=OTHER_PHONE)
    refused["a spent code"] = call(world, other.session_id, OTHER_PHONE.e164)
    said = {case: (body["codeStr"], body["errorMessage"]) for case, body in refused.items()}
    assert {case: name for case, (name, _) in said.items()} == {
        "without a session": "InValidParam",
        "a forged session": "CodeHasExpired",
        "an expensive country": "InValidParam",
        "not configured": "InValidParam",
        "a session of another number": "CodeHasExpired",
        "a spent code": "CodeHasExpired",
    }
    assert "只支持 +86" in said["an expensive country"][1]
    assert "未开通" in said["not configured"][1]
    assert world.calls.made == []
    for i in range(3):
        phone = stranger(i)
        session = world.get_sms(phone=phone).session_id
        world.cool_down()
        body = call(world, session, phone.e164)
        assert body["codeStr"] == ("Ok" if i < 2 else "SendingPaused")
    assert len(world.calls.made) == counts(world)["voice total"] == 2


def test_a_code_that_is_spent_during_the_call_is_not_read_aloud(world: World) -> None:
    """If a login wins between check and issue, the sending is undone and nobody is called."""
    sent = world.get_sms()
    world.cool_down()
    world.between_check_and_reserve(lambda: world.log_in(sent.session_id))
    assert call(world, sent.session_id)["codeStr"] == "CodeHasExpired"
    assert (world.calls.made, world.sent_today(), counts(world)["voice total"]) == ([], 1, 0)


@pytest.fixture
def voice(tencent: TencentStandIn) -> TencentVoice:
    """Voice calls through the real SDK."""
    names = ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SESSIONTOKEN")
    environ = dict(zip(names, (SECRET_ID, SECRET_KEY, TOKEN), strict=True))
    return TencentVoice(voice_api(environ, region="ap-guangzhou", endpoint=tencent.url, timeout=2), "1400000002")


def test_a_call_goes_out_through_the_real_sdk(voice: TencentVoice, tencent: TencentStandIn) -> None:
    """The stand-in checks signature and parameters, and keeps the call with its digits."""
    receipt = voice.send(PHONE, "012345")
    [message] = tencent.inbox()
    assert (message.channel, message.params, message.serial_no) == ("voice", ["012345"], receipt.serial_no)
    assert receipt.fee == 0


def test_the_refusals_of_the_platform_are_sorted_as_those_of_sms(voice: TencentVoice, tencent: TencentStandIn) -> None:
    """A number's fault, a limit, an operator's reason and an unclear answer, by what to do about them."""
    sorts: list[tuple[str, type[Refusal]]] = [
        ("InvalidParameterValue.CalledNumberVerifyFail", InvalidPhone),
        ("LimitExceeded.DeliveryFrequencyLimit", TooManyRequests),
        ("FailedOperation.InsufficientBalanceInVoicePackage", SendFailed),
        ("UnauthorizedOperation.VoiceSdkAppidVerifyFail", SendFailed),
        ("InternalError.UpstreamError", SendUnknown),
        ("FailedOperation.AccessUpstreamTimeout", SendUnknown),
        ("reset", SendUnknown),
    ]
    for mode, kind in sorts:
        tencent.fail(mode, 1, "SendCodeVoice")
        with pytest.raises(kind):
            voice.send(PHONE, "123456")
    assert tencent.inbox() == []
    voice.send(PHONE, "123456")
    voice.send(PHONE, "123456")
    with pytest.raises(TooManyRequests):
        voice.send(PHONE, "123456")


@pytest.mark.parametrize(
    ("local_time", "wait"),
    [
        ("12:00", 600),
        ("21:59", 600),
        ("22:00", 36_000),
        ("23:30", 30_600),
        ("00:00", 28_800),
        ("07:59", 60),
        ("08:00", 600),
    ],
)
def test_the_wait_for_another_call_depends_on_the_time_in_china(
    voice: TencentVoice, tencent: TencentStandIn, clock: Any, local_time: str, wait: int
) -> None:
    """By day it is the ten minutes in which two calls are allowed, at night the time until 08:00."""
    day = int(time.time()) // 86400 * 86400
    hours, minutes = map(int, local_time.split(":"))
    clock.move_to(day + (hours - 8) * 3600 + minutes * 60, tick=False)
    tencent.fail("LimitExceeded.DeliveryFrequencyLimit", 1, "SendCodeVoice")
    with pytest.raises(TooManyRequests) as refusal:
        voice.send(PHONE, "123456")
    assert refusal.value.retry_after == wait


def test_the_codes_of_failed_calls_have_reasons() -> None:
    """An unknown code is the carrier's, and a malformed callback is counted."""
    found = {}
    for code in (1, 8, 12, 13, 20, 18, 999):
        about = {"nationcode": "86", "mobile": "13800138000", "callid": "c", "failure_code": code}
        ([receipt], _) = receipts.read(str({"voice_failure_callback": about}).replace("'", '"').encode())
        found[code] = receipt.reason
    expected = ["unreachable", "noSuchNumber", "limited", "unreachable", "unreachable", "carrier", "carrier"]
    assert list(found.values()) == expected
    assert receipts.read(b'{"voicecode_callback": {"result": "0"}}') == ([], 1)
