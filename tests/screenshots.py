"""Make the documents' screenshots of the page: `python -m tests.screenshots`."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from playwright.sync_api import Browser, expect, sync_playwright

from local.cloud import local_cloud
from local.gateway import Gateway
from sms_admin.bulk.journal import Journal
from sms_admin.bulk.report import report, write_html
from sms_admin.bulk.task import Folder
from sms_login import wiring
from tests.testkit.backends import Backend
from tests.testkit.browser import Person, launch
from tests.testkit.bulk import make_task, members

DOCS = Path(__file__).parent.parent / "docs"
NUMBER = "13800138000"


def main() -> None:
    """Take screenshots of a login in English in a wide window and on a phone, and of half a code in Chinese."""
    with sync_playwright() as playwright, launch(playwright) as browser:
        _report_of_a_task(browser)
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


def _report_of_a_task(browser: Browser) -> None:
    """Take a screenshot of the page with which `bulk report --html` tells what became of a task."""
    with tempfile.TemporaryDirectory() as path:
        folder, page = Folder(Path(path)), browser.new_page(viewport={"width": 860, "height": 640})
        journal = Journal(folder.file(make_task(folder, members(900))))
        journal.db.execute(
            "UPDATE recipients SET state = 2, fee = 1, at = 1801875600 + row / 20, delivered = row % 9 > 0"
        )
        journal.db.execute("UPDATE recipients SET reason = 'MK:0001' WHERE delivered = 0")
        journal.db.execute("UPDATE recipients SET delivered = NULL WHERE row % 11 = 0")
        journal.db.execute(
            "UPDATE recipients SET state = 3, reason = 'LimitExceeded.PhoneNumberDailyLimit' WHERE row % 31 = 0"
        )
        write_html(journal, report(journal, "wkfqrt", "finished"), Path(path, "report.html"))
        journal.close()
        page.goto(Path(path, "report.html").as_uri())
        page.screenshot(path=DOCS / "bulk-report.png")
        page.close()


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
