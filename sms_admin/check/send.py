"""One real message, sent by the function's own code."""

import secrets
from collections.abc import Iterator, Mapping

from sms_admin.check.report import Finding, ok, problem, warning
from sms_login.errors import Refusal, SendUnknown, TooManyRequests
from sms_login.otp.codes import CodeMaker
from sms_login.phone import Phone
from sms_login.settings.settings import Settings
from sms_login.sms import MAINLAND
from sms_login.wiring import tencent_sms

_TODO = {
    "FailedOperation.InsufficientBalanceInSmsPackage": "buy another SMS package",
    "FailedOperation.SignatureIncorrectOrUnapproved": "see the finding on the signature",
    "FailedOperation.TemplateIncorrectOrUnapproved": "see the finding on the template",
    "FailedOperation.TemplateParamSetNotMatchApprovedTemplate": "see the finding on the parameters",
    "UnauthorizedOperation.SmsSdkAppIdVerifyFail": "check that SMS_SDKAPPID belongs to this account, in SMS_REGION",
    "AuthFailure.UnauthorizedOperation": "allow the role the action sms:SendSms",
}


def check(settings: Settings, environ: Mapping[str, str], phone: Phone) -> Iterator[Finding]:
    """Send a code that cannot log in: no session stores it."""
    sms = tencent_sms(settings, environ)
    if phone.region != MAINLAND and settings.sms_abroad is None:
        todo = "set SMS_INTL_SDKAPPID and SMS_INTL_TEMPLATE_ID"
        yield problem("send", f"{phone} is abroad, and there is no international template", todo)
        return
    try:
        receipt = sms.send(phone, CodeMaker(secrets.token_bytes(32)).new(phone)[1])
    except SendUnknown as unknown:
        todo = "check whether the message arrives; if so, raise SMS_TIMEOUT"
        yield warning("send", f"no clear answer about {phone}: {unknown.detail}", todo)
    except TooManyRequests as early:
        todo = "wait, or raise the limit of the application in the SMS console: by default it is two a day"
        yield warning("send", f"Tencent refused {phone} for now: {early.detail}", todo)
    except Refusal as refusal:
        todo = _TODO.get(refusal.detail, "look the code up in the documentation of SendSms")
        yield problem("send", f"Tencent refused {phone}: {refusal.detail}", todo)
    else:
        found = f"requestId {receipt.request_id}, serialNo {receipt.serial_no}, fee {receipt.fee}"
        yield ok("send", f"accepted for {phone}: {found}; now check that it arrives and reads well")
