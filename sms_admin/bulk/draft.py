"""A task before it has rows: the options of `preview` and `send`, and the conditions that can be checked by then."""

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
from msgspec.structs import replace

from sms_admin.bulk import conditions, exclusions, hours, sheets
from sms_admin.bulk.account import Account
from sms_admin.bulk.exclusions import Exclusions
from sms_admin.bulk.journal import Journal
from sms_admin.bulk.preview import Count, Intake, Texts
from sms_admin.bulk.safe_csv import SafeCsv
from sms_admin.bulk.task import Folder, Task, new_id
from sms_admin.bulk.texts import Rules, Text
from sms_admin.failures import Failed
from sms_admin.language import tr
from sms_admin.place import settings_of

_PARALLEL = 32
_RATE = 1000.0
_PLATFORM = 3000  # requests a second: the end of SendSms, document 382/52077
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)

_OPTIONS = [
    click.argument("sheet", type=_FILE),
    click.option("--template", metavar="ID", required=True, help=tr("The template's number.", "模板 ID。")),
    click.option("--sign", metavar="NAME", help=tr("The signature; SMS_SIGN if not given.", "签名；默认为 SMS_SIGN。")),
    click.option(
        "--intl-template", metavar="ID", help=tr("The template for numbers abroad.", "境外号码使用的模板 ID。")
    ),
    click.option(
        "--text",
        default="",
        help=tr("The template's text, if the API may not show it.", "模板内容，用于无法通过接口查询时。"),
    ),
    click.option("--sheet-name", metavar="NAME", default="", help=tr("The sheet of the workbook.", "工作表名称。")),
    click.option(
        "--variable-length",
        metavar="N",
        type=click.IntRange(1, 500),
        default=6,
        show_default=True,
        help=tr("The most characters of a value; the console shows it.", "每个变量的最大字符数，以控制台为准。"),
    ),
    click.option(
        "--marketing/--notice",
        default=None,
        help=tr("The kind; by its 拒收请回复R if not given.", "短信类型；默认按“拒收请回复R”判断。"),
    ),
    click.option(
        "--at",
        metavar="TIME",
        default="",
        help=tr("Begin then: '2027-02-06 09:00:00'.", "开始时间：'2027-02-06 09:00:00'。"),
    ),
    click.option("--expires", metavar="TIME", default="", help=tr("Send nothing from then on.", "此后不再发送。")),
    click.option(
        "--zone", default="Asia/Shanghai", show_default=True, help=tr("The time zone of both.", "上述时间的时区。")
    ),
    click.option(
        "--rate",
        metavar="N",
        type=click.FloatRange(1, _PLATFORM),
        default=_RATE,
        show_default=True,
        help=tr("The most requests a second.", "每秒最多请求数。"),
    ),
    click.option(
        "--parallel",
        metavar="N",
        type=click.IntRange(1, 256),
        default=_PARALLEL,
        show_default=True,
        help=tr("The most requests at once.", "最多并发请求数。"),
    ),
    click.option(
        "--exclude",
        metavar="FILE",
        type=_FILE,
        multiple=True,
        help=tr("Numbers that get nothing.", "不发送的号码表。"),
    ),
]
_JOURNAL = click.option(
    "--journal",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help=tr("The folder of the journals.", "日志目录。"),
)


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a draft, and the folder of its journal."""
    for option in reversed([*_OPTIONS, _JOURNAL]):
        function = option(function)
    return function


def journal_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the folder of the journals."""
    return _JOURNAL(function)


def account_of(environ: Mapping[str, str]) -> Account:
    """Return the account of an environment. Raises Failed for its settings."""
    settings = settings_of(environ, "SMS_REGION", "SMS_ENDPOINT", "SMS_TIMEOUT")
    return Account(environ, region=settings.sms_region, endpoint=settings.sms_endpoint, timeout=settings.sms_timeout)


class Draft(NamedTuple):
    """A task without its rows: problems stop a sending, notes do not."""

    task: Task
    problems: list[str]
    notes: list[str]
    account: Account
    given: Mapping[str, Any]

    @classmethod
    def of(cls, environ: Mapping[str, str], given: Mapping[str, Any]) -> "Draft":
        """Return the draft of a command's options. Raises Failed if there is no text to preview."""
        app = conditions.application(environ, "BULK_SDKAPPID", "SMS_SDKAPPID")
        abroad_app = conditions.application(environ, "BULK_INTL_SDKAPPID", "SMS_INTL_SDKAPPID")
        now, place = time.time(), hours.zone(given["zone"])
        at, expires = (int(hours.moment(given[name], place, now)) if given[name] else 0 for name in ("at", "expires"))
        account = account_of(environ)
        template = conditions.template(account, given["template"], given["text"], abroad=False)
        sign = conditions.signature(account, given["sign"] or environ.get("SMS_SIGN", ""))
        text, abroad = Text(template.text, sign.text), None
        kind = conditions.kind(text, marketing=given["marketing"])
        parts = [template, sign, kind]
        if given["intl_template"] and abroad_app:
            found = conditions.template(account, given["intl_template"], "", abroad=True)
            abroad = Text(found.text, abroad=True)
            parts.append(found)
        problems = [problem for part in parts for problem in part.problems]
        if not app:
            why = "set BULK_SDKAPPID: the application of bulk messages", "请设置 BULK_SDKAPPID：群发短信使用的应用"
            problems.append(tr(*why))
        if abroad and abroad.variables != text.variables:
            problems.append(tr("both templates must have as many variables", "两个模板的变量数量必须相同"))
        task = Task(
            id=new_id(), sheet=given["sheet"].name, digest=_digest(given["sheet"]), created=int(now),
            app_id=app, template_id=given["template"], text=text,
            abroad_app_id=abroad_app, abroad_template_id=given["intl_template"] or "", abroad_text=abroad,
            sender_id=environ.get("SMS_SENDER_ID", ""), marketing=kind.text == "marketing",
            at=at, expires=expires, zone=given["zone"], rate=given["rate"], parallel=given["parallel"],
        )  # fmt: skip
        notes = [note for part in parts for note in part.notes]
        if sheets.is_ambiguous(given["sheet"]):
            why = "the encoding was guessed from few characters: look at the samples", "编码由少量字符推断：请核对预览"
            notes.append(tr(*why))
        return cls(task, problems + conditions.hour(task, now), notes, account, given)

    def read(self, folder: Folder, rejected: Path) -> tuple[Journal, Task, Count]:
        """Read the sheet into a new journal, and the rejected rows into a file. Raises Failed."""
        excluded = Exclusions(folder.path).load()
        for path in self.given["exclude"]:
            excluded |= exclusions.read(path)
        texts = Texts(
            self.task.text, self.task.abroad_text, Rules(self.task.text.variables, self.given["variable_length"])
        )
        journal = Journal.create(folder.file(self.task.id, "new"))
        file = SafeCsv(rejected, [tr("row", "行号"), tr("reason", "原因"), tr("phone", "手机号码")])
        try:
            count = Intake(journal, texts, excluded, file).read(self.given["sheet"], self.given["sheet_name"])
            bad = count.rejected + count.duplicates + count.excluded
            task = replace(self.task, rows=count.recipients, rejected=bad, messages=count.messages)
            with journal.changes():
                journal.task = task
        except BaseException:
            journal.discard()
            raise
        finally:
            file.close()
        return journal, task, count


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror}", f"无法读取 {path}：{error.strerror}") from None
    return digest.hexdigest()
