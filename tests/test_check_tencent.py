"""The checks of Tencent Cloud, through the real SDK, with accounts that are set up correctly and wrongly."""

import time
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from local.cloud import Cloud, local_cloud
from local.describe_sms import ABROAD, APPROVED, BOTH, PENDING, REFUSED, Sign, Template
from local.tencent import TencentStandIn
from sms_admin.check import account, captcha, clock, send, tencent
from sms_admin.check.report import Finding, State
from sms_login.phone import Phone
from sms_login.settings.settings import Settings
from tests.testkit.cases import each_case
from tests.testkit.findings import bad, states, the

PHONE = Phone.parse("+8613800138000", "CN")
ABROAD_PHONE = Phone.parse("+12015550123", "US")
WITHOUT = {"SMS_PURPOSES": "pay", "SMS_INTL_PURPOSES": "pay"}  # no templates but those of the login
TEXT = "{1}为您的登录验证码，请于{2}分钟内填写。"


@pytest.fixture(scope="module")
def running() -> Iterator[Cloud]:
    """The environment of `make run`, with no Redis, since no check here asks it."""
    with local_cloud({"REDIS_HOST": "127.0.0.1", "SMS_SIGN": "我们", **WITHOUT}) as cloud:
        yield cloud


@pytest.fixture
def cloud(running: Cloud) -> Iterator[Cloud]:
    """The same environment, restored after each test."""
    catalogue = running.tencent.catalogue
    templates, signs = catalogue.templates, catalogue.signs
    yield running
    catalogue.templates, catalogue.signs = templates, signs
    for action in ("SendSms", "DescribeCaptchaResult", "DescribeSmsTemplateList", "DescribeSmsSignList"):
        running.tencent.fail(None, action=action)


def check(cloud: Cloud, **changes: str) -> list[Finding]:
    """Return the findings about the account."""
    environ = {**cloud.environ, **changes}
    return list(tencent.check(Settings.read(environ), environ))


def test_a_correct_account_is_ok(cloud: Cloud) -> None:
    """Templates and signatures are found for the mainland and for abroad."""
    findings = check(cloud)
    names = {"credentials", "credentials.kind"}
    names |= {f"sms.{side}{what}" for side in ("", "intl.") for what in ("template", "parameters", "sign")}
    assert states(findings) == dict.fromkeys(names, State.OK)
    assert the(findings, "credentials.kind").found == "temporary"


def test_each_purposes_own_template_is_checked() -> None:
    """A template of a purpose is found, or is a problem under the purpose's name."""
    with local_cloud({"REDIS_HOST": "127.0.0.1"}) as cloud:
        findings = check(cloud, SMS_INTL_PURPOSES="pay=1000009")
    assert bad(findings) == {"sms.intl.template.pay": State.PROBLEM}
    assert the(findings, "sms.intl.template.pay").found == "SMS_INTL_PURPOSES names a template that does not exist"
    assert the(findings, "sms.template.pay").found == "approved"
    assert the(findings, "sms.parameters.resetPassword").found.endswith("“{1} 为您的重置密码验证码，{2} 分钟内有效。”")


def test_without_an_application_abroad_only_the_mainland_is_checked(cloud: Cloud) -> None:
    """A signature abroad that is not set is not looked for."""
    settings = Settings.read(cloud.environ)
    mainland = list(tencent.check(replace(settings, sms_abroad=None), cloud.environ))
    assert [finding.check for finding in mainland if "intl" in finding.check] == []
    assert settings.sms_abroad is not None
    unsigned = replace(settings, sms_abroad=replace(settings.sms_abroad, sign=""))
    assert the(list(tencent.check(unsigned, cloud.environ)), "sms.intl.sign").found == "SMS_INTL_SIGN is not set"


@each_case("missing", ["TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY"])
def test_missing_credentials_are_a_problem(cloud: Cloud, missing: str) -> None:
    """Without credentials no API is called."""
    (finding,) = check(cloud, **{missing: ""})
    assert (finding.check, finding.state) == ("credentials", State.PROBLEM)
    assert "execution role" in finding.todo


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"TENCENTCLOUD_SECRETID": "another"}, "AuthFailure.SecretIdNotFound"),
        ({"TENCENTCLOUD_SECRETKEY": "another"}, "AuthFailure.SignatureFailure"),
        ({"TENCENTCLOUD_SESSIONTOKEN": "another"}, "AuthFailure.TokenFailure"),
    ],
)
def test_credentials_that_are_refused_are_one_problem(cloud: Cloud, changes: dict[str, str], code: str) -> None:
    """No further API is called, since it would refuse them again."""
    findings = check(cloud, **changes)
    assert bad(findings) == {"credentials": State.PROBLEM}
    assert findings[-1].found == f"refused: {code}"


