"""The commands `bulk template`, `preview`, `send`, `list`, `show`, `resume`, `cancel`, `report` and `split`."""

import importlib

import click

from sms_admin.commands import Group
from sms_admin.language import tr

_MODULES = {
    "template": "making",
    "preview": "making",
    "send": "making",
    "list": "watching",
    "show": "watching",
    "resume": "watching",
    "cancel": "watching",
    "report": "reporting",
    "split": "reporting",
}


class _Bulk(Group):
    """The commands, imported when they are called."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Return their names in the order of their use."""
        return list(_MODULES)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Import a command; None if there is none of this name."""
        if name not in _MODULES:
            return None
        module = importlib.import_module(f"sms_admin.bulk.{_MODULES[name]}")
        found: click.Command = getattr(module, name.replace("list", "list_"))
        return found


command = _Bulk(
    "bulk",
    help=tr("Send one text to each row of a sheet, and to nobody twice.", "向表格中的每一行发送短信，不重复发送。"),
)
