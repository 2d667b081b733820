"""Advice on the errors of Redis: docs/operations.md says when a server answers with them."""

import re
import socket
import ssl
from contextlib import suppress
from typing import Any

import redis

from sms_admin.language import tr
from sms_login.settings.settings import Settings

_SLOWEST = 2.0  # s for a connection

# By a pattern of the error: Redis's first word or redis-py's name for it. Before 7.0, Redis reports the refusal of a
# script's command as an error of the script.
_REFUSALS = {
    "ReadOnly|READONLY|read only": (
        "REDIS_HOST is a read-only replica: use the address of the instance itself",
        "REDIS_HOST 是只读副本：请使用实例本身的地址",
    ),
    "MasterDown|MASTERDOWN|MASTER is down": (
        "REDIS_HOST is a replica that has lost its primary: use the address of the instance itself",
        "REDIS_HOST 是失去主节点的副本：请使用实例本身的地址",
    ),
    "NOREPLICAS": (
        "it has too few replicas: repair them, or the network between; min-replicas-to-write says how many",
        "副本太少：请修复副本或其间的网络；所需数量见 min-replicas-to-write",
    ),
    "OutOfMemory|OOM ": ("the memory is full: enlarge the instance", "内存已满：请扩容实例"),
    "MISCONF": (
        "it cannot write to its disk: look at its space and at the server's own log",
        "无法写入磁盘：请查看磁盘空间和服务器自己的日志",
    ),
    "BusyLoading|LOADING": (
        "it loads its data after a start: wait, then check again",
        "启动后正在加载数据：请稍后再检查",
    ),
    "BUSY": (
        "a script of another user runs on and on: end it with SCRIPT KILL",
        "其他使用者的脚本一直在运行：请用 SCRIPT KILL 结束它",
    ),
    "ClusterDown|CLUSTERDOWN": (
        "the cluster lacks slots, or REDIS_HOST has left it: use a node that belongs to it",
        "集群缺少槽位，或 REDIS_HOST 已离开集群：请使用集群内的节点",
    ),
    "max number of clients": (
        "all its connections are taken: raise maxclients, or lower the function's concurrency",
        "连接数已满：请调高 maxclients，或降低函数的并发",
    ),
}


def refused(detail: str) -> str:
    """Return the advice on a server that answers, and refuses our scripts."""
    return _advice(detail) or tr(
        "check in the console that the account may read and write, and that no command is disabled",
        "请在控制台检查账号可读写，且没有禁用命令",
    )


def unreachable(settings: Settings, error: Exception) -> str:
    """Return the advice on a server that does not answer a PING."""
    if advice := _advice(f"{type(error).__name__} {error}"):
        return advice
    if "DB index" in str(error):
        return tr("set REDIS_DB to one that the instance has, such as 0", "请将 REDIS_DB 设为实例已有的库，如 0")
    if isinstance(error, redis.AuthenticationError) or "AUTH" in str(error):
        return tr(
            "REDIS_PASSWORD must be the instance's password, or instanceId:password; empty if the instance has none",
            "REDIS_PASSWORD 须为实例的密码或 instanceId:password；实例没有密码时留空",
        )
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return _distrusted(settings, str(error))
    tls = (
        tr("REDIS_TLS and REDIS_CA_FILE are right", "REDIS_TLS 和 REDIS_CA_FILE 正确")
        if settings.redis_tls
        else tr("it does not require TLS (REDIS_TLS)", "它不要求 TLS（REDIS_TLS）")
    )
    return tr(
        "a TencentDB instance is reachable from its own VPC only: run this there, and give the function the same VPC "
        f"(vpcConfig); check that its security group admits the port, and that {tls}",
        "云数据库实例只能在其 VPC 内访问：请在那里运行本命令，并为函数配置同一 VPC（vpcConfig）；"
        f"请检查安全组已放行该端口，且{tls}",
    )


def _advice(error: str) -> str:
    return next((tr(*advice) for pattern, advice in _REFUSALS.items() if re.search(pattern, error)), "")


def _distrusted(settings: Settings, error: str) -> str:
    """Say whether the CA or the name is wrong. A wrong CA hides a wrong name."""
    if "not valid for" in error:
        names = ", ".join(_names(settings)) or tr("none", "没有")
        return tr(
            f"the CA is right, the name is not: set REDIS_TLS_NAME to a name in the certificate ({names}), or to *",
            f"CA 正确，名称不符：请将 REDIS_TLS_NAME 设为证书中的名称（{names}）或 *",
        )
    if "expired" in error or "not yet valid" in error:
        return tr("renew the certificate there, or correct this machine's clock", "请更新服务器的证书，或校准本机时钟")
    which = (
        tr("REDIS_CA_FILE is another CA's", "REDIS_CA_FILE 是另一个 CA 的")
        if settings.redis_ca_file
        else tr("there is no REDIS_CA_FILE", "没有设置 REDIS_CA_FILE")
    )
    return tr(
        f"{which}: name the file of the CA that signed this certificate, then check again, for the name too",
        f"{which}：请指定签发此证书的 CA 的文件，然后再检查一次，名称也会一并检查",
    )


def _names(settings: Settings) -> list[str]:
    """Return the names in a certificate that is trusted."""
    context = ssl.create_default_context(cafile=settings.redis_ca_file or None)
    context.check_hostname = False
    address = (settings.redis_host, settings.redis_port)
    found: Any = ()
    with suppress(OSError), socket.create_connection(address, _SLOWEST) as plain, context.wrap_socket(plain) as tls:
        found = (tls.getpeercert() or {}).get("subjectAltName", ())
    return [str(name) for _, name in found]
