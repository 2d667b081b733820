"""The actions DescribeSmsTemplateList and DescribeSmsSignList, API version 2021-01-11: the texts of an account."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from local import parameters
from local.errors import ApiError

VERSION = "2021-01-11"
APPROVED, PENDING, REFUSED = 0, 1, -1  # StatusCode of either
MAINLAND, ABROAD, BOTH = 0, 1, 3  # International; a template may serve both
MARKETING, NOTICE, OTP = 1, 2, 3  # SmsType, which no list shows
MAX_IDS = 100  # in one request; also the highest Limit
SIGNS = 10  # listed without a Limit; for templates the default is none

# Templates by the function's setting SMS_TEMPLATE_PARAMS. Spaces around the code let `grep -w` find it.
_TEXTS = {
    MAINLAND: {
        "code,minutes": "{1} 为您的登录验证码，{2} 分钟内有效。",
        "minutes,code": "请于 {1} 分钟内填写登录验证码 {2}。",
        "code": "{1} 为您的登录验证码。",
    },
    ABROAD: {
        "code,minutes": "{1} is your sign-in code, valid for {2} minutes.",
        "minutes,code": "Within {1} minutes, enter your sign-in code {2}.",
        "code": "{1} is your sign-in code.",
    },
}
# In place of "登录" and "sign-in", by purpose.
_USES = {
    "resetPassword": ("重置密码", "password-reset"),
    "pay": ("付款", "payment"),
    "changePhone": ("更换手机号", "change-of-number"),
}
_INTEGERS = ("International", "Limit", "Offset")


class Template(NamedTuple):
    """A template; ``reply`` is the reviewer's remark, ``sms_type`` its SmsType when it was added.

    Until ``decided``, in epoch seconds, it is in review.
    """

    id: int
    content: str
    international: int = MAINLAND
    status: int = APPROVED
    reply: str = ""
    created: float = 1_700_000_000
    decided: float = 0
    name: str = "sign in"
    sms_type: int = OTP


class Sign(NamedTuple):
    """A signature, reviewed as a template is."""

    id: int
    name: str
    international: int = MAINLAND
    status: int = APPROVED
    reply: str = ""
    created: float = 1_700_000_000
    decided: float = 0


class Catalogue:
    """The templates and signatures of the account. Assign ``templates`` or ``signs`` as a whole to change them.

    ``clock`` returns epoch seconds; it decides which of them are still in review.
    """

    def __init__(self, templates: Sequence[Template] = (), signs: Sequence[Sign] = ()) -> None:
        self.templates, self.signs, self.clock = templates, signs, time.time

    def template(self, template_id: str, side: int) -> Template | None:
        """Return a template for one side of the border, or None if it is unknown."""
        return next((one for one in self._templates_of(side) if str(one.id) == template_id), None)

    def text(self, template_id: str, variables: Sequence[str], side: int) -> str:
        """Return the text of an SMS; an unknown template has a default text."""
        template = self.template(template_id, side)
        text = template.content if template else content("code,minutes" if len(variables) > 1 else "code", side)
        for place, variable in enumerate(variables, 1):
            text = text.replace(f"{{{place}}}", variable)
        return text

    def describe_templates(self, body: Any) -> dict[str, Any]:
        """Answer DescribeSmsTemplateList; raises ApiError with the platform's code."""
        params = _validate(body, "TemplateIdSet")
        found = self._templates_of(params["International"])
        return {
            "DescribeTemplateStatusSet": [
                {
                    **_common(template, self.clock()),
                    "TemplateId": template.id,
                    "TemplateName": template.name,
                    "TemplateContent": template.content,
                }
                for template in _part(found, params, "TemplateIdSet", 0)
            ]
        }

    def describe_signs(self, body: Any) -> dict[str, Any]:
        """Answer DescribeSmsSignList; raises ApiError with the platform's code."""
        params = _validate(body, "SignIdSet")
        found = [sign for sign in self.signs if sign.international == params["International"]]
        return {
            "DescribeSignListStatusSet": [
                {
                    **_common(sign, self.clock()),
                    "SignId": sign.id,
                    "SignName": sign.name,
                    "QualificationId": 0,
                    "QualificationName": "",
                    "QualificationStatusCode": 0 if sign.international else 1,
                }
                for sign in _part(found, params, "SignIdSet", SIGNS)
            ]
        }

    def _templates_of(self, side: int) -> list[Template]:
        return [template for template in self.templates if template.international in (side, BOTH)]


def content(params: str, side: int, purpose: str = "login") -> str:
    """Return a template for the function's setting SMS_TEMPLATE_PARAMS: Chinese, or for numbers abroad English."""
    texts, (chinese, english) = _TEXTS[side], _USES.get(purpose, ("登录", "sign-in"))
    text = texts.get(params.replace(" ", ""), texts["code,minutes"])
    return text.replace("登录", chinese).replace("sign-in", english)


def _validate(body: Any, ids: str) -> dict[str, Any]:
    types = dict.fromkeys(_INTEGERS, parameters.integer) | {ids: parameters.integers}
    params = parameters.check(body, types, ("International",))
    if params["International"] not in (MAINLAND, ABROAD):
        raise ApiError("InvalidParameterValue", "`International` must be 0 or 1.")
    if len(params.get(ids, [])) > MAX_IDS or not 0 <= params.get("Limit", 0) <= MAX_IDS:
        raise ApiError("InvalidParameterValue", f"One request has at most {MAX_IDS}.")
    return params


def _part(found: Sequence[Any], params: dict[str, Any], ids: str, limit: int) -> Sequence[Any]:
    """Return the requested items: by id, otherwise by Offset and Limit."""
    if params.get(ids):
        return [one for one in found if one.id in params[ids]]
    offset = params.get("Offset", 0)
    return found[offset : offset + params.get("Limit", limit)]


def _common(one: Template | Sign, now: float) -> dict[str, Any]:
    decided = one.decided <= now
    return {
        "International": one.international,
        "StatusCode": one.status if decided else PENDING,
        "ReviewReply": one.reply if decided else "",
        "CreateTime": int(one.created),
    }
