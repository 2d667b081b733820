"""The one place where Tencent's SDK is set up: credentials, deadline, connections. It never retries."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import copy_context
from typing import Any

from sms_login import logs

_IDLE = 30.0  # s without use after which a connection may be dropped on the way, which would leave a sending unclear

# At DEBUG the SDK logs whole requests, the code included.
logging.getLogger("tencentcloud_sdk_common").setLevel(logging.INFO)


class NoCredentials(Exception):  # noqa: N818 - it says what there is not
    """The environment has no key to sign with."""


class TencentClient:
    """One of the SDK's clients, made by `make(credential, region, profile)` when it is first needed.

    `name` is how log lines call it. `environ` holds the credentials, read at every signing, since SCF replaces them.
    `timeout` is for a whole call, in seconds. One client and its kept connections serve all threads.
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

    def call(self, action: Callable[[Any], Any]) -> Any:
        """Return what `action(client)` returns, or raise what it raises, such as the SDK's own exception.

        Raises NoCredentials, and TimeoutError when it has taken too long; it may still succeed after that.
        """
        if not self._credential.complete():
            raise NoCredentials("no credentials in the environment: has the function an execution role?")
        client = self._ready_client()
        with logs.outside(self._name):
            return _within(self._timeout, lambda: action(client))

    def _ready_client(self) -> Any:
        """Return the client, made anew every _IDLE seconds: none of its connections has then been idle for longer.

        How long each has been, nothing tells, and those of an earlier burst stay in its pool while others are used.
        """
        from tencentcloud.common.profile.client_profile import ClientProfile  # noqa: PLC0415 - heavy, and not for login
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
    """The SDK asks it at every signing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def complete(self) -> bool:
        secret_id, secret_key, _ = self.get_credential_info()
        return bool(secret_id and secret_key)

    def get_credential_info(self) -> tuple[str, str, str]:
        """Return id, key and session token, "" for what is missing."""
        names = ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SESSIONTOKEN")
        secret_id, secret_key, token = (self._environ.get(name, "") for name in names)
        return secret_id, secret_key, token


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return what `call` returns, or raise what it raises. Raises TimeoutError after `seconds`.

    The SDK's timeout is for each read, and for neither name resolution nor a trickling answer; only another thread sees
    the whole. It is a daemon, so that it cannot hold up the end of the process, and runs in our context, to which the
    credentials of the request belong.
    """
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the waiting thread
            answers.put((None, error))

    threading.Thread(target=copy_context().run, args=(run,), daemon=True, name="Tencent Cloud").start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return answer
