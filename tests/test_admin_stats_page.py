"""The page of `stats --html` in a real Chromium: pictures with tables, nothing from the network, no violation."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import time_machine
from playwright.sync_api import Browser

from local.cloud import local_cloud
from tests.test_admin_stats import day, noon
from tests.testkit.admin import admin
from tests.testkit.backends import NOON
from tests.testkit.browser import violations
from tests.testkit.servers import RedisServer
from tests.testkit.statistics import BUSY, fill


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The page in each language, of a busy Redis of two days; an English one of an empty week by hour."""
    folder = tmp_path_factory.mktemp("pages")
    with RedisServer() as server:
        environ = {"REDIS_HOST": server.host, "REDIS_PORT": str(server.port), "ALLOWED_COUNTRIES": "*"}
        with time_machine.travel(NOON), local_cloud(environ | {"XDG_CACHE_HOME": str(folder)}) as cloud:
            found = {}
            for name, lang, options in (
                ("empty", "C", ["--by", "hour", "--from", day(0), "--no-tencent"]),
                ("en", "en_US.UTF-8", ["--price", "0.05"]),
                ("zh", "zh_CN.UTF-8", []),
            ):
                found[name] = folder / f"{name}.html"
                done = admin({**cloud.environ, "LANG": lang}, "stats", "--html", str(found[name]), *options)
                assert (done.code, done.err) == (0, "")
                if name == "empty":
                    fill(cloud, {noon(ago): {"CN": BUSY, "GB": BUSY, "ZZ": {"asked": 3}} for ago in (0, 1)})
            yield found


@pytest.mark.parametrize("name", ["empty", "en", "zh"])
def test_the_page_is_whole_by_itself_and_accessible(browser: Browser, pages: dict[str, Path], name: str) -> None:
    """Each picture has its table, whose numbers are right; light, dark and on a phone there is no violation."""
    context = browser.new_context()
    page, asked = context.new_page(), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: asked.append(str(error)))
    page.goto(pages[name].as_uri())
    assert asked == [pages[name].as_uri()]
    assert page.locator("figure svg").count() == page.locator("section table").count() > (6 if name != "empty" else 1)
    assert page.locator("html").get_attribute("lang") == ("zh-CN" if name == "zh" else "en")
    if name == "en":
        funnel = page.locator("section").first.locator("tr")
        assert funnel.all_inner_texts()[1:4] == [
            "asked\t206\t100%\t–",
            "sent\t160\t78%\t80",
            "delivered\t144\t70%\t72",
        ]
    found = [violations(page)]
    page.emulate_media(color_scheme="dark")  # in which only colours differ
    found.append(violations(page, "color-contrast"))
    assert found == ["", ""]
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    context.close()
