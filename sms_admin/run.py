"""One run of a command: its environment and common options, its questions, and the rows of its operations."""

import getpass
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from typing import Any

import click

from sms_admin.failures import Failed
from sms_admin.invoke import AdminFunction
from sms_admin.language import tr
from sms_admin.operations import Operation, page_of
from sms_admin.output import Output
from sms_admin.place import Place, append, changes_file
from sms_admin.rows import plain


class Run:
    """The first argument of a command: `environ` has the settings, `out` prints, `function` is the admin function."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        as_json: bool,
        yes: bool,
        clear: bool,
        function: str = "",
        operator: str = "",
    ) -> None:
        self.environ, self._yes = environ, yes
        self._user = operator or f"{getpass.getuser()}@{socket.gethostname()}"
        self._function = AdminFunction(function, environ, self._user) if function else None
        self.remote, self.clear = bool(function), clear
        self.out = Output(as_json=as_json, clear=clear)

    def confirm(self, question: str) -> None:
        """Return if the operator says yes, or has said it with `--yes`. Raises UsageError if nobody can answer.

        Raises Failed after a no.
        """
        if self._yes:
            return
        if not sys.stdin.isatty():
            why = tr("There is no terminal: repeat the command with --yes", "没有终端可以回答；请加上 --yes 再执行")
            raise click.UsageError(f"{question} {why}")
        if not click.confirm(question, err=True):
            raise Failed("nothing was done", "未做任何操作")

    def rows(self, operation: Operation, asked: Any) -> Iterator[Any]:
        """Yield the rows of an operation as JSON values, from here or from the admin function. Raises Failed."""
        cursor = None
        while True:
            if self._function:
                page = self._function.page(operation.name, plain(asked, clear=True), cursor)
            else:
                page = page_of(operation, self.place, asked, cursor)
            yield from map(self.out.plain, page.rows)
            cursor = page.cursor
            if cursor is None:
                return

    @cached_property
    def place(self) -> Place:
        """Return this machine as the place of operations; its changes are written to a file."""
        write = partial(append, changes_file(os.environ))
        return Place(self.environ, self._user, write)

    def close(self) -> None:
        """Close the connections of this run."""
        if "place" in vars(self):
            self.place.close()
