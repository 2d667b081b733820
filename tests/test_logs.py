"""The log: one line of JSON for each record, with its facts and without secrets."""

import itertools
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from sms_login import __version__, logs
from sms_login.secret import Secret
from tests.testkit.world import PHONE

ROOT = Path(__file__).parent.parent
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1In0.c2lnbmF0dXJl"
NUMBER = "+8613800138000"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lines:
    """Set logging up as the function does, and give a function that returns the lines since its last call."""
    monkeypatch.setattr(logs, "_requests", itertools.count(1))  # no cold start, with or without earlier tests
    logs.set_up("DEBUG")

    def printed() -> list[dict[str, Any]]:
        out, err = capsys.readouterr()
        assert err == ""
        assert out == "" or out.endswith("\n")
        return [json.loads(line) for line in out.split("\n")[:-1]]

    return printed


def test_a_record_is_one_line_with_time_level_and_event(lines: Lines) -> None:
    """The time is UTC to the millisecond; a library's record names its logger and is redacted."""
    before = datetime.now(timezone.utc)
    logging.getLogger("some.library").warning("took %d ms for %s", 12, NUMBER)
    [line] = lines()
    time = datetime.strptime(line.pop("time"), "%Y-%m-%dT%H:%M:%S.%f%z")
    assert before - timedelta(milliseconds=1) <= time <= datetime.now(timezone.utc)
    assert line == {"level": "WARNING", "event": "took 12 ms for <number>", "logger": "some.library"}


def test_a_request_is_one_line_with_its_facts(lines: Lines) -> None:
    """A request's line is written at its end, and a later fact replaces an earlier one with its name."""
    logs.begin()
    logs.note(method="getSms", status=500)
    logs.note(status=200, phone=str(PHONE), text="短信")
    assert lines() == []
    logs.end(logging.INFO)
    [line] = lines()
    del line["time"]
    facts = {"method": "getSms", "status": 200, "phone": "+86138****8000", "text": "短信"}
    assert line == {"level": "INFO", "event": "request", **facts}


