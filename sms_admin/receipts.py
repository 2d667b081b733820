"""`receipts pull`: delivery receipts into Redis, if no callback brings them."""

import time
from collections.abc import Iterator
from time import sleep
from typing import Annotated, Any

import click
from msgspec import Meta, Struct

from sms_admin import commands
from sms_admin.language import tr
from sms_admin.operations import Page, cursor_of, operation
from sms_admin.output import Column
from sms_admin.place import Place, settings_of
from sms_admin.run import Run
from sms_admin.tencent import Account
from sms_login import wiring
from sms_login.adapters.redis.receipts import RedisReceipts
from sms_login.adapters.redis.statistics import RedisStatistics
from sms_login.adapters.tencent.receipt_codes import reason_of
from sms_login.errors import InvalidPhone
from sms_login.otp.delivery import DeliveryReceipt, NoteOutcome
from sms_login.otp.purposes import BUILT_IN
from sms_login.phone import Phone
from sms_login.statistics import Statistics

_MOST = 100  # receipts of one answer: the API's maximum
_EVERY = 5.0  # s between two looks of --follow at an empty queue


class Pull(Struct):
    """The request for one answer's receipts of each application."""


class Pulled(Struct, rename="camel"):
    """An answer's receipts: how many, how many of them are new for a message that we know, and what they say."""

    application: str
    receipts: int
    noted: int
    delivered: int
    failed: int


@operation
def pull_receipts(place: Place, asked: Pull, cursor: Any) -> Page:  # noqa: ARG001 - an operation has a request
    """Pull the receipts of one answer, each of which Tencent Cloud gives once, and note them in Redis.

    The cursor is the application's place among the settings. An answer that is full has a page after it.
    """
    settings = settings_of(place.environ, "SMS_SDKAPPID", "SMS_INTL_", "SMS_REGION", "SMS_ENDPOINT", "REDIS_")
    routes = [settings.sms_mainland, *([settings.sms_abroad] if settings.sms_abroad else [])]
    applications = list(dict.fromkeys(route.app_id for route in routes))
    index = cursor_of(cursor or 0, Annotated[int, Meta(ge=0, lt=len(applications))])
    place.redis.check()  # a receipt that is pulled and cannot be noted is lost
    answer = Account(place.environ).call("PullSmsSendStatus", SmsSdkAppId=applications[index], Limit=_MOST)
    items = answer.PullSmsSendStatusSet or []
    found = list(_read(items))
    abroad = settings.sms_abroad.purposes if settings.sms_abroad else {}
    store = RedisReceipts(place.redis, BUILT_IN.union(settings.sms_mainland.purposes, abroad))
    calls = [store.note(receipt, at) for receipt, at in found]
    place.redis.send(*calls)
    new = [receipt for (receipt, _), call in zip(found, calls, strict=True) if call.answer() is NoteOutcome.NOTED]
    counts = Statistics(wiring.allowed_countries(settings), on=settings.statistics)
    for receipt in new:
        counts.count_receipt(receipt.phone.region, receipt.reason)
    place.redis.send(*RedisStatistics(place.redis, counts).riders())
    failed = sum(receipt.reason is not None for receipt, _ in found)
    row = Pulled(applications[index], len(items), len(new), len(found) - failed, failed)
    following = index if len(items) == _MOST else index + 1
    return Page([row], following if following < len(applications) else None)


def _read(items: list[Any]) -> Iterator[tuple[DeliveryReceipt, int]]:
    """Yield the receipts for numbers that can receive SMS, each with its time in epoch seconds."""
    for item in items:
        try:
            phone = Phone.from_e164(item.PhoneNumber or "")
        except InvalidPhone:
            continue
        reason = None if item.ReportStatus == "SUCCESS" else reason_of(item.Description or "")
        yield DeliveryReceipt(phone, item.SerialNo or "", reason), item.UserReceiveTime or int(time.time())


command = commands.Group(
    "receipts", help=tr("Delivery receipts, if no callback brings them.", "短信回执：未设置回调时主动拉取。")
)


@command.command(
    "pull",
    example="receipts pull --follow",
    needs_redis=True,
    help=tr(
        "Pull receipts from Tencent Cloud into Redis. There getSmsStatus finds them. Each is given once: "
        "do not pull beside a callback. Tencent's support opens the interface.",
        "把腾讯云上等待的回执拉取到 Redis。getSmsStatus 从中查询。"
        "每条回执只返回一次，请勿与回调同时使用。该接口需联系腾讯云开通。",
    ),
)
@click.option("--follow", is_flag=True, help=tr("Go on until Ctrl-C.", "持续拉取，直到 Ctrl-C。"))
def pull(run: Run, *, follow: bool) -> None:
    """Print a row for each answer with receipts."""
    columns = [
        Column("application", tr("application", "应用")),
        Column("receipts", tr("receipts", "回执"), right=True),
        Column("noted", tr("noted", "已记录"), right=True),
        Column("delivered", tr("delivered", "已送达"), right=True),
        Column("failed", tr("failed", "失败"), right=True),
    ]
    while True:
        rows = list(run.rows(pull_receipts, Pull()))
        waiting = any(row["receipts"] for row in rows)
        if waiting or not follow:
            run.out.rows(rows, columns)
        if not follow:
            return
        if not waiting:
            sleep(_EVERY)
