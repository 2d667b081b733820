"""The SMS API as bulk messages use it: templates and signatures, sending, receipts and replies."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sms_admin.bulk.journal import Result, State
from sms_admin.bulk.recipients import Recipient
from sms_admin.bulk.task import Task
from sms_login.adapters.tencent.client import NoCredentials, TencentClient
from sms_login.adapters.tencent.sms import sms_api

MOST = 200  # numbers of one request
_PAGE, _PAGES = 100, 20  # signatures, receipts or replies in one answer, which is the API's maximum; and answers


class Listed(NamedTuple):
    """A template or signature: its text, StatusCode (0: usable) and the reviewer's words."""

    text: str
    status: int
    reply: str


class Trouble(Exception):  # noqa: N818 - it is an answer
    """A request without the results of its numbers. `code` is the platform's; `sent`: some of them may be sent."""

    def __init__(self, code: str, *, sent: bool) -> None:
        super().__init__(code)
        self.code, self.sent = code, sent


class Account:
    """One account of Tencent Cloud SMS. Many threads may call it."""

    def __init__(self, environ: Mapping[str, str], *, region: str, endpoint: str, timeout: float) -> None:
        self._api: TencentClient = sms_api(environ, region=region, endpoint=endpoint, timeout=timeout)

    def template(self, template_id: str, *, abroad: bool) -> Listed | None:
        """Return a template; None if the account has none of this number. Raises Trouble."""
        answer = self._ask(
            "DescribeSmsTemplateList",
            International=int(abroad),
            TemplateIdSet=[int(template_id)],
            Limit=_PAGE,
            Offset=0,
        )
        found = [one for one in answer.DescribeTemplateStatusSet or [] if str(one.TemplateId) == template_id]
        return (
            Listed(found[0].TemplateContent or "", found[0].StatusCode, found[0].ReviewReply or "") if found else None
        )

    def sign(self, name: str) -> Listed | None:
        """Return a signature of mainland China; None if the account has none of this name. Raises Trouble."""
        found: list[Listed] = []
        for page in range(_PAGES):  # the API cannot look a signature up by its name
            answer = self._ask("DescribeSmsSignList", International=0, Limit=_PAGE, Offset=page * _PAGE)
            listed = answer.DescribeSignListStatusSet or []
            found += [Listed(name, one.StatusCode, one.ReviewReply or "") for one in listed if one.SignName == name]
            if len(listed) < _PAGE:
                break
        return min(found, key=lambda one: one.status != 0, default=None)

    def send(self, task: Task, recipients: Sequence[Recipient]) -> list[Result]:
        """Send one request, once, and return the result of each recipient. Raises Trouble.

        All recipients are of one side of the border, at most `MOST`; those of mainland China have equal values.
        """
        if recipients[0].abroad:
            infos = [_info(task, one) for one in recipients]
            answer = self._ask("SendMultiGlobalSms", SmsSdkAppId=task.abroad_app_id, MultiSmsInfoSet=infos)
            statuses = answer.SendMultiStatusSet or []
        else:
            params = {"TemplateId": task.template_id, "TemplateParamSet": recipients[0].values}
            params |= {"SignName": task.text.sign, "SessionContext": task.id}
            phones = [f"+{one.phone}" for one in recipients]
            statuses = (
                self._ask("SendSms", SmsSdkAppId=task.app_id, PhoneNumberSet=phones, **params).SendStatusSet or []
            )
        by_number = {str(status.PhoneNumber): status for status in statuses}
        return [_result(one, by_number.get(f"+{one.phone}")) for one in recipients]

    def receipts(self, app_id: str, phone: int, begin: int, end: int) -> list[Any]:
        """Return the receipts of a number within a span of the last seven days, in epoch seconds. Raises Trouble."""
        span = {"BeginTime": begin, "EndTime": end, "Offset": 0, "Limit": _PAGE}
        answer = self._ask("PullSmsSendStatusByPhoneNumber", SmsSdkAppId=app_id, PhoneNumber=f"+{phone}", **span)
        return list(answer.PullSmsSendStatusSet or [])

    def pull_receipts(self, app_id: str) -> Iterator[list[Any]]:
        """Yield the receipts of all numbers; the platform gives each of them once. Raises Trouble."""
        while found := self._ask("PullSmsSendStatus", SmsSdkAppId=app_id, Limit=_PAGE).PullSmsSendStatusSet:
            yield list(found)

    def pull_replies(self, app_id: str) -> Iterator[list[Any]]:
        """Yield the replies of all numbers; the platform gives each of them once. Raises Trouble."""
        while found := self._ask("PullSmsReplyStatus", SmsSdkAppId=app_id, Limit=_PAGE).PullSmsReplyStatusSet:
            yield list(found)

    def _ask(self, action: str, /, **params: Any) -> Any:
        from tencentcloud.common.exception import TencentCloudSDKException  # noqa: PLC0415 - heavy, and reading a sheet does without
        from tencentcloud.sms.v20210111 import models  # noqa: PLC0415 - as above

        request = getattr(models, f"{action}Request")()
        for name, value in params.items():
            setattr(request, name, value)
        try:
            return self._api.call(action, request)
        except NoCredentials:
            raise Trouble("NoCredentials", sent=False) from None
        except TimeoutError:
            raise Trouble("timeout", sent=True) from None
        except TencentCloudSDKException as error:
            raise _trouble(error) from None


# The errors of our transport before a connection is made, and of a certificate that is not trusted.
_NOT_CONNECTED = {"ConnectionRefusedError", "gaierror", "SSLCertVerificationError"}
_UNCLEAR = ("ClientNetworkError", "ServerNetworkError", "InternalError")


def _trouble(error: Any) -> Trouble:
    code = str(error.get_code() or "")
    if code == "ClientNetworkError" and error.get_message() in _NOT_CONNECTED:
        return Trouble(str(error.get_message()), sent=False)
    answered = error.get_request_id() is not None and code
    return Trouble(code or "no code", sent=not answered or code.startswith(_UNCLEAR))


def _info(task: Task, recipient: Recipient) -> Any:
    from tencentcloud.sms.v20210111 import models  # noqa: PLC0415 - as above

    info = models.MultiSmsInfo()
    info.PhoneNumber, info.TemplateId, info.TemplateParamSet = (
        f"+{recipient.phone}",
        task.abroad_template_id,
        recipient.values,
    )
    info.SessionContext = task.id
    if task.sender_id:
        info.SenderId = task.sender_id
    return info


def _result(recipient: Recipient, status: Any) -> Result:
    """Return the result of one number; an answer without it leaves the number unknown."""
    if status is None:
        return Result(recipient.row, State.UNKNOWN, reason="no SendStatusSet")
    code = str(status.Code or "")
    if code == "Ok":
        return Result(recipient.row, State.ACCEPTED, str(status.SerialNo or ""), fee=int(status.Fee or 0))
    if not code or code.startswith(_UNCLEAR):
        return Result(recipient.row, State.UNKNOWN, reason=code or "no code")
    return Result(recipient.row, State.REFUSED, reason=code)
