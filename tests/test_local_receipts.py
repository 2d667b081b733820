"""The receipts of the stand-in: posted to a callback as Tencent Cloud does, with a switch for each fate."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from local.gateway import Gateway
from local.receipts import FATES, TRIES
from local.tencent import TencentStandIn
from tests.testkit.gateway import Recorder, call_json
from tests.testkit.servers import until
from tests.testkit.tencent_client import client, request

OK = json.dumps({"result": 0, "errmsg": "OK"})


class Callback(Recorder):
    """A function that keeps the receipts it is sent."""

    @property
    def receipts(self) -> list[dict[str, Any]]:
        """The receipts so far."""
        return [receipt for event in self.events for receipt in json.loads(event["body"])]


@pytest.fixture
def callback(tencent: TencentStandIn) -> Iterator[Callback]:
    """Give the stand-in a callback that answers OK."""
    recorder = Callback()
    recorder.answer = {**recorder.answer, "body": OK}
    with Gateway(recorder, tencent, port=0) as gateway:
        tencent.receipts.callback = f"{gateway.url}/?method=smsReceipt&key=k"
        tencent.receipts.delay = 0
        yield recorder
        tencent.close()  # before the gateway, to which it posts


def test_each_message_has_the_receipt_of_its_fate(tencent: TencentStandIn, callback: Callback) -> None:
    """The receipt has the message's serial number and the form of document 382/59178; "none" sends nothing."""
    sdk = client(tencent)
    sent: dict[str, str] = {}
    for fate in ["none", *FATES]:
        tencent.fail(fate, 1, "Receipt")
        sent[fate] = sdk.SendSms(request()).SendStatusSet[0].SerialNo
    sdk.SendSms(request(PhoneNumberSet=["+447400123456"], SignName=None))  # the switch is back at "delivered"
    until(lambda: len(callback.receipts) == len(FATES), 10)
    found = {receipt["sid"]: receipt for receipt in callback.receipts}
    assert {fate for fate, serial_no in sent.items() if serial_no in found} == FATES.keys() - {"none"}
    first = found[sent["delivered"]]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", first.pop("user_receive_time"))
    assert first == {
        "nationcode": "86",
        "mobile": "13800138000",
        "report_status": "SUCCESS",
        "errmsg": "DELIVRD",
        "description": "DELIVRD",
        "sid": sent["delivered"],
    }
    assert {found[sent[fate]]["report_status"] for fate in FATES.keys() - {"none", "delivered"}} == {"FAIL"}
    abroad = callback.receipts[-1]
    assert (abroad["nationcode"], abroad["mobile"]) == ("44", "7400123456")
    assert {json.dumps(event["queryString"]) for event in callback.events} == {'{"method": "smsReceipt", "key": "k"}'}


@pytest.mark.parametrize("answer", [{"statusCode": 503}, {"body": '{"result": 1}'}, {"body": "x"}])
def test_a_receipt_comes_again_unless_it_is_taken(
    tencent: TencentStandIn, callback: Callback, answer: dict[str, Any]
) -> None:
    """Any other answer than OK brings the receipt twice more, and a refused message has none."""
    callback.answer = {**callback.answer, "body": "", **answer}
    tencent.fail("throttle", 1)
    client(tencent).SendSms(request())
    client(tencent).SendSms(request())
    until(lambda: len(callback.receipts) == TRIES, 10)
    assert len({receipt["sid"] for receipt in callback.receipts}) == 1


def test_the_switch_takes_fates_only(tencent: TencentStandIn) -> None:
    """A code of Tencent Cloud is no fate, and the refusal lists the fates."""
    with Gateway(Recorder(), tencent, port=0) as gateway:
        status, answer = call_json(gateway, "POST", "/_local/fail?action=Receipt&mode=InternalError")
        assert (status, answer) == (400, {"error": f"unknown mode 'InternalError'; use {', '.join(FATES)}"})
        for mode, now in (("blocked", "blocked"), ("off", "delivered")):
            assert call_json(gateway, "POST", f"/_local/fail?action=Receipt&mode={mode}")[1]["mode"] == now
