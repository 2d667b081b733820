"""`--function`: operations in the admin function, by the real SDK and the stand-in's Invoke, and events it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from msgspec import Struct

from local.cloud import ADMIN, Cloud, local_cloud
from sms_admin import commands, function, operations
from sms_admin.cli import cli
from sms_admin.operations import Page, operation
from sms_admin.output import Column
from sms_admin.place import Place
from sms_admin.run import Run
from sms_login import __version__
from sms_login.errors import ServiceUnavailable
from sms_login.phone import Phone
from tests.testkit.admin import Done, admin
from tests.testkit.events import gateway_json, url_form

PHONE = "+8613800138000"


class Look(Struct, rename="camel"):
    """A request."""

    phone: str
    most_pages: int = 3
    note: str | None = None


class Seen(Struct, rename="camel", omit_defaults=True):
    """A row."""

    phone: Phone
    page_number: int
    note: str | None = None


@operation
def look(place: Place, asked: Look, cursor: Any) -> Page:
    """Return a few pages, and record that it was asked."""
    phone, page = Phone.from_e164(asked.phone), cursor or 0
    if page == 0:
        place.record("test.look", phone)
    if asked.most_pages == 0:
        raise ServiceUnavailable("redis: timeout")
    return Page([Seen(phone, page, asked.note)] * 2, page + 1 if page + 1 < asked.most_pages else None)


@commands.command("look", example="look", help="Look.", needs_redis=True)
@click.argument("phone", type=commands.PHONE)
@click.option("--pages", default=3)
def command(run: Run, phone: Phone, pages: int) -> None:
    """Look at a number."""
    run.out.rows(run.rows(look, Look(phone.e164, pages)), [Column("phone", "number"), Column("pageNumber", "page")])


LOG: list[str] = []  # of the function


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """The environment of `make run`; the operation above is among those of the function."""
    find = operations.find
    environ = {"REDIS_HOST": "127.0.0.1"}
    with local_cloud(environ, on_log=LOG.append) as cloud, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "get_command", lambda *_: command)
        patch.setattr(operations, "find", lambda name: look if name == look.name else find(name))
        yield cloud


def run(cloud: Cloud, *arguments: str, **environ: str) -> Done:
    """Run the command in the function."""
    return admin({**cloud.environ, **environ}, "look", PHONE, "--function", ADMIN, *arguments)


def test_a_command_gives_the_same_rows_from_the_function(cloud: Cloud, tmp_path: Path) -> None:
    """Each page is one call; numbers are masked in every answer, and the log names the caller by CAM's words."""
    before = cloud.tencent.requests("Invoke")
    here = admin({**cloud.environ, "XDG_STATE_HOME": str(tmp_path)}, "look", PHONE, "--json")
    there = run(cloud, "--json")
    assert there == here
    assert [json.loads(line)["pageNumber"] for line in there.out.splitlines()] == [0, 0, 1, 1, 2, 2]
    assert cloud.tencent.requests("Invoke") - before == 3
    line = json.loads(LOG[-1])
    assert (line["action"], line["phone"]) == ("test.look", "+86138****8000")
    assert line["by"].startswith("qcs::cam::uin/100000000001:uin/100000000002 (")


def test_a_caller_without_a_name_at_cam_is_this_machines_user(cloud: Cloud) -> None:
    """A key that may not ask for its own name still works."""
    cloud.tencent.fail("UnauthorizedOperation", 1, "GetCallerIdentity")
    assert run(cloud).code == 0
    assert "@" in json.loads(LOG[-1])["by"]