def test_permanent_credentials_are_a_warning() -> None:
    """Permanent credentials work, so they are not a problem."""
    with local_cloud({"REDIS_HOST": "127.0.0.1", **WITHOUT}) as cloud:
        key = {name: cloud.environ[f"TENCENTCLOUD_{name}"] for name in ("SECRETID", "SECRETKEY")}
        with TencentStandIn(
            secret_id=key["SECRETID"], secret_key=key["SECRETKEY"], catalogue=cloud.tencent.catalogue
        ) as other:
            findings = check(cloud, TENCENTCLOUD_SESSIONTOKEN="", SMS_ENDPOINT=other.url)
    assert bad(findings) == {"credentials.kind": State.WARNING}


@pytest.mark.parametrize(
    ("code", "todo"),
    [
        ("AuthFailure.UnauthorizedOperation", "allow the operator the action sms:{action}"),
        ("UnauthorizedOperation", "allow the operator the action sms:{action}"),
        ("UnauthorizedOperation.RequestPermissionDeny", "the account belongs to a person"),
        ("RequestLimitExceeded", "look the code up"),
        ("InternalError.OtherError", "look the code up"),
    ],
)
@pytest.mark.parametrize(("action", "what"), [("DescribeSmsTemplateList", "template"), ("DescribeSmsSignList", "sign")])
def test_an_api_that_is_not_allowed_is_a_warning(cloud: Cloud, code: str, todo: str, action: str, what: str) -> None:
    """The advice names the action to allow; the credentials count as accepted, and the other API is called."""
    cloud.tencent.fail(code, action=action)
    findings = check(cloud)
    assert bad(findings) == {f"sms.{what}": State.WARNING, f"sms.intl.{what}": State.WARNING}
    assert the(findings, f"sms.{what}").found == f"not checked: {code}"
    assert the(findings, f"sms.{what}").todo.startswith(todo.format(action=action))
    assert the(findings, "credentials").found == "accepted"


