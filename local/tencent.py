"""A stand-in for sms.tencentcloudapi.com: it checks what the real SDK signs and keeps each SMS in an inbox."""

import hmac
import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timezone
from email.message import Message as Headers
from typing import Any

from local import failures, send_sms, tc3
from local.api_server import ApiServer, NoReply, Reply
from local.errors import ApiError

INBOX_SIZE = 1000  # messages; older ones are forgotten


@dataclass(frozen=True)
class Message:
    """One SMS that was accepted. ``phone`` is E.164, ``sent_at`` in epoch seconds."""

    phone: str
    text: str
    params: list[str]
    sent_at: float

    def as_json(self) -> dict[str, Any]:
        """Return what the inbox shows; ``sentAt`` is ISO 8601, in UTC, with milliseconds."""
        sent_at = datetime.fromtimestamp(self.sent_at, timezone.utc).isoformat(timespec="milliseconds")
        return {
            "phone": self.phone,
            "text": self.text,
            "params": self.params,
            "sentAt": sent_at.replace("+00:00", "Z"),
        }


class TencentStandIn(AbstractContextManager["TencentStandIn"]):
    """Tencent Cloud's SMS API at ``url``, on loopback, from construction to ``close()``; also a context manager.

    ``token`` is the session token that a request must carry (None: none is asked for), ``sign`` stands in the text of
    an SMS whose request has no SignName, ``port`` 0 takes a free one, ``clock`` gives epoch seconds. ``on_message`` is
    called for each SMS, in the thread of its request. Raises OSError if the port is taken.
    """

    def __init__(
        self,
        *,
        secret_id: str,
        secret_key: str,
        token: str | None = None,
        sign: str = "sms-login",
        port: int = 0,
        clock: Callable[[], float] = time.time,
        on_message: Callable[[Message], None] | None = None,
    ) -> None:
        self._secret_id, self._secret_key, self._token = secret_id, secret_key, token
        self._sign, self._clock, self._on_message = sign, clock, on_message
        self._failures = failures.Failures()
        self._messages: deque[Message] = deque(maxlen=INBOX_SIZE)
        self._lock = threading.Lock()
        self._server = ApiServer(port, self._answer)
        self.url = self._server.url

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every connection, also one that waits for its answer, and return when it is done; may be repeated."""
        self._server.close()

    @property
    def connections(self) -> int:
        """The number of TCP connections accepted so far: it shows whether a client keeps its own."""
        return self._server.connections

    @property
    def failing(self) -> tuple[str, int | None]:
        """The present mode of ``fail`` ("off" is normal) and how many requests it will still fail (None: all)."""
        return self._failures.get()

    def fail(self, mode: str | None, times: int | None = None) -> None:
        """Fail the next ``times`` requests (None: all). Raises ValueError, listing the modes, for any other word.

        - ``refusal``, ``throttle``: the number is refused (SMS package used up; asked again within 30 seconds);
        - ``timeout``: the SMS is kept, the answer never comes;
        - ``reset``: the connection is reset, nothing is kept;
        - ``charset``: all goes well, but the Content-Type names a charset, so the SDK skips its check for errors;
        - a code of Tencent Cloud: AuthFailure, RequestLimitExceeded, InternalError and codes without a dot refuse the
          request, others the number; nothing is kept;
        - ``off`` or None: back to normal.
        """
        self._failures.set(mode, times)

    def inbox(self, phone: str | None = None) -> list[Message]:
        """Return the messages kept, newest first; with ``phone`` (E.164) only those to that number."""
        with self._lock:
            return [message for message in self._messages if phone in (None, message.phone)]

    def _answer(self, headers: Headers, body: bytes) -> Reply | NoReply:
        mode = self._failures.take()
        if mode == "reset":
            return NoReply.RESET
        try:
            params = self._params(headers, body, fail_with=failures.request_code(mode))
        except ApiError as error:
            return _reply({"Error": {"Code": error.code, "Message": error.message}})
        statuses = [self._send(phone, params, failures.number_code(mode)) for phone in params["PhoneNumberSet"]]
        if mode == "timeout":
            return NoReply.HANG
        return _reply({"SendStatusSet": statuses}, "application/json; charset=utf-8" if mode == "charset" else None)

    def _params(self, headers: Headers, body: bytes, *, fail_with: str | None) -> dict[str, Any]:
        """Return the parameters of a request that is right in all its parts; raises ApiError for any other."""
        for name in ("Action", "Version", "Region"):
            if f"X-TC-{name}" not in headers:
                raise ApiError("MissingParameter", f"The request is missing a required parameter `{name}`.")
        if headers["X-TC-Action"] != "SendSms":
            raise ApiError("InvalidAction", "The action is not one of this stand-in's.")
        if headers["X-TC-Version"] != send_sms.VERSION:
            raise ApiError("NoSuchVersion", f"The version of SendSms is {send_sms.VERSION}.")
        tc3.verify(
            headers,
            body,
            service="sms",
            secret_id=self._secret_id,
            secret_key=self._secret_key,
            now=self._clock(),
        )
        token = headers.get("X-TC-Token", "")
        if self._token is not None and not hmac.compare_digest(token.encode(), self._token.encode()):
            raise ApiError("AuthFailure.TokenFailure", "The token is not the one of this key.")
        params = send_sms.validate(_json(body))
        if fail_with:
            raise ApiError(fail_with, "The stand-in was told to fail.")
        return params

    def _send(self, phone: str, params: dict[str, Any], fail_with: str | None) -> dict[str, Any]:
        refused = send_sms.refusal(phone, params)
        if refused is None and fail_with:
            refused = send_sms.Refusal(fail_with, "the stand-in was told to fail")
        if refused is None:
            text = send_sms.text(params, self._sign)
            message = Message(phone, text, params["TemplateParamSet"], self._clock())
            with self._lock:
                self._messages.appendleft(message)
            if self._on_message:
                self._on_message(message)
        return send_sms.status(phone, params, refused)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:  # also for what is not UTF-8
        raise ApiError("InvalidParameter", "The body is not JSON.") from None


def _reply(response: dict[str, Any], content_type: str | None = None) -> Reply:
    return Reply({**response, "RequestId": str(uuid.uuid4())}, content_type or "application/json")
