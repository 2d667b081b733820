"""Tencent Cloud: whether it accepts the credentials, and knows template and signature."""

from collections.abc import Iterator, Mapping
from typing import Any

from sms_admin.check import texts
from sms_admin.check.report import Finding, ok, problem, warning
from sms_admin.check.texts import Side
from sms_login.adapters.tencent.client import TencentClient
from sms_login.settings.settings import Settings

_TIMEOUT = 5.0  # s
_PAGE, _PAGES = 100, 20  # signatures in one request, which is the most; and requests
_OUTSIDE = "a function in a VPC needs publicAccess (or a NAT gateway) to reach it"


class Refused(Exception):  # noqa: N818 - it is an answer
    """A request without a result: what to report, and whether others would fare the same."""

    def __init__(self, finding: Finding, *, always: bool) -> None:
        super().__init__()
        self.finding, self.always = finding, always


def check(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check credentials, templates and signatures, for each side of the border that has an application."""
    secret_id, secret_key, token = (
        environ.get(f"TENCENTCLOUD_{name}", "") for name in ("SECRETID", "SECRETKEY", "SESSIONTOKEN")
    )
    if not (secret_id and secret_key):
        todo = "give the function an execution role; to check from elsewhere, set TENCENTCLOUD_SECRETID and the others"
        yield problem("credentials", "none in the environment: no code can be sent", todo)
        return
    if not token:
        todo = "on SCF an execution role is better: it has temporary ones, which nobody has to keep or rotate"
        yield warning("credentials.kind", "permanent: there is no TENCENTCLOUD_SESSIONTOKEN", todo)
    else:
        yield ok("credentials.kind", "temporary")
    account = _Account(settings, environ)
    sides = [Side("sms", 0, settings.sms_mainland)]
    sides += [Side("sms.intl", 1, settings.sms_abroad)] if settings.sms_abroad else []
    told = False
    for side in sides:
        for ask in (_template, _sign):
            try:
                findings = list(ask(account, settings, side))
            except Refused as refused:
                findings = [refused.finding]
                if refused.always:
                    yield refused.finding
                    return
            if account.accepted and not told:
                yield ok("credentials", "accepted")
                told = True
            yield from findings


class _Account:
    """The way to the account's texts. `accepted`: its credentials were, at some call."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        where = {"name": "sms", "region": settings.sms_region, "endpoint": settings.sms_endpoint}
        self._api = TencentClient(environ, _client, timeout=_TIMEOUT, **where)
        self.accepted = False

    def ask(self, action: str, request: Any, about: str) -> Any:
        """Return the answer to a request. Raises Refused."""
        from tencentcloud.common.exception import TencentCloudSDKException  # noqa: PLC0415 - heavy, and Redis comes first

        try:
            answer = self._api.call(lambda client: getattr(client, action)(request))
        except TimeoutError:
            found = f"Tencent Cloud gave no answer within {_TIMEOUT:.0f} s"
            raise Refused(problem("tencent", found, _OUTSIDE), always=True) from None
        except TencentCloudSDKException as error:
            refused = _refused(error.get_code() or "no code", action, about)
            self.accepted = self.accepted or not refused.always
            raise refused from None
        self.accepted = True
        return answer


def _template(account: _Account, settings: Settings, side: Side) -> Iterator[Finding]:
    from tencentcloud.sms.v20210111 import models  # noqa: PLC0415 - heavy, and Redis is checked before

    if not side.route.template_id.isdecimal():
        yield problem(f"{side.name}.template", f"{side.prefix}TEMPLATE_ID is no number", "take it from the SMS console")
        return
    request = models.DescribeSmsTemplateListRequest()
    request.International = side.international
    request.TemplateIdSet = [int(side.route.template_id)]
    answer = account.ask("DescribeSmsTemplateList", request, f"{side.name}.template")
    found = [one for one in answer.DescribeTemplateStatusSet or [] if str(one.TemplateId) == side.route.template_id]
    yield from texts.template(side, found[0] if found else None, settings)


def _sign(account: _Account, settings: Settings, side: Side) -> Iterator[Finding]:
    from tencentcloud.sms.v20210111 import models  # noqa: PLC0415 - as above

    del settings
    if not side.route.sign:  # abroad it may be missing
        yield ok(f"{side.name}.sign", f"none set in {side.prefix}SIGN")
        return
    signs: list[Any] = []
    for page in range(_PAGES):  # a signature cannot be asked for by its name
        request = models.DescribeSmsSignListRequest()
        request.International, request.Limit, request.Offset = side.international, _PAGE, page * _PAGE
        answer = account.ask("DescribeSmsSignList", request, f"{side.name}.sign")
        listed = answer.DescribeSignListStatusSet or []
        signs += [one for one in listed if one.SignName == side.route.sign]
        if len(listed) < _PAGE:
            break
    yield from texts.sign(side, signs)


def _refused(code: str, action: str, about: str) -> Refused:
    if code.startswith(("ClientNetworkError", "ServerNetworkError")):
        return Refused(problem("tencent", f"Tencent Cloud cannot be reached: {code}", _OUTSIDE), always=True)
    if code == "AuthFailure.SignatureExpire":
        todo = "set the clock: every sending is refused until then"
        return Refused(problem("clock.tencent", "more than five minutes off Tencent Cloud's", todo), always=True)
    if code == "UnauthorizedOperation.RequestPermissionDeny":
        todo = "the account is a person's, and may not ask for this: see in the SMS console instead"
        return Refused(warning(about, f"not checked: {code}", todo), always=False)
    if code.startswith("UnauthorizedOperation") or code == "AuthFailure.UnauthorizedOperation":
        todo = f"allow the action sms:{action} for whoever runs this check, or see in the SMS console instead"
        return Refused(warning(about, f"not checked: {code}", todo), always=False)
    if code.startswith("AuthFailure"):
        todo = "see that id, key and token belong together, and that the key is enabled; a temporary one ends by itself"
        return Refused(problem("credentials", f"refused: {code}", todo), always=True)
    todo = f"look the code up in the documentation of {action}, or check again later"
    return Refused(warning(about, f"not checked: {code}", todo), always=False)


def _client(credential: Any, region: str, profile: Any) -> Any:
    from tencentcloud.sms.v20210111.sms_client import SmsClient  # noqa: PLC0415 - as above

    return SmsClient(credential, region, profile)
