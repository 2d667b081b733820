"""Pages of this machine and of the local network may call `make run`; the deployed function serves only listed ones."""

import pytest

from local.origins import LocalOrigins
from sms_login import wiring
from sms_login.errors import OriginNotAllowed
from tests.testkit.cases import each_case
from tests.testkit.world import ENVIRON

HERE = [
    *("http://localhost:5173", "https://localhost", "http://app.localhost:3000", "http://macbook.local:8080"),
    *("http://127.0.0.1:5173", "http://[::1]:5173", "http://10.1.2.3", "http://172.16.0.1:80", "http://172.31.9.9"),
    *("https://192.168.1.20:5173", "http://169.254.1.1", "http://[fd00::1]:8080", "http://[fe80::1]"),
    *("capacitor://localhost", "ionic://localhost", "HTTP://LOCALHOST:5173"),
]
ELSEWHERE = [
    *("https://evil.example", "http://localhost.evil.example", "http://192.168.1.20.evil.example", "http://local"),
    *("http://172.32.0.1", "http://11.0.0.1", "http://192.169.0.1", "http://203.0.113.7", "http://[2001:db8::1]"),
    *("http://evillocalhost", "http://127.0.0.1@evil.example", "null", "file://", "http://[", "http://[x]", "http://"),
]


@each_case("origin", HERE)
def test_a_page_of_the_local_network_may_call_make_run(origin: str) -> None:
    """Any port will do, since development servers choose theirs; the deployed function refuses the same page."""
    headers = {"origin": origin, "host": "127.0.0.1:9000", "sec-fetch-site": "cross-site"}
    assert LocalOrigins(frozenset()).check(headers, preflight=False)["Access-Control-Allow-Origin"] == origin
    assert (
        LocalOrigins(frozenset()).check({"sec-fetch-site": "cross-site", "referer": f"{origin}/"}, preflight=False)
        == {}
    )
    assert status(wiring.assemble(ENVIRON, origins=LocalOrigins), headers) == 200
    assert status(wiring.build(ENVIRON), headers) == 403


@each_case("origin", ELSEWHERE)
def test_a_page_from_elsewhere_may_not_call_make_run(origin: str) -> None:
    """A name that only resembles a local one is refused, and so are pages without an origin."""
    for headers in ({"origin": origin}, {"sec-fetch-site": "cross-site", "referer": f"{origin}/"}):
        with pytest.raises(OriginNotAllowed):
            LocalOrigins(frozenset()).check({**headers, "host": "127.0.0.1:9000"}, preflight=False)


def test_listed_pages_may_call_make_run_too() -> None:
    """ALLOWED_ORIGINS adds to the local ones, for a file that is opened in the browser, say."""
    headers = {"origin": "null", "host": "127.0.0.1:9000"}
    assert LocalOrigins(frozenset({"null"})).check(headers, preflight=False)["Access-Control-Allow-Origin"] == "null"


def status(app: wiring.Handler, headers: dict[str, str]) -> int:
    """Return the status of an answer that needs no Redis."""
    code: int = app.handle({"httpMethod": "POST", "headers": headers, "body": '{"method": "jwks"}'}, {})["statusCode"]
    return code
