"""The table of users in SQL. Imported only if USERS_URL is set, as are the libraries."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy import inspect, make_url, select

from sms_admin.check.report import Finding, ok, problem
from sms_login.adapters.sql.client import SqlClient, connect
from sms_login.adapters.sql.schema import USERS
from sms_login.adapters.sql.users import SqlUsers
from sms_login.errors import ServiceUnavailable
from sms_login.logs import redact

_CREATE = "create it: python -m sms_admin.users_table create"
_ADD = "python -m sms_admin.users_table create adds newer columns; compare others with docs/users.md"
_UNREACHABLE = "check that the database is in the function's VPC, and that user and password are right"
# MySQL's errors of a server (1290, 1836), a session (1792) or a schema (3989) that only reads, and SQLite's.
_READS = re.compile(r"\b(1290|1836|1792|3989)\b|readonly")
_ONLY_READS = "USERS_URL leads to a server that only reads, such as a replica: use the address of the primary"


def check(url: str) -> Iterator[Finding]:
    """Report whether the table of users at a USERS_URL can be read and written, and has all columns."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        yield problem("users", "the file of USERS_URL does not exist", _CREATE)  # connecting would create an empty one
        return
    try:
        engine = connect(url)
    except ModuleNotFoundError as missing:
        yield problem("users", f"USERS_URL needs {missing.name}", "deploy with requirements/sql.txt")
        return
    with closing(SqlClient(engine)) as client:
        try:
            yield _table(client)
        except ServiceUnavailable as error:
            yield problem("users", redact(error.detail), _ONLY_READS if _READS.search(error.detail) else _UNREACHABLE)


def _table(client: SqlClient) -> Finding:
    with client.connection() as connection:
        inspector = inspect(connection)
        if not inspector.has_table(USERS.name):
            return problem("users", f"there is no table {USERS.name}", _CREATE)
        there = {column["name"] for column in inspector.get_columns(USERS.name)}
        if missing := [name for name in USERS.columns.keys() if name not in there]:  # noqa: SIM118 - not a mapping
            return problem("users", f"{USERS.name} has no column {', '.join(missing)}", _ADD)
        connection.execute(select(USERS).limit(1))
    SqlUsers(client).check()
    return ok("users", f"{USERS.name} can be read and written, and has all columns")
