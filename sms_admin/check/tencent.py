"""Tencent Cloud: the credentials, the SMS templates and the signatures of the account."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from sms_admin.check.report import Finding, ok, problem, warning
from sms_login.adapters.tencent.sms import sms_api
from sms_login.settings.settings import Settings
from sms_login.sms import SmsRoute

_TIMEOUT = 5.0  # s
_PAGE, _PAGES = 100, 20  # signatures in one request, which is the API's maximum; and requests
_OUTSIDE = "a function in a VPC needs publicAccess (or a NAT gateway) to reach it"
_APPROVED = 0  # StatusCode: SendSms takes no other
_STATES = {1: "is still being reviewed", 2: "is approved, but not in effect yet", -1: "was refused"}
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


class Refused(Exception):  # noqa: N818 - it is an answer
    """A request that failed: its finding, and whether every other request would fail for the same reason."""

    def __init__(self, finding: Finding, *, always: bool) -> None:
        super().__init__()
        self.finding, self.always = finding, always


def check(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check the credentials, then the template and the signature of each application: mainland and international."""
    secret_id, secret_key, token = (
        environ.get(f"TENCENTCLOUD_{name}", "") for name in ("SECRETID", "SECRETKEY", "SESSIONTOKEN")
    )
    if not (secret_id and secret_key):
        todo = "give the function an execution role; to check from elsewhere, set TENCENTCLOUD_SECRETID and …SECRETKEY"
        yield problem("credentials", "missing from the environment: no code can be sent", todo)
        return
    if not token:
        todo = "use an execution role on SCF: its credentials are temporary and rotate by themselves"
        yield warning("credentials.kind", "permanent: TENCENTCLOUD_SESSIONTOKEN is not set", todo)
    else:
        yield ok("credentials.kind", "temporary")
    account = _Account(settings, environ)
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
                yield ok("credentials", "accepted")
                told = True
            yield from findings


class _Account:
    """Calls the SMS API of the account. `accepted` is True once Tencent Cloud has accepted its credentials."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        where = {"region": settings.sms_region, "endpoint": settings.sms_endpoint}
        self._api = sms_api(environ, timeout=_TIMEOUT, **where)
        self.accepted = False

    def ask(self, action: str, request: Any, about: str) -> Any:
        """Return the answer to a request. Raises Refused."""
        from tencentcloud.common.exception import TencentCloudSDKException  # noqa: PLC0415 - heavy, and Redis is checked before

        try:
            answer = self._api.call(action, request)
        except TimeoutError:
            found = f"Tencent Cloud did not answer within {_TIMEOUT:.0f} s"
            raise Refused(problem("tencent", found, _OUTSIDE), always=True) from None
        except TencentCloudSDKException as error:
            refused = _refused(error.get_code() or "no code", action, about)
            self.accepted = self.accepted or not refused.always
            raise refused from None
        self.accepted = True
        return answer


def _templates(account: _Account, side: Side) -> Iterator[Finding]:
    """Check the template of the login, and those of the purposes that have their own."""
    yield from _template(account, side, "", f"{side.prefix}TEMPLATE_ID", side.route.template_id)
    for purpose, template_id in side.route.purposes.items():
        if template_id:
            yield from _template(account, side, f".{purpose}", f"{side.prefix}PURPOSES", template_id)


def _template(account: _Account, side: Side, of: str, setting: str, template_id: str) -> Iterator[Finding]:
    from tencentcloud.sms.v20210111 import models  # noqa: PLC0415 - as above

    name = f"{side.name}.template{of}"
    if not template_id.isdecimal():
        yield problem(name, f"{setting} is not a number", "copy it from the SMS console")
        return
    request = models.DescribeSmsTemplateListRequest()
    request.International = side.international
    request.TemplateIdSet = [int(template_id)]
    answer = account.ask("DescribeSmsTemplateList", request, name)
    found = [one for one in answer.DescribeTemplateStatusSet or [] if str(one.TemplateId) == template_id]
    if not found:
        where = "global SMS" if side.international else "mainland China"
        todo = f"check in the SMS console that the template belongs to this account and is for {where}"
        yield problem(name, f"{setting} names a template that does not exist", todo)
        return
    yield _state(name, setting, found[0])
    yield _parameters(side, f"{side.name}.parameters{of}", found[0].TemplateContent or "")


def _parameters(side: Side, name: str, text: str) -> Finding:
    """Show the template beside the values that SMS_TEMPLATE_PARAMS puts into it: only a person can tell if they fit."""
    numbers = sorted(set(map(int, _VARIABLE.findall(text))))
    if numbers != [*range(1, len(side.params) + 1)]:
        variables = ", ".join(f"{{{number}}}" for number in numbers) or "no variable"
        found = f"the template has {variables}, but SMS_TEMPLATE_PARAMS is {','.join(side.params)}: “{text}”"
        return problem(name, found, "set SMS_TEMPLATE_PARAMS to one value for each variable, or use another template")
    values = ", ".join(f"{{{number}}} = {value}" for number, value in zip(numbers, side.params, strict=True))
    return ok(name, f"{values} in “{text}”")


def _sign(account: _Account, side: Side) -> Iterator[Finding]:
    from tencentcloud.sms.v20210111 import models  # noqa: PLC0415 - as above

    name, setting = f"{side.name}.sign", f"{side.prefix}SIGN"
    if not side.route.sign:  # optional outside mainland China
        yield ok(name, f"{setting} is not set")
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
        todo = "copy the signature's text from the SMS console, without the brackets 【】"
        yield problem(name, f"{setting} names a signature that this account does not have", todo)
        return
    best = next((one for one in signs if one.StatusCode == _APPROVED), signs[0])
    yield _state(name, setting, best)


def _state(name: str, setting: str, found: Any) -> Finding:
    if found.StatusCode == _APPROVED:
        return ok(name, "approved")
    state = _STATES.get(found.StatusCode, f"has the unknown status {found.StatusCode}")
    why = f" ({found.ReviewReply})" if found.ReviewReply else ""
    todo = "wait for the review" if found.StatusCode in (1, 2) else "submit another in the SMS console"
    return problem(name, f"{setting} {state}{why}: SendSms refuses it", todo)


def _refused(code: str, action: str, about: str) -> Refused:
    if code.startswith(("ClientNetworkError", "ServerNetworkError")):
        return Refused(problem("tencent", f"Tencent Cloud cannot be reached: {code}", _OUTSIDE), always=True)
    if code == "AuthFailure.SignatureExpire":
        todo = "set the clock: Tencent Cloud refuses every SMS until then"
        return Refused(
            problem("clock.tencent", "differs from Tencent Cloud's by more than five minutes", todo), always=True
        )
    if code == "UnauthorizedOperation.RequestPermissionDeny":
        todo = "the account belongs to a person, whom the API refuses: look in the SMS console instead"
        return Refused(warning(about, f"not checked: {code}", todo), always=False)
    if code.startswith("UnauthorizedOperation") or code == "AuthFailure.UnauthorizedOperation":
        todo = f"allow the operator the action sms:{action}, or look in the SMS console instead"
        return Refused(warning(about, f"not checked: {code}", todo), always=False)
    if code.startswith("AuthFailure"):
        todo = (
            "check that id, key and token belong together, that the key is enabled, and that the token has not expired"
        )
        return Refused(problem("credentials", f"refused: {code}", todo), always=True)
    todo = f"look the code up in the documentation of {action}, or check again later"
    return Refused(warning(about, f"not checked: {code}", todo), always=False)
