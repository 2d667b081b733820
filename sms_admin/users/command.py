"""`users`: list, show, ban, unban, sign out, move, delete."""

import itertools
import re
from typing import Any

import click

from sms_admin import commands
from sms_admin.language import tr
from sms_admin.operations import Operation
from sms_admin.output import Column, moment
from sms_admin.run import Run
from sms_admin.users import operations
from sms_admin.users.operations import Move, Wanted
from sms_admin.users.records import Who
from sms_login.phone import Phone

command = commands.Group("users", help=tr("Administration of the users.", "用户管理。"))

_ROW = [
    Column("userId", tr("id", "ID"), whole=True),
    Column("phone", tr("number", "号码"), whole=True),
    Column("name", tr("name", "昵称")),
    Column("created", tr("signed up", "注册时间"), moment, spare=True),
    Column("lastLogin", tr("last login", "最近登录"), moment),
    Column("banned", tr("banned", "已封禁")),
]
_FULL = [*_ROW, Column("avatar", tr("avatar", "头像")), Column("sessions", tr("sessions", "会话数"))]


class _WhoType(click.ParamType[Who]):
    """A user by number, which begins with a plus, or by id."""

    name = "who"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Who:
        value = value.strip()
        if value.startswith("+"):
            return Who(phone=commands.ANY_PHONE.convert(value, param, ctx).e164)
        if re.fullmatch(r"[\x21-\x7e]{1,64}", value):
            return Who(id=value)
        return self.fail(tr("must be a number like +86… or a user's id", "须为 +86… 格式的号码或用户 ID"), param, ctx)


class _PrefixType(click.ParamType[str]):
    """The beginning of a number."""

    name = "prefix"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = re.sub(r"[\s-]", "", value)
        if not re.fullmatch(r"\+[0-9]{1,15}", text):
            self.fail(tr("must be the beginning of a number, like +86138", "须为号码的开头，如 +86138"), param, ctx)
        return text


_WHO = click.argument("who", metavar="PHONE|ID", type=_WhoType())


@command.command(
    "list",
    example="users list --number +86138 --limit 20",
    needs_redis=True,
    help=tr(
        "List users. In SQL they are in the order of their numbers, in Redis in none. They are read page by page: the "
        "first ones come at once, however many there are.",
        "列出用户。在 SQL 中按号码排序，在 Redis 中没有顺序。逐页读取，无论用户多少，最前面的都会立即显示。",
    ),
)
@click.option(
    "--number",
    metavar="PREFIX",
    type=_PrefixType(),
    help=tr("Only numbers that begin so.", "号码以此开头。"),
)
@click.option("--name", metavar="TEXT", default="", help=tr("Only names that contain this text.", "昵称包含此文本。"))
@click.option("--banned", is_flag=True, help=tr("Only banned users.", "只列出已封禁的用户。"))
@click.option("--limit", metavar="N", type=click.IntRange(1), help=tr("At most so many.", "最多显示多少个。"))
def list_(run: Run, number: str | None, name: str, limit: int | None, *, banned: bool) -> None:
    """Print users as they are read."""
    rows = run.rows(operations.list_users, Wanted(number or "", name, banned))
    run.out.rows(itertools.islice(rows, limit), _ROW, none=tr("There are no such users.", "没有符合条件的用户。"))


@command.command(
    "show",
    example="users show +8613800138000",
    needs_redis=True,
    help=tr(
        "Show one user. In Redis, finding an id takes a look at every user.",
        "显示一个用户。在 Redis 中按 ID 查找需要逐一查看所有用户。",
    ),
)
@_WHO
def show(run: Run, who: Who) -> None:
    """Print one user."""
    _each(run, operations.show_user, who)


@command.command(
    "ban",
    example="users ban +8613800138000",
    needs_redis=True,
    help=tr(
        "Ban a user. From the next request on, every login and every token is refused, until the ban is lifted.",
        "封禁用户。从下一次请求起，登录和令牌都会被拒绝，直到解除封禁。",
    ),
)
@_WHO
def ban(run: Run, who: Who) -> None:
    """Ban a user after a yes."""
    run.confirm(tr(f"Ban {_named(run, who)}?", f"封禁用户 {_named(run, who)}？"))
    _each(run, operations.ban_user, who)
    run.out.say(tr("Banned.", "已封禁。"))


@command.command(
    "unban",
    example="users unban +8613800138000",
    needs_redis=True,
    help=tr("Lift the ban of a user. Sessions that have not expired go on.", "解除封禁。尚未过期的会话继续有效。"),
)
@_WHO
def unban(run: Run, who: Who) -> None:
    """Lift a ban."""
    _each(run, operations.unban_user, who)
    run.out.say(tr("The ban is lifted.", "已解除封禁。"))


@command.command(
    "sign-out",
    example="users sign-out +8613800138000",
    needs_redis=True,
    help=tr("End all sessions of a user, who may sign in again.", "结束用户的所有会话。用户可以重新登录。"),
)
@_WHO
def sign_out(run: Run, who: Who) -> None:
    """Sign a user out everywhere."""
    run.confirm(tr(f"Sign {_named(run, who)} out everywhere?", f"在所有设备上退出用户 {_named(run, who)}？"))
    _each(run, operations.sign_out_user, who)
    run.out.say(tr("Signed out.", "已退出。"))


@command.command(
    "move",
    example='users move +8613800138000 "+1 201 555 0123"',
    needs_redis=True,
    help=tr(
        "Give a user another number. It is for a person who has lost the old one. All sessions end, and the new number "
        "signs in as the same user. First make sure who asks: nothing here proves it.",
        "为丢失旧号码的用户更换号码。所有会话都会结束，用新号码登录后仍是同一用户。请先核实对方身份：此命令不做任何验证。",
    ),
)
@_WHO
@click.argument("new", metavar="NEW", type=commands.PHONE)
def move(run: Run, who: Who, new: Phone) -> None:
    """Give a user another number after a yes."""
    named, number = _named(run, who), run.out.plain(new)
    run.confirm(tr(f"Give the user {named} the number {number}?", f"将用户 {named} 的号码更换为 {number}？"))
    _each(run, operations.move_user, Move(who.phone, who.id, new.e164))
    run.out.say(tr("Moved: the new number signs in as this user.", "已更换：用新号码登录即为此用户。"))


@command.command(
    "delete",
    example="users delete 8a4bb556db78399cbf2e316b6bd7dc75",
    needs_redis=True,
    help=tr(
        "Delete a user for ever, and end all sessions. The number may sign up anew, as another user.",
        "永久删除用户，并结束其所有会话。该号码可以重新注册为另一个用户。",
    ),
)
@_WHO
def delete(run: Run, who: Who) -> None:
    """Delete a user after a yes."""
    run.confirm(tr(f"Delete {_named(run, who)} for ever?", f"永久删除用户 {_named(run, who)}？"))
    _each(run, operations.delete_user, who)
    run.out.say(tr("Deleted.", "已删除。"))


def _each(run: Run, operation: Operation, who: Who) -> None:
    """Print the one user of an operation, which may come after many empty pages."""
    with run.out.status(tr("Searching…", "正在查找……")):
        rows = list(run.rows(operation, who))
    for row in rows:
        run.out.row(row, _FULL)


def _named(run: Run, who: Who) -> str:
    return str(run.out.plain(Phone.from_e164(who.phone))) if who.phone else who.id
