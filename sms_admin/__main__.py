"""Commands for an operator: `python -m sms_admin`, or `sms-admin` once it is installed."""

import io
import logging
import os
import sys
from pathlib import Path

try:
    import click
except ModuleNotFoundError:
    sys.exit("The commands need their libraries: pip install --no-deps --require-hashes -r requirements/admin.txt")

from sms_admin import language
from sms_admin.cli import cli
from sms_admin.failures import Failed
from sms_admin.output import printable
from sms_login.logs import redact


def main() -> int:
    """Run a command; return its exit code. Exits with code 2 for a wrong command line."""
    language.set_up()
    logging.getLogger().addHandler(logging.NullHandler())  # the commands tell the errors of libraries
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a template may be Chinese and the terminal ASCII
    try:
        return _run()
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at exit
        return 1


def _run() -> int:
    name = "sms-admin" if Path(sys.argv[0]).name == "sms-admin" else "python -m sms_admin"
    try:
        return int(cli.main(prog_name=name, standalone_mode=False) or 0)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        sys.stderr.write(printable(redact(shown.getvalue())))  # it quotes the arguments, perhaps a phone number
        sys.exit(error.exit_code)
    except click.Abort:  # Ctrl-C
        sys.stderr.write("\n")
        return 1
    except Failed as failed:
        sys.stderr.write(f"{printable(redact(str(failed)))}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
