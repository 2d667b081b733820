import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from local.cloud import local_cloud
from local.control import Control
from local.embedded_redis import embedded_redis
from local.redis_view import trouble
from local.tencent import TencentStandIn
from sms_login import wiring
from sms_login.adapters.redis.client import connect
from tests.testkit.cases import each_case
from tests.testkit.servers import RedisCluster, RedisServer

PAGE = Path(__file__).parent.parent / "local" / "page"
BROWSER = {"host": "127.0.0.1:9000", "accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def tencent() -> Iterator[TencentStandIn]:
    """Give a stand-in."""
    with TencentStandIn(secret_id="id", secret_key="key") as stand_in:
        yield stand_in


def get(control: Control, path: str, *, verb: str = "GET", **headers: str) -> dict[str, Any] | None:
    """Request a path, with its query string, as a program on this machine does."""
    path, _, text = path.partition("?")
    query = dict(pair.split("=") for pair in text.split("&")) if text else {}
    named = {"host": "127.0.0.1:9000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return control.answer({"httpMethod": verb, "path": path, "queryString": query, "headers": named, "body": ""})


def status(answer: dict[str, Any] | None) -> int | None:
    """Return the status of an answer, or None without an answer."""
    return answer["statusCode"] if answer else None


def test_a_browser_gets_the_page(tencent: TencentStandIn) -> None:
    """The page and its files load nothing from elsewhere, no other page may frame it, and an edit shows within 10 s."""
    control = Control(tencent, {})
    page = get(control, "/", **BROWSER)
    assert page
    assert page["headers"]["Content-Type"] == "text/html; charset=utf-8"
    policy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    assert page["headers"]["Content-Security-Policy"] == policy
    assert page["headers"]["Cache-Control"] == "no-store"
    assert page["body"] == (PAGE / "index.html").read_text(encoding="utf-8")
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
    for file in PAGE.iterdir():
        answer = get(control, f"/page/{file.name}")
        assert answer
        assert answer["headers"]["Content-Type"] == f"{kinds[file.suffix]}; charset=utf-8"
        kept = "no-store" if file.suffix == ".html" else "private, max-age=10"
        assert answer["headers"]["Cache-Control"] == kept
        assert answer["body"] == file.read_text(encoding="utf-8")


def test_the_files_of_the_page_contain_no_other_address() -> None:
    """Besides links, which nobody loads by opening the page, its one address is the namespace of SVG."""
    for file in PAGE.iterdir():
        text = re.sub(r'<a [^>]*href="[^"]*"', "", file.read_text(encoding="utf-8"))
        found = re.findall(r"(?:https?:)?//[a-z0-9-]+\.[^\s\"'<]*", text)
        assert set(found) <= {"http://www.w3.org/2000/svg"}, file.name


@each_case(
    ("verb", "path", "accept"),
    [
        ("POST", "/", "text/html"),
        ("GET", "/", "*/*"),
        ("GET", "/?method=health", "text/html"),
        ("GET", "/page/", "text/html"),
        ("GET", "/page", "text/html"),
        ("GET", "/page/../control.py", "text/html"),
        ("GET", "/page/..%2fcontrol.py", "text/html"),
        ("GET", "/page//etc/passwd", "text/html"),
        ("GET", "/page/index.html/", "text/html"),
        ("GET", "/PAGE/index.html", "text/html"),
        ("POST", "/page/index.html", "text/html"),
    ],
)
def test_any_other_request_goes_on_to_the_function(tencent: TencentStandIn, verb: str, path: str, accept: str) -> None:
    """The gateway answers only the exact names of the page's files."""
    assert get(Control(tencent, {}), path, verb=verb, accept=accept) is None


@each_case("host", ["127.0.0.1:9000", "localhost:9000", "localhost", "[::1]:9000", "10.0.2.2:9000"])
def test_programs_and_pages_of_this_machine_may_read_the_inbox(tencent: TencentStandIn, host: str) -> None:
    """Requests may use any address of this machine, as an emulator does; other pages get no leave to read."""
    control = Control(tencent, {})
    answers = [
        get(control, "/_local/inbox", host=host),
        get(control, "/_local/inbox", host=host, origin=f"http://{host}", sec_fetch_site="same-origin"),
        get(control, "/_local/inbox", host=host, sec_fetch_site="none"),
    ]
    assert [status(answer) for answer in answers] == [200] * 3
    for answer in answers:
        assert answer
        assert not [name for name in answer["headers"] if name.lower().startswith("access-control")]
        assert answer["headers"]["X-Content-Type-Options"] == "nosniff"


@each_case(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8000"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"host": "evil.example:9000"},
        {"host": "evil.example:9000", "origin": "http://evil.example:9000", "sec_fetch_site": "same-origin"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "localhost.evil.example"},
        {"host": "evil.example@127.0.0.1:"},
        {"host": "["},
        {"host": ""},
    ],
)
@each_case("request_line", ["GET /_local/inbox", "POST /_local/fail?mode=timeout"])
def test_a_foreign_page_can_neither_read_a_code_nor_set_a_failure(
    tencent: TencentStandIn, request_line: str, headers: dict[str, str]
) -> None:
    """A foreign page is refused, also if its own name leads to this machine."""
    verb, path = request_line.split()
    assert status(get(Control(tencent, {}), path, verb=verb, **headers)) == 403
    assert tencent.failing == ("off", None)


@pytest.fixture(params=["embedded", "real", "cluster"])
def place(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Give the settings of an empty Redis."""
    if request.param == "embedded":
        with embedded_redis() as (host, port, password):
            yield {"REDIS_HOST": host, "REDIS_PORT": str(port), "REDIS_PASSWORD": password}
        return
    name = {"real": "redis_server", "cluster": "redis_cluster"}[request.param]
    server: RedisServer | RedisCluster = request.getfixturevalue(name)
    with closing(connect("127.0.0.1", server.port, cluster=request.param == "cluster")) as client:
        client.flushall()
    yield {
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(server.port),
        "REDIS_CLUSTER": str(int(request.param == "cluster")),
    }


def test_the_redis_path_shows_the_keys_of_one_number(place: dict[str, str]) -> None:
    """Any spelling of the number shows each of its keys with type, expiry and fields, and no other number's."""
    with local_cloud(place) as cloud:
        app = wiring.build(cloud.environ)
        phone, other = "+8613800138070", "+8613800138071"
        for number in (phone, other):
            event = {"httpMethod": "POST", "queryString": {"method": "getSms", "phone": number}}
            assert app.handle(event, {})["statusCode"] == 200
        control = Control(cloud.tencent, cloud.environ)
        answer = get(control, "/_local/redis?phone=8613800138070")
        assert status(answer) == 200
    assert answer
    keys = {key["key"]: key for key in json.loads(answer["body"])}
    session = keys[f"otp:{{{phone}}}:latest"]["value"].partition(":")[0]
    day = next(name for name in keys if ":day:" in name)
    assert set(keys) == {f"otp:{{{phone}}}:{name}" for name in ("latest", "cooldown", session, day[-12:])}
    code = keys[f"otp:{{{phone}}}:{session}"]
    assert (code["type"], 600_000 < code["ttl"] <= 660_000) == ("hash", True)
    assert {"nonce", "digest"} < set(code["value"])
    assert (keys[day]["type"], keys[day]["value"]) == ("string", "1")


@pytest.mark.parametrize(
    ("setting", "codes"),
    [({}, ["CN"]), ({"ALLOWED_COUNTRIES": "cn, DE"}, ["CN", "DE"]), ({"ALLOWED_COUNTRIES": "*"}, ["*"])],
)
def test_the_page_learns_which_countries_are_allowed(
    tencent: TencentStandIn, setting: dict[str, str], codes: list[str]
) -> None:
    """The codes are those of ALLOWED_COUNTRIES, and CN by default."""
    answer = get(Control(tencent, setting), "/_local/countries")
    assert answer
    assert json.loads(answer["body"]) == codes


@each_case("path", ["/", "/page/main.js"])
def test_head_is_answered_like_get(tencent: TencentStandIn, path: str) -> None:
    """The answer to HEAD is that to GET, whose body the web server omits."""
    control = Control(tencent, {})
    answer = get(control, path, verb="HEAD", **BROWSER)
    assert status(answer) == 200
    assert answer == get(control, path, **BROWSER)


@each_case("query", ["", "?phone=", "?phone=abc", "?phone=*", "?phone=1"])
def test_the_redis_path_takes_one_number_and_no_pattern(tencent: TencentStandIn, query: str) -> None:
    """Without a valid number the answer is a 400 with an example, and Redis is not asked."""
    answer = get(Control(tencent, {}), f"/_local/redis{query}")
    assert answer
    assert answer["statusCode"] == 400
    assert "such as 8613800138000" in json.loads(answer["body"])["error"]


@pytest.mark.parametrize(("cluster", "error"), [("0", "ConnectionError"), ("1", "RedisClusterException")])
def test_a_redis_that_does_not_answer_is_a_503_with_one_sentence(
    tencent: TencentStandIn, cluster: str, error: str
) -> None:
    """A Redis or a cluster that does not answer makes the redis path a 503 with one sentence."""
    environ = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1", "REDIS_CLUSTER": cluster}
    answer = get(Control(tencent, environ), "/_local/redis?phone=8613800138000")
    assert answer
    assert status(answer) == 503
    assert json.loads(answer["body"]) == {"error": f"Redis does not answer ({error})"}
    assert trouble(environ) == "Redis at 127.0.0.1:1 does not answer: every call will be refused with 503."
