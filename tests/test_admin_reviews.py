"""`signature` and `template`: applying, the rules checked beforehand, and the review, against the stand-in."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.describe_sms import Sign, Template
from local.tencent import TencentStandIn
from sms_admin import standards
from sms_admin.standards import Complaint
from tests.testkit.admin import Done, admin
from tests.testkit.cases import each_case
from tests.testkit.tencent_client import SECRET_ID, SECRET_KEY

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40) + b"IEND\xaeB`\x82"
TEXT = "您的验证码为 {1}，{2} 分钟内有效。"
SIGN = ("signature", "add", "示例公司", "--kind", "company", "--document", "licence", "--qualification", "12")


class Operator:
    """An operator with a key, the stand-in's account, and a clock that `wait` moves."""

    def __init__(self, directory: Path) -> None:
        self.now, self.slept = time.time(), list[float]()
        self.cloud = TencentStandIn(secret_id=SECRET_ID, secret_key=SECRET_KEY, clock=lambda: self.now)
        self.picture = str(directory / "licence.png")
        Path(self.picture).write_bytes(PNG)

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.now += seconds
        self.slept.append(seconds)

    def run(self, *arguments: str, **environ: str) -> Done:
        """Run a command."""
        keys = {"TENCENTCLOUD_SECRETID": SECRET_ID, "TENCENTCLOUD_SECRETKEY": SECRET_KEY}
        return admin({"SMS_ENDPOINT": self.cloud.url, **keys, **environ}, *arguments)

    def json(self, *arguments: str) -> list[dict[str, Any]]:
        """Run a command with --json, and return its rows."""
        return [json.loads(line) for line in self.run(*arguments, "--json").out.splitlines()]


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """An operator whose account is empty."""
    operator = Operator(tmp_path)
    monkeypatch.setattr("sms_admin.reviews.sleep", operator.sleep)
    monkeypatch.setattr("sms_admin.tencent.sleep", operator.sleep)
    with operator.cloud:
        yield operator


def test_a_signature_and_a_template_are_applied_for_and_approved(operator: Operator) -> None:
    """After a few looks, each at most twice as late as the last, the review is decided."""
    (sign,) = operator.json(*SIGN, "--proof", operator.picture)
    assert (sign["name"], sign["state"], sign["international"]) == ("示例公司", "inReview", False)
    (template,) = operator.json("template", "add", "sign in", TEXT, "--kind", "otp")
    assert operator.json("template", "show", str(template["id"]))[0] == {**template, "created": int(operator.now)}
    done = operator.run("template", "wait", str(template["id"]), "--json")
    assert (done.code, json.loads(done.out)["state"]) == (0, "approved")
    assert operator.slept == [2.0, 4.0]
    assert operator.run("signature", "wait", str(sign["id"])).code == 0
    assert [row["state"] for row in operator.json("signature", "list")] == ["approved"]
    assert operator.json("signature", "list", "--international") == []


def test_a_refusal_has_the_reviewers_words_and_exit_code_1(operator: Operator) -> None:
    """A refused application may be deleted, which asks first."""
    more = ("--proof", operator.picture, "--remark", "refuse: 图片不清晰")
    number = str(operator.json(*SIGN, *more)[0]["id"])
    done = operator.run("signature", "wait", number)
    assert done.code == 1
    assert "图片不清晰" in done.out
    assert operator.run("signature", "delete", number).code == 2
    assert operator.run("signature", "delete", number, "--yes").out == "Deleted.\n"
    assert operator.run("signature", "show", number) == (1, "", f"there is no signature {number}\n")


def test_waiting_survives_an_outage_and_has_an_end(operator: Operator) -> None:
    """After the first look, a look without an answer is repeated; --timeout limits the wait."""
    operator.cloud.catalogue.signs = [Sign(1, "示例", decided=operator.now + 200), Sign(2, "样例", status=2)]
    operator.cloud.fail("InternalError.OtherError", 1, "DescribeSmsSignList")
    assert operator.run("signature", "wait", "1").code == 1
    done = operator.run("signature", "wait", "1", "--timeout", "10")
    assert (done.code, done.out, done.err) == (1, "", "not decided within 10 s\n")

    def sleep(seconds: float) -> None:
        operator.sleep(seconds)
        operator.cloud.fail("reset", 1, "DescribeSmsSignList")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sms_admin.reviews.sleep", sleep)
        assert operator.run("signature", "wait", "1", "--timeout", "900").code == 1  # every look failed
    assert max(operator.slept) == 60.0
    operator.cloud.fail("off", None, "DescribeSmsSignList")


