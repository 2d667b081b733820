"""The table of users in SQL. Imported only if USERS_URL is set, as are the libraries."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy import inspect, make_url, select

from sms_admin.check.report import Finding, ok, problem
from sms_admin.language import tr
from sms_login.adapters.sql.client import SqlClient, connect
from sms_login.adapters.sql.schema import USERS
from sms_login.adapters.sql.users import SqlUsers
from sms_login.errors import ServiceUnavailable
from sms_login.logs import redact

_CREATE = ("create it: python -m sms_admin.users_table create", "请创建：python -m sms_admin.users_table create")
_ADD = (
    "python -m sms_admin.users_table create adds newer columns; compare others with docs/users.md",
    "python -m sms_admin.users_table create 会加上较新的列；其他列请对照 docs/users.md",
)
_UNREACHABLE = (
    "check that the database is in the function's VPC, and that user and password are right",
    "请检查数据库在函数的 VPC 中，且用户名和密码正确",
)
# MySQL's errors of a server (1290, 1836), a session (1792) or a schema (3989) that only reads, and SQLite's.
_READS = re.compile(r"\b(1290|1836|1792|3989)\b|readonly")
_ONLY_READS = (
    "USERS_URL leads to a server that only reads, such as a replica: use the address of the primary",
    "USERS_URL 指向只读的服务器（如副本）：请使用主库的地址",
)


def check(url: str) -> Iterator[Finding]:
    """Report whether the table of users at a USERS_URL can be read and written, and has all columns."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        missing_file = tr("the file of USERS_URL does not exist", "USERS_URL 的文件不存在")
        yield problem("users", missing_file, tr(*_CREATE))  # connecting would create an empty one
        return
    try:
        engine = connect(url)
    except ModuleNotFoundError as missing:
        found = tr(f"USERS_URL needs {missing.name}", f"USERS_URL 需要 {missing.name}")
        yield problem("users", found, tr("deploy with requirements/sql.txt", "部署时请加上 requirements/sql.txt"))
        return
    with closing(SqlClient(engine)) as client:
        try:
            yield _table(client)
        except ServiceUnavailable as error:
            todo = tr(*(_ONLY_READS if _READS.search(error.detail) else _UNREACHABLE))
            yield problem("users", redact(error.detail), todo)


def _table(client: SqlClient) -> Finding:
    with client.connection() as connection:
        inspector = inspect(connection)
        if not inspector.has_table(USERS.name):
            return problem("users", tr(f"the table {USERS.name} does not exist", f"没有表 {USERS.name}"), tr(*_CREATE))
        there = {column["name"] for column in inspector.get_columns(USERS.name)}
        if missing := [name for name in USERS.columns.keys() if name not in there]:  # noqa: SIM118 - not a mapping
            names = ", ".join(missing)
            return problem(
                "users", tr(f"{USERS.name} has no column {names}", f"{USERS.name} 没有列 {names}"), tr(*_ADD)
            )
        connection.execute(select(USERS).limit(1))
    SqlUsers(client).check()
    found = tr(f"{USERS.name} can be read and written, and has all columns", f"{USERS.name} 可读写，列齐全")
    return ok("users", found)
