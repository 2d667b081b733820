"""The web function behind a real nginx, configured as nginx's and our own documents have it."""

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from local.cloud import local_cloud
from sms_login import wiring
from tests.testkit.foreign_page import SETTINGS, Site, attack, attempts, page_of, serving
from tests.testkit.limits import Printed
from tests.testkit.nginx import NginxServer, find_nginx
from tests.testkit.servers import require

DOCS = Path(__file__).parent.parent / "docs"
APP = "https://app.example.com"
# The first proxy of nginx's Beginner's Guide. It sends the address of proxy_pass as Host, and HTTP/1.0.
FIRST = "location / { proxy_pass http://127.0.0.1:9000; }"


class Place(NamedTuple):
    """The function, an nginx in front of it as in nginx's first example, and one as in docs/operations.md."""

    ours: Site
    first: NginxServer
    documented: NginxServer


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Run everything on this machine."""
    require(find_nginx() is not None, "nginx")
    [documented] = re.findall(r"(?ms)^```nginx\n(.*?)^```$", (DOCS / "operations.md").read_text(encoding="utf-8"))
    settings = {**SETTINGS, "CLIENT_IP_SOURCE": "forwarded:1", "ALLOWED_ORIGINS": APP}
    with local_cloud(settings) as cloud, serving(wiring.build(cloud.environ).handle) as ours:
        locations = [text.replace("127.0.0.1:9000", f"127.0.0.1:{ours.port}") for text in (FIRST, documented)]
        with NginxServer(locations[0]) as first, NginxServer(locations[1]) as other:
            yield Place(ours, first, other)


def call(nginx: NginxServer, *headers: tuple[str, str], verb: str = "GET", **params: str) -> tuple[int, Any]:
    """Send a request through nginx; return the status and the body of its answer."""
    connection = http.client.HTTPConnection(urlsplit(nginx.url).netloc, timeout=20)
    try:
        connection.putrequest(verb, "/?" + "&".join(f"{name}={value}" for name, value in params.items()))
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, json.loads(response.read() or "null")
    finally:
        connection.close()


def test_a_page_of_the_same_origin_works_through_nginxs_first_example(place: Place, browser: Browser) -> None:
    """The browser says that the page is our own, although nginx has replaced Host; another site's page is refused."""
    frames = ("page/no-referrer",)
    for site, outcome in ((place.first.url, "Ok"), (f"http://localhost:{place.ours.port}", "OriginNotAllowed")):
        page = page_of(site, place.first.url, frames, 13_800_000_000)
        seen = attack(browser, place.ours, page, place.first.url, attempts(frames))
        requests = [request for attempt in seen.values() for request in attempt]
        assert {request.outcome for request in requests} == {outcome}
        assert {request.headers["host"] for request in requests} == {f"127.0.0.1:{place.ours.port}"}


def test_a_browser_without_sec_fetch_site_needs_the_host_that_it_asked_for(place: Place) -> None:
    """An old browser sends Origin alone, which equals Host as docs/operations.md configures nginx."""
    for nginx, status in ((place.first, 403), (place.documented, 200)):
        for verb in ("GET", "POST"):
            assert call(nginx, ("Origin", nginx.url), verb=verb, method="health")[0] == status


def test_a_client_cannot_write_its_own_address(place: Place, printed: Printed) -> None:
    """`forwarded:1` takes the address that nginx appends, whatever the client sent; without it, the client's own."""
    clients = []
    for nginx in (place.documented, place.first):
        for forged in ((), (("X-Forwarded-For", "203.0.113.7"),), (("X-Forwarded-For", "203.0.113.7, 203.0.113.8"),)):
            call(nginx, *forged, method="login", phone="13800138000", code="123456")
            clients.append(printed()[-1]["client"])
    assert clients == [*["127.0.0.1"] * 3, "unknown", "203.0.113.7", "203.0.113.8"]


def test_a_header_that_was_sent_twice_counts_once(place: Place) -> None:
    """Nginx passes both on; with two values the origin is none that is allowed."""
    assert call(place.documented, ("Origin", APP), ("Origin", APP), method="health")[0] == 200
    assert call(place.documented, ("Origin", APP), ("Origin", "https://evil.example"), method="health")[0] == 403


def test_head_is_answered_for_a_load_balancer_and_does_nothing_else(place: Place) -> None:
    """Neither answer has a body."""
    assert call(place.first, verb="HEAD", method="health") == (200, None)
    assert call(place.first, verb="HEAD", method="getSms", phone="13800138000") == (405, None)
