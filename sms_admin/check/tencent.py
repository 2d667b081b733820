"""Tencent Cloud: the credentials, the SMS templates and the signatures of the account."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from sms_admin.check.account import Account, Refused
from sms_admin.check.report import Finding, ok, problem, warning
from sms_admin.language import tr
from sms_login.settings.settings import Settings
from sms_login.sms import SmsRoute

_PAGE, _PAGES = 100, 20  # signatures in one request, which is the API's maximum; and requests
_APPROVED = 0  # StatusCode: SendSms takes no other
_STATES = {
    1: ("is still being reviewed", "仍在审核中"),
    2: ("is approved, but not in effect yet", "已通过审核，但尚未生效"),
    -1: ("was refused", "未通过审核"),
}
_VARIABLE = re.compile(r"\{([0-9]+)\}")


class Side(Struct, frozen=True):
    """Mainland China or the rest of the world: the `name` of its findings, its number in the API, and its settings."""

    name: str
    international: int
    route: SmsRoute
    params: Sequence[str]

    @property
    def prefix(self) -> str:
        """The prefix of its settings' names."""
        return "SMS_INTL_" if self.international else "SMS_"


def check(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check the credentials, then the template and the signature of each application: mainland and international."""
    secret_id, secret_key, token = (
        environ.get(f"TENCENTCLOUD_{name}", "") for name in ("SECRETID", "SECRETKEY", "SESSIONTOKEN")
    )
    if not (secret_id and secret_key):
        found = tr("missing from the environment: no code can be sent", "环境变量中没有密钥：无法发送验证码")
        todo = tr(
            "give the function an execution role; to check from elsewhere, set TENCENTCLOUD_SECRETID and …SECRETKEY",
            "请为函数配置运行角色；从别处检查时，请设置 TENCENTCLOUD_SECRETID 和 …SECRETKEY",
        )
        yield problem("credentials", found, todo)
        return
    if not token:
        found = tr("permanent: TENCENTCLOUD_SESSIONTOKEN is not set", "永久密钥：没有设置 TENCENTCLOUD_SESSIONTOKEN")
        todo = tr(
            "use an execution role on SCF: its credentials are temporary and rotate by themselves",
            "请在 SCF 上使用运行角色：其密钥是临时的，会自动轮换",
        )
        yield warning("credentials.kind", found, todo)
    else:
        yield ok("credentials.kind", tr("temporary", "临时密钥"))
    account = Account(settings, environ)
    params = settings.sms_template_params
    sides = [Side("sms", 0, settings.sms_mainland, params)]
    sides += [Side("sms.intl", 1, settings.sms_abroad, params)] if settings.sms_abroad else []
    told = False
    for side in sides:
        for ask in (_templates, _sign):
            try:
                findings = list(ask(account, side))
            except Refused as refused:
                findings = [refused.finding]
                if refused.always:
                    yield refused.finding
                    return
            if account.accepted and not told:
                yield ok("credentials", tr("accepted", "已被接受"))
                told = True
            yield from findings


def _templates(account: Account, side: Side) -> Iterator[Finding]:
    """Check the template of the login, and those of the purposes that have their own."""
    yield from _template(account, side, "", f"{side.prefix}TEMPLATE_ID", side.route.template_id)
    for purpose, template_id in side.route.purposes.items():
        if template_id:
            yield from _template(account, side, f".{purpose}", f"{side.prefix}PURPOSES", template_id)


def _template(account: Account, side: Side, of: str, setting: str, template_id: str) -> Iterator[Finding]:
    from tencentcloud.sms.v20210111 import models  # noqa: PLC0415 - as above

    name = f"{side.name}.template{of}"
    if not template_id.isdecimal():
        todo = tr("copy it from the SMS console", "请从短信控制台复制")
        yield problem(name, tr(f"{setting} is not a number", f"{setting} 不是数字"), todo)
        return
    request = models.DescribeSmsTemplateListRequest()
    request.International = side.international
    request.TemplateIdSet = [int(template_id)]
    answer = account.ask("DescribeSmsTemplateList", request, name)
    found = [one for one in answer.DescribeTemplateStatusSet or [] if str(one.TemplateId) == template_id]
    if not found:
        where = tr("global SMS", "国际短信") if side.international else tr("mainland China", "国内短信")
        todo = tr(
            f"check in the SMS console that the template belongs to this account and is for {where}",
            f"请在短信控制台检查模板属于此账号，且用于{where}",
        )
        missing = tr(f"{setting} names a template that does not exist", f"{setting} 所指的模板不存在")
        yield problem(name, missing, todo)
        return
    yield _state(name, setting, found[0])
    yield _parameters(side, f"{side.name}.parameters{of}", found[0].TemplateContent or "")


def _parameters(side: Side, name: str, text: str) -> Finding:
    """Show the template beside the values that SMS_TEMPLATE_PARAMS puts into it: only a person can tell if they fit."""
    numbers = sorted(set(map(int, _VARIABLE.findall(text))))
    if numbers != [*range(1, len(side.params) + 1)]:
        variables = ", ".join(f"{{{number}}}" for number in numbers)
        params = ",".join(side.params)
        found = tr(
            f"the template has {variables or 'no variable'}, but SMS_TEMPLATE_PARAMS is {params}: “{text}”",
            f"模板的变量为 {variables or '无'}，但 SMS_TEMPLATE_PARAMS 为 {params}：“{text}”",
        )
        todo = tr(
            "set SMS_TEMPLATE_PARAMS to one value for each variable, or use another template",
            "请在 SMS_TEMPLATE_PARAMS 中为每个变量设一个值，或改用其他模板",
        )
        return problem(name, found, todo)
    values = ", ".join(f"{{{number}}} = {value}" for number, value in zip(numbers, side.params, strict=True))
    return ok(name, tr(f"{values} in “{text}”", f"{values}，模板为“{text}”"))


def _sign(account: Account, side: Side) -> Iterator[Finding]:
    from tencentcloud.sms.v20210111 import models  # noqa: PLC0415 - as above

    name, setting = f"{side.name}.sign", f"{side.prefix}SIGN"
    if not side.route.sign:  # optional outside mainland China
        yield ok(name, tr(f"{setting} is not set", f"没有设置 {setting}"))
        return
    signs: list[Any] = []
    for page in range(_PAGES):  # the API cannot look a signature up by its name
        request = models.DescribeSmsSignListRequest()
        request.International, request.Limit, request.Offset = side.international, _PAGE, page * _PAGE
        answer = account.ask("DescribeSmsSignList", request, name)
        listed = answer.DescribeSignListStatusSet or []
        signs += [one for one in listed if one.SignName == side.route.sign]
        if len(listed) < _PAGE:
            break
    if not signs:
        found = tr(f"{setting} names a signature that this account does not have", f"{setting} 所指的签名不在此账号中")
        todo = tr(
            "copy the signature's text from the SMS console, without the brackets 【】",
            "请从短信控制台复制签名内容，不含括号【】",
        )
        yield problem(name, found, todo)
        return
    best = next((one for one in signs if one.StatusCode == _APPROVED), signs[0])
    yield _state(name, setting, best)


def _state(name: str, setting: str, found: Any) -> Finding:
    if found.StatusCode == _APPROVED:
        return ok(name, tr("approved", "已通过审核"))
    unknown = (f"has the unknown status {found.StatusCode}", f"状态未知（{found.StatusCode}）")
    state = tr(*_STATES.get(found.StatusCode, unknown))
    why = f" ({found.ReviewReply})" if found.ReviewReply else ""
    wait, again = (
        tr("wait for the review", "请等待审核"),
        tr("submit another in the SMS console", "请在短信控制台另行提交"),
    )
    said = tr(f"{setting} {state}{why}: SendSms refuses it", f"{setting} {state}{why}：SendSms 会拒绝")
    return problem(name, said, wait if found.StatusCode in (1, 2) else again)
