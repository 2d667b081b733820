import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import time_machine

from local.cloud import local_cloud
from sms_login import __version__, wiring
from sms_login.http.server import IDLE, MAX_BODY, MAX_HEADERS, THREADS, Server
from sms_login.http.wsgi import Application, Handle, RequestEnviron, port_of
from tests.testkit.cases import each_case
from tests.testkit.events import PHONE
from tests.testkit.ports import reserved_port
from tests.testkit.servers import until

ROOT = Path(__file__).parent.parent
JSON = {"Content-Type": "application/json"}
OK: dict[str, Any] = {"isBase64Encoded": False, "statusCode": 200, "headers": {}, "body": ""}
# The platform adds these headers to a request of a web function.
CREDENTIALS = {"X-Scf-Secret-Id": "of-request", "X-Scf-Secret-Key": "key", "X-Scf-Session-Token": "token"}
OF_PLATFORM = {"X-Scf-Remote-Addr": "203.0.113.9", "X-Scf-Request-Id": "request-1"}
NAMES = ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SESSIONTOKEN")


class Recorder:
    """A handler that records its arguments and answers `answer`."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.contexts: list[dict[str, Any]] = []
        self.answer = OK

    def __call__(self, event: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        """Record one call."""
        self.events.append(event)
        self.contexts.append(context)
        return self.answer


@contextmanager
def serving(handle: Handle, *, scf: bool = False) -> Iterator[int]:
    """Serve a handler for the duration of the block; yield the port."""
    server = Server(Application(handle, scf=scf), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server.port
    finally:
        server.stop()
        thread.join()


@pytest.fixture
def handler() -> Recorder:
    """A handler that records its calls."""
    return Recorder()


@pytest.fixture
def port(handler: Recorder) -> Iterator[int]:
    """The port on which the handler is served."""
    with serving(handler) as port:
        yield port


def call(
    port: int, method: str = "GET", target: str = "/", body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Make one request; return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()
    finally:
        connection.close()


def test_a_json_request_becomes_an_event(port: int, handler: Recorder) -> None:
    """The event has method, path, headers, body and client address in the platform's fields."""
    body = '{"name": "小明"}'
    call(port, "POST", "/a%20path", body.encode(), {**JSON, "X-Forwarded-For": "203.0.113.9"})
    assert handler.events == [
        {
            "httpMethod": "POST",
            "path": "/a path",
            "headers": {
                "host": f"127.0.0.1:{port}",
                "accept-encoding": "identity",
                "content-type": "application/json",
                "content-length": str(len(body.encode())),
                "x-forwarded-for": "203.0.113.9",
            },
            "queryString": {},
            "requestContext": {"sourceIp": "127.0.0.1"},
            "body": body,
            "isBase64Encoded": False,
        }
    ]


def test_a_form_is_passed_on_unchanged(port: int, handler: Recorder) -> None:
    """The body of a form stays text, since the function parses it."""
    form = "application/x-www-form-urlencoded"
    call(port, "POST", "/", b"method=login&phone=%2B8613800138000", {"Content-Type": form})
    [event] = handler.events
    assert (event["body"], event["isBase64Encoded"]) == ("method=login&phone=%2B8613800138000", False)
    assert event["headers"]["content-type"] == form


def test_a_body_that_is_not_text_is_passed_on_in_base64(port: int, handler: Recorder) -> None:
    """A body that is not UTF-8 is passed on in base64 and marked so."""
    call(port, "POST", "/", b"\xff\x00\xfe")
    [event] = handler.events
    assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (b"\xff\x00\xfe", True)


def test_the_query_is_a_dict(port: int, handler: Recorder) -> None:
    """A parameter is a string, a repeated parameter a list, an empty one an empty string; escapes are decoded."""
    call(port, "GET", "/?method=getSms&phone=%2B86+1&tag=a&tag=b&empty=")
    [event] = handler.events
    assert event["queryString"] == {"method": "getSms", "phone": "+86 1", "tag": ["a", "b"], "empty": ""}
    assert (event["httpMethod"], event["path"], event["body"]) == ("GET", "/", "")


