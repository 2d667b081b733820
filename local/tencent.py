"""A stand-in for Tencent Cloud's API: it checks the real SDKs' signatures, keeps each SMS, and judges captchas."""

import hmac
import json
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from email.message import Message as Headers
from typing import Any

from local import captcha, describe_sms, invoke, pulls, reviews, send_sms, send_voice, tc3
from local.action import Action, whole
from local.api_server import ApiServer, NoReply, Reply
from local.errors import ApiError
from local.failures import MODES, Failures
from local.fates import Fates
from local.inbox import Inbox, Message
from local.receipts import Receipts
from local.sending import Sending
from local.statistics import Statistics


class TencentStandIn(AbstractContextManager["TencentStandIn"]):
    """The actions at ``url``, on loopback, from construction to ``close()``; a context manager.

    ``token`` is the session token that a request must carry (None: no token), ``sign`` the signature of an SMS whose
    request has no SignName; ``captcha_app_id`` and ``captcha_secret`` belong to the only captcha application,
    ``catalogue`` has the account's templates and signatures, ``functions`` its functions by name, ``port`` 0 takes a
    free one, ``clock`` returns epoch seconds. ``on_message`` is called for each SMS, in the thread of its request.
    Raises OSError if the port is taken, ValueError if ``captcha_app_id`` is not a number.
    """

    def __init__(
        self,
        *,
        secret_id: str,
        secret_key: str,
        token: str | None = None,
        sign: str = "sms-login",
        captcha_app_id: str = captcha.APP_ID,
        captcha_secret: str = captcha.SECRET,
        catalogue: describe_sms.Catalogue | None = None,
        port: int = 0,
        clock: Callable[[], float] = time.time,
        on_message: Callable[[Message], None] | None = None,
    ) -> None:
        self._secret_id, self._secret_key, self._token = secret_id, secret_key, token
        self._tickets = captcha.TicketOffice(app_id=captcha_app_id, secret=captcha_secret, clock=clock)
        self._clock, self._inbox, self.fates, self.receipts = clock, Inbox(), Fates(), Receipts()
        self.catalogue = catalogue or describe_sms.Catalogue()
        self.catalogue.clock = clock
        self.functions: dict[str, invoke.Function] = {}
        self.pulls = pulls.Pulls(clock, self.receipts.taken_code)
        self.statistics = Statistics(clock, self.receipts.code)
        changes = reviews.Reviews(self.catalogue, clock)
        sending = Sending(
            self.catalogue, self._inbox, self.fates, self.receipts, sign=sign, clock=clock, on_message=on_message
        )
        sending.on_answer = (self.statistics.sent, self.pulls.sent)
        self.lose_every = 0  # n: each n-th answer of an action is lost, after its messages were kept
        region = ("Region",)
        self._actions = {
            "SendSms": Action("sms", send_sms.VERSION, region, sending.send_sms, Failures(MODES)),
            "DescribeCaptchaResult": whole("captcha", captcha.VERSION, (), self._verify),
            "SendCodeVoice": whole("vms", send_voice.VERSION, region, send_voice.Calls(clock, sending.arrive).call),
            "DescribeSmsTemplateList": whole("sms", describe_sms.VERSION, region, self.catalogue.describe_templates),
            "DescribeSmsSignList": whole("sms", describe_sms.VERSION, region, self.catalogue.describe_signs),
            "PullSmsSendStatus": whole("sms", describe_sms.VERSION, region, self.pulls.pull),
            "Invoke": whole("scf", invoke.SCF_VERSION, region, lambda body: invoke.invoke(body, self.functions)),
            "GetCallerIdentity": whole("sts", invoke.STS_VERSION, region, invoke.caller),
            "SendStatusStatistics": whole("sms", describe_sms.VERSION, region, self.statistics.send_status),
            "CallbackStatusStatistics": whole("sms", describe_sms.VERSION, region, self.statistics.callback_status),
            "SmsPackagesStatistics": whole("sms", describe_sms.VERSION, region, self.statistics.packages),
            "ReportConversion": whole("sms", describe_sms.VERSION, region, self.statistics.convert),
            "AddSmsSign": whole("sms", describe_sms.VERSION, region, changes.add_sign),
            "AddSmsTemplate": whole("sms", describe_sms.VERSION, region, changes.add_template),
            "DeleteSmsSign": whole("sms", describe_sms.VERSION, region, changes.delete_sign),
            "DeleteSmsTemplate": whole("sms", describe_sms.VERSION, region, changes.delete_template),
            "SendMultiGlobalSms": Action("sms", send_sms.VERSION, region, sending.send_global_sms, Failures(MODES)),
            "PullSmsSendStatusByPhoneNumber": whole("sms", send_sms.VERSION, region, self._receipts),
            "PullSmsReplyStatus": whole("sms", send_sms.VERSION, region, self.fates.replies),
        }
        self._server = ApiServer(port, self._answer, clock)
        self.url = self._server.url

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every connection, also one that waits for its answer, then return. May be called twice."""
        self._server.close()
        self.receipts.close()

    @property
    def connections(self) -> int:
        """The number of TCP connections accepted so far, which shows whether a client reuses its own."""
        return self._server.connections

    @property
    def captcha_calls(self) -> int:
        """The number of requests for DescribeCaptchaResult so far, including refused and failed ones."""
        return self._actions["DescribeCaptchaResult"].failures.requests

    def requests(self, action: str) -> int:
        """Return the number of requests for an action so far, including refused and failed ones."""
        return self._actions[action].failures.requests

    @property
    def failing(self) -> tuple[str, int | None]:
        """The current mode of SendSms ("off" is normal) and the number of requests left to fail (None: all)."""
        return self.failing_of("SendSms")

    def failing_of(self, action: str) -> tuple[str, int | None]:
        """Return ``failing`` for any action. Raises ValueError, which lists the actions, for an unknown one."""
        return self._failures(action).get()

    def fail(self, mode: str | None, times: int | None = None, action: str = "SendSms") -> None:
        """Fail the next ``times`` requests (None: all) for an action; other actions are not affected.

        Raises ValueError, listing the modes or the actions, for any other word.

        - ``refusal``, ``throttle``: the number is refused (SMS package used up; asked again within 30 seconds), only
          for SendSms;
        - ``timeout``: the SMS is kept, or the ticket used up, but no answer is sent;
        - ``reset``: the connection is reset, nothing is kept, no ticket is used up;
        - ``charset``: the request succeeds, but the Content-Type names a charset: the SDK skips its check for errors;
        - a code of Tencent Cloud: nothing is kept, no ticket is used up. For SendSms, AuthFailure,
          RequestLimitExceeded, InternalError and codes without a dot refuse the request, others the number; for
          the other actions any code refuses the request;
        - ``off`` or None: back to normal.

        The action ``Receipt`` sets the fate of the next messages: ``receipts.FATES`` has its modes.
        """
        self._failures(action).set(mode, times)

    def inbox(self, phone: str | None = None) -> list[Message]:
        """Return the messages kept, newest first; with ``phone`` (E.164) only those to that number."""
        return self._inbox.get(phone)

    def captcha_ticket(self, kind: str = "good") -> tuple[str, str]:
        """Return a new ticket and its randstr, as ``captcha.TicketOffice.issue`` does, with its kinds and errors."""
        return self._tickets.issue(kind)

    def _failures(self, action: str) -> Failures:
        switches = {name: each.failures for name, each in self._actions.items()} | {"Receipt": self.receipts.fates}
        if action not in switches:
            raise ValueError(f"unknown action {action!r}; use {' or '.join(switches)}")
        return switches[action]

    def _answer(self, headers: Headers, body: bytes) -> Reply | NoReply:
        action = self._actions.get(headers.get("X-TC-Action", ""))
        mode = action.failures.take() if action else "off"
        if mode == "reset":
            return NoReply.RESET
        try:
            checked = self._checked(action, headers, body)
            response = checked.answer(_json(body), mode)
        except ApiError as error:
            return _reply({"Error": {"Code": error.code, "Message": error.message}})
        if mode == "timeout":
            return NoReply.HANG
        if self.lose_every and checked.failures.requests % self.lose_every == 0:
            return NoReply.RESET
        return _reply(response, "application/json; charset=utf-8" if mode == "charset" else None)

    def _checked(self, action: Action | None, headers: Headers, body: bytes) -> Action:
        """Return the action of a request after checking all but its parameters; raises ApiError."""
        for name in ("Action", "Version", *(action.headers if action else ())):
            if f"X-TC-{name}" not in headers:
                raise ApiError("MissingParameter", f"The request is missing a required parameter `{name}`.")
        if action is None:
            raise ApiError("InvalidAction", "The action is not one of this stand-in's.")
        if headers["X-TC-Version"] != action.version:
            raise ApiError("NoSuchVersion", f"The version of this action is {action.version}.")
        tc3.verify(
            headers,
            body,
            service=action.service,
            secret_id=self._secret_id,
            secret_key=self._secret_key,
            now=self._clock(),
        )
        token = headers.get("X-TC-Token", "")
        if self._token is not None and not hmac.compare_digest(token.encode(), self._token.encode()):
            raise ApiError("AuthFailure.TokenFailure", "The token is not the one of this key.")
        return action

    def _receipts(self, body: Any) -> dict[str, Any]:
        return self.fates.by_number(body, self._clock())

    def _verify(self, body: Any) -> dict[str, Any]:
        return self._tickets.verify(captcha.validate(body))


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:  # also if it is not UTF-8
        raise ApiError("InvalidParameter", "The body is not JSON.") from None


def _reply(response: dict[str, Any], content_type: str | None = None) -> Reply:
    return Reply({**response, "RequestId": str(uuid.uuid4())}, content_type or "application/json")
