"""`signature`: list, add, show, delete, and wait for the review."""

import base64
from pathlib import Path
from typing import Any

import click

from sms_admin import commands, reviews, standards
from sms_admin.language import tr
from sms_admin.reviews import ABROAD, MAINLAND, SIGNATURE
from sms_admin.run import Run
from sms_admin.tencent import Account

command = commands.Group(
    "signature", help=tr("SMS signatures: apply for them, and watch their review.", "短信签名：申请并跟踪审核。")
)
_ID = click.argument("number", metavar="ID", type=click.IntRange(1))
_INTERNATIONAL = click.option(
    "--international",
    is_flag=True,
    help=tr("For numbers outside mainland China.", "用于国际/港澳台短信。"),
)
_PICTURE = click.Path(path_type=Path, dir_okay=False, exists=True)


@command.command("list", example="signature list --international", help=tr("List all signatures.", "列出所有签名。"))
@_INTERNATIONAL
def list_(run: Run, *, international: bool) -> None:
    """Print all signatures for mainland China, or for the rest of the world."""
    side = ABROAD if international else MAINLAND
    run.out.rows(reviews.listed(Account(run.environ), SIGNATURE, side), reviews.columns(SIGNATURE))


@command.command(
    "add",
    example="signature add 示例公司 --kind company --document licence --proof licence.jpg --qualification 1234",
    help=tr(
        "Apply for a signature. Rules of the review that can be checked here are checked before anything is sent.",
        "申请签名。可在本地检查的审核标准会在提交前检查。",
    ),
)
@click.argument("name")
@click.option(
    "--kind",
    required=True,
    type=click.Choice([*standards.KINDS, *standards.GONE_KINDS]),
    metavar="KIND",
    help=tr("One of: ", "可选：") + ", ".join(standards.KINDS),
)
@click.option(
    "--document",
    required=True,
    type=click.Choice([*standards.DOCUMENTS, *standards.GONE_DOCUMENTS]),
    metavar="DOCUMENT",
    help=tr("One of: ", "可选：") + ", ".join(standards.DOCUMENTS),
)
@click.option(
    "--proof", required=True, type=_PICTURE, metavar="FILE", help=tr("The document as a picture.", "证明文件的图片。")
)
@click.option("--for-others", is_flag=True, help=tr("It is somebody else's signature.", "他用：为他人申请。"))
@click.option(
    "--commission", type=_PICTURE, metavar="FILE", help=tr("The commission of the other, as a picture.", "授权书图片。")
)
@click.option(
    "--qualification", type=int, metavar="ID", help=tr("The approved qualification.", "已通过审核的资质 ID。")
)
@click.option("--remark", default="", metavar="TEXT", help=tr("A remark for the reviewer.", "申请备注。"))
@_INTERNATIONAL
def add(
    run: Run,
    name: str,
    kind: str,
    document: str,
    proof: Path,
    commission: Path | None,
    qualification: int | None,
    remark: str,
    *,
    for_others: bool,
    international: bool,
) -> None:
    """Check a signature, apply for it, and print it as it is in review."""
    picture, other = proof.read_bytes(), commission.read_bytes() if commission else None
    about = standards.signature(name, kind, document, international=international, qualification=qualification)
    reviews.refuse(run, [*about, *standards.pictures(picture, other, for_others=for_others)])
    side = ABROAD if international else MAINLAND
    more: dict[str, Any] = {"CommissionImage": _base64(other)} if other else {}
    if qualification:
        more["QualificationId"] = qualification
    answer = Account(run.environ).call(
        "AddSmsSign",
        SignName=name,
        SignType=standards.KINDS[kind],
        DocumentType=standards.DOCUMENTS[document],
        International=side,
        SignPurpose=int(for_others),
        ProofImage=_base64(picture),
        Remark=remark,
        **more,
    )
    reviews.print_added(run, SIGNATURE, int(answer.AddSignStatus.SignId), name, side)


@command.command("show", example="signature show 1234", help=tr("Show one signature.", "显示一个签名。"))
@_ID
def show(run: Run, number: int) -> None:
    """Print one signature."""
    run.out.row(reviews.find(Account(run.environ), SIGNATURE, number), reviews.columns(SIGNATURE))


@command.command("delete", example="signature delete 1234 --yes", help=tr("Delete a signature.", "删除签名。"))
@_ID
def delete(run: Run, number: int) -> None:
    """Delete a signature after a yes."""
    reviews.delete(run, SIGNATURE, number)


@command.command("wait", example="signature wait 1234", help=reviews.WAIT)
@_ID
@reviews.wait_options
def wait(run: Run, number: int, timeout: float, *, usable: bool) -> int:
    """Wait for the decision on a signature; return the exit code."""
    return reviews.wait(run, SIGNATURE, number, usable=usable, timeout=timeout)


def _base64(picture: bytes) -> str:
    return base64.b64encode(picture).decode()