@pytest.mark.parametrize("mode", ["timeout", "reset"])
def test_no_answer_is_one_problem(cloud: Cloud, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The advice says that a function in a VPC needs public access."""
    monkeypatch.setattr(account, "_TIMEOUT", 0.2)
    cloud.tencent.fail(mode, action="DescribeSmsTemplateList")
    findings = check(cloud)
    assert bad(findings) == {"tencent": State.PROBLEM}
    assert "publicAccess" in findings[-1].todo


def test_an_answer_of_another_content_type_does_not_blame_the_credentials(cloud: Cloud) -> None:
    """A proxy may change the Content-Type, and then the SDK does not check the answer."""
    cloud.tencent.fail("charset", action="DescribeSmsSignList")
    assert "credentials" not in bad(check(cloud))


@pytest.mark.parametrize(
    ("status", "reply", "found"),
    [
        (PENDING, "", "is still being reviewed: SendSms refuses it"),
        (2, "", "is approved, but not in effect yet: SendSms refuses it"),
        (REFUSED, "内容不符", "was refused (内容不符): SendSms refuses it"),
        (7, "", "has the unknown status 7: SendSms refuses it"),
    ],
)
def test_a_template_or_signature_that_is_not_approved_is_a_problem(
    cloud: Cloud, status: int, reply: str, found: str
) -> None:
    """The finding has the status and the reviewer's words."""
    catalogue = cloud.tencent.catalogue
    catalogue.templates = [one._replace(status=status, reply=reply) for one in catalogue.templates]
    catalogue.signs = [one._replace(status=status, reply=reply) for one in catalogue.signs]
    findings = check(cloud)
    assert the(findings, "sms.template").found == f"SMS_TEMPLATE_ID {found}"
    assert the(findings, "sms.intl.sign").found == f"SMS_INTL_SIGN {found}"
    assert bad(findings) == dict.fromkeys(
        ("sms.template", "sms.sign", "sms.intl.template", "sms.intl.sign"), State.PROBLEM
    )


def test_a_template_or_signature_that_does_not_exist_is_a_problem(cloud: Cloud) -> None:
    """One that is only for the other side of the border counts as missing; so does an id that is not a number."""
    catalogue = cloud.tencent.catalogue
    catalogue.templates = [Template(1_000_001, TEXT), Template(1_000_000, TEXT, ABROAD)]
    catalogue.signs = [Sign(1, "我们", ABROAD), Sign(2, "【我们】")]
    names = {"sms.template", "sms.sign", "sms.intl.template", "sms.intl.sign"}
    assert bad(check(cloud)) == dict.fromkeys(names, State.PROBLEM)
    findings = check(cloud, SMS_TEMPLATE_ID="abc", SMS_INTL_TEMPLATE_ID="abc")
    assert the(findings, "sms.template").found == "SMS_TEMPLATE_ID is not a number"


def test_a_template_may_serve_both_sides(cloud: Cloud) -> None:
    """One template that is approved for both sides of the border is enough."""
    cloud.tencent.catalogue.templates = [Template(1_000_000, TEXT, BOTH)]
    assert bad(check(cloud, SMS_INTL_TEMPLATE_ID="1000000")) == {}


def test_a_signature_is_found_among_many(cloud: Cloud) -> None:
    """All pages are searched, and of several signatures with the same name the approved one counts."""
    many = [Sign(number, f"其他{number}") for number in range(250)]
    signs = [
        *many[:150],
        Sign(900, "我们", status=REFUSED),
        *many[150:],
        Sign(901, "我们"),
        Sign(902, "sms-login", ABROAD),
    ]
    cloud.tencent.catalogue.signs = signs
    assert bad(check(cloud)) == {}


@each_case(
    ("text", "params", "found"),
    [
        (TEXT, "code,minutes", f"{{1}} = code, {{2}} = minutes in “{TEXT}”"),
        (TEXT, "minutes,code", f"{{1}} = minutes, {{2}} = code in “{TEXT}”"),
        (
            "{2} minutes left: {1}. Type {1}.",
            "code,minutes",
            "{1} = code, {2} = minutes in “{2} minutes left: {1}. Type {1}.”",
        ),
        ("{1} is your code.", "code", "{1} = code in “{1} is your code.”"),
    ],
)
def test_a_template_is_shown_beside_its_parameters(cloud: Cloud, text: str, params: str, found: str) -> None:
    """The API does not know which variable is the code, so the operator reads the text and compares."""
    cloud.tencent.catalogue.templates = [Template(1_000_000, text, BOTH)]
    finding = the(check(cloud, SMS_TEMPLATE_PARAMS=params), "sms.parameters")
    assert (finding.state, finding.found) == (State.OK, found)


@each_case(
    ("text", "params", "variables"),
    [
        (TEXT, "code", "{1}, {2}"),
        ("{1} is your code.", "code,minutes", "{1}"),
        ("验证码{1}{2}{3}", "code,minutes", "{1}, {2}, {3}"),
        ("验证码{2}，{3}分钟。", "code,minutes", "{2}, {3}"),
        ("您的验证码已发送。", "code", "no variable"),
    ],
)
def test_a_template_with_other_variables_than_parameters_is_a_problem(
    cloud: Cloud, text: str, params: str, variables: str
) -> None:
    """SendSms refuses such a message."""
    cloud.tencent.catalogue.templates = [Template(1_000_000, text, BOTH)]
    finding = the(check(cloud, SMS_TEMPLATE_PARAMS=params), "sms.parameters")
    assert finding.state is State.PROBLEM
    assert finding.found == f"the template has {variables}, but SMS_TEMPLATE_PARAMS is {params}: “{text}”"


@each_case(
    ("off", "state", "found"),
    [
        (0, State.OK, "agrees with Tencent Cloud's"),
        (100, State.WARNING, "100 s behind Tencent Cloud's"),
        (-400, State.PROBLEM, "400 s ahead of Tencent Cloud's"),
    ],
)
def test_clocks_that_differ_from_tencents_are_reported(off: int, state: State, found: str) -> None:
    """Our clock is compared with an answer's Date; past five minutes requests are refused, and the finding says why."""
    with (
        local_cloud({"REDIS_HOST": "127.0.0.1"}) as cloud,
        TencentStandIn(
            secret_id=cloud.environ["TENCENTCLOUD_SECRETID"],
            secret_key=cloud.environ["TENCENTCLOUD_SECRETKEY"],
            clock=lambda: time.time() + off,
            catalogue=cloud.tencent.catalogue,
        ) as other,
    ):
        settings = Settings.read({**cloud.environ, "SMS_ENDPOINT": other.url})
        (finding,) = clock.check(settings)
        asked = bad(check(cloud, SMS_ENDPOINT=other.url))
    assert finding.state is state
    # The header has whole seconds, so the difference may be off by one.
    assert finding.found.split()[1:] == found.split()[1:]
    assert asked == ({"clock.tencent": State.PROBLEM} if state is State.PROBLEM else {})


def test_a_server_that_does_not_tell_the_time_is_a_warning(cloud: Cloud) -> None:
    """It is not a problem here, since the other checks say more about it."""
    (finding,) = clock.check(Settings.read({**cloud.environ, "SMS_ENDPOINT": "http://127.0.0.1:1"}))
    assert (finding.state, finding.found) == (
        State.WARNING,
        "http://127.0.0.1:1 does not tell the time: ConnectionRefusedError",
    )


def captcha_of(cloud: Cloud, **changes: str) -> Finding:
    """Return the finding about the captcha."""
    environ = {**cloud.environ, **changes}
    (finding,) = captcha.check(Settings.read(environ), environ)
    return finding


def test_the_captcha_refuses_a_made_up_ticket(cloud: Cloud) -> None:
    """The refusal proves that the captcha knows our application."""
    assert captcha_of(cloud).state is State.OK
    for changes in ({"CAPTCHA_APP_SECRET": "wrong"}, {"CAPTCHA_APP_ID": "1"}):
        finding = captcha_of(cloud, **changes)
        assert (finding.state, "AppSecretKey" in finding.todo) == (State.WARNING, True)


def test_a_captcha_that_does_not_answer_is_a_problem(cloud: Cloud) -> None:
    """No ticket is accepted then; the finding has the error's code, and the advice the action to allow."""
    cloud.tencent.fail("UnauthorizedOperation", action="DescribeCaptchaResult")
    finding = captcha_of(cloud)
    assert (finding.state, finding.found) == (State.PROBLEM, "captcha: UnauthorizedOperation")
    assert "captcha:DescribeCaptchaResult" in finding.todo
    assert captcha_of(cloud, TENCENTCLOUD_SECRETID="").todo == "see credentials"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"CAPTCHA_MODE": "off"}, "CAPTCHA_MODE is off: the hourly limits are the only gate"),
        ({"CAPTCHA_APP_ID": "", "CAPTCHA_APP_SECRET": ""}, "no CAPTCHA_APP_ID: the hourly limits are the only gate"),
    ],
)
def test_no_captcha_is_a_warning(cloud: Cloud, changes: dict[str, str], found: str) -> None:
    """No API is called then."""
    before = cloud.tencent.captcha_calls
    finding = captcha_of(cloud, **changes)
    assert (finding.state, finding.found, cloud.tencent.captcha_calls) == (State.WARNING, found, before)


