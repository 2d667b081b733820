"""The classes of commands: each has an example in its help, and the options that all commands share."""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from sms_admin import env_file
from sms_admin.language import tr
from sms_admin.run import Run
from sms_login.errors import InvalidPhone
from sms_login.phone import Phone

_EXIT = tr(
    "Exit code: 0 done, 1 a problem or a refusal, 2 a wrong command line.",
    "退出码：0 完成，1 发现问题或被拒绝，2 命令行有误。",
)


class Command(click.Command):
    """A command whose function receives a Run first, then its own parameters.

    `example` is its command line after the program's name. With `needs_redis`, `--function` runs it in the function's
    network.
    """

    def __init__(self, *args: Any, example: str, needs_redis: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._example = example
        self.params += _shared(needs_redis=needs_redis)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example and the exit codes below the options."""
        with formatter.section(tr("Example", "示例")):
            formatter.write_text(f"{ctx.find_root().info_name} {self._example}")
        formatter.write_paragraph()
        formatter.write_text(_EXIT)

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002 - Click's own, which would cut the sentence
        """Return the first sentence of the help, whole and in either language."""
        return re.split(r"(?<=。)|(?<=\.)\s", self.help or "")[0]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line; an error of Click's parser too shows the usage."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Call the function with a Run of the shared options."""
        given = {name: ctx.params.pop(name, "") for name in ("as_json", "yes", "clear", "function", "operator", "file")}
        file = given.pop("file")
        environ: Mapping[str, str] = {**env_file.read(file), **os.environ} if file else os.environ
        if given["function"] and given["clear"]:
            raise click.UsageError(
                tr(
                    "--clear and --function exclude each other: the platform logs what a function returns",
                    "--clear 与 --function 不能同时使用：平台会记录函数的返回值",
                ),
                ctx,
            )
        run = Run(environ, **given)
        ctx.call_on_close(run.close)
        return ctx.invoke(self.callback, run, **ctx.params)  # type: ignore[arg-type] # set by the decorator


class Group(click.Group):
    """A group of such commands, such as `template`."""

    command_class = Command


def command(name: str, **kwargs: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of a function, without a group."""
    return click.command(name, cls=Command, **kwargs)


class PhoneType(click.ParamType[Phone]):
    """A mobile number with its plus and country."""

    name = "phone"

    def __init__(self, *, any_plan: bool) -> None:
        """Take a number that no mobile phone has today only with `any_plan`: an old record may have it."""
        self._any_plan = any_plan

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Phone:
        """Return the number of a text."""
        if isinstance(value, Phone):
            return value
        with suppress(InvalidPhone):
            if value.startswith("+"):  # which names the country
                return Phone.parse(value, "ZZ")
        with suppress(InvalidPhone):
            if self._any_plan:
                return Phone.from_e164(value)
        must = tr("must be a mobile number with its country, like +86…", "须为带国家代码的手机号，如 +86…")
        return self.fail(must, param, ctx)


PHONE, ANY_PHONE = PhoneType(any_plan=False), PhoneType(any_plan=True)


def _shared(*, needs_redis: bool) -> list[click.Parameter]:
    options = [
        click.Option(
            ["--json", "as_json"], is_flag=True, help=tr("Print one JSON object per line.", "每行输出一个 JSON 对象。")
        ),
        click.Option(["--clear"], is_flag=True, help=tr("Show numbers in full.", "显示完整号码。")),
        click.Option(["--yes"], is_flag=True, help=tr("Answer every question with yes.", "对所有询问回答“是”。")),
        click.Option(
            ["--env-file", "file"],
            type=click.Path(path_type=Path, dir_okay=False, exists=True),
            metavar="FILE",
            envvar="SMS_ADMIN_ENV_FILE",
            help=tr("Read settings from a file too; the environment overrides it.", "另从文件读取设置；环境变量优先。"),
        ),
    ]
    if needs_redis:
        words = tr("Run it in the admin function of this name.", "在此名称的管理函数中运行。")
        options.append(click.Option(["--function"], metavar="NAME", default="", help=words))
        words = tr(
            "Your name in the log of changes, by default the system's.", "变更日志中的操作人，默认为系统用户名。"
        )
        options.append(
            click.Option(["--operator"], metavar="NAME", default="", envvar="SMS_ADMIN_OPERATOR", help=words)
        )
    return [*options]
