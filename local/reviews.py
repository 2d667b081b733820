"""The actions that add and delete signatures and templates, and their review, API version 2021-01-11.

The reviewers approve after a few seconds. An application whose remark is `refuse` with a reason, like "refuse: the
picture is blurred", is refused with that reason.
"""

import base64
import binascii
import itertools
import re
from collections.abc import Callable
from typing import Any

from local import parameters
from local.describe_sms import ABROAD, APPROVED, MAINLAND, REFUSED, Catalogue, Sign, Template
from local.errors import ApiError

SECONDS = 3.0  # of a review
QUALIFICATIONS = range(1, 10_000)  # the ids of approved ones
_PROVES = {0: {0, 1}, 1: {0, 1, 2, 3, 4}, 4: {7}, 5: {2, 3}}  # SignType: DocumentType
_INTEGERS = ("SignType", "DocumentType", "International", "SignPurpose", "QualificationId", "SmsType")
_STRINGS = ("SignName", "ProofImage", "CommissionImage", "Remark", "TemplateName", "TemplateContent")
_TYPES = dict.fromkeys(_INTEGERS, parameters.integer) | dict.fromkeys(_STRINGS, parameters.string)
_SIGN = ("SignName", "SignType", "DocumentType", "International", "SignPurpose", "ProofImage")
_TEMPLATE = ("TemplateName", "TemplateContent", "SmsType", "International", "Remark")
_UNSUBSCRIBE = "拒收请回复R"


class Reviews:
    """Adds to a catalogue and deletes from it; `clock` returns epoch seconds."""

    def __init__(self, catalogue: Catalogue, clock: Callable[[], float]) -> None:
        self._catalogue, self._clock = catalogue, clock
        self._ids = itertools.count(2_000_001)

    def add_sign(self, body: Any) -> dict[str, Any]:
        """Answer AddSmsSign; raises ApiError with the platform's code."""
        params = parameters.check(body, _only(*_SIGN, "CommissionImage", "Remark", "QualificationId"), _SIGN)
        _check_sign(params)
        name, side = params["SignName"], params["International"]
        if any(sign.name == name and sign.international == side for sign in self._catalogue.signs):
            raise ApiError("InvalidParameterValue.SignExistAndUnapproved", "The same signature exists.")
        sign = Sign(next(self._ids), name, side, *self._verdict(params))
        self._catalogue.signs = [*self._catalogue.signs, sign]
        return {"AddSignStatus": {"SignId": sign.id}}

    def add_template(self, body: Any) -> dict[str, Any]:
        """Answer AddSmsTemplate; raises ApiError with the platform's code."""
        params = parameters.check(body, _only(*_TEMPLATE), _TEMPLATE)
        _check_template(params)
        side, text, name = params["International"], params["TemplateContent"], params["TemplateName"]
        if not any(sign.international == side for sign in self._catalogue.signs):
            raise ApiError("FailedOperation.MissingSignature", "Apply for a signature first.")
        template = Template(next(self._ids), text, side, *self._verdict(params), name, params["SmsType"])
        self._catalogue.templates = [*self._catalogue.templates, template]
        return {"AddTemplateStatus": {"TemplateId": str(template.id)}}

    def delete_sign(self, body: Any) -> dict[str, Any]:
        """Answer DeleteSmsSign; raises ApiError with the platform's code."""
        number = parameters.check(body, {"SignId": parameters.integer}, ("SignId",))["SignId"]
        left = [sign for sign in self._catalogue.signs if sign.id != number]
        if len(left) == len(self._catalogue.signs):
            raise ApiError("FailedOperation.SignIdNotExist", "There is no such signature.")
        self._catalogue.signs = left
        return {"DeleteSignStatus": self._deleted()}

    def delete_template(self, body: Any) -> dict[str, Any]:
        """Answer DeleteSmsTemplate; raises ApiError with the platform's code."""
        number = parameters.check(body, {"TemplateId": parameters.integer}, ("TemplateId",))["TemplateId"]
        left = [template for template in self._catalogue.templates if template.id != number]
        if len(left) == len(self._catalogue.templates):
            raise ApiError("FailedOperation.TemplateIdNotExist", "There is no such template.")
        self._catalogue.templates = left
        return {"DeleteTemplateStatus": self._deleted()}

    def _verdict(self, params: dict[str, Any]) -> tuple[int, str, float, float]:
        """Return status, reply, the time of the application and that of the decision."""
        refused = re.fullmatch(r"refuse:?\s*(.*)", params.get("Remark", ""))
        now = self._clock()
        return (
            (REFUSED, refused[1] if refused else "", now, now + SECONDS)
            if refused
            else (APPROVED, "", now, now + SECONDS)
        )

    def _deleted(self) -> dict[str, Any]:
        return {"DeleteStatus": "return successfully!", "DeleteTime": int(self._clock())}


def _only(*names: str) -> dict[str, Callable[[Any], bool]]:
    return {name: _TYPES[name] for name in names}


def _check_sign(params: dict[str, Any]) -> None:
    mainland, kind, document = params["International"] == MAINLAND, params["SignType"], params["DocumentType"]
    _check_side(params)
    if not re.fullmatch(r"[A-Za-z0-9㐀-鿿]{2,12}", params["SignName"]) and mainland:
        raise ApiError("InvalidParameterValue.SignNameLengthTooLong", "A signature has 2 to 12 characters.")
    if document not in _PROVES.get(kind, ()) or (mainland and (kind == 1 or document == 4)):  # noqa: PLR2004 - an app, and its screenshot
        raise ApiError("InvalidParameterValue.InvalidDocumentType", "This document does not prove this kind.")
    images = [params["ProofImage"]]
    if params["SignPurpose"] not in (0, 1) or (params["SignPurpose"] == 1 and not params.get("CommissionImage")):
        raise ApiError(
            "InvalidParameterValue.InvalidSignPurpose", "SignPurpose must be 0 or 1, 1 with CommissionImage."
        )
    for image in [*images, params.get("CommissionImage") or images[0]]:
        _check_image(image)
    if mainland and params.get("QualificationId") not in QUALIFICATIONS:
        raise ApiError("InvalidParameterValue.QualificationIdNotFound", "There is no such qualification.")


def _check_image(text: str) -> None:
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        content = b""
    if not content.startswith((b"\xff\xd8\xff", b"\x89PNG")):
        raise ApiError("InvalidParameterValue.ImageInvalid", "The picture cannot be read.")


def _check_template(params: dict[str, Any]) -> None:
    _check_side(params)
    text, kind = params["TemplateContent"], params["SmsType"]
    numbers = {int(number) for number in re.findall(r"\{([0-9]+)\}", text)}
    if kind not in (1, 2, 3):
        raise ApiError("InvalidParameterValue.InvalidSmsType", "SmsType must be 1, 2 or 3.")
    if not text or "【" in text or numbers != set(range(1, len(numbers) + 1)):
        raise ApiError("InvalidParameterValue.InvalidTemplateFormat", "The format of the template is not valid.")
    if kind == 1 and params["International"] == MAINLAND and not text.endswith(_UNSUBSCRIBE):
        raise ApiError("InvalidParameterValue.MarketingTemplateWithoutUnsubscribe", "It must end with 拒收请回复R.")


def _check_side(params: dict[str, Any]) -> None:
    if params["International"] not in (MAINLAND, ABROAD):
        raise ApiError("InvalidParameterValue.InvalidInternational", "International must be 0 or 1.")
