"""Make the pictures of the page that the documents show: ``python -m tests.screenshots``."""

import os
from pathlib import Path
from typing import Any

import redis
from playwright.sync_api import expect, sync_playwright

from local.cloud import Cloud, local_cloud
from local.gateway import Gateway
from sms_login import wiring
from tests.browser import Person, launch
from tests.world import Backend

DOCS = Path(__file__).parent.parent / "docs"
NUMBER = "13800138000"


def main() -> None:
    """Log in twice, on a wide window and on a phone."""
    with local_cloud({"LOG_LEVEL": "WARNING"}) as cloud:
        os.environ.update(cloud.environ)
        with (
            Gateway(wiring.build(cloud.environ).handle, cloud.tencent, port=0) as gateway,
            sync_playwright() as playwright,
            launch(playwright) as browser,
        ):

            def visit(**options: Any) -> Person:
                page = browser.new_context(**options).new_page()
                person = Person(page, f"{gateway.url}/", cloud.tencent, _backend(cloud), NUMBER)
                person.open()
                return person

            wide = visit(locale="en-US", viewport={"width": 1360, "height": 880})
            wide.ask_for_code()
            expect(wide.page.locator(".arrived")).to_be_visible()
            wide.page.get_by_label("Six-digit code").fill(wide.codes[0][:4])
            _take(wide, "page.png")
            wide.type_code(wide.codes[0])
            expect(wide.screen("home")).to_be_visible()
            wide.page.get_by_label("Nickname").fill("小明")
            wide.press("Save")
            wide.says("Your nickname is saved.")
            _backend(cloud).age(60)

            size = {"width": 390, "height": 760}
            phone = visit(locale="en-US", viewport=size, color_scheme="dark", device_scale_factor=2, is_mobile=True)
            phone.sign_in()
            _take(phone, "page-mobile.png")


def _backend(cloud: Cloud) -> Backend:
    host, port = cloud.environ["REDIS_HOST"], int(cloud.environ["REDIS_PORT"])
    return Backend(redis.Redis(host=host, port=port, protocol=2, decode_responses=True))


def _take(person: Person, name: str) -> None:
    person.settle()
    person.page.screenshot(path=DOCS / name)


if __name__ == "__main__":
    main()