def test_an_approval_that_is_not_in_effect_is_decided_but_not_usable(operator: Operator) -> None:
    """`wait` ends with the decision; with --usable it goes on until SendSms accepts the signature."""
    operator.cloud.catalogue.signs = [Sign(2, "样例", status=2)]
    done = operator.run("signature", "wait", "2")
    assert (done.code, "not in effect yet" in done.out) == (0, True)
    assert operator.run("signature", "wait", "2", "--usable", "--timeout", "5").code == 1


def test_a_list_is_read_to_its_end(operator: Operator) -> None:
    """The API tells no total: pages are read until one is not full. A call that the rate limit refused is repeated."""
    operator.cloud.catalogue.templates = [Template(number, "{1}") for number in range(1, 251)]
    operator.cloud.fail("RequestLimitExceeded", 2, "DescribeSmsTemplateList")
    assert [row["id"] for row in operator.json("template", "list")] == list(range(1, 251))
    assert operator.slept == [1.0, 1.0]
    operator.cloud.catalogue.templates = operator.cloud.catalogue.templates[:200]
    assert len(operator.json("template", "list")) == 200
    operator.cloud.fail("RequestLimitExceeded", None, "DescribeSmsTemplateList")
    assert operator.run("template", "list").err.startswith(
        "Tencent Cloud refuses DescribeSmsTemplateList: RequestLimit"
    )


def test_refusals_of_the_account_are_sentences_that_help(operator: Operator) -> None:
    """A person's account, a key without permission, no key and an unreachable service each say what to do."""
    for code, words, chinese in (
        ("FailedOperation.NotEnterpriseCertification", "the account is a person's", "个人认证账号"),
        ("FailedOperation.ProhibitSubAccountUse", "use a key of the main account", "主账号"),
        ("AuthFailure.UnauthorizedOperation", "allow it the action sms:DescribeSmsSignList", "sms:DescribeSmsSignList"),
        ("AuthFailure.SecretIdNotFound", "refuses the key or the clock", "密钥或时钟"),
        ("FailedOperation.Other", "refuses DescribeSmsSignList: FailedOperation.Other", "FailedOperation.Other"),
        ("timeout", "did not answer in time", "未及时应答"),
        ("reset", "cannot be reached", "无法连接"),
    ):
        operator.cloud.fail(code, 2, "DescribeSmsSignList")
        with pytest.MonkeyPatch.context() as patch:
            if code == "timeout":
                patch.setattr("sms_admin.tencent._TIMEOUT", 0.2)
            done, other = operator.run("signature", "list"), operator.run("signature", "list", LANG="zh_CN")
        assert (done.code, words in done.err, chinese in other.err) == (1, True, True), (code, done, other)
    assert (
        "set TENCENTCLOUD_SECRETID and TENCENTCLOUD_SECRETKEY"
        in operator.run("signature", "list", TENCENTCLOUD_SECRETID="").err
    )
    assert "SMS_ENDPOINT" in operator.run("signature", "list", SMS_ENDPOINT="ftp://x").err
    cloud_says = operator.run(*SIGN[:-1], "999999", "--proof", operator.picture)
    assert "no such qualification" in cloud_says.err


def test_nothing_is_sent_if_the_review_would_refuse_it(operator: Operator, tmp_path: Path) -> None:
    """All problems are told at once; warnings ask, and --yes answers."""
    (tmp_path / "text.png").write_text("no picture")
    done = operator.run(
        "signature",
        "add",
        "【某!】",
        "--kind",
        "website",
        "--document",
        "app-screenshot",
        "--proof",
        str(tmp_path / "text.png"),
    )
    assert done.code == 1
    assert done.err.count("problem: ") == 5
    assert done.err.endswith("the review would refuse it: nothing was sent\n")
    assert operator.json("signature", "list") == []
    operator.cloud.catalogue.signs = [Sign(1, "示例")]
    notice = ("template", "add", "paid", "您的订单 {1} 已付款。", "--kind", "notice")
    done = operator.run(*notice)
    assert (done.code, "warning: many accounts" in done.err, "repeat the command with --yes" in done.err) == (
        2,
        True,
        True,
    )
    assert operator.json("template", "list") == []
    assert operator.run(*notice, "--yes").code == 0
    assert "提醒：" in operator.run(*notice, LANG="zh_CN.UTF-8").err or "提醒: " in operator.run(*notice, LANG="zh").err


def said(complaints: Iterator[Complaint]) -> list[str]:
    """Return the English words of complaints, warnings in brackets."""
    return [f"[{it.english}]" if it.warning else it.english for it in complaints]


