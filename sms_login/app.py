"""One request, one answer, one log line; and the only catch-all, for our own bugs."""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from sms_login import logs
from sms_login.errors import HttpMethodNotAllowed, InternalError, InvalidPhone, MissingCode, Refusal
from sms_login.http import events, key_set, messages, parameters
from sms_login.http.client_ip import client_of
from sms_login.http.cors import Origins, from_page
from sms_login.http.events import Request
from sms_login.limits.client import Client
from sms_login.limits.guard import Caller
from sms_login.otp.delivery import Deliveries
from sms_login.otp.login import LoginService
from sms_login.otp.purposes import CHANGE_PHONE, Purpose, bound
from sms_login.otp.send import CodeSent, Sender
from sms_login.otp.verify import Guess
from sms_login.phone import Phone
from sms_login.sessions.service import Sessions
from sms_login.statistics import Statistics

_HEADERS = {"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"}
_SUCCESS = {"zh": "成功", "en": "Success"}
_VERBS = {"GET", "HEAD", "POST", ""}  # "": the event does not name one
_HEAD_METHODS = ("health", "jwks")  # HEAD must change nothing (RFC 9110, section 9.2.1)


class App(msgspec.Struct, kw_only=True, eq=False):
    """Answers the platform's events. `Phone.parse` explains `countries`, `client_ip.client_of` `client_ip_source`."""

    sender: Sender
    deliveries: Deliveries
    login: LoginService
    sessions: Sessions
    statistics: Statistics
    check_redis: Callable[[], None]
    check_users: Callable[[], bool]
    public_keys: Sequence[Mapping[str, str]]
    default_country: str
    countries: frozenset[str] | None
    test_numbers: frozenset[str]  # in E.164
    purposes: Collection[str]
    origins: Origins
    client_ip_source: str
    __repr__ = object.__repr__  # test numbers are whole

    def handle(self, event: Any, context: Any) -> dict[str, Any]:
        """Return the answer to one event, in the platform's form. Never raises."""
        self.sender.conversions.tell()
        return _respond(event, context, self.origins, self._answer, self.statistics.count_request)

    def _answer(self, event: Any, request: Request) -> messages.Answer:
        if request.verb not in _VERBS:
            raise HttpMethodNotAllowed
        query, method = events.read_query(event), messages.method_at(request.path)
        if (query.get("method") or method) == "smsReceipt":  # the body has the receipts, and is read after the key
            params = {**query, "method": "smsReceipt"}
        else:
            params = events.read_params(event, request.headers)
        if method:
            params.setdefault("method", method)
        if request.bearer:
            params.setdefault("token", request.bearer)
        if request.verb == "HEAD" and params.get("method") not in _HEAD_METHODS:
            raise HttpMethodNotAllowed("GET, POST, OPTIONS")
        message = messages.parse(params)
        key = parameters.idempotency_key(request.headers.get("idempotency-key"))
        logs.note(method=message.__struct_config__.tag)
        return self._dispatch(message, key, request, event)

    def _dispatch(self, message: messages.Message, key: str | None, request: Request, event: Any) -> messages.Answer:
        """Answer a message. A new one also needs its type in http/messages.py and its entries in openapi/."""
        answer: messages.Answer = messages.Done()
        match message:
            case (
                messages.GetSms()
                | messages.Login()
                | messages.Verify()
                | messages.ChangePhone()
                | messages.DeleteAccount()
            ):
                answer = self._with_code(message, key, self._client(request))
            case messages.GetSmsStatus():
                answer = self.deliveries.status(self._phone(message), message.session_id, message.serial_no)
            case messages.SmsReceipt():
                self.deliveries.take(message.key, lambda: events.raw_body(event))
                answer = messages.Received()
            case messages.Refresh():
                answer = self.sessions.refresh(message.refresh_token)
            case messages.Logout():
                self.sessions.logout(message.token, message.refresh_token, everywhere=message.everywhere)
            case messages.GetUserInfo():
                answer = self.sessions.user_info(message.token)
            case messages.SetNickname():
                answer = self.sessions.set_nickname(message.token, message.name)
            case messages.Jwks():
                answer = messages.KeySet(self.public_keys)
            case messages.Health():
                self.check_redis()
                answer = messages.Healthy(users="ok" if self.check_users() else msgspec.UNSET)
        return answer

    def _with_code(self, message: messages.WithCode, key: str | None, client: Client) -> messages.Answer:
        """Answer a message that sends a code or uses one."""
        match message:
            case messages.GetSms():
                phone, purpose = self._phone(message), self._purpose(message)
                caller = Caller(client, message.captcha_ticket or "", message.captcha_randstr or "")
                call = message.channel == "voice"
                return self.sender.get_sms(phone, message.session_id, key, caller, purpose, call=call)
            case messages.Verify():
                phone, purpose = self._phone(message), self._purpose(message)
                key = key and f"verify {key}"  # the key of a login answers no verify, and the other way round
                return self.login.prove(Guess(phone, message.code, message.session_id, key, client, purpose))
            case messages.ChangePhone():
                phone, key = self._phone(message), key and f"change {key}"
                guess = Guess(phone, message.code, message.session_id, key, client, CHANGE_PHONE)
                return self.login.change_phone(message.token, message.proof, guess)
            case messages.DeleteAccount():
                self.login.delete_account(message.token, message.code, message.session_id, client)
                return messages.Done()
        return self._log_in(message, key, client)

    def _log_in(self, message: messages.Login, key: str | None, client: Client) -> messages.Answer:
        try:
            phone = self._phone(message)
        except InvalidPhone:
            if message.code or not message.token:
                raise
            # The numbering plan may have changed since the token was issued, so its own number is read all the same.
            owner = self.sessions.access_tokens.verify(message.token).phone
            phone = self._phone(message, frozenset([owner.e164]))
        if message.code:
            return self.login.log_in(Guess(phone, message.code, message.session_id, key, client))
        if message.token:
            return self.sessions.still_logged_in(phone, message.token)
        raise MissingCode

    def _phone(self, message: messages.WithPhone, known: frozenset[str] = frozenset()) -> Phone:
        phone = Phone.parse(message.phone, self.default_country, self.countries, self.test_numbers | known)
        logs.note(phone=str(phone), country=phone.region)
        return phone

    def _purpose(self, message: messages.GetSms | messages.Verify) -> Purpose:
        if message.purpose not in self.purposes:
            raise parameters.malformed("purpose")
        logs.note(purpose=message.purpose)
        return bound(message.purpose, message.detail or "")

    def _client(self, request: Request) -> Client:
        client = client_of(self.client_ip_source, request.source_ip, request.headers)
        logs.note(client=client.counted_as)
        return client


