"""The stand-in's actions for bulk messages: the real SDK calls them, under the platform's conditions."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.sms.v20210111 import models

from local.describe_sms import ABROAD, MARKETING, Catalogue, Template
from local.tencent import TencentStandIn
from tests.testkit.tencent_client import PHONE, SECRET_ID, SECRET_KEY, client, code_of, codes, request

NOON = datetime(2026, 2, 16, 12, tzinfo=timezone(timedelta(hours=8))).timestamp()
TEMPLATES = [
    Template(1, "尊敬的会员{1}，祝您{2}快乐！拒收请回复R", sms_type=MARKETING),
    Template(2, "Dear {1}", ABROAD, sms_type=MARKETING),
]


@pytest.fixture
def tencent() -> Iterator[TencentStandIn]:
    """Give a stand-in at noon in China, with a marketing template for each side of the border."""
    catalogue = Catalogue(TEMPLATES)
    with TencentStandIn(
        secret_id=SECRET_ID, secret_key=SECRET_KEY, catalogue=catalogue, clock=lambda: NOON
    ) as stand_in:
        yield stand_in


@pytest.fixture(autouse=True)
def _noon(clock: Any) -> None:
    clock.move_to(NOON, tick=False)


def asked(action: str, tencent: TencentStandIn, **params: Any) -> Any:
    """Return the answer to an action."""
    built = getattr(models, f"{action}Request")()
    built._deserialize(params)  # noqa: SLF001 - the SDK's own way to fill a request from a dict
    return getattr(client(tencent), action)(built)


def test_a_marketing_template_takes_words_within_its_rules(tencent: TencentStandIn, clock: Any) -> None:
    """Each variable has at most six characters and no link; marketing goes out from 8:00 to 22:00 in China."""
    variables: list[tuple[list[str], str]] = [
        (["王小明", "春节"], "Ok"),
        (["王小明"], "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"),
        (["王小明王小明王", "春节"], "InvalidParameterValue.TemplateParameterLengthLimit"),
        (["a://b", "春节"], "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter"),
    ]
    for given, code in variables:
        assert codes(client(tencent).SendSms(request(TemplateId="1", TemplateParamSet=given))) == [code]
    assert [message.text for message in tencent.inbox()] == ["【sms-login】尊敬的会员王小明，祝您春节快乐！拒收请回复R"]
    with TencentStandIn(
        secret_id=SECRET_ID, secret_key=SECRET_KEY, catalogue=tencent.catalogue, clock=lambda: NOON + 10 * 3600
    ) as night:
        clock.move_to(NOON + 10 * 3600, tick=False)
        refused = client(night).SendSms(request(TemplateId="1", TemplateParamSet=["王小明", "春节"]))
        assert codes(refused) == ["FailedOperation.MarketingSendTimeConstraint"]


def test_numbers_abroad_have_texts_of_their_own_in_one_request(tencent: TencentStandIn) -> None:
    """SendMultiGlobalSms takes at most 200 numbers, none of mainland China."""

    def sent(*phones: str) -> Any:
        infos = [{"PhoneNumber": phone, "TemplateId": "2", "TemplateParamSet": [phone[-4:]]} for phone in phones]
        return asked("SendMultiGlobalSms", tencent, SmsSdkAppId="1400000001", MultiSmsInfoSet=infos)

    answer = sent("+447400123456", "+12025550123")
    assert [(status.Code, status.IsoCode) for status in answer.SendMultiStatusSet] == [("Ok", "GB"), ("Ok", "US")]
    assert [message.text for message in tencent.inbox("+12025550123")] == ["[sms-login] Dear 0123"]
    assert code_of(sent) == "InvalidParameterValue.MultiSmsInfoSetEmpty"
    assert code_of(lambda: sent(*["+447400123456"] * 201)) == "LimitExceeded.PhoneNumberCountLimit"
    assert code_of(lambda: sent(PHONE)) == "UnsupportedOperation.ContainDomesticPhoneNumber"


def test_receipts_are_pulled_by_number_unless_the_carrier_is_silent(tencent: TencentStandIn) -> None:
    """A receipt of the last seven days names the message and its fate; a refused number has none."""

    def pulled(phone: str, begin: float = NOON, limit: int = 100) -> list[tuple[str, str, str]]:
        span = {"BeginTime": int(begin), "EndTime": int(NOON) + 1, "Offset": 0, "Limit": limit}
        answer = asked("PullSmsSendStatusByPhoneNumber", tencent, PhoneNumber=phone, SmsSdkAppId="1400000000", **span)
        return [(one.SerialNo, one.ReportStatus, one.Description) for one in answer.PullSmsSendStatusSet]

    other = "+8613800138001"
    tencent.fates.failed[other] = "关机"
    sent = client(tencent).SendSms(request(PhoneNumberSet=[PHONE, other]))
    serials = [status.SerialNo for status in sent.SendStatusSet]
    assert pulled(PHONE) == [(serials[0], "SUCCESS", "用户短信接收成功")]
    assert pulled(other) == [(serials[1], "FAIL", "关机")]
    tencent.fates.silent.add(other)
    assert pulled(other) == pulled(PHONE, NOON + 1) == []
    assert code_of(lambda: pulled(PHONE, NOON - 8 * 86400)) == "InvalidParameterValue.BeginTimeVerifyFail"
    assert code_of(lambda: pulled(PHONE, limit=101)) == "InvalidParameterValue.LimitVerifyFail"
    tencent.fates.refused[PHONE] = "FailedOperation.PhoneNumberInBlacklist"
    assert codes(client(tencent).SendSms(request())) == ["FailedOperation.PhoneNumberInBlacklist"]
    assert tencent.fates.counts == {PHONE: 1, other: 1}


def test_each_reply_is_pulled_once(tencent: TencentStandIn) -> None:
    """An answer takes its replies out of the queue."""

    def replies(limit: int) -> list[tuple[str, str]]:
        answer = asked("PullSmsReplyStatus", tencent, SmsSdkAppId="1400000000", Limit=limit)
        return [(one.PhoneNumber, one.ReplyContent) for one in answer.PullSmsReplyStatusSet]

    for text in ("R", "谢谢", "T"):
        tencent.fates.reply(PHONE, text, NOON)
    assert [replies(2), replies(2), replies(2)] == [[(PHONE, "R"), (PHONE, "谢谢")], [(PHONE, "T")], []]
    assert code_of(lambda: replies(101)) == "InvalidParameterValue.LimitVerifyFail"


def test_an_answer_can_be_lost_after_its_messages_were_kept(tencent: TencentStandIn) -> None:
    """Each second answer is lost, so the sender cannot know that the message was sent."""
    tencent.lose_every = 2
    assert codes(client(tencent).SendSms(request())) == ["Ok"]
    with pytest.raises(TencentCloudSDKException, match="ClientNetworkError"):
        client(tencent).SendSms(request())
    assert tencent.fates.counts == {PHONE: 2}
