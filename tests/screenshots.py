"""Make the documents' pictures: `python -m tests.screenshots`, or with the word `bulk` only those of docs/bulk.md."""

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from playwright.sync_api import Browser, expect, sync_playwright

from local.cloud import local_cloud
from local.gateway import Gateway
from sms_login import wiring
from tests.testkit.admin import Done
from tests.testkit.backends import Backend
from tests.testkit.browser import Person, launch
from tests.testkit.bulk_page import PAGES, follow, picture, picture_of

DOCS = Path(__file__).parent.parent / "docs"
NUMBER = "13800138000"


def main() -> None:
    """Take screenshots of a login in English in a wide window and on a phone, and of half a code in Chinese."""
    with sync_playwright() as playwright, launch(playwright) as browser:
        _bulk(browser)
        if sys.argv[1:] == ["bulk"]:
            return
        with _fresh_service(browser) as visit:
            wide = visit(locale="en-US", viewport={"width": 1360, "height": 880})
            wide.ask_for_code()
            expect(wide.page.locator(".arrived")).to_be_visible()
            wide.page.get_by_label("Six-digit code").fill(wide.codes[0][:4])
            _save(wide, "page.png")
            wide.type_code(wide.codes[0])
            expect(wide.screen("home")).to_be_visible()
            wide.page.get_by_label("Nickname").fill("小明")
            wide.press("Save")
            wide.says("Your nickname is saved.")
            wide.backend.age(60)

            size = {"width": 390, "height": 760}
            phone = visit(locale="en-US", viewport=size, color_scheme="dark", device_scale_factor=2, is_mobile=True)
            phone.sign_in()
            _save(phone, "page-mobile.png")
        with _fresh_service(browser) as visit:
            # GitHub shows the picture smaller than the window.
            chinese = visit(locale="zh-CN", viewport={"width": 1360, "height": 880}, device_scale_factor=0.75)
            chinese.page.locator("#phone").fill(NUMBER)
            chinese.press("获取验证码")
            expect(chinese.page.locator(".arrived")).to_be_visible()
            chinese.page.locator("#digits").fill(chinese.codes[0][:4])
            _save(chinese, "page-zh.png")


def _bulk(browser: Browser) -> None:
    """Take pictures of the commands of docs/bulk.md in a terminal, and of the page that `bulk report --html` writes."""
    for name in PAGES:
        with tempfile.TemporaryDirectory() as path, pytest.MonkeyPatch.context() as patch:
            folder = Path(path)
            terminal = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "112"}
            for (command, _), done in follow(name, folder, patch, terminal, slow=True):
                if file := picture_of(command, name):
                    printed = done.out if "bulk send" not in command else _half_way(done)
                    (DOCS / file).write_text(picture(command, printed.rstrip()), encoding="utf-8")
            page = browser.new_page(viewport={"width": 860, "height": 400})
            page.goto((folder / "wkfqrt.html").as_uri())
            file = name.replace("bulk", "bulk-report").replace(".md", ".png")
            page.screenshot(path=DOCS / file, full_page=True)
            page.close()


def _half_way(done: Done) -> str:
    """Return the terminal of a sending when half of it is done: all until the final table, and the bar."""
    bars = [frame for frame in re.split(r"\r|\n|\x1b\[[0-9;?]*[A-KSThl]", done.err) if " 50%" in frame]
    before, _, _ = done.out.rpartition(")\n")
    return f"{before})\n{bars[-1]}"


@contextmanager
def _fresh_service(browser: Browser) -> Iterator[Callable[..., Person]]:
    """Run a fresh service, and yield a function that opens the page in a new window."""
    with local_cloud({"LOG_LEVEL": "WARNING"}) as cloud:
        os.environ.update(cloud.environ)
        host, port, password = (cloud.environ[f"REDIS_{name}"] for name in ("HOST", "PORT", "PASSWORD"))
        client: Any = redis.Redis(host=host, port=int(port), password=password, protocol=2, decode_responses=True)
        backend = Backend(client)
        with Gateway(wiring.build(cloud.environ).handle, cloud.tencent, port=0) as gateway:

            def visit(**options: Any) -> Person:
                page = browser.new_context(**options).new_page()
                person = Person(page, f"{gateway.url}/", cloud.tencent, backend, NUMBER)
                person.open()
                return person

            yield visit


def _save(person: Person, name: str) -> None:
    person.page.mouse.move(0, 0)  # so that the pointer highlights nothing
    person.settle()
    person.page.screenshot(path=DOCS / name)


if __name__ == "__main__":
    main()
