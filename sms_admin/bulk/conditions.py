"""The conditions of a task before anything is sent: its template, signature, application and hour."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from sms_admin.bulk import hours
from sms_admin.bulk.account import Account, Listed, Trouble
from sms_admin.bulk.task import Task
from sms_admin.bulk.texts import REFUSE, Text
from sms_admin.failures import Failed
from sms_admin.language import tr

_STATES = {
    1: ("is still being reviewed", "仍在审核中"),
    2: ("is approved, but not in effect yet", "已通过审核，但尚未生效"),
    -1: ("was refused", "未通过审核"),
}


class Found(NamedTuple):
    """A template's text, and the sentences about it: problems stop a sending, notes do not."""

    text: str
    problems: list[str]
    notes: list[str]


def application(environ: Mapping[str, str], name: str, others: str) -> str:
    """Return the application of bulk messages. Raises Failed if it is the login's own.

    The platform counts its limits per number and day for each application: a wish must not cost a login.
    """
    app = environ.get(name, "").strip()
    if app and app == environ.get(others, "").strip():
        raise Failed(
            f"{name} is the login's own application ({others}): limits per number and day are counted for each "
            "application, so make another one in the SMS console",
            f"{name} 与登录使用的应用（{others}）相同：每个号码的每日限额按应用计算，请在短信控制台另建一个应用",
        )
    return app


def template(account: Account, template_id: str, given: str, *, abroad: bool) -> Found:
    """Look a template up. `given` is its text for accounts whose API does not show templates. Raises Failed."""
    if not template_id.isdecimal():
        raise Failed(f"the template {template_id} is not a number", f"模板 {template_id} 不是数字")
    try:
        found = account.template(template_id, abroad=abroad)
    except Trouble as trouble:
        if not given:
            raise Failed(
                f"the template cannot be read: {trouble.code}. If the account may not list templates, give its text "
                "with --text",
                f"无法读取模板：{trouble.code}。如果账号不能查询模板，请用 --text 指定模板内容",
            ) from None
        _refuse_gaps(given)
        return Found(given, [], [tr(f"the template was not checked: {trouble.code}", f"未检查模板：{trouble.code}")])
    if found is None:
        raise Failed(f"the account has no template {template_id}", f"账号没有模板 {template_id}")
    _refuse_gaps(found.text)
    problems = _state(tr(f"the template {template_id}", f"模板 {template_id}"), found)
    if given and given != found.text:
        problems.append(
            tr(
                f"the template's text is “{found.text}”, not that of --text",
                f"模板内容是“{found.text}”，与 --text 不同",
            )
        )
    return Found(found.text, problems, [])


def _refuse_gaps(text: str) -> None:
    """Raise Failed for a template whose variables are not {1}, {2} and so on: no value of a row belongs to the rest."""
    numbers = {int(number) for number in re.findall(r"\{([0-9]+)\}", text)}
    if numbers != set(range(1, len(numbers) + 1)):
        raise Failed(
            f"the variables of “{text}” must be {{1}}, {{2}} and so on, without a gap",
            f"“{text}”的变量必须从 {{1}} 开始连续编号",
        )


def signature(account: Account, name: str) -> Found:
    """Look a signature of mainland China up."""
    if not name:
        return Found("", [tr("there is no signature: give --sign", "缺少签名：请指定 --sign")], [])
    try:
        found = account.sign(name)
    except Trouble as trouble:
        return Found(name, [], [tr(f"the signature was not checked: {trouble.code}", f"未检查签名：{trouble.code}")])
    if found is None:
        return Found(name, [tr(f"the account has no signature {name}", f"账号没有签名 {name}")], [])
    return Found(name, _state(tr(f"the signature {name}", f"签名 {name}"), found), [])


def kind(text: Text, *, marketing: bool | None) -> Found:
    """Say whether the messages are marketing: as told, else by the words that a template of marketing must have."""
    if marketing and not text.is_marketing:
        why = tr(f"a marketing template must end with {REFUSE}", f"营销模板必须以“{REFUSE}”结尾")
        return Found("marketing", [why], [])
    if marketing or (marketing is None and text.is_marketing):
        return Found("marketing", [], [])
    why = tr(
        f"the template has no {REFUSE}, so this counts as a notice; wishes and offers are marketing",
        f"模板没有“{REFUSE}”，因此按通知类短信处理；祝福和优惠属于营销短信",
    )
    return Found("notice", [], [] if marketing is False else [why])


def hour(task: Task, now: float) -> list[str]:
    """Return the problems of the time at which a task begins."""
    begin = max(now, task.at)
    problems = []
    if task.marketing and hours.possible(begin) > begin:
        then = hours.shown(hours.possible(begin), hours.CHINA)
        problems.append(
            tr(
                f"marketing goes out from 8:00 to 22:00 (Asia/Shanghai) only: the next possible time is {then} (--at)",
                f"营销短信只能在 8:00 至 22:00（Asia/Shanghai）发送：下一个可用时间是 {then}，请使用 --at",
            )
        )
    if task.expires and task.expires <= begin:
        problems.append(tr("it expires before it begins", "过期时间早于开始时间"))
    return problems


def _state(subject: str, found: Listed) -> list[str]:
    if found.status == 0:
        return []
    english, chinese = _STATES.get(
        found.status, (f"has the unknown status {found.status}", f"状态未知：{found.status}")
    )
    why = f" ({found.reply})" if found.reply else ""
    return [tr(f"{subject} {english}{why}", f"{subject}{chinese}{why}")]
