"""ReportConversion: which messages led to a right code, told to Tencent Cloud beside the next request."""

import threading
import time
from collections.abc import Callable

import pytest
import time_machine

from local.tencent import TencentStandIn
from sms_login.adapters.tencent.sms import TencentSms, sms_api
from sms_login.errors import SendFailed
from sms_login.otp.conversions import Conversions
from sms_login.sms import SmsRoute
from tests.testkit.backends import Backend
from tests.testkit.limits import Make, Printed
from tests.testkit.tencent_client import SECRET_ID, SECRET_KEY, TOKEN
from tests.testkit.world import OTHER_PHONE, PHONE, World

KEYS = {"TENCENTCLOUD_SECRETID": SECRET_ID, "TENCENTCLOUD_SECRETKEY": SECRET_KEY, "TENCENTCLOUD_SESSIONTOKEN": TOKEN}


def joined() -> None:
    """Wait until the thread that reports has ended."""
    for thread in threading.enumerate():
        if thread.name == "conversions":
            thread.join()


def test_the_latest_message_of_a_login_is_reported_with_the_next_request(make: Make) -> None:
    """The serial number waits in the challenge, so another instance may verify the code; each is told once."""
    sender, other = make(report_conversion=True), make(report_conversion=True)
    session = sender.get_sms().session_id
    sender.cool_down()
    sender.get_sms(session)
    sender.call("health")  # the serial number travels with it
    at = int(time.time())
    login = {"phone": PHONE.e164, "code": sender.outbox.code, "sessionId": session}
    assert other.call("login", **login)["codeStr"] == "Success"
    joined()
    assert other.outbox.conversions == []  # the platform would freeze the instance before a thread has ended
    for _ in range(2):
        other.call("health")
        joined()
    assert other.outbox.conversions == [(PHONE, "serial-2", at)]


def test_a_login_at_the_same_instance_brings_the_number_itself(make: Make) -> None:
    """The note travels at the head of the login's own first batch; without the setting nothing is noted or told."""
    for on, told in ((True, ["serial-1"]), (False, [])):
        world, phone = make(report_conversion=on), PHONE if on else OTHER_PHONE
        session = world.get_sms(phone=phone).session_id
        trips = len(world.redis.batches)
        world.log_in(session, phone=phone)
        assert len(world.redis.batches) - trips == 2
        world.call("health")
        joined()
        assert [serial_no for _, serial_no, _ in world.outbox.conversions] == told


def test_a_note_for_a_challenge_that_is_gone_leaves_nothing(make: Make) -> None:
    """A late note creates no key."""
    world = make(report_conversion=True)
    session = world.get_sms().session_id
    world.wait(world.rules.age * 2)
    world.call("health")
    assert not [key for key in world.backend.expiries() if session in key]


def test_a_report_that_fails_costs_one_line_of_the_log(
    backend: Backend, clock: time_machine.Traveller, printed: Printed
) -> None:
    """The request beside it is answered; its own line has nothing of the report; the next request goes on."""
    world = World(backend, clock, report_conversion=True)
    world.sender.conversions.add(PHONE, "lost")
    world.sender.conversions.add(PHONE, "told")
    world.outbox.refuse.append(SendFailed(f"refused for {PHONE.e164}"))
    for _ in range(2):
        assert world.call("health")["codeStr"] == "Success"
        joined()
    assert [serial_no for _, serial_no, _ in world.outbox.conversions] == ["told"]
    warnings = [line["event"] for line in printed() if line["event"] != "request"]
    assert warnings == ["a conversion was not reported: refused for <number>"]


def test_what_waits_is_bounded() -> None:
    """If no report ends, the oldest conversions are dropped."""
    conversions, told = Conversions(lambda _, serial_no, __: told.append(serial_no)), list[str]()
    for i in range(1001):
        conversions.add(PHONE, f"{i}")
    conversions.tell()
    joined()
    assert told == [f"{i}" for i in range(1, 1001)]


@pytest.mark.parametrize(("mode", "refusal"), [("off", None), ("FailedOperation", Exception)])
def test_the_sdk_reports_to_the_application_of_the_number(
    tencent: TencentStandIn, mode: str, refusal: type[Exception] | None
) -> None:
    """The mainland and the international application each hear of their own messages."""
    tencent.fail(mode, action="ReportConversion")
    api = sms_api(KEYS, region="ap-guangzhou", endpoint=tencent.url, timeout=5)
    routes = SmsRoute("1400000000", "sign", "1"), SmsRoute("1400000001", "", "2")
    sms = TencentSms(api=api, mainland=routes[0], abroad=routes[1], template_params=("code",), minutes=5)
    report: Callable[[], None] = lambda: sms.report_conversion(PHONE, "2019:1", 1_800_000_000)  # noqa: E731 - used twice
    if refusal:
        with pytest.raises(refusal, match="FailedOperation"):
            report()
        return
    report()
    expected = {"SmsSdkAppId": "1400000000", "SerialNo": "2019:1", "ConversionTime": 1_800_000_000}
    assert tencent.statistics.conversions == [expected]