def test_the_answer_becomes_http(port: int, handler: Recorder) -> None:
    """Status, headers and body are those of the handler, and no header names the server."""
    handler.answer = {
        "isBase64Encoded": False,
        "statusCode": 429,
        "headers": {"Content-Type": "application/json; charset=utf-8", "Retry-After": "30"},
        "body": '{"errorMessage": "请稍后再试"}',
    }
    status, headers, body = call(port, "POST", "/", b"{}")
    assert (status, headers["Retry-After"], headers["Content-Type"]) == (429, "30", "application/json; charset=utf-8")
    assert body.decode() == '{"errorMessage": "请稍后再试"}'
    assert "Server" not in headers


def test_an_answer_to_head_has_the_length_and_no_body(port: int, handler: Recorder) -> None:
    """A client would take a body for the next answer on the same connection (RFC 9110, section 9.3.2)."""
    handler.answer = {**OK, "body": "two words"}
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        first, second, rest = connection.makefile("rb").read().split(b"\r\n\r\n")
    assert b"Content-Length: 9" in first
    assert second.startswith(b"HTTP/1.1 200 OK")
    assert rest == b"two words"


def test_an_answer_without_content_has_no_length(port: int, handler: Recorder) -> None:
    """The answer has no body either (RFC 9110, section 8.6)."""
    handler.answer = {**OK, "statusCode": 204}
    assert "Content-Length" not in call(port, "OPTIONS")[1]


def test_a_base64_answer_is_decoded(port: int, handler: Recorder) -> None:
    """A body that the handler encoded is sent as bytes."""
    handler.answer = {**OK, "isBase64Encoded": True, "body": base64.b64encode(b"\xff").decode()}
    assert call(port)[2] == b"\xff"


def test_a_crash_of_the_handler_is_answered_with_500(
    port: int, handler: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """A crash reaches the log, not the client, and the server goes on."""
    handler.answer = {}
    status, _, body = call(port)
    assert (status, b"KeyError" in body, "KeyError: 'statusCode'" in caplog.text) == (500, False, True)
    handler.answer = {"statusCode": 204, "headers": {}}
    assert call(port)[0] == 204


@pytest.mark.parametrize(("length", "status"), [(MAX_BODY, 200), (MAX_BODY + 1, 413)])
def test_a_body_has_a_limit(port: int, length: int, status: int) -> None:
    """The server refuses a body because of its Content-Length alone."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode() + (b"x" * length if status == 200 else b""))
        assert connection.makefile("rb").readline().split()[1] == str(status).encode()


def test_a_chunked_body_has_the_same_limit(port: int, handler: Recorder) -> None:
    """A chunked body has no length beforehand, so it is refused once it has grown too long."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(f"{MAX_BODY + 1:x}\r\n".encode() + b"x" * (MAX_BODY + 1) + b"\r\n0\r\n\r\n")
        assert connection.makefile("rb").readline().split()[1] == b"413"
    assert handler.events == []


CHUNKED, NO_LENGTH = b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"POST / HTTP/1.0\r\nConnection: keep-alive\r\n" + CHUNKED + NO_LENGTH, id="chunks for 1.0"),
        pytest.param(b"POST / HTTP/2.0\r\n" + CHUNKED, id="chunks for 2.0"),
        pytest.param(b"POST / HTTP/1.1\r\n" + CHUNKED + NO_LENGTH, id="chunks and length"),
        pytest.param(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\n" + NO_LENGTH + CHUNKED, id="length and chunks"),
        pytest.param(b"POST / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n" + NO_LENGTH, id="on a second line"),
        pytest.param(b"POST / HTTP/1.1\r\n" + CHUNKED * 2, id="chunks twice"),
        pytest.param(b"POST / HTTP/1.1\r\nTransfer-Encoding:\r\n" + NO_LENGTH, id="no encoding"),
        pytest.param(b"POST / HTTP/1.1\r\nTransfer-Encoding: ,\r\n", id="only a comma"),
        pytest.param(b"POST / HTTP/1.1\r\nHOST: y\r\n" + NO_LENGTH, id="two hosts"),
    ],
)
def test_a_request_that_another_server_might_read_otherwise_is_refused(
    port: int, handler: Recorder, head: bytes
) -> None:
    """If the end of a request is ambiguous (RFC 9112, section 6.1), the server ignores all bytes after it."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head + b"Host: x\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.makefile("rb").read()  # to its end: the connection is closed
    assert answer.split()[1] == b"400"
    assert answer.count(b"HTTP/1.") == 1
    assert handler.events == []


def test_a_chunked_body_is_one_body(port: int, handler: Recorder) -> None:
    """The bytes after a chunked body are the next request."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\n" + CHUNKED + b'\r\n2\r\n{"\r\n4\r\na":1\r\n1\r\n}\r\n0\r\n\r\n'
        )
        connection.sendall(b"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.makefile("rb").read().count(b"HTTP/1.1 200 OK") == 2
    assert [(event["path"], event["body"]) for event in handler.events] == [("/", '{"a":1}'), ("/next", "")]


def test_headers_have_a_limit(port: int, handler: Recorder) -> None:
    """The server refuses headers that are larger than those of any client of ours before it has read them all."""
    assert call(port, headers={"X-Long": "x" * MAX_HEADERS})[0] == 431
    assert handler.events == []


def test_the_server_handles_requests_at_once() -> None:
    """The handler receives as many requests at once as there are threads."""
    barrier = threading.Barrier(THREADS)

    def handle(_event: object, _context: object) -> dict[str, Any]:
        barrier.wait(timeout=30)
        return {**OK, "body": "together"}

    with serving(handle) as port, ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(lambda _: call(port), range(THREADS)))
    assert [(status, body) for status, _, body in answers] == [(200, b"together")] * THREADS


