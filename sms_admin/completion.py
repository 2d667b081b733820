"""`completion`: the script with which a shell completes the commands of `sms-admin`."""

import click
from click.shell_completion import get_completion_class

from sms_admin import commands
from sms_admin.cli import cli
from sms_admin.language import tr
from sms_admin.run import Run


@commands.command(
    "completion",
    example="completion bash > ~/.local/share/bash-completion/completions/sms-admin",
    help=tr("Print a script that completes the commands of sms-admin in a shell.", "输出 sms-admin 的命令补全脚本。"),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(_: Run, shell: str) -> None:
    """Print the script."""
    found = get_completion_class(shell)
    if found:
        click.echo(found(cli, {}, "sms-admin", "_SMS_ADMIN_COMPLETE").source())