def sent(cloud: Cloud, phone: Phone = PHONE, **changes: str) -> Finding:
    """Send one message, and return the finding about it."""
    environ = {**cloud.environ, **changes}
    (finding,) = send.check(Settings.read(environ), environ, phone)
    return finding


def test_one_message_is_sent(cloud: Cloud) -> None:
    """Its code is new each time, its parameters follow the template's order, and the number is masked."""
    finding = sent(cloud)
    assert sent(cloud, SMS_TEMPLATE_PARAMS="minutes,code").state is State.OK
    second, first = cloud.tencent.inbox()[:2]
    assert (first.phone, len(first.params[0]), first.params[1]) == (PHONE.e164, 6, "5")
    assert first.params[0].isdecimal()  # templates for codes refuse letters
    assert second.params[0] == "5"
    assert second.params[1] != first.params[0]
    assert finding.state is State.OK
    assert "accepted for +86138****8000: requestId " in finding.found
    assert ", serialNo 2019:" in finding.found
    assert ", fee 1;" in finding.found


@pytest.mark.parametrize(
    ("mode", "state", "todo"),
    [
        ("refusal", State.PROBLEM, "buy another SMS package"),
        (
            "UnauthorizedOperation.SmsSdkAppIdVerifyFail",
            State.PROBLEM,
            "check that SMS_SDKAPPID belongs to this account",
        ),
        ("FailedOperation.ForbidAddMarketingTemplates", State.PROBLEM, "look the code up"),
        ("LimitExceeded.PhoneNumberDailyLimit", State.WARNING, "wait, or raise the limit"),
        ("InternalError.OtherError", State.WARNING, "check whether the message arrives"),
    ],
)
def test_a_message_that_is_not_sent_is_reported_with_tencents_code(
    cloud: Cloud, mode: str, state: State, todo: str
) -> None:
    """The finding has advice for this code."""
    cloud.tencent.fail(mode)
    finding = sent(cloud)
    assert finding.state is state
    assert finding.todo.startswith(todo)
    assert (mode if "." in mode else "InsufficientBalance") in finding.found


def test_a_message_abroad_needs_its_template(cloud: Cloud) -> None:
    """Without an international template no message is sent."""
    assert sent(cloud, ABROAD_PHONE).state is State.OK
    none = {f"SMS_INTL_{name}": "" for name in ("SDKAPPID", "SIGN", "TEMPLATE_ID", "PURPOSES")}
    before = len(cloud.tencent.inbox())
    finding = sent(cloud, ABROAD_PHONE, **none)
    assert (finding.state, len(cloud.tencent.inbox())) == (State.PROBLEM, before)


def test_an_approved_template_has_status_zero() -> None:
    """The stand-in and the check were written from the same description."""
    assert (APPROVED, PENDING, REFUSED) == (0, 1, -1)