def test_slow_clients_do_not_keep_others_waiting(port: int) -> None:
    """Unfinished requests, three times as many as there are threads, occupy no thread."""
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(3 * THREADS)]
    try:
        for connection in slow:
            connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        assert call(port)[0] == 200
    finally:
        for connection in slow:
            connection.close()


def test_stopping_lets_requests_under_way_finish() -> None:
    """A request under way is answered, and a new connection is refused."""
    entered, go_on = threading.Event(), threading.Event()

    def handle(_event: object, _context: object) -> dict[str, Any]:
        entered.set()
        go_on.wait(30)
        return {**OK, "body": "late"}

    with reserved_port() as port, ThreadPoolExecutor(1) as threads:
        server = Server(Application(handle), "127.0.0.1", port)
        serve = threading.Thread(target=server.serve)
        serve.start()
        waiting = threads.submit(call, port)
        assert entered.wait(30)
        server.stop()
        until(lambda: refuses(port), 10)
        go_on.set()
        status, headers, body = waiting.result()
    assert (status, headers["Connection"], body) == (200, "close", b"late")
    serve.join()


def request_of(size: int) -> bytes:
    """Return a request with a body of `size` bytes."""
    return f"POST / HTTP/1.1\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size


def answered(connection: socket.socket) -> bytes:
    """Return the first line of an answer, and close the connection."""
    with connection, connection.makefile("rb") as answer:
        return answer.readline()


def test_stopping_answers_every_client_that_was_connected(handler: Recorder) -> None:
    """Connections that only the kernel has accepted are answered, and so are requests that need several reads."""
    server = Server(Application(handler), "127.0.0.1", 0)
    waiting = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(50)]
    for connection in waiting:
        connection.sendall(request_of(12_000))
    server.stop()
    server.serve()
    assert {answered(connection) for connection in waiting} == {b"HTTP/1.1 200 OK\r\n"}
    assert len(handler.events) == 50


def test_stopping_waits_for_the_rest_of_a_request(handler: Recorder) -> None:
    """The server waits for the second half of a request whose first half it has."""
    with reserved_port() as port:
        server = Server(Application(handler), "127.0.0.1", port)
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        connection.sendall(request_of(10)[:-5])
        server.stop()
        serve = threading.Thread(target=server.serve)
        serve.start()
        until(lambda: refuses(port), 10)
    connection.sendall(b"x" * 5)
    assert answered(connection) == b"HTTP/1.1 200 OK\r\n"
    serve.join()


