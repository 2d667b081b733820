"""A real MariaDB server for the tests, which stands in for TencentDB for MySQL."""

import itertools
import os
import shutil
import subprocess
from contextlib import closing
from typing import Any
from urllib.parse import quote

import pymysql

from tests.testkit.servers import Server

USER, PASSWORD = "login", "p@ss'wörd-that-must-not-be-printed"

# An administrator's PATH, since a user's may lack these folders.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
_INIT = f"""
CREATE USER IF NOT EXISTS '{USER}'@'{Server.host}' IDENTIFIED BY '{PASSWORD.replace("'", "''")}';
GRANT ALL ON *.* TO '{USER}'@'{Server.host}';
CREATE USER IF NOT EXISTS 'app'@'{Server.host}' IDENTIFIED BY 'app';
GRANT ALL ON `app%`.* TO 'app'@'{Server.host}';
"""


def find_mariadb() -> str | None:
    """Return the path of mariadbd if the program that creates its first tables is there too."""
    return shutil.which("mariadbd", path=_PATH) if shutil.which("mariadb-install-db", path=_PATH) else None


class MariaDbServer(Server):
    """A MariaDB server that keeps its data from kill() to start(), as after a crash.

    Its defaults are latin1 and silent truncation, which a database may have and the product must not depend on.
    """

    name = "mariadb"
    ready = b"ready for connections"

    def __init__(self, *extra: str) -> None:
        super().__init__()
        self._extra = extra
        self._databases = itertools.count()

    def url(self, database: str) -> str:
        """Return the USERS_URL of a database."""
        return f"mysql+pymysql://{USER}:{quote(PASSWORD, safe='')}@{self.host}:{self.port}/{database}"

    def url_without_rights(self, url: str) -> str:
        """Return the URL of a user with all rights on the database and none on the server."""
        return f"mysql+pymysql://app:app@{self.host}:{self.port}/{url.rsplit('/', 1)[1]}"

    def new_database(self) -> str:
        """Create an empty database; return its USERS_URL."""
        name = f"app{next(self._databases)}"
        self.query(f"CREATE DATABASE {name}")
        return self.url(name)

    def connect(self, database: str | None = None) -> Any:
        """Return a connection of the test's own."""
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=USER,
            password=PASSWORD.encode(),  # a str would be sent as latin-1
            database=database,
            autocommit=True,
        )

    def query(self, statement: str, database: str | None = None) -> Any:
        """Return the rows of a statement."""
        with closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def start(self) -> None:
        """Create the first tables if there are none, then start the server."""
        if not (self.directory / "data").exists():
            (self.directory / "init.sql").write_text(_INIT, encoding="utf-8")
            program = shutil.which("mariadb-install-db", path=_PATH) or "mariadb-install-db"
            options = ["--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=4M"]
            made = subprocess.run(  # noqa: S603 - a program that we found, with the tests' options
                [program, *self._everywhere(), *options], check=False, capture_output=True, text=True
            )
            if made.returncode:
                raise RuntimeError(f"{self.name} has no tables:\n{made.stdout}{made.stderr}")
        super().start()

    def command(self, port: int) -> list[str]:
        """Return the command of a server with little memory, no log of statements, and data that survive a crash."""
        return [
            find_mariadb() or "mariadbd",
            *self._everywhere(),
            f"--socket={self.directory / 'socket'}",
            f"--pid-file={self.directory / 'pid'}",
            f"--init-file={self.directory / 'init.sql'}",
            f"--bind-address={self.host}",
            f"--port={port}",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--performance-schema=OFF",
            "--innodb-buffer-pool-size=8M",
            "--innodb-log-file-size=4M",
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-flush-method=nosync",  # the data survive the server's end, and need not survive the machine's
            "--skip-sync-frm",
            "--character-set-server=latin1",
            "--sql-mode=",
            *self._extra,
        ]

    def _everywhere(self) -> list[str]:
        # If two servers share a tmpdir, the one that starts deletes the other's temporary tables.
        options = ["--no-defaults", f"--datadir={self.directory / 'data'}", f"--tmpdir={self.directory}"]
        return [*options, "--user=root"] if os.geteuid() == 0 else options  # root needs this option
