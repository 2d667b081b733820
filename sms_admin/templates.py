"""`template`: list, add, show, delete, and wait for the review."""

import click

from sms_admin import commands, reviews, standards
from sms_admin.language import tr
from sms_admin.reviews import ABROAD, MAINLAND, TEMPLATE
from sms_admin.run import Run
from sms_admin.tencent import Account

_KINDS = {"otp": 3, "notice": 2, "marketing": 1}  # SmsType

command = commands.Group(
    "template", help=tr("SMS templates: apply for them, and watch their review.", "短信正文模板：申请并跟踪审核。")
)
_ID = click.argument("number", metavar="ID", type=click.IntRange(1))
_INTERNATIONAL = click.option(
    "--international",
    is_flag=True,
    help=tr("For numbers outside mainland China.", "用于国际/港澳台短信。"),
)


@command.command("list", example="template list --international", help=tr("List all templates.", "列出所有模板。"))
@_INTERNATIONAL
def list_(run: Run, *, international: bool) -> None:
    """Print all templates for mainland China, or for the rest of the world."""
    side = ABROAD if international else MAINLAND
    run.out.rows(reviews.listed(Account(run.environ), TEMPLATE, side), reviews.columns(TEMPLATE))


@command.command(
    "add",
    example='template add "sign in" "您的验证码为 {1}，{2} 分钟内有效。" --kind otp',
    help=tr(
        "Apply for a template. Rules of the review that can be checked here are checked before anything is sent.",
        "申请模板。可在本地检查的审核标准会在提交前检查。",
    ),
)
@click.argument("name")
@click.argument("text")
@click.option(
    "--kind", required=True, type=click.Choice(list(_KINDS)), help=tr("The kind of the messages.", "短信类型。")
)
@click.option("--remark", default="", metavar="TEXT", help=tr("A remark for the reviewer.", "申请备注。"))
@_INTERNATIONAL
def add(run: Run, name: str, text: str, kind: str, remark: str, *, international: bool) -> None:
    """Check a template, apply for it, and print it as it is in review."""
    reviews.refuse(run, list(standards.template(text, kind, international=international)))
    side = ABROAD if international else MAINLAND
    answer = Account(run.environ).call(
        "AddSmsTemplate",
        TemplateName=name,
        TemplateContent=text,
        SmsType=_KINDS[kind],
        International=side,
        Remark=remark,
    )
    reviews.print_added(run, TEMPLATE, int(answer.AddTemplateStatus.TemplateId), name, side, content=text)


@command.command("show", example="template show 1000000", help=tr("Show one template.", "显示一个模板。"))
@_ID
def show(run: Run, number: int) -> None:
    """Print one template."""
    run.out.row(reviews.find(Account(run.environ), TEMPLATE, number), reviews.columns(TEMPLATE))


@command.command("delete", example="template delete 1000000 --yes", help=tr("Delete a template.", "删除模板。"))
@_ID
def delete(run: Run, number: int) -> None:
    """Delete a template after a yes."""
    reviews.delete(run, TEMPLATE, number)


@command.command("wait", example="template wait 1000000", help=reviews.WAIT)
@_ID
@reviews.wait_options
def wait(run: Run, number: int, timeout: float, *, usable: bool) -> int:
    """Wait for the decision on a template; return the exit code."""
    return reviews.wait(run, TEMPLATE, number, usable=usable, timeout=timeout)
