"""Templates and signatures of the stand-in: the real SDK lists them, under the platform's conditions."""

import http.client
import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.sms.v20210111 import models

from local.cloud import local_cloud
from local.describe_sms import (
    ABROAD,
    BOTH,
    MAINLAND,
    MARKETING,
    PENDING,
    REFUSED,
    Catalogue,
    Sign,
    Template,
    content,
)
from local.tencent import TencentStandIn
from tests.testkit.cases import each_case
from tests.testkit.tencent_client import NOW, SECRET_ID, SECRET_KEY, client, code_of

TEMPLATES = [Template(1, "{1}"), Template(2, "{1} {2}", ABROAD, PENDING), Template(3, "x", BOTH, REFUSED, "为什么")]
SIGNS = [Sign(number, f"sign-{number}") for number in range(1, 13)] + [Sign(13, "abroad", ABROAD)]


@pytest.fixture
def tencent() -> Iterator[TencentStandIn]:
    """Give a stand-in for an account with some templates and signatures."""
    with TencentStandIn(secret_id=SECRET_ID, secret_key=SECRET_KEY, catalogue=Catalogue(TEMPLATES, SIGNS)) as stand_in:
        yield stand_in


def templates(tencent: TencentStandIn, **params: Any) -> list[Any]:
    """Return the templates that DescribeSmsTemplateList answers."""
    request = models.DescribeSmsTemplateListRequest()
    request._deserialize(params)  # noqa: SLF001 - the SDK's own way to fill a request from a dict
    return list(client(tencent).DescribeSmsTemplateList(request).DescribeTemplateStatusSet)


def signs(tencent: TencentStandIn, **params: Any) -> list[str]:
    """Return the names that DescribeSmsSignList answers."""
    request = models.DescribeSmsSignListRequest()
    request._deserialize(params)  # noqa: SLF001 - as above
    return [sign.SignName for sign in client(tencent).DescribeSmsSignList(request).DescribeSignListStatusSet]


def test_templates_are_listed_by_number(tencent: TencentStandIn) -> None:
    """A list has the state of each template; a template for both sides of the border is on both lists."""
    found = templates(tencent, International=0, TemplateIdSet=[3, 2, 1])
    assert [(one.TemplateId, one.StatusCode, one.ReviewReply, one.TemplateContent) for one in found] == [
        (1, 0, "", "{1}"),
        (3, -1, "为什么", "x"),
    ]
    assert [one.TemplateId for one in templates(tencent, International=1, TemplateIdSet=[1, 2, 3])] == [2, 3]
    assert templates(tencent, International=0) == []  # Limit is 0 by default
    assert len(templates(tencent, International=0, Limit=100)) == 2


def test_ten_signatures_are_listed_by_default(tencent: TencentStandIn) -> None:
    """A list has ten signatures unless a Limit or numbers are given."""
    assert signs(tencent, International=0) == [f"sign-{number}" for number in range(1, 11)]
    assert signs(tencent, International=0, Limit=100, Offset=10) == ["sign-11", "sign-12"]
    assert signs(tencent, International=0, SignIdSet=[2, 13]) == ["sign-2"]
    assert signs(tencent, International=1) == ["abroad"]


def test_a_change_of_the_account_counts_at_once(tencent: TencentStandIn) -> None:
    """The next request after a change of the account sees its new templates and signatures."""
    tencent.catalogue.templates = [Template(1, "{1}", status=PENDING)]
    assert [one.StatusCode for one in templates(tencent, International=0, TemplateIdSet=[1])] == [1]
    tencent.catalogue.signs = []
    assert signs(tencent, International=0) == []


@each_case(
    ("params", "code"),
    [
        ({}, "MissingParameter"),
        ({"International": 3}, "InvalidParameterValue"),
        ({"International": 0, "TemplateIdSet": ["1"]}, "InvalidParameter"),
        ({"International": 0, "Limit": 101}, "InvalidParameterValue"),
        ({"International": 0, "TemplateIdSet": [*range(101)]}, "InvalidParameterValue"),
    ],
)
def test_a_bad_parameter_is_refused(tencent: TencentStandIn, params: dict[str, Any], code: str) -> None:
    """A missing, mistyped or excessive parameter gets the platform's code."""
    assert code_of(lambda: templates(tencent, **params)) == code