@each_case(
    ("text", "kind", "words"),
    [
        (TEXT, "otp", []),
        ("{1} is your code", "otp", []),
        ("验证码 {1}{2}", "otp", ["two variables may not touch"]),
        ("验证码 {1} {2}", "otp", ["two variables may not touch"]),
        ("{1}", "otp", ["variables alone", "[the text does not say"]),
        ("验证码 {code}", "otp", ["without names", "needs a variable"]),
        ("验证码 {1", "otp", ["without names", "needs a variable"]),
        ("验证码 {2}，{3} 分钟", "otp", ["numbered from {1}"]),
        ("验证码 {1}，优惠多多", "otp", ["“优惠” is marketing"]),
        ("Your code {1}. 20% off today", "otp", ["“0% off” is marketing"]),
        ("【示例】验证码 {1}", "otp", ["brackets"]),
        ("★验证码 {1}^_^", "otp", ["may not contain ★ ^_^"]),
        ("验证码 {1}，详见 https://example.com/{2}", "otp", ["a link may not contain a variable"]),
        ("验证码 {1}，详见 {2}.com", "otp", ["a link may not contain a variable"]),
        ("验证码 {1}，详见 www.example.com", "otp", ["[a link must be constant"]),
        ("验证码 {1}" + "。" * 59, "otp", []),
        ("验证码 {1}" + "。" * 60, "otp", ["[a message over 70"]),
        ("验证码 {1}" + "。" * 500, "otp", ["at most 500"]),
        ("您的验证码", "otp", ["needs a variable"]),
        (" ", "notice", ["the text is empty"]),
        ("您的订单已付款。", "notice", []),
        ("您的订单 {1} 已付款。", "notice", ["[many accounts"]),
        ("领取红包", "notice", ["[“领取” is marketing"]),
        ("会员日全场八折，拒收请回复R", "marketing", []),
        ("会员日全场八折", "marketing", ["ends with 拒收请回复R"]),
    ],
)
def test_the_rules_for_templates(text: str, kind: str, words: list[str]) -> None:
    """Each broken rule is one complaint; a warning stands in brackets."""
    found = said(standards.template(text, kind, international=False))
    assert len(found) == len(words), found
    for complaint, word in zip(found, words, strict=True):
        assert complaint.startswith("[") == word.startswith("["), complaint
        assert word.removeprefix("[") in complaint


def test_the_rules_for_templates_abroad() -> None:
    """Other countries know neither 拒收请回复R nor the accounts that may not have variables."""
    assert said(standards.template("Dear {1}, a new book", "marketing", international=True)) == []


def test_the_rules_for_signatures() -> None:
    """Names, kinds, documents and their pairs, qualification and pictures follow the API's own words."""
    good = {"kind": "company", "document": "licence", "international": False, "qualification": 1}
    for name, changes, word in (
        ("示例", {}, ""),
        ("一", {}, "2 to 12 characters"),
        ("示例" * 7, {}, "2 to 12 characters"),
        ("a b", {}, "2 to 12 characters"),
        ("【示例】", {}, "brackets"),
        ("A B", {"international": True}, "[a signature has"),
        ("示例", {"kind": "mini-program"}, "“mini-program” no longer exists"),
        ("示例", {"document": "website-screenshot"}, "“website-screenshot” no longer exists"),
        ("示例", {"document": "trademark"}, "a company is proved by three-in-one, licence"),
        ("示例", {"kind": "app"}, "no signatures of apps"),
        ("示例", {"kind": "app", "document": "app-screenshot", "international": True}, ""),
        ("示例", {"qualification": None}, "an approved qualification"),
        ("示例", {"qualification": None, "international": True}, ""),
    ):
        found = said(standards.signature(name, **{**good, **changes}))  # type: ignore[arg-type] # of mixed types
        assert [word in it for it in found] == [True] * bool(word), (name, changes, found)
    jpeg = b"\xff\xd8\xff" + bytes(99) + b"\xff\xd9"
    for proof, commission, others, word in (
        (PNG, None, False, ""),
        (PNG, jpeg, True, ""),
        (PNG[:-3], None, False, "cut off"),
        (jpeg[:9], None, False, "cut off"),
        (b"", None, False, "no picture"),
        (b"GIF89a", None, False, "no picture"),
        (PNG, None, True, "needs the picture of a commission"),
        (PNG, jpeg, False, "counts only with --for-others"),
        (PNG[:8] + bytes(7_000_000) + PNG[8:], None, False, "more than 7 MB"),
    ):
        found = said(standards.pictures(proof, commission, for_others=others))
        assert [word in it for it in found] == [True] * bool(word), found
