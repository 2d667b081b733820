"""Advice on the errors of Redis: docs/operations.md says when a server answers with them."""

import re
import socket
import ssl
from contextlib import suppress
from typing import Any

import redis

from sms_login.settings.settings import Settings

_SLOWEST = 2.0  # s for a connection

# By a pattern of the error: Redis's first word or redis-py's name for it. Before 7.0, Redis reports the refusal of a
# script's command as an error of the script.
_REFUSALS = {
    "ReadOnly|READONLY|read only": "REDIS_HOST is a read-only replica: use the address of the instance itself",
    "MasterDown|MASTERDOWN|MASTER is down": (
        "REDIS_HOST is a replica that has lost its primary: use the address of the instance itself"
    ),
    "NOREPLICAS": "it has too few replicas: repair them, or the network between; min-replicas-to-write says how many",
    "OutOfMemory|OOM ": "the memory is full: enlarge the instance",
    "MISCONF": "it cannot write to its disk: look at its space and at the server's own log",
    "BusyLoading|LOADING": "it loads its data after a start: wait, then check again",
    "BUSY": "a script of another user runs on and on: end it with SCRIPT KILL",
    "ClusterDown|CLUSTERDOWN": "the cluster lacks slots, or REDIS_HOST has left it: use a node that belongs to it",
    "max number of clients": "all its connections are taken: raise maxclients, or lower the function's concurrency",
}


def refused(detail: str) -> str:
    """Return the advice on a server that answers, and refuses our scripts."""
    return (
        _advice(detail) or "check in the console that the account may read and write, and that no command is disabled"
    )


def unreachable(settings: Settings, error: Exception) -> str:
    """Return the advice on a server that does not answer a PING."""
    if advice := _advice(f"{type(error).__name__} {error}"):
        return advice
    if "DB index" in str(error):
        return "set REDIS_DB to one that the instance has, such as 0"
    if isinstance(error, redis.AuthenticationError) or "AUTH" in str(error):
        return "REDIS_PASSWORD must be the instance's password, or instanceId:password; empty if the instance has none"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return _distrusted(settings, str(error))
    tls = "REDIS_TLS and REDIS_CA_FILE are right" if settings.redis_tls else "it does not require TLS (REDIS_TLS)"
    return (
        "a TencentDB instance is reachable from its own VPC only: run this there, and give the function the same VPC "
        f"(vpcConfig); check that its security group admits the port, and that {tls}"
    )


def _advice(error: str) -> str:
    return next((advice for pattern, advice in _REFUSALS.items() if re.search(pattern, error)), "")


def _distrusted(settings: Settings, error: str) -> str:
    """Say whether the CA or the name is wrong. A wrong CA hides a wrong name."""
    if "not valid for" in error:
        names = ", ".join(_names(settings)) or "none"
        return f"the CA is right, the name is not: set REDIS_TLS_NAME to a name in the certificate ({names}), or to *"
    if "expired" in error or "not yet valid" in error:
        return "renew the certificate there, or correct this machine's clock"
    which = "REDIS_CA_FILE is another CA's" if settings.redis_ca_file else "there is no REDIS_CA_FILE"
    return f"{which}: name the file of the CA that signed this certificate, then check again, for the name too"


def _names(settings: Settings) -> list[str]:
    """Return the names in a certificate that is trusted."""
    context = ssl.create_default_context(cafile=settings.redis_ca_file or None)
    context.check_hostname = False
    address = (settings.redis_host, settings.redis_port)
    found: Any = ()
    with suppress(OSError), socket.create_connection(address, _SLOWEST) as plain, context.wrap_socket(plain) as tls:
        found = (tls.getpeercert() or {}).get("subjectAltName", ())
    return [str(name) for _, name in found]
