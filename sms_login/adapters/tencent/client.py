"""The one place that sets up Tencent's SDK: credentials, deadline, transport. It never retries."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sms_login import logs

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

    def call(self, action: str, request: Any) -> Any:
        """Return the answer to a request of the SDK's, such as SendSms; the SDK's own exceptions pass through.

        Raises NoCredentials, and TimeoutError after `timeout`; the call may still succeed after that.
        """
        secret_id, secret_key, _ = self._credential.get_credential_info()
        if not (secret_id and secret_key):
            raise NoCredentials("no credentials in the environment: has the function an execution role?")
        client, started = self._ready_client(), time.perf_counter()
        try:
            return getattr(client, action)(request)
        except Exception as error:
            if isinstance(error.__context__, TimeoutError):  # the SDK wraps all exceptions but its own
                raise TimeoutError from None
            raise
        finally:
            logs.spent(self._name, started)

    def _ready_client(self) -> Any:
        """Return the client, which is made once.

        It builds, signs and parses, and sends through our transport. Its attribute `request` has no underscore, but no
        document promises it either: only the SDK for Java has an option for the HTTP client
        (TencentCloud/tencentcloud-sdk-java#253).
        """
        with self._lock:
            if self._client is None:
                from tencentcloud.common.profile.client_profile import ClientProfile  # noqa: PLC0415 - heavy, and login does without
                from tencentcloud.common.profile.http_profile import HttpProfile  # noqa: PLC0415 - as above

                from sms_login.adapters.tencent.http import Transport  # noqa: PLC0415 - as above

                scheme, _, host = self._endpoint.rstrip("/").rpartition("://")
                http = HttpProfile(protocol=scheme or "https", endpoint=host)
                client = self._make(self._credential, self._region, ClientProfile(httpProfile=http))
                trusted = client.request.conn.certification  # the certificate authorities that the SDK trusts
                client.request = Transport(
                    host, https=http.scheme == "https", authorities=trusted, timeout=self._timeout
                )
                self._client = client
            return self._client


class _Credential:
    """The credentials of the environment, which the SDK reads at every signing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def get_credential_info(self) -> tuple[str, str, str]:
        """Return id, key and session token; each is "" if it is missing."""
        names = ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SESSIONTOKEN")
        secret_id, secret_key, token = (self._environ.get(name, "") for name in names)
        return secret_id, secret_key, token
