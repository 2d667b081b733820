"""Commands for an operator: `python -m sms_admin check`."""

import argparse
import io
import logging
import os
import re
import sys
from collections.abc import Mapping
from typing import NoReturn

from sms_admin.check.checks import examine
from sms_admin.check.report import State
from sms_admin.check.settings import Net
from sms_login.errors import InvalidPhone
from sms_login.logs import redact
from sms_login.phone import Phone

_CHECK = """\
Checks the deployment that the environment describes: settings, keys, limits, Redis, users, and at Tencent Cloud the
credentials, template, signature and captcha. Run it on the function's network, with the function's environment.
"""
_EXIT = "exit code: 0 if there is no problem, 1 if there is one, 2 for a wrong command line"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(redact(message))  # it quotes the arguments, perhaps a phone number, for a pipeline's log


def main() -> int:
    """Run a command; return its exit code."""
    parser = _Parser(prog="python -m sms_admin", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="check")
    check = commands.add_parser(
        "check", help="check a deployment", description=_CHECK, epilog=_EXIT, allow_abbrev=False
    )
    check.add_argument("--json", action="store_true", help="one JSON object per line: check, state, found, todo")
    check.add_argument("--send", metavar="PHONE", type=_phone, help="send one real message to this number, like +86…")
    check.add_argument("--url", type=_url, help="the deployed function: does it publish the key that signs?")
    options = parser.parse_args()
    logging.getLogger().addHandler(logging.NullHandler())  # the findings tell the errors of libraries
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a template may be Chinese and the terminal ASCII
    try:
        return _check(os.environ, options.send, options.url, as_json=options.json)
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at exit
        return 1


def _check(environ: Mapping[str, str], number: Phone | None, url: str | None, *, as_json: bool) -> int:
    net, counts = Net(environ), dict.fromkeys(State, 0)
    for finding in examine(environ, number, url):
        counts[finding.state] += 1
        shown = net.let_through(finding)
        print(shown.json() if as_json else shown.text(), flush=True)
    if not as_json:
        print(summary(counts[State.PROBLEM], counts[State.WARNING], counts[State.OK]), flush=True)
    return 1 if counts[State.PROBLEM] else 0


def summary(problems: int, warnings: int, fine: int) -> str:
    """Return the last line of a report: how many findings there are of each kind."""
    some = [f"{count} {noun}{'s' * (count != 1)}" for count, noun in ((problems, "problem"), (warnings, "warning"))]
    return f"{', '.join(some)}, {fine} ok"


def _phone(text: str) -> Phone:
    try:
        return Phone.from_e164(text)
    except InvalidPhone:
        raise argparse.ArgumentTypeError("must be a mobile number with its country, like +86…") from None


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s?#]+", text):
        raise argparse.ArgumentTypeError("must be the function's URL, like https://login.example.com")
    return text


if __name__ == "__main__":
    sys.exit(main())
