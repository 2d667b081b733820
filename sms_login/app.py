"""One request, one answer, one log line; and the only catch-all, for our own bugs."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from sms_login import logs
from sms_login.errors import HttpMethodNotAllowed, InternalError, MissingCode, Refusal
from sms_login.http import events, messages
from sms_login.http.client_ip import client_of
from sms_login.http.cors import Origins
from sms_login.http.events import Request
from sms_login.limits.client import Client
from sms_login.limits.guard import Caller
from sms_login.otp.send import CodeSent, Sender
from sms_login.otp.verify import Guess, LoginService
from sms_login.phone import Phone
from sms_login.sessions.service import Sessions

_HEADERS = {"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"}
_SUCCESS = {"zh": "成功", "en": "Success"}
_FROM_A_PAGE = {"origin", "sec-fetch-site"}  # headers that a browser sends and an app does not
_VERBS = {"GET", "HEAD", "POST", ""}  # "": the event does not name one


class App:
    """Answers the platform's events. `http.client_ip.client_of` explains `client_ip_source`."""

    def __init__(
        self,
        *,
        sender: Sender,
        login: LoginService,
        sessions: Sessions,
        ping: Callable[[], None],
        public_keys: Sequence[Mapping[str, str]],
        default_country: str,
        origins: Origins,
        client_ip_source: str,
    ) -> None:
        self.sender = sender
        self.login = login
        self.sessions = sessions
        self._ping = ping
        self._public_keys = public_keys
        self._country = default_country
        self._origins = origins
        self._client_ip_source = client_ip_source
        # Each method takes its message, Idempotency-Key and request. A new one also needs its message in
        # http/messages.py and its entries in openapi/.
        self._methods: dict[type[messages.Message], Callable[[Any, str | None, Request], messages.Answer | None]] = {
            messages.GetSms: self._get_sms,
            messages.Login: self._log_in,
            messages.Refresh: lambda message, *_: sessions.refresh(message.refresh_token),
            messages.Logout: lambda message, *_: sessions.logout(
                message.token, message.refresh_token, everywhere=message.everywhere
            ),
            messages.GetUserInfo: lambda message, *_: sessions.user_info(message.token),
            messages.SetNickname: lambda message, *_: sessions.set_nickname(message.token, message.name),
            messages.DeleteAccount: self._delete_account,
            messages.Jwks: lambda *_: messages.KeySet(self._public_keys),
            messages.Health: self._health,
        }

    def handle(self, event: Any, context: Any) -> dict[str, Any]:
        """Return the answer to one event, in the platform's form. Never raises."""
        return _respond(event, context, self._origins, self._answer)

    def _answer(self, event: Any, request: Request) -> messages.Answer:
        if request.verb not in _VERBS:
            raise HttpMethodNotAllowed
        params = events.read_params(event, request.headers)
        if method := messages.method_at(request.path):
            params.setdefault("method", method)
        if request.bearer:
            params.setdefault("token", request.bearer)
        message = messages.parse(params)
        key = messages.idempotency_key(request.headers.get("idempotency-key"))
        logs.note(method=message.__struct_config__.tag)
        return self._methods[type(message)](message, key, request) or messages.Done()

    def _get_sms(self, message: messages.GetSms, key: str | None, request: Request) -> messages.Answer:
        phone, client = self._phone_and_client(message.phone, request)
        caller = Caller(client, message.captcha_ticket or "", message.captcha_randstr or "")
        return self.sender.get_sms(phone, message.session_id, key, caller)

    def _log_in(self, message: messages.Login, key: str | None, request: Request) -> messages.Answer:
        phone, client = self._phone_and_client(message.phone, request)
        if message.code:
            return self.login.log_in(Guess(phone, message.code, message.session_id, key, client))
        if message.token:
            return self.sessions.still_logged_in(phone, message.token)
        raise MissingCode

    def _delete_account(self, message: messages.DeleteAccount, _key: str | None, request: Request) -> None:
        client = client_of(self._client_ip_source, request.source_ip, request.headers)
        logs.note(client=client.counted_as)
        self.login.delete_account(message.token, message.code, message.session_id, client)

    def _health(self, *_: object) -> messages.Answer:
        self._ping()
        return messages.Healthy()

    def _phone_and_client(self, spelling: str, request: Request) -> tuple[Phone, Client]:
        phone = Phone.parse(spelling, self._country)
        masked = str(phone)
        client = client_of(self._client_ip_source, request.source_ip, request.headers)
        logs.note(phone=masked, country=phone.region, client=client.counted_as)
        return phone, client


class Misconfigured:
    """Answers every event with 500, and logs the problems of the settings."""

    def __init__(self, problems: Sequence[str]) -> None:
        self._problems = problems
        logs.problem("misconfigured", problems=problems)

    def handle(self, event: Any, context: Any) -> dict[str, Any]:
        """Return InternalError, in the platform's form."""
        return _respond(event, context, None, self._answer)

    def _answer(self, event: Any, request: Request) -> messages.Answer:  # noqa: ARG002 - the same for every request
        logs.note(problems=self._problems)
        raise InternalError


def _respond(
    event: Any, context: Any, origins: Origins | None, answer: Callable[[Any, Request], messages.Answer]
) -> dict[str, Any]:
    logs.begin()
    started = time.perf_counter()
    request = events.read_head(event, context)
    headers, crash = _HEADERS, None
    envelope: Any = None
    try:
        preflight = origins is not None and request.verb == "OPTIONS"
        if origins and (preflight or not _FROM_A_PAGE.isdisjoint(request.headers)):
            headers = {**headers, **origins.check(request.headers, preflight=preflight)}
        if preflight:
            status, outcome = 204, "Preflight"
        else:
            data = answer(event, request)
            status, outcome = 200, "Ok" if isinstance(data, CodeSent) else "Success"
            success = _envelope(0, outcome, _SUCCESS[request.language], request, data)
            envelope = data if isinstance(data, messages.KeySet) else success  # in the form of RFC 7517
    except Exception as error:  # noqa: BLE001 - the one catch-all: any other exception is a bug
        refusal = error if isinstance(error, Refusal) else InternalError()
        crash = None if isinstance(error, Refusal) else error
        status, outcome = refusal.status, refusal.name
        headers, envelope = {**headers, **refusal.headers}, _refused(refusal, request)
        if refusal.detail:
            logs.note(detail=logs.redact(refusal.detail)[:300])
    ms = round((time.perf_counter() - started) * 1000, 1)
    logs.note(request_id=request.id, outcome=outcome, status=status, ms=ms)
    logs.end(logging.ERROR if status >= 500 else logging.INFO, error=crash)  # noqa: PLR2004 - HTTP: our fault from here
    return events.to_event_answer(status, headers, b"" if envelope is None else msgspec.json.encode(envelope))


def _refused(refusal: Refusal, request: Request) -> dict[str, Any]:
    envelope = _envelope(refusal.number, refusal.name, refusal.message(request.language), request, refusal.data)
    return envelope if refusal.retry_after is None else {**envelope, "retryAfter": refusal.retry_after}


def _envelope(number: int, name: str, message: str, request: Request, data: Any) -> dict[str, Any]:
    return {"errorCode": number, "codeStr": name, "errorMessage": message, "requestId": request.id, "data": data}