def test_each_failure_of_the_function_is_a_sentence(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis away there, another version, another function, no function, no permission, no answer, a crash."""

    def said(*arguments: str, **environ: str) -> str:
        done = run(cloud, *arguments, **environ)
        assert (done.code, done.out) == (1, "")
        return done.err

    assert said("--pages", "0") == "no answer from Redis or the database: redis: timeout\n"
    assert "没有应答" in said("--pages", "0", LANG="zh_CN.UTF-8")
    with monkeypatch.context() as patch:
        patch.setattr("sms_admin.invoke._TIMEOUT", 0.2)
        cloud.tencent.fail("timeout", 1, "Invoke")
        assert "did not answer in time" in said()
    functions = cloud.tencent.functions
    monkeypatch.setitem(functions, ADMIN, lambda *_: {"statusCode": 200, "body": "{}"})
    assert "this is not the admin function" in said()
    monkeypatch.setitem(functions, ADMIN, lambda *_: {"version": "9.9.9", "rows": [], "cursor": None})
    assert f"the admin function is 9.9.9, these commands are {__version__}" in said()
    monkeypatch.setitem(functions, ADMIN, lambda *_: 1 / 0)
    assert "the admin function failed: ZeroDivisionError" in said()
    monkeypatch.delitem(functions, ADMIN)
    assert said() == "there is no function of this name: --function\n"
    cloud.tencent.fail("UnauthorizedOperation.CAM", 1, "Invoke")
    assert "allow it the action scf:InvokeFunction" in said()
    cloud.tencent.fail("InternalError.System", 1, "Invoke")
    assert "Invoke failed: InternalError.System" in said()
    assert "AuthFailure.SignatureFailure" in said(TENCENTCLOUD_SECRETKEY="wrong")


def request(**changes: Any) -> dict[str, Any]:
    """Return the event of the command above."""
    asked = {"phone": PHONE, "mostPages": 1}
    good = {"version": __version__, "operation": look.name, "asked": asked, "cursor": None, "by": "me"}
    return {function.EVENT: {**good, **changes}}


def answered(cloud: Cloud, event: Any, lines: list[str] | None = None) -> dict[str, Any]:
    """Return the function's answer to an event."""
    return function.answer(event, {"request_id": "1"}, cloud.environ, ([] if lines is None else lines).append)


def test_versions_that_differ_refuse_each_other(cloud: Cloud) -> None:
    """The sentence names both, in both languages."""
    english, chinese = answered(cloud, request(version="0.1.0"))["failed"]
    assert english.startswith(f"these commands are version 0.1.0, the admin function is {__version__}: deploy it anew")
    assert chinese.startswith(f"命令的版本是 0.1.0，管理函数是 {__version__}")


def test_an_event_that_came_over_http_is_refused_whatever_it_says(cloud: Cloud) -> None:
    """Every shape of an HTTP event, with the request in each place that a caller can fill, is refused and logged."""
    secret = request()
    events: list[Any] = [
        gateway_json(secret, {}),
        {**gateway_json(secret, {}), **secret},
        {**url_form({"smsAdmin": json.dumps(secret)}, {}), **secret},
        {"headers": {}, "body": json.dumps(secret), **secret},
        {**secret, "Type": "Timer"},
        {"Type": "Timer", "TriggerName": "receipts", "Time": "", "Message": "", "httpMethod": "POST"},
        {"Type": "Timer", "TriggerName": "others", "Time": "", "Message": ""},
        {"Type": "timer", "TriggerName": "receipts", "Time": "", "Message": ""},
        {},
        [],
        None,
        json.dumps(secret),
        [secret],
    ]
    for event in events:
        lines: list[str] = []
        answer = answered(cloud, event, lines)
        assert answer["failed"][0] == "only Invoke and the timers of receipts and alerts may call this function", event
        assert [json.loads(line)["alert"] for line in lines] == ["refused_event"]
        assert PHONE not in str((answer, lines))


def test_a_malformed_request_is_refused_without_its_values(cloud: Cloud) -> None:
    """Unknown operations and fields, wrong types and missing fields; no answer quotes a number."""
    events: list[dict[str, Any]] = [
        {function.EVENT: None},
        {function.EVENT: {}},
        request(more=1),
        request(version=1),
        request(operation="os.system"),
        request(operation="function.main_handler"),
        request(asked={"phone": 13800138000}),
        request(asked=[PHONE]),
        request(by=None),
        request(operation="receipts.pull_receipts", asked={}, cursor="x"),
        request(operation="receipts.pull_receipts", asked={}, cursor=2),
        request(operation="receipts.pull_receipts", asked={}, cursor=-1),
        request(
            operation="statistics.counts.read_counts",
            asked={"begin": 1, "end": 2, "hourly": True, "offset": 8},
            cursor=["x"],
        ),
        request(asked={"phone": "13800138000"}),
        request(operation="numbers.show_number", asked={"phone": "+x"}),
    ]
    for event in events:
        answer = answered(cloud, event)
        assert "no answer" not in str(answer), event
        assert set(answer) == {"version", "failed"}, event
        assert "13800138000" not in str(answer)


def test_numbers_in_the_answers_are_masked_and_answers_stay_readable(cloud: Cloud) -> None:
    """The platform logs what a function returns."""
    answer = answered(cloud, request())
    assert answer["rows"] == [{"phone": "+86138****8000", "pageNumber": 0}] * 2
    assert PHONE not in json.dumps(answer)
    texts = {
        "13800138000": "****",
        "我是86 138-0013-8000!": "我是****!",
        "+441632960961x": "****x",
        "3cf5cece684233728e3d7b96ae13800138000b8": "3cf5cece684233728e3d7b96ae13800138000b8",
        "2019:189695000000000000000000": "2019:189695000000000000000000",
        "12345678": "12345678",
    }
    for text, masked in texts.items():
        asked = {"phone": PHONE, "mostPages": 1, "note": text}
        assert answered(cloud, request(asked=asked))["rows"][0]["note"] == masked
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(function, "MOST", 100)
        assert answered(cloud, request())["failed"][0] == "the page is too large: please report it"


def test_the_platforms_entry_point_reads_the_environment(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """`main_handler` takes the settings of the process, and its log is standard output."""
    for name, value in cloud.environ.items():
        monkeypatch.setenv(name, value)
    assert function.main_handler(request(), None)["rows"] != []
