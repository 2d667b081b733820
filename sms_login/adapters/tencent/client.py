"""The one place that sets up Tencent's SDK: credentials, deadline, connections. It never retries."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import copy_context
from typing import Any

from sms_login import logs

_IDLE = 30.0  # s; the network may drop a connection that is idle for longer, and a sending would end without an answer

# At DEBUG the SDK logs whole requests, the code included.
logging.getLogger("tencentcloud_sdk_common").setLevel(logging.INFO)


class NoCredentials(Exception):  # noqa: N818 - named after its cause
    """The environment has no key to sign with."""


class TencentClient:
    """One of the SDK's clients, made by `make(credential, region, profile)` when it is first needed.

    Log lines call it `name`. `environ` holds the credentials, read at every signing, since SCF replaces them. `timeout`
    limits a whole call, in seconds. One client and its kept connections serve all threads.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        make: Callable[[Any, str, Any], Any],
        *,
        name: str,
        region: str,
        endpoint: str,
        timeout: float,
    ) -> None:
        self._credential = _Credential(environ)
        self._make = make
        self._name = name
        self._region = region
        self._endpoint = endpoint
        self._timeout = timeout
        self._lock = threading.Lock()
        self._client: Any = None
        self._made = 0.0

    def call(self, action: str, request: Any) -> Any:
        """Return the answer to a request of the SDK's, such as SendSms; the SDK's own exceptions pass through.

        Raises NoCredentials, and TimeoutError after `timeout`; the call may still succeed after that.
        """
        if not self._credential.complete():
            raise NoCredentials("no credentials in the environment: has the function an execution role?")
        client, started = self._ready_client(), time.perf_counter()
        try:
            return _within(self._timeout, lambda: getattr(client, action)(request))
        finally:
            logs.spent(self._name, started)

    def _ready_client(self) -> Any:
        """Return the client, replaced every _IDLE seconds, so that no connection of it is idle for longer.

        The SDK does not tell how long a connection has been idle, and keeps those of an earlier burst in its pool.
        """
        from tencentcloud.common.profile.client_profile import ClientProfile  # noqa: PLC0415 - heavy, and login does without
        from tencentcloud.common.profile.http_profile import HttpProfile  # noqa: PLC0415 - as above

        with self._lock:
            now = time.monotonic()
            if self._client is None or now - self._made > _IDLE:
                scheme, _, host = self._endpoint.rpartition("://")
                http = HttpProfile(protocol=scheme or "https", endpoint=host.rstrip("/"), reqTimeout=self._timeout)
                self._client = self._make(self._credential, self._region, ClientProfile(httpProfile=http))
                self._made = now
            return self._client


class _Credential:
    """The credentials of the environment, which the SDK reads at every signing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def complete(self) -> bool:
        secret_id, secret_key, _ = self.get_credential_info()
        return bool(secret_id and secret_key)

    def get_credential_info(self) -> tuple[str, str, str]:
        """Return id, key and session token; each is "" if it is missing."""
        names = ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SESSIONTOKEN")
        secret_id, secret_key, token = (self._environ.get(name, "") for name in names)
        return secret_id, secret_key, token


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return the result of `call`, whose exceptions pass through. Raises TimeoutError after `seconds`.

    The SDK's timeout limits each read, but neither name resolution nor a trickling answer, so `call` has a thread.
    It is a daemon, to let the process end, and runs in the caller's context, which has the request's
    credentials.
    """
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises it again
            answers.put((None, error))

    threading.Thread(target=copy_context().run, args=(run,), daemon=True, name="Tencent Cloud").start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return answer
