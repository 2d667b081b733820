"""Runs the operator's commands in this process, which is faster than a process of their own."""

import contextlib
import io
import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from unittest import mock

import click

from sms_admin.__main__ import main
from sms_admin.cli import cli


class Done(NamedTuple):
    """A command that has ended: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str


def admin(environ: Mapping[str, str], *arguments: str) -> Done:
    """Run `sms-admin` with arguments in an environment, without a terminal."""
    kept = {name: os.environ[name] for name in ("SSL_CERT_FILE",) if name in os.environ}  # see the fixture of MariaDB
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True) for _ in range(2))
    with (
        mock.patch.dict(os.environ, {**kept, **environ}, clear=True),
        mock.patch("sys.argv", ["sms-admin", *arguments]),
        mock.patch("sys.stdin", io.StringIO()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Done(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield each command that is no group, with the words that call it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found
            yield from leaves(found, (*path, name))
    else:
        yield path, command


LEAVES = dict(leaves(cli))
