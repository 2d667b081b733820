"""Sign a person in by SMS, with the standard library alone."""

import http.client
import json
import math
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

Answer = dict[str, Any]
Save = Callable[[Answer | None], None]
# No connection, no answer, or one that is not the function's.
LOST = (OSError, http.client.HTTPException, ValueError, LookupError)


class Refused(Exception):
    """The function said no: `code` tells why, the text is for a person, `retry_after` is in seconds."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer["errorMessage"])
        self.code: str = answer["codeStr"]
        self.data: Answer = answer["data"]
        self.retry_after: int | None = answer.get("retryAfter")


class SmsLogin:
    """A login at `url`; several threads may use it at once.

    `tokens` are those of the last time, if any; `save` keeps new ones, and None once they are of no more use.
    """

    def __init__(self, url: str, tokens: Answer | None, save: Save) -> None:
        self._url, self._tokens, self._save = url, tokens, save
        self._refreshing = threading.Lock()

    def send_code(self, phone: str, **more: str) -> Answer:
        """Return sessionId and resendAfter.

        `more`: sessionId to send the same code again; captchaTicket and captchaRandstr after CaptchaRequired.
        """
        try:
            return self._send("getSms", {"phone": phone, **more})
        except Refused as refused:
            if refused.code == "SendUnknown":
                return refused.data  # it may arrive, and its code works
            raise  # TooManyRequests: wait refused.retry_after; CaptchaRequired: show refused.data["captchaAppId"]

    def log_in(self, phone: str, code: str, session_id: str) -> Answer:
        """Return the user."""
        user = self._send("login", {"phone": phone, "code": code, "sessionId": session_id})
        self._keep(user)
        return user

    def call(self, method: str, **params: Any) -> Answer:
        """Call a method with the token of the login, and refresh it if it has expired."""
        used = self._signed_in()
        try:
            return self._send(method, params, used["token"])
        except Refused as refused:
            if refused.code != "TokenExpired":
                self._forget(refused, used)
                raise
        with self._refreshing:  # calls that expire together share one refresh
            if self._tokens is used:
                self._refresh(used)
        return self._send(method, params, self._signed_in()["token"])

    def log_out(self) -> None:
        """End the session, here even if the function does not hear of it."""
        used = self._tokens
        self._keep(None)
        if used:
            try:
                self._send("logout", {"refreshToken": used["refreshToken"]})
            except (Refused, *LOST):
                pass

    def _signed_in(self) -> Answer:
        if self._tokens is None:
            raise RuntimeError("signed out")
        return self._tokens

    def _refresh(self, used: Answer) -> None:
        try:
            self._keep(self._send("refresh", {"refreshToken": used["refreshToken"]}))
        except Refused as refused:
            self._forget(refused, used)
            raise

    def _forget(self, refused: Refused, used: Answer) -> None:
        """Forget the tokens of a session that has ended: show the login."""
        if refused.code in {"TokenInvalid", "NotRegistered"} and self._tokens is used:
            self._keep(None)

    def _keep(self, user: Answer | None) -> None:
        self._tokens = user and {"token": user["token"], "refreshToken": user["refreshToken"]}
        self._save(self._tokens)

    def _send(self, method: str, params: Answer, token: str = "") -> Answer:
        """Repeat a request whose answer was lost, once and with the same key: it sends no second SMS."""
        key = str(uuid.uuid4())
        try:
            return self._post(method, params, key, token)
        except Refused as refused:
            if refused.code != "ServiceUnavailable":
                raise
        except LOST:
            pass
        return self._post(method, params, key, token)

    def _post(self, method: str, params: Answer, key: str, token: str) -> Answer:
        headers = {"Content-Type": "application/json", "Accept-Language": "en", "Idempotency-Key": key}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(f"{self._url}/{method}", json.dumps(params).encode(), headers)
        try:
            # The repeat of a refresh must not come too late.
            with urllib.request.urlopen(request, timeout=8) as response:
                data: Answer = json.load(response)["data"]
                return data
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(json.load(error)) from None


def countdown(seconds: int) -> Iterator[int]:
    """Yield the seconds left, each second, down to 0."""
    end = time.monotonic() + seconds
    while (left := max(0, math.ceil(end - time.monotonic()))) > 0:
        yield left
        time.sleep(min(1, max(0, end - time.monotonic())))
    yield 0
