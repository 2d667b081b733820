"""The table of commands. A command's module is imported only if the command is called."""

import importlib
from typing import NamedTuple

import click

from sms_admin.language import tr
from sms_login import __version__


class Entry(NamedTuple):
    """A command: the module that has it as `command`, and its line in the list of commands."""

    module: str
    line: str


COMMANDS = {
    "check": Entry("check.command", tr("Check a deployment.", "检查部署。")),
    "signature": Entry(
        "signatures", tr("SMS signatures: apply for them, and watch their review.", "短信签名：申请并跟踪审核。")
    ),
    "template": Entry(
        "templates", tr("SMS templates: apply for them, and watch their review.", "短信正文模板：申请并跟踪审核。")
    ),
    "receipts": Entry(
        "receipts", tr("Delivery receipts, if no callback brings them.", "短信回执：未设置回调时主动拉取。")
    ),
    "number": Entry("numbers", tr("What stands against a number, and lifting it.", "查看号码受到的限制，并解除。")),
    "users": Entry(
        "users.command",
        tr("Users: list, show, ban, sign out, move, delete.", "用户：列出、显示、封禁、退出、换号、删除。"),
    ),
    "alerts": Entry(
        "statistics.alerts", tr("Pumping, failing deliveries, an empty balance.", "盗刷、送达失败、套餐余量不足。")
    ),
    "stats": Entry("statistics.command", tr("What became of messages and codes.", "短信和验证码的统计。")),
    "bulk": Entry("bulk.command", tr("Send one text to each row of a sheet.", "群发短信。")),
    "completion": Entry("completion", tr("Print a script that completes commands in a shell.", "输出命令补全脚本。")),
}


class Commands(click.Group):
    """The commands of the table, imported when they are called."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Import a command; None if there is none of this name."""
        if name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(f"sms_admin.{COMMANDS[name].module}").command
        return found

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section(tr("Commands", "命令")):
            formatter.write_dl([(name, entry.line) for name, entry in COMMANDS.items()])


cli = Commands(
    "sms-admin",
    help=tr("Commands for the operator of sms-login.", "sms-login 的运维命令。"),
    epilog=tr("Each command explains itself: COMMAND --help.", "每个命令都有说明：命令名后加 --help。"),
)
click.version_option(__version__)(cli)