class Misconfigured(msgspec.Struct, frozen=True):
    """Answers every event with InternalError, and logs the problems of the settings."""

    problems: Sequence[str]

    def handle(self, event: Any, context: Any) -> dict[str, Any]:
        """Return InternalError, in the platform's form."""
        return _respond(event, context, None, self._answer, lambda _: None)

    def _answer(self, *_: object) -> messages.Answer:
        logs.note(problems=self.problems)
        raise InternalError


def _respond(
    event: Any,
    context: Any,
    origins: Origins | None,
    answer: Callable[[Any, Request], messages.Answer],
    count: Callable[[Mapping[str, Any]], None],
) -> dict[str, Any]:
    logs.begin()
    started = time.perf_counter()
    request = events.read_head(event, context)
    headers, crash = _HEADERS, None
    envelope: Any = None
    try:
        preflight = origins is not None and request.verb == "OPTIONS"
        if origins and (preflight or from_page(request.verb, request.headers)):
            headers = {**headers, **origins.check(request.headers, preflight=preflight)}
        if preflight:
            status, outcome = 204, "Preflight"
        else:
            data = answer(event, request)
            status, outcome = 200, "Ok" if isinstance(data, CodeSent) else "Success"
            envelope = _envelope(0, outcome, _SUCCESS[request.language], request, data)
            if isinstance(data, messages.Received):
                envelope = data
            if isinstance(data, messages.KeySet):  # in the form of RFC 7517
                status, more = key_set.status_and_headers(request, msgspec.json.encode(data))
                headers, envelope = {**headers, **more}, None if status == HTTPStatus.NOT_MODIFIED else data
    except Exception as error:  # noqa: BLE001 - the one catch-all: any other exception is a bug
        refusal, crash = (error, None) if isinstance(error, Refusal) else (InternalError(), error)
        status, outcome, headers = refusal.status, refusal.name, {**headers, **refusal.headers}
        envelope = _envelope(refusal.number, outcome, refusal.message(request.language), request, refusal.data)
        if refusal.retry_after is not None:
            envelope["retryAfter"] = refusal.retry_after
        if refusal.detail:
            logs.note(detail=logs.redact(refusal.detail)[:300])
    ms = round((time.perf_counter() - started) * 1000, 1)
    logs.note(request_id=request.id, outcome=outcome, status=status, ms=ms)
    level = logging.ERROR if status >= 500 else logging.INFO  # noqa: PLR2004 - HTTP: our fault from here
    count(logs.end(level, error=crash))
    return events.to_event_answer(status, headers, b"" if envelope is None else msgspec.json.encode(envelope))


def _envelope(number: int, name: str, message: str, request: Request, data: Any) -> dict[str, Any]:
    return {"errorCode": number, "codeStr": name, "errorMessage": message, "requestId": request.id, "data": data}
