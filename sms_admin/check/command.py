"""`check`: print the findings on a deployment."""

import re
from collections.abc import Iterator
from typing import Any

import click
import msgspec
from msgspec import Struct

from sms_admin import commands
from sms_admin.check.checks import INSIDE, examine, examine_inside
from sms_admin.check.report import Finding, State, ok, problem
from sms_admin.check.settings import Net
from sms_admin.failures import Failed
from sms_admin.language import is_chinese, speaking, tr
from sms_admin.operations import Page, operation
from sms_admin.place import Place
from sms_admin.run import Run
from sms_login.phone import Phone


class _Url(click.ParamType[str]):
    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"https?://[^\s?#]+", value):
            self.fail(
                tr(
                    "must be the function's URL, like https://login.example.com",
                    "须为函数的 URL，如 https://login.example.com",
                ),
                param,
                ctx,
            )
        return str(value)


class Inside(Struct):
    """The request for the findings from the function's network, in Chinese or English."""

    chinese: bool


@operation
def check_inside(place: Place, asked: Inside, cursor: Any) -> Page:  # noqa: ARG001 - an operation has a cursor
    """Return the findings on Redis and the users, without the secrets of the environment that they are about."""
    net = Net(place.environ)
    with speaking(chinese=asked.chinese):
        return Page([net.let_through(finding) for finding in examine_inside(place.environ)])


@commands.command(
    "check",
    example="check --send +8613800138000",
    needs_redis=True,
    help=tr(
        "Check the deployment that the environment describes: settings, keys, limits, Redis, users, and at Tencent "
        "Cloud the credentials, template, signature and captcha. Run it on the function's network, with the "
        "function's environment.",
        "检查环境变量所描述的部署：设置、密钥、限额、Redis、用户，以及腾讯云上的凭证、模板、签名和验证码。"
        "请在函数所在网络中、用函数的环境变量运行。",
    ),
)
@click.option(
    "--send",
    "phone",
    metavar="PHONE",
    type=commands.PHONE,
    help=tr("Send one real message to this number, like +86….", "向此号码（如 +86…）发送一条真实短信。"),
)
@click.option(
    "--url",
    type=_Url(),
    help=tr("The deployed function: does it publish the key that signs?", "已部署的函数：是否公布了签名所用的公钥？"),
)
def command(run: Run, phone: Phone | None, url: str | None) -> int:
    """Print each finding, then how many there are; return the exit code."""
    net, counts = Net(run.environ), dict.fromkeys(State, 0)
    for finding in _findings(run, phone, url):
        counts[finding.state] += 1
        shown = net.let_through(finding)
        print(shown.json() if run.out.as_json else shown.text(), flush=True)
    if not run.out.as_json:
        print(summary(counts[State.PROBLEM], counts[State.WARNING], counts[State.OK]), flush=True)
    return 1 if counts[State.PROBLEM] else 0


def _findings(run: Run, phone: Phone | None, url: str | None) -> Iterator[Finding]:
    """Yield the findings; with an admin function, those on Redis and the users are its own."""
    if not run.remote:
        yield from examine(run.environ, phone, url)
        return
    yield from examine(run.environ, phone, url, without=INSIDE)
    try:
        found = [msgspec.convert(row, Finding) for row in run.rows(check_inside, Inside(is_chinese()))]
    except Failed as failed:
        todo = tr(
            "see docs/admin.md, “Inside the VPC”: until it answers, Redis and the users are not checked",
            "见 docs/admin.md 的“Inside the VPC”：在有应答之前，Redis 和用户不会被检查",
        )
        yield problem("function", str(failed), todo)
        return
    yield ok("function", tr("answers, and has the version of these commands", "有应答，版本与本命令一致"))
    yield from found


def summary(problems: int, warnings: int, fine: int) -> str:
    """Return the last line of a report: how many findings there are of each kind."""
    return tr(
        f"{_some(problems, 'problem')}, {_some(warnings, 'warning')}, {fine} ok",
        f"{problems} 个问题，{warnings} 个警告，{fine} 项正常",
    )


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
