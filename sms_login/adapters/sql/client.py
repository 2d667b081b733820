"""The one place that sets up and uses SQLAlchemy. Imported only if USERS_URL is set: the import is slow."""

import logging
import re
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, exc, make_url

from sms_login import logs
from sms_login.errors import ServiceUnavailable
from sms_login.forks import in_child

_POOL = 8  # connections per instance at most; a new one is opened only if none is free
_WAIT = 2.0  # s that a thread waits for a free one
_OLDEST = 300  # s after which a connection is replaced in any case

# Below WARNING SQLAlchemy logs statements, at DEBUG whole rows.
logging.getLogger("sqlalchemy").setLevel(logging.WARNING)


def connect(url: str, *, timeout: float = 1.0) -> Engine:
    """Return an engine for a USERS_URL, not connected yet, that waits `timeout` seconds for an answer.

    Every statement is its own transaction: none reads an old snapshot, and there is nothing to commit or to roll back.
    The connections of a frozen instance may be dead when it wakes up, so each is pinged before use; that costs a round
    trip. Nothing else is sent twice. Raises ModuleNotFoundError if the library for the URL is not installed.
    """
    address = make_url(url)
    driver: dict[str, Any] = {"timeout": timeout}  # sqlite3 waits so long for a lock
    if address.get_backend_name() == "mysql":
        driver = {
            "charset": "utf8mb4",  # overrides the URL: MySQL's utf8 lacks emoji
            "sql_mode": "STRICT_ALL_TABLES",  # refuse values that do not fit, instead of cutting them
            "autocommit": True,  # saves SQLAlchemy the statement that switches it on
            "connect_timeout": min(timeout, 5.0),
            "read_timeout": timeout,
            "write_timeout": timeout,
            "password": (address.password or "").encode(),  # PyMySQL would encode a string as latin-1
        }
    return create_engine(
        address,
        connect_args=driver,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_pre_ping=True,
        pool_recycle=_OLDEST,
        pool_size=_POOL,
        max_overflow=0,
        pool_timeout=_WAIT,
        hide_parameters=True,  # in errors
    )


class SqlClient:
    """Gives connections to one database. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        in_child(engine, lambda engine: engine.dispose(close=False))

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Give a live connection. Raises ServiceUnavailable if connecting or a statement fails.

        Connecting fails only for outside reasons: the server, the network, a wrong address, a certificate, a library
        for the account's way of signing in. Statements are fixed and tested, so the same holds for them, except for
        wrong values: DataError and IntegrityError are bugs that a retry does not solve, and pass through.

        After any other error of a statement, all connections are given up: new ones lead where the address leads by
        now, while a server that was demoted would be asked for ever. Which error does not matter, since a proxy has its
        own.
        """
        started = time.perf_counter()
        try:
            with self._connect() as connection:
                yield connection
        except (exc.DataError, exc.IntegrityError):
            raise
        except exc.DBAPIError as error:
            self._engine.dispose()
            raise _unavailable(error) from error
        finally:
            logs.spent("sql", started)

    def _connect(self) -> Connection:
        try:
            return self._engine.connect()
        except (exc.SQLAlchemyError, OSError, RuntimeError, ValueError, IndexError, struct.error) as error:
            raise _unavailable(error) from error

    def close(self) -> None:
        """Close all idle connections."""
        self._engine.dispose()


def _unavailable(error: Exception) -> ServiceUnavailable:
    """Return the failure with the library's reason, without MySQL's quotations, which may be values."""
    cause = error.orig if isinstance(error, exc.DBAPIError) and error.orig else error
    reason = re.sub(r"(?<!\w)'.*'(?!\w)", "'…'", " ".join(str(arg) for arg in cause.args))
    return ServiceUnavailable(f"sql: {type(cause).__name__}: {reason}"[:200])