def test_only_the_first_request_is_a_cold_start(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line has `cold_start` and the version, and the lines of a warm instance have neither."""
    monkeypatch.setattr(logs, "_requests", itertools.count())
    for _ in range(2):
        logs.begin()
        logs.end(logging.INFO)
    assert [(line.get("cold_start"), line.get("version")) for line in lines()] == [(True, __version__), (None, None)]


def test_calls_to_other_services_are_counted_and_timed(lines: Lines) -> None:
    """Calls are added up by name, and outside a request they leave nothing."""
    started = time.perf_counter()
    logs.spent("redis", started)
    logs.begin()
    for name in ("redis", "redis", "sms"):
        logs.spent(name, started)
    logs.end(logging.INFO)
    [line] = lines()
    assert (line["redis_calls"], line["sms_calls"]) == (2, 1)
    assert line["redis_ms"] >= 0
    assert line.keys() == {"time", "level", "event", "redis_calls", "redis_ms", "sms_calls", "sms_ms"}


def test_a_line_has_only_facts_of_its_own_request(lines: Lines) -> None:
    """Facts noted before the request, by another request or by another thread are not in its line."""
    logs.note(outside=1)
    logs.begin()
    logs.note(of_a_request_that_never_ended=1)
    logs.begin()
    logs.note(first=1)

    def another_request() -> None:
        logs.begin()
        logs.note(second=1)
        logs.end(logging.INFO)

    thread = threading.Thread(target=another_request)
    thread.start()
    thread.join()
    logs.end(logging.INFO)
    logs.note(outside=1)
    logs.begin()
    logs.end(logging.INFO)
    assert [line.keys() - {"time", "level", "event"} for line in lines()] == [{"second"}, {"first"}, set()]


@pytest.mark.parametrize(("level", "expected"), [("INFO", "WARNING"), ("WARNING", "WARNING"), ("ERROR", "ERROR")])
def test_an_alert_raises_the_level_of_its_line(lines: Lines, level: str, expected: str) -> None:
    """A line with alerts is at least a warning, and has every alert with its facts, in order."""
    logs.begin()
    logs.alert("failures_in_a_row", failures=50)
    logs.alert("undo_failed")
    logs.end(getattr(logging, level))
    [line] = lines()
    assert line["level"] == expected
    assert line["alerts"] == [{"alert": "failures_in_a_row", "failures": 50}, {"alert": "undo_failed"}]


def test_a_problem_outside_any_request_has_a_line_of_its_own(lines: Lines) -> None:
    """The line of a problem has the level ERROR."""
    logs.problem("misconfigured", problems=["REDIS_HOST is required"])
    [line] = lines()
    assert (line["level"], line["event"]) == ("ERROR", "misconfigured")
    assert line["problems"] == ["REDIS_HOST is required"]


def test_the_level_applies_to_all_loggers(lines: Lines) -> None:
    """Records below the level are not printed, and a second set-up does not print lines twice."""
    logs.set_up("WARNING")
    logs.set_up("WARNING")
    logging.getLogger("some.library").info("quiet")
    logs.end(logging.INFO)
    logging.getLogger("some.library").warning("loud")
    assert [line["event"] for line in lines()] == ["loud"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\x85", "\x0b"])
def test_a_line_end_in_a_text_does_not_make_a_second_line(lines: Lines, end: str) -> None:
    """A message, a fact or a traceback cannot forge a line."""
    text = f'{end}{{"event": "forged"}}{end}'
    logging.getLogger("some.library").info("%s", text)
    logs.begin()
    logs.note(text=text)
    logs.end(logging.ERROR, error=ValueError(text))
    assert [line["event"] for line in lines()] == [text, "request"]


def test_a_traceback_is_in_the_line_of_its_request_without_secrets(lines: Lines) -> None:
    """A traceback includes the exceptions that caused the error, and masks tokens, passwords, numbers and codes."""
    logs.begin()
    try:
        try:
            int(f"code {JWT}")
        except ValueError as cause:
            message = f"password={JWT!r} for {NUMBER}: '123456'"
            raise RuntimeError(message) from cause
    except RuntimeError as error:
        logs.end(logging.ERROR, error=error)
    [line] = lines()
    assert "Traceback" in line["traceback"]
    assert "RuntimeError: password='****' for <number>: '******'" in line["traceback"]
    assert "ValueError: invalid literal for int() with base 10: 'code <token>'" in line["traceback"]
    assert not any(secret in str(line) for secret in (JWT, NUMBER[1:], "123456"))


def test_a_fact_without_a_json_type_is_printed_as_text_without_secrets(lines: Lines) -> None:
    """Numbers and secrets mask themselves, and other texts are redacted."""
    logs.begin()
    logs.note(phone=PHONE, secret=Secret("hunter2"), error=ValueError(f"of {NUMBER}"))
    logs.end(logging.INFO)
    [line] = lines()
    assert (line["phone"], line["secret"], line["error"]) == ("+86138****8000", "Secret('****')", "of <number>")


def test_a_record_that_cannot_be_formatted_prints_nothing_and_raises_nothing(lines: Lines) -> None:
    """A malformed record is dropped, since Python's logging would print its arguments, which may be secret."""
    logging.getLogger("some.library").info("%d", "hunter2")
    assert lines() == []


def test_a_line_with_a_lone_surrogate_is_not_lost(lines: Lines) -> None:
    """A request with a lone surrogate among its facts has exactly one line."""
    logs.begin()
    logs.note(text="\ud800")
    logs.end(logging.INFO)
    assert len(lines()) == 1


def test_long_lines_of_many_threads_stay_whole() -> None:
    """A traceback is cut to its end, so that a line fits into 4 KiB, which a pipe writes in one piece."""
    program = """
import logging, threading
from sms_login import logs
def log():
    for _ in range(5):
        logs.begin()
        try:
            raise ValueError("x " * 2500 + "end")
        except ValueError as error:
            logs.end(logging.INFO, error=error)
logs.set_up("INFO")
threads = [threading.Thread(target=log) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    for options in ([], ["-u"]):  # as in the container, and as in scf_bootstrap
        done = subprocess.run([sys.executable, *options, "-c", program], cwd=ROOT, capture_output=True, check=True)  # noqa: S603 - our own program
        lines = done.stdout.splitlines()
        assert [json.loads(line)["traceback"][-4:] for line in lines] == ["end\n"] * 80
        assert all(4000 < len(line) < 4096 for line in lines)
