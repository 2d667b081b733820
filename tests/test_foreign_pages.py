"""Pages of other sites, in a real browser, make their visitors ask for codes in every way: no SMS is sent."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser

from local.cloud import local_cloud
from local.tencent import TencentStandIn
from sms_login import wiring
from tests.testkit.foreign_page import FRAMES, SETTINGS, Site, attack, attempts, page_of, serving


class Place(NamedTuple):
    """The deployed function on a site, another site, and a browser."""

    ours: Site
    theirs: Site
    tencent: TencentStandIn
    browser: Browser


@pytest.fixture(scope="module")
def place(browser: Browser) -> Iterator[Place]:
    """Run everything on this machine."""
    with local_cloud(SETTINGS) as cloud:
        function = wiring.build(cloud.environ).handle
        with serving(function) as ours, serving(function) as theirs:
            yield Place(ours, theirs, cloud.tencent, browser)


@pytest.mark.parametrize(
    ("site", "host", "frames"),
    [("cross-site", "127.0.0.1", FRAMES), ("same-site", "localhost", ("page/", "page/no-referrer", "sandbox/"))],
    ids=["cross-site", "same-site"],
)
def test_no_page_of_another_site_sends_an_sms(place: Place, site: str, host: str, frames: tuple[str, ...]) -> None:
    """Neither method, element, referrer policy nor an opaque origin helps, and no preflight is answered."""
    target, theirs = f"http://{host}:{place.ours.port}", f"http://localhost:{place.theirs.port}"
    sent = len(place.tencent.inbox())
    page = page_of(theirs, target, frames, 13_800_000_000)
    seen = attack(place.browser, place.ours, page, target, attempts(frames))
    requests = [request for attempt in seen.values() for request in attempt]
    assert {request.outcome for request in requests} == {"OriginNotAllowed"}
    assert len(place.tencent.inbox()) == sent
    # The attack had what it needs: GETs with and without Referer, opaque origins, and preflights.
    kinds = {
        (request.verb, request.headers.get("origin"), bool(request.headers.get("referer"))) for request in requests
    }
    assert kinds >= {("GET", None, True), ("GET", None, False), ("POST", "null", False), ("POST", theirs, True)}
    assert {request.headers["sec-fetch-site"] for request in requests} == {site, "cross-site"}
    assert "OPTIONS" in {request.verb for request in requests}


def test_the_same_page_on_our_own_site_sends_an_sms_each_time(place: Place) -> None:
    """The attempts are real: only the origin decides, and a page of our own host needs none of the headers."""
    ours, frames = f"http://127.0.0.1:{place.ours.port}", ("page/no-referrer",)
    sent, expected = len(place.tencent.inbox()), attempts(frames)
    seen = attack(place.browser, place.ours, page_of(ours, ours, frames, 13_900_000_000), ours, expected)
    assert {request.outcome for attempt in seen.values() for request in attempt} == {"Ok"}
    assert len(place.tencent.inbox()) - sent == len({*expected, "link"})
