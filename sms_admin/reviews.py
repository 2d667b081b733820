"""Signatures and templates in their review: list, find, delete, and wait for the decision."""

from collections.abc import Callable, Iterator, Sequence
from time import sleep, time
from typing import Any, NamedTuple

import click
from msgspec import Struct

from sms_admin.failures import Failed
from sms_admin.language import tr
from sms_admin.output import Column, moment
from sms_admin.run import Run
from sms_admin.standards import Complaint
from sms_admin.tencent import Account, Unreachable

MAINLAND, ABROAD = 0, 1  # International
_STATES = {0: "approved", 1: "inReview", 2: "approvedNotInEffect", -1: "refused"}
_FIRST, _LONGEST = 2.0, 60.0  # s between two looks: a review takes two hours, and a look costs the API a call


WAIT = tr(
    "Wait until the review is decided. Print the reviewer's words; exit with code 1 if it was refused. Reviewers work "
    "Monday to Friday 9-21, weekends 9-18, China's time, and need about two hours.",
    "等待审核结束。显示审核回复；未通过时退出码为 1。审核时间为周一至周五 9-21 点、周末 9-18 点，约需两小时。",
)


def wait_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `wait` to a command."""
    usable = tr("Wait until it is in effect too.", "同时等待其生效。")
    timeout = tr("Give up after so long; 0 waits for ever.", "最长等待时间，0 表示不限。")
    function = click.option("--usable", is_flag=True, help=usable)(function)
    return click.option("--timeout", type=click.FloatRange(0), default=0, metavar="SECONDS", help=timeout)(function)


class Kind(NamedTuple):
    """What is reviewed: its word in both languages, and its names in the API."""

    english: str
    chinese: str
    describe: str
    ids: str
    answer: str
    id: str
    name: str
    delete: str


SIGNATURE = Kind(
    "signature",
    "签名",
    "DescribeSmsSignList",
    "SignIdSet",
    "DescribeSignListStatusSet",
    "SignId",
    "SignName",
    "DeleteSmsSign",
)
TEMPLATE = Kind(
    "template",
    "模板",
    "DescribeSmsTemplateList",
    "TemplateIdSet",
    "DescribeTemplateStatusSet",
    "TemplateId",
    "TemplateName",
    "DeleteSmsTemplate",
)


class Reviewed(Struct, rename="camel", omit_defaults=True):
    """A signature or template; `state` is a word, `created` in epoch seconds, `reply` the reviewer's words."""

    id: int
    name: str
    state: str
    reply: str
    created: int
    international: bool
    content: str | None = None  # of a template
    qualification: str | None = None  # of a signature in mainland China


def state_text(state: str) -> str:
    """Return the words for a state."""
    words = {
        "approved": tr("approved", "已通过"),
        "inReview": tr("in review", "审核中"),
        "approvedNotInEffect": tr("approved, but not in effect yet", "已通过，尚未生效"),
        "refused": tr("refused", "未通过"),
    }
    return words.get(state, state)


def columns(kind: Kind) -> list[Column]:
    """Return the columns of a list, and the lines of one item."""
    more = (
        Column("content", tr("text", "正文"))
        if kind is TEMPLATE
        else Column("qualification", tr("qualification", "资质"))
    )
    return [
        Column("id", tr("id", "ID"), right=True),
        Column("name", tr("name", "名称")),
        Column("state", tr("state", "状态"), state_text),
        Column("created", tr("submitted", "提交时间"), moment),
        Column("reply", tr("reviewer's words", "审核回复")),
        more,
    ]


def listed(account: Account, kind: Kind, side: int) -> Iterator[Reviewed]:
    """Yield all of a kind, for mainland China or for the rest of the world. Raises Failed."""
    return (_reviewed(kind, item) for item in account.pages(kind.describe, kind.answer, International=side))


def find(account: Account, kind: Kind, number: int) -> Reviewed:
    """Return one by its id, wherever it is for. Raises Failed if there is none."""
    for side in (MAINLAND, ABROAD):
        answer = account.call(kind.describe, **{"International": side, kind.ids: [number]})
        for item in getattr(answer, kind.answer) or []:
            if int(getattr(item, kind.id)) == number:
                return _reviewed(kind, item)
    raise Failed(f"there is no {kind.english} {number}", f"没有{kind.chinese} {number}")


def refuse(run: Run, complaints: Sequence[Complaint]) -> None:
    """Print complaints; go on if there are none but warnings, and a yes. Raises Failed."""
    for complaint in complaints:
        word = tr("warning", "提醒") if complaint.warning else tr("problem", "问题")
        click.echo(f"{word}: {tr(complaint.english, complaint.chinese)}", err=True)
    if any(not complaint.warning for complaint in complaints):
        raise Failed("the review would refuse it: nothing was sent", "审核不会通过：未提交")
    if complaints:
        run.confirm(tr("Apply all the same?", "仍要提交吗？"))


def print_added(run: Run, kind: Kind, number: int, name: str, side: int, content: str | None = None) -> None:
    """Print an application that has been accepted, with the command that waits for the decision."""
    added = Reviewed(number, name, "inReview", "", int(time()), side == ABROAD, content)
    run.out.row(added, columns(kind))
    run.out.say(tr(f"Submitted. Now: {kind.english} wait {number}", f"已提交。接下来：{kind.english} wait {number}"))


def delete(run: Run, kind: Kind, number: int) -> None:
    """Delete one after a yes. Raises Failed."""
    account = Account(run.environ)
    found = find(account, kind, number)
    run.confirm(
        tr(
            f"Delete the {kind.english} {number}, “{found.name}”, for good?",
            f"彻底删除{kind.chinese} {number}“{found.name}”？",
        )
    )
    account.call(kind.delete, **{kind.id: number})
    run.out.say(tr("Deleted.", "已删除。"))


def wait(run: Run, kind: Kind, number: int, *, usable: bool, timeout: float) -> int:
    """Wait until a review is decided, or with `usable` until it is in effect; return the exit code.

    `timeout` is in seconds, 0 for none. After the first look, one without an answer is repeated. Raises Failed.
    """
    account, waited, pause = Account(run.environ), 0.0, _FIRST
    found: Reviewed | None = find(account, kind, number)
    waiting = {"inReview", *(("approvedNotInEffect",) if usable else ())}
    with run.out.status(tr("waiting for the reviewers", "等待审核")):
        while found is None or found.state in waiting:
            if timeout and waited + pause > timeout:
                raise Failed(f"not decided within {timeout:.0f} s", f"{timeout:.0f} 秒内未审核完毕")
            sleep(pause)
            waited, pause = waited + pause, min(pause * 2, _LONGEST)
            found = _look(account, kind, number)
    run.out.row(found, columns(kind))
    return 1 if found.state == "refused" else 0


def _look(account: Account, kind: Kind, number: int) -> Reviewed | None:
    try:
        return find(account, kind, number)
    except Unreachable:
        return None


def _reviewed(kind: Kind, item: Any) -> Reviewed:
    return Reviewed(
        id=int(getattr(item, kind.id)),
        name=getattr(item, kind.name) or "",
        state=_STATES.get(item.StatusCode, f"unknown ({item.StatusCode})"),
        reply=item.ReviewReply or "",
        created=item.CreateTime or 0,
        international=item.International == ABROAD,
        content=item.TemplateContent if kind is TEMPLATE else None,
        qualification=item.QualificationName or None if kind is SIGNATURE else None,
    )