def test_stopping_does_not_wait_for_clients_that_send_more_requests(handler: Recorder) -> None:
    """Each client is told that this answer was the last on its connection, and new connections are refused."""
    server = Server(Application(handler), "127.0.0.1", 0)
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(request_of(1) * 3)
    server.stop()
    server.serve()
    with connection, connection.makefile("rb") as answers:
        assert answers.read().count(b"Connection: close") == 1
    assert len(handler.events) == 1


def test_a_request_that_does_not_end_times_out(port: int) -> None:
    """A byte now and then gives a slow client no more time; each request on a kept connection has the full time."""
    with (
        time_machine.travel(time.time(), tick=False) as clock,
        socket.create_connection(("127.0.0.1", port), timeout=10) as slow,
        socket.create_connection(("127.0.0.1", port), timeout=10) as kept,
    ):
        slow.sendall(b"POST / HTTP/1.1\r\n")
        assert call(port)[0] == 200  # the server has read the earlier bytes
        clock.shift(IDLE - 1)
        slow.sendall(b"X-Slow: ")
        kept.sendall(b"POST / HTTP/1.1\r\n")
        assert call(port)[0] == 200
        clock.shift(IDLE // 2)  # the server checks every ten seconds
        assert call(port)[0] == 200
        assert slow.recv(1) == b""
        kept.sendall(b"Content-Length: 0\r\n\r\n")
        assert kept.recv(12) == b"HTTP/1.1 200"


def refuses(port: int) -> bool:
    """Return whether connections to the port are refused."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False  # the port was open when we connected
    return False


def test_on_scf_the_platforms_headers_name_request_and_client(handler: Recorder) -> None:
    """The peer of the connection is the platform; one of its headers has the client, another the request id."""
    with serving(handler, scf=True) as port:
        call(port, headers=OF_PLATFORM)
    [event], [context] = handler.events, handler.contexts
    assert (event["requestContext"], event["headers"]["x-scf-remote-addr"]) == ({}, "203.0.113.9")
    assert context == {"request_id": "request-1"}


def test_outside_scf_the_platforms_headers_are_ignored(port: int, handler: Recorder) -> None:
    """In a container, the client could forge the platform's headers, and with them another client's requestId."""
    call(port, headers=OF_PLATFORM)
    [event], [context] = handler.events, handler.contexts
    assert (event["requestContext"], context) == ({"sourceIp": "127.0.0.1"}, {"request_id": None})


@pytest.mark.parametrize("scf", [True, False])
def test_credentials_of_a_request_reach_no_handler(handler: Recorder, *, scf: bool) -> None:
    """The credentials are not a header of the client's, and code that logs headers must not see them."""
    with serving(handler, scf=scf) as port:
        call(port, headers=CREDENTIALS)
    assert [name for name in handler.events[0]["headers"] if "scf" in name] == []


@each_case(
    ("scf", "sent", "used"),
    [
        (True, CREDENTIALS, ["of-request", "key", "token"]),
        (True, {}, ["of-process", "", ""]),
        (True, {**CREDENTIALS, "X-Scf-Secret-Key": ""}, ["of-process", "", ""]),
        (False, CREDENTIALS, ["of-process", "", ""]),
    ],
)
def test_credentials_of_the_request_take_precedence_over_those_of_the_process(
    sent: dict[str, str], used: list[str], *, scf: bool
) -> None:
    """The request's credentials apply only if all three are present, on SCF only, and for that request only."""
    environ = RequestEnviron({NAMES[0]: "of-process", "OTHER": "setting"})
    seen: list[list[str]] = []

    def handle(_event: object, _context: object) -> dict[str, Any]:
        seen.append([environ.get(name, "") for name in NAMES])
        return OK

    with serving(handle, scf=scf) as port:
        for headers in (sent, {}):
            call(port, headers=headers)
    assert seen == [used, ["of-process", "", ""]]
    assert dict(environ) == {NAMES[0]: "of-process", "OTHER": "setting"}
    assert len(environ) == 2


def test_send_sms_is_signed_with_the_credentials_of_its_request() -> None:
    """The real SDK signs in its own thread with the request's credentials, and the stand-in accepts no others."""
    with local_cloud({}) as cloud:
        own = {name: cloud.environ[name] for name in NAMES}
        environ = {**cloud.environ, **dict.fromkeys(NAMES, "stale")}
        app = wiring.build(RequestEnviron(environ))
        body = json.dumps({"method": "getSms", "phone": PHONE}).encode()
        with serving(app.handle, scf=True) as port:
            refused = call(port, "POST", "/", body, JSON)
            headers = dict(zip(CREDENTIALS, own.values(), strict=True))
            sent = call(port, "POST", "/", body, {**JSON, **headers})
        assert [json.loads(answer[2])["codeStr"] for answer in (refused, sent)] == ["SendFailed", "Ok"]
        assert len(cloud.tencent.inbox()) == 1


@contextmanager
def web_function(*args: str, **environ: str) -> Iterator["subprocess.Popen[str]"]:
    """Start the module as the platform or a container does."""
    environ |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "sms_login.http.wsgi", *args],
        cwd=ROOT.parent,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


