"""The one place where SQLAlchemy is set up and spoken to. Imported only where USERS_URL is set: it takes its time."""

import logging
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, exc, make_url

from sms_login import logs
from sms_login.errors import ServiceUnavailable

_POOL = 8  # connections that an instance keeps at most; it opens one more only where a thread finds none free
_WAIT = 2.0  # s that a thread waits for one of them

# Below WARNING it logs statements, at DEBUG whole rows.
logging.getLogger("sqlalchemy").setLevel(logging.WARNING)


def connect(url: str, *, timeout: float = 1.0) -> Engine:
    """Return an engine for a USERS_URL, connected to nothing yet, that waits `timeout` seconds for an answer.

    Every statement is a transaction of its own: none sees an older snapshot than now, and there is nothing to commit or
    to roll back. A frozen instance may wake up to connections that are dead, so each is pinged before it is used: a
    round trip more, and no request that fails for it. Nothing else is ever sent twice. Raises ModuleNotFoundError
    without the library for the URL.
    """
    address = make_url(url)
    driver: dict[str, Any] = {"timeout": timeout}  # of sqlite3: for somebody else's lock
    if address.get_backend_name() == "mysql":
        driver = {
            "charset": "utf8mb4",  # whatever the URL says: MySQL's utf8 has no emoji
            "sql_mode": "STRICT_ALL_TABLES",  # what does not fit is an error, and is not cut
            "autocommit": True,  # so that SQLAlchemy need not switch it on
            "connect_timeout": min(timeout, 5.0),
            "read_timeout": timeout,
            "write_timeout": timeout,
            "password": (address.password or "").encode(),  # PyMySQL makes latin-1 of a string
        }
    return create_engine(
        address,
        connect_args=driver,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_pre_ping=True,
        pool_size=_POOL,
        max_overflow=0,
        pool_timeout=_WAIT,
        hide_parameters=True,  # in errors
    )


class SqlClient:
    """Gives connections to one database, to any number of threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Give a live connection. Raises ServiceUnavailable if there is none, or if it fails at what is done with it.

        Connecting fails only for reasons outside: the server, the network, a wrong address, a certificate, a library
        that an account's way of signing in needs. So does a statement, whose text is fixed and tested, unless its
        values are at fault: DataError and IntegrityError are bugs of ours, which no repeat mends, and go on to the
        catch-all.
        """
        with logs.outside("sql"), self._connect() as connection:
            try:
                yield connection
            except (exc.DataError, exc.IntegrityError):
                raise
            except exc.DBAPIError as error:
                raise _unavailable(error) from error

    def _connect(self) -> Connection:
        try:
            return self._engine.connect()
        except (exc.SQLAlchemyError, OSError, RuntimeError, ValueError, IndexError, struct.error) as error:
            raise _unavailable(error) from error

    def close(self) -> None:
        """Close all connections that nobody uses."""
        self._engine.dispose()


def _unavailable(error: Exception) -> ServiceUnavailable:
    """Return the failure with the library's reason, but for what MySQL quotes in it: that may be a value."""
    cause = error.orig if isinstance(error, exc.DBAPIError) and error.orig else error
    reason = re.sub(r"(?<!\w)'.*'(?!\w)", "'…'", " ".join(str(arg) for arg in cause.args))
    return ServiceUnavailable(f"sql: {type(cause).__name__}: {reason}"[:200])
