"""The actions that send: they refuse a number, or keep its message and its receipt."""

from collections.abc import Callable, Sequence
from typing import Any

from local import send_global_sms, send_sms
from local.action import fail
from local.describe_sms import Catalogue
from local.failures import number_code, request_code
from local.fates import Fates
from local.inbox import Inbox, Message
from local.receipts import Receipts


class Sending:
    """Sends into an inbox. ``sign`` is the signature of an SMS whose request has no SignName.

    Each of ``on_answer`` hears the application and the statuses of each answer.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        inbox: Inbox,
        fates: Fates,
        receipts: Receipts,
        *,
        sign: str,
        clock: Callable[[], float],
        on_message: Callable[[Message], None] | None,
    ) -> None:
        self._catalogue, self._inbox, self._fates, self._receipts = catalogue, inbox, fates, receipts
        self._sign, self._clock, self._on_message = sign, clock, on_message
        self.on_answer: Sequence[Callable[[str, list[dict[str, Any]]], None]] = ()

    def send_sms(self, body: Any, mode: str) -> dict[str, Any]:
        """Answer SendSms in a mode of failure; raises ApiError with the platform's code."""
        params = send_sms.validate(body)
        fail(request_code(mode))
        statuses = [self._send(phone, params, number_code(mode)) for phone in params["PhoneNumberSet"]]
        return {"SendStatusSet": self._told(params, statuses)}

    def send_global_sms(self, body: Any, mode: str) -> dict[str, Any]:
        """Answer SendMultiGlobalSms in a mode of failure; raises ApiError with the platform's code."""
        params = send_global_sms.validate(body)
        fail(request_code(mode))
        infos = params["MultiSmsInfoSet"]
        statuses = [self._send(info["PhoneNumber"], info, number_code(mode)) for info in infos]
        return {"SendMultiStatusSet": self._told(params, statuses)}

    def _told(self, params: dict[str, Any], statuses: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for listener in self.on_answer:
            listener(params["SmsSdkAppId"], statuses)
        return statuses

    def _send(self, phone: str, params: dict[str, Any], fail_with: str | None) -> dict[str, Any]:
        side, variables = send_sms.side(phone), params.get("TemplateParamSet", [])
        template = self._catalogue.template(params["TemplateId"], side)
        refused, text = send_sms.refusal(phone, params, template, self._clock()), ""
        fail_with = fail_with or self._fates.refused.get(phone)
        if refused is None and fail_with:
            refused = send_sms.Refusal(fail_with, "the stand-in was told to fail")
        if refused is None:
            body = self._catalogue.text(params["TemplateId"], variables, side)
            text = send_sms.signed(phone, params.get("SignName") or self._sign, body)
        status = send_sms.status(phone, params, refused, send_sms.fee(text))
        if refused is None:
            message = Message(phone, text, variables, self._clock(), status["SerialNo"])
            self._fates.accept(phone, message.serial_no, message.sent_at)
            self.arrive(message)
        return status

    def arrive(self, message: Message) -> None:
        """Keep a message or a call, and post its receipt later."""
        self._inbox.put(message)
        self._receipts.sent(message)
        if self._on_message:
            self._on_message(message)
