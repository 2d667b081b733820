"""One real message, sent by the function's own code."""

import secrets
from collections.abc import Iterator, Mapping

from sms_admin.check.report import Finding, ok, problem, warning
from sms_admin.language import tr
from sms_login.errors import Refusal, SendUnknown, TooManyRequests
from sms_login.otp.codes import CodeMaker
from sms_login.phone import Phone
from sms_login.settings.settings import Settings
from sms_login.sms import MAINLAND
from sms_login.wiring import tencent_sms

_TODO = {
    "FailedOperation.InsufficientBalanceInSmsPackage": ("buy another SMS package", "请再购买短信套餐包"),
    "FailedOperation.SignatureIncorrectOrUnapproved": ("see the finding on the signature", "见签名一项的检查结果"),
    "FailedOperation.TemplateIncorrectOrUnapproved": ("see the finding on the template", "见模板一项的检查结果"),
    "FailedOperation.TemplateParamSetNotMatchApprovedTemplate": (
        "see the finding on the parameters",
        "见模板参数一项的检查结果",
    ),
    "UnauthorizedOperation.SmsSdkAppIdVerifyFail": (
        "check that SMS_SDKAPPID belongs to this account, in SMS_REGION",
        "请检查 SMS_SDKAPPID 属于此账号，且位于 SMS_REGION",
    ),
    "AuthFailure.UnauthorizedOperation": ("allow the role the action sms:SendSms", "请为角色授权 sms:SendSms"),
}
_ELSE = ("look the code up in the documentation of SendSms", "请在 SendSms 的文档中查找此错误码")


def check(settings: Settings, environ: Mapping[str, str], phone: Phone) -> Iterator[Finding]:
    """Send a code that cannot log in: no session stores it."""
    sms = tencent_sms(settings, environ)
    if phone.region != MAINLAND and settings.sms_abroad is None:
        found = tr(
            f"{phone} is abroad, but no international template is set", f"{phone} 是境外号码，而没有国际短信模板"
        )
        todo = tr("set SMS_INTL_SDKAPPID and SMS_INTL_TEMPLATE_ID", "请设置 SMS_INTL_SDKAPPID 和 SMS_INTL_TEMPLATE_ID")
        yield problem("send", found, todo)
        return
    try:
        receipt = sms.send(phone, CodeMaker(secrets.token_bytes(32)).new(phone)[1])
    except SendUnknown as unknown:
        found = tr(f"no clear answer about {phone}: {unknown.detail}", f"{phone} 没有明确的应答：{unknown.detail}")
        todo = tr(
            "check whether the message arrives; if so, raise SMS_TIMEOUT",
            "请看短信是否到达；若到达，请调大 SMS_TIMEOUT",
        )
        yield warning("send", found, todo)
    except TooManyRequests as early:
        found = tr(f"Tencent refused {phone} for now: {early.detail}", f"腾讯云暂时拒绝 {phone}：{early.detail}")
        todo = tr(
            "wait, or raise the limit of the application in the SMS console: by default it is two a day",
            "请等待，或在短信控制台放宽该应用的频率限制：默认每天两条",
        )
        yield warning("send", found, todo)
    except Refusal as refusal:
        found = tr(f"Tencent refused {phone}: {refusal.detail}", f"腾讯云拒绝 {phone}：{refusal.detail}")
        yield problem("send", found, tr(*_TODO.get(refusal.detail, _ELSE)))
    else:
        facts = f"requestId {receipt.request_id}, serialNo {receipt.serial_no}, fee {receipt.fee}"
        found = tr(
            f"accepted for {phone}: {facts}; now check that it arrives and reads well",
            f"{phone} 已被接受：{facts}；请确认短信到达且内容无误",
        )
        yield ok("send", found)