@each_case("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_serves_and_ends_at_a_signal(number: signal.Signals) -> None:
    """`python -m sms_login.http.wsgi` answers on PORT, prints only JSON, and ends with 0."""
    with (
        local_cloud({}) as cloud,
        reserved_port() as port,
        web_function(**cloud.environ, PORT=str(port)) as process,
    ):
        until(lambda: not refuses(port), 20)
        assert json.loads(call(port, "GET", "/?method=health")[2])["data"] == {"redis": "ok", "version": __version__}
        process.send_signal(number)
        lines = process.communicate(timeout=20)[0].splitlines()
    assert process.returncode == 0
    assert [(line["event"], line["method"], line["outcome"]) for line in map(json.loads, lines)] == [
        ("request", "health", "Success")
    ]


@each_case(
    ("args", "environ", "said"),
    [
        (["--fast"], {}, "usage: [PORT=9000] python -m sms_login.http.wsgi [--scf]"),
        ([], {"PORT": "http"}, "PORT is 'http', but a port is a number from 0 to 65535."),
    ],
)
def test_a_wrong_start_is_reported(args: list[str], environ: dict[str, str], said: str) -> None:
    """The process prints one sentence."""
    with web_function(*args, **environ) as process:
        assert process.communicate(timeout=20)[0].strip() == said
    assert process.returncode == 1


@each_case("port", ["http", "-1", "65536", "80 80", "９０００", "9" * 5000, "9000\n"])
def test_an_invalid_port_is_reported(port: str) -> None:
    """Text that Python would read as a number is refused too, and so is text that it could not read."""
    with pytest.raises(SystemExit) as end:
        port_of({"PORT": port})
    assert end.value.code == f"PORT is {port!r}, but a port is a number from 0 to 65535."


@each_case(("environ", "port"), [({}, 9000), ({"PORT": ""}, 9000), ({"PORT": "0"}, 0), ({"PORT": "080"}, 80)])
def test_the_default_port_is_9000(environ: dict[str, str], port: int) -> None:
    """The port 0 means any free port."""
    assert port_of(environ) == port


def test_a_port_in_use_is_reported() -> None:
    """The process prints one sentence with a remedy."""
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with web_function(PORT=str(port)) as process:
            *_, said = process.communicate(timeout=20)[0].splitlines()
    assert said == f"Cannot listen on port {port} (Address already in use): choose another one, as in PORT=9001."
    assert process.returncode == 1


def test_the_bootstrap_starts_the_web_function() -> None:
    """SCF requires an executable of this name, LF, and the interpreter's absolute path (document 583/56126)."""
    path = ROOT / "deploy/scf_bootstrap"
    text = path.read_bytes()
    assert os.access(path, os.X_OK)
    assert text.startswith(b"#!/bin/bash\n")
    assert b"\r" not in text
    assert text.endswith(b"exec /var/lang/python310/bin/python3.10 -u -m sms_login.http.wsgi --scf\n")