@each_case("action", ["DescribeSmsTemplateList", "DescribeSmsSignList"])
def test_each_list_checks_the_signature_and_can_be_made_to_fail(tencent: TencentStandIn, action: str) -> None:
    """A wrong key is refused, and a failure code refuses one action and no other."""
    wrong = client(tencent, secret_key="wrong")
    assert code_of(lambda: wrong.call_json(action, {"International": 0})) == "AuthFailure.SignatureFailure"
    tencent.fail("AuthFailure.UnauthorizedOperation", times=1, action=action)
    sdk = client(tencent)
    with pytest.raises(TencentCloudSDKException) as error:
        sdk.call_json(action, {"International": 0})
    assert error.value.get_code() == "AuthFailure.UnauthorizedOperation"
    assert sdk.call_json(action, {"International": 0})


def test_make_run_has_an_account_in_which_its_settings_are_approved() -> None:
    """The account's templates and signatures match the settings, in any order of the parameters."""
    settings = {"SMS_TEMPLATE_PARAMS": "minutes,code", "SMS_SIGN": "ours", "SMS_PURPOSES": "pay = 7, reset"}
    with local_cloud(settings) as cloud:
        catalogue = cloud.tencent.catalogue
    assert catalogue.templates[:3] == [
        Template(1_000_000, content("minutes,code", MAINLAND)),
        Template(7, "请于 {1} 分钟内填写付款验证码 {2}。"),
        Template(1_000_001, content("minutes,code", ABROAD), ABROAD),
    ]
    assert [template.content for template in catalogue.templates[3:-1]] == [
        f"Within {{1}} minutes, enter your {use} code {{2}}."
        for use in ("password-reset", "payment", "change-of-number")
    ]
    assert catalogue.templates[-1].sms_type == MARKETING
    assert catalogue.signs == [Sign(1, "ours"), Sign(2, "sms-login", ABROAD)]


@each_case("side", [MAINLAND, ABROAD])
def test_the_templates_name_their_parameters_in_the_order_of_the_setting(side: int) -> None:
    """The code is a word by itself, which the banner of make run finds; text for mainland China is Chinese."""
    found = [content(params, side) for params in ("", "code,minutes", "minutes, code", "code")]
    assert [re.findall(r"\{[0-9]\}", text) for text in found] == [["{1}", "{2}"]] * 3 + [["{1}"]]
    assert found[0] == found[1] != found[2]
    for text in found:
        filled = Catalogue([Template(1, text, side)]).text("1", ["123456", "123456"], side)
        assert re.search(r"\b123456\b", filled)
        assert bool(re.search("[一-鿿]", text)) == (side == MAINLAND)


def test_make_run_fills_in_the_template_of_its_settings() -> None:
    """Code and minutes stand in the places that SMS_TEMPLATE_PARAMS gives them."""
    with local_cloud({"SMS_TEMPLATE_PARAMS": "minutes,code"}) as cloud:
        number, abroad = cloud.environ["SMS_TEMPLATE_ID"], cloud.environ["SMS_INTL_TEMPLATE_ID"]
        catalogue = cloud.tencent.catalogue
    assert catalogue.text(number, ["5", "123456"], MAINLAND) == "请于 5 分钟内填写登录验证码 123456。"
    assert catalogue.text(abroad, ["5", "123456"], ABROAD) == "Within 5 minutes, enter your sign-in code 123456."


def test_every_answer_has_the_stand_ins_date() -> None:
    """Any answer, even to an unsupported HTTP method, has the stand-in's Date, for clients that only need the time."""
    with TencentStandIn(secret_id=SECRET_ID, secret_key=SECRET_KEY, clock=lambda: NOW) as tencent:
        connection = http.client.HTTPConnection(tencent.url.removeprefix("http://"), timeout=5)
        connection.request("HEAD", "/")
        date = connection.getresponse().headers["Date"]
        connection.close()
    assert parsedate_to_datetime(date).timestamp() == int(NOW)
