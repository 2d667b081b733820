"""Shows a developer the Redis keys of one number. No code can be read from them: Redis has its digest alone."""

import contextlib
from collections.abc import Mapping
from typing import Any

import phonenumbers
import redis

from sms_login.adapters.redis.client import connect

MAX_KEYS = 200  # of a number; it has about ten, and a hundred sessions at most
_FAILURES = (redis.RedisError, redis.exceptions.RedisClusterException, OSError)


def e164(spelling: str) -> str:
    """Return the number as the function names its keys: "8613800138000" is "+8613800138000". Raises ValueError."""
    try:
        # The plus of a number in a URL arrives as a space, unless it was written as %2B.
        number = phonenumbers.parse("+" + spelling.strip().lstrip("+"))
    except phonenumbers.NumberParseException:
        raise ValueError("phone must be a number with its area code, such as 8613800138000") from None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def trouble(environ: Mapping[str, str]) -> str:
    """Return a sentence on why the function's Redis cannot be used; "" if it can. ``environ`` is the function's."""
    try:
        with contextlib.closing(_connect(environ)) as client:
            client.ping()
    except redis.AuthenticationError:
        what = "wants another REDIS_PASSWORD"
    except _FAILURES:
        what = "does not answer"
    else:
        return ""
    address = f"{environ['REDIS_HOST']}:{environ.get('REDIS_PORT') or 6379}"
    return f"Redis at {address} {what}: every call will be refused with 503."


def keys_of(phone: str, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the keys of a number (E.164) by name: ``key``, ``type``, ``ttl`` in ms (None: no expiry) and ``value``.

    ``environ`` is the function's, and leads to its Redis. Raises ConnectionError if that does not answer.
    """
    try:
        with contextlib.closing(_connect(environ)) as client:
            # All keys of a number carry it as their hash tag, which is how a cluster keeps them together.
            names = sorted({str(key) for key in client.scan_iter(match=f"*{{{phone}}}*", count=1000)})
            found = [_read(client, name) for name in names[:MAX_KEYS]]
    except _FAILURES as error:
        raise ConnectionError(f"Redis does not answer ({type(error).__name__})") from None
    return [key for key in found if key["type"] != "none"]  # it expired in between


def _connect(environ: Mapping[str, str]) -> Any:
    return connect(
        environ.get("REDIS_HOST", ""),
        int(environ.get("REDIS_PORT") or 6379),
        password=environ.get("REDIS_PASSWORD") or None,
        db=int(environ.get("REDIS_DB") or 0),
        tls=_is_on(environ, "REDIS_TLS"),
        ca_file=environ.get("REDIS_CA_FILE"),
        tls_name=environ.get("REDIS_TLS_NAME", ""),
        cluster=_is_on(environ, "REDIS_CLUSTER"),
    )


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() in {"1", "true"}


def _read(client: Any, key: str) -> dict[str, Any]:
    kind = client.type(key)
    read = {"hash": client.hgetall, "string": client.get, "list": lambda name: client.lrange(name, 0, -1)}
    ttl = client.pttl(key)
    return {
        "key": key,
        "type": kind,
        "ttl": ttl if ttl >= 0 else None,
        "value": read[kind](key) if kind in read else None,
    }
