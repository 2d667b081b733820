"""Kept connections, deadlines and strange answers of SendSms: the real SDK, against a server that each test writes."""

import gzip
import json
import queue
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sms_login.adapters.tencent.sms import TencentSms, sms_api
from sms_login.errors import Refusal, SendUnknown
from sms_login.phone import Phone
from sms_login.sms import SmsRoute
from tests.testkit.cases import each_case
from tests.testkit.garbage import collect_socket_first
from tests.testkit.peer import SENT, Peer, certificate, response
from tests.testkit.tencent_client import late_answers_alone
from tests.testkit.world import PHONE

KEYS = {"TENCENTCLOUD_SECRETID": "id", "TENCENTCLOUD_SECRETKEY": "key", "TENCENTCLOUD_SESSIONTOKEN": "token"}
HOST = "sms.example"
CLOCK = "sms_login.adapters.tencent.http.time.monotonic"

resolve = socket.getaddrinfo


def sender(endpoint: str, timeout: float = 5) -> TencentSms:
    """Return the adapter under test."""
    return TencentSms(
        api=sms_api(KEYS, region="ap-guangzhou", endpoint=endpoint, timeout=timeout),
        mainland=SmsRoute("1400000000", "sign", "1000000"),
        abroad=None,
        template_params=("code", "minutes"),
        minutes=5,
    )


def send(endpoint: str, timeout: float = 5) -> str:
    """Send one code from a new adapter, and return "Ok", or the reason for an unknown outcome."""
    try:
        sender(endpoint, timeout).send(PHONE, "012345")
    except SendUnknown as unknown:
        return unknown.detail
    return "Ok"


def accept(connection: socket.socket, _request: bytes) -> bool:
    """Answer that the message was sent."""
    connection.sendall(response(SENT))
    return True


def answer_once(connection: socket.socket, request: bytes) -> bool:
    """Answer that the message was sent, and close the connection without notice."""
    accept(connection, request)
    return False


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A server that accepts every message."""
    with Peer(accept) as peer:
        yield peer


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with server.pem and other.pem, certificates for localhost of two authorities."""
    directory = tmp_path_factory.mktemp("tls")
    for name in ("server", "other"):
        certificate(directory, name)
    return directory


@pytest.fixture
def tls(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The TLS of a server whose authority is trusted."""
    monkeypatch.setattr("certifi.where", lambda: str(certificates / "server.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    return tls


@pytest.fixture
def https(tls: ssl.SSLContext) -> Iterator[Peer]:
    """A server that accepts every message over HTTPS."""
    with Peer(accept, tls) as peer:
        yield peer


# Kept connections.


def test_only_a_new_connection_needs_a_thread(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name resolution has a thread of its own, the usual call none."""
    sms = sender(peer.url)
    sms.send(PHONE, "012345")
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("a thread was started"))
    sms.send(PHONE, "012345")
    assert (peer.connections, len(peer.requests)) == (1, 2)


def test_an_adapter_that_is_forgotten_closes_its_connection(peer: Peer) -> None:
    """The garbage collector never meets an open socket, in whatever order it goes."""
    owner = [sender(peer.url)]
    owner[0].send(PHONE, "012345")
    collect_socket_first(owner, peer.port)


def test_a_connection_that_was_closed_while_idle_is_noticed_before_anything_is_sent() -> None:
    """The server counts one request for each message, though it closes every connection without notice."""
    with Peer(answer_once) as peer:
        sms = sender(peer.url)
        for _ in range(3):
            assert sms.send(PHONE, "012345").serial_no
            assert peer.closed.acquire(timeout=10)
        assert (peer.connections, len(peer.requests)) == (3, 3)


def test_bytes_that_arrive_while_idle_are_no_answer_to_the_next_request() -> None:
    """Some servers say 408 before they close an idle connection."""
    timed_out, said = threading.Event(), threading.Event()

    def serve(connection: socket.socket, request: bytes) -> bool:
        accept(connection, request)
        if not said.is_set():
            assert timed_out.wait(10)
            connection.sendall(response({}, "Connection: close", status="HTTP/1.1 408 Request Timeout"))
            said.set()
        return True

    with Peer(serve) as peer:
        sms = sender(peer.url)
        sms.send(PHONE, "012345")
        timed_out.set()
        assert said.wait(10)
        assert sms.send(PHONE, "012345").serial_no
        assert (peer.connections, len(peer.requests)) == (2, 2)


def test_the_connection_that_was_used_last_is_used_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a burst, single messages keep one connection in use; the other is closed after 30 s, and replaced."""
    now, together = 1000.0, threading.Barrier(2, timeout=10)

    def serve(connection: socket.socket, request: bytes) -> bool:
        if b"222222" in request:
            together.wait()
        return accept(connection, request)

    def burst() -> None:
        assert all(threads.map(sms.send, [PHONE] * 2, ["222222"] * 2))

    monkeypatch.setattr(CLOCK, lambda: now)
    with Peer(serve) as peer, ThreadPoolExecutor(2) as threads:
        sms = sender(peer.url)
        burst()
        for _ in range(4):
            now += 10
            sms.send(PHONE, "012345")
        assert peer.closed.acquire(timeout=10)
        assert peer.connections == 2
        burst()
        assert peer.connections == 3


@each_case(
    "answer",
    [
        response(SENT, "Connection: close"),
        response(SENT, status="HTTP/1.0 200 OK"),
        response(json.dumps({"Response": SENT}).encode(), "Connection: close"),
    ],
    ids=["announced", "HTTP 1.0", "no length"],
)
def test_a_connection_that_the_server_closes_is_not_kept(answer: bytes) -> None:
    """The answer is read to its end, and the next message has another connection."""

    def serve(connection: socket.socket, _request: bytes) -> bool:
        connection.sendall(answer)
        return False

    with Peer(serve) as peer:
        sms = sender(peer.url)
        assert [sms.send(PHONE, "012345").serial_no for _ in range(2)] == ["2019:1"] * 2
        assert (peer.connections, len(peer.requests)) == (2, 2)


def test_32_threads_share_32_connections() -> None:
    """Each of 32 simultaneous messages gets its own answer, and 32 more need no new connection."""
    together = threading.Barrier(32, timeout=30)

    def serve(connection: socket.socket, request: bytes) -> bool:
        number = json.loads(request.partition(b"\r\n\r\n")[2])["PhoneNumberSet"][0]
        together.wait()
        connection.sendall(response({**SENT, "SendStatusSet": [{"Code": "Ok", "SerialNo": number}]}))
        return True

    phones = [Phone.parse(f"+86138001380{i:02}", "CN") for i in range(32)]
    with Peer(serve) as peer, ThreadPoolExecutor(32) as threads:
        sms = sender(peer.url)
        for _ in range(2):
            receipts = threads.map(lambda phone: sms.send(phone, "012345"), phones)
            assert [receipt.serial_no for receipt in receipts] == [phone.e164 for phone in phones]
        assert (peer.connections, len(peer.requests)) == (32, 64)


# The deadline.


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["status", "header", "body", "chunk", "body without length"],
)
def test_an_answer_that_trickles_in_does_not_move_the_deadline(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second passes with every look at the clock, and lets one byte come."""
    now, passed = 1000.0, threading.Semaphore(0)

    def second() -> float:
        nonlocal now
        now += 1
        passed.release()
        return now

    def trickle(connection: socket.socket, _request: bytes) -> bool:
        connection.sendall(start)
        while passed.acquire(timeout=10):
            connection.sendall(b"1")
        return False

    monkeypatch.setattr(CLOCK, second)
    with Peer(trickle) as peer:
        assert send(peer.url, timeout=30) == "timeout"
        assert now <= 1000 + 32
        assert len(peer.requests) == 1
        passed.release(1000)  # more than goes through a closed connection


def test_a_server_that_does_not_answer_is_left_at_the_deadline() -> None:
    """The message may have been sent, so it is not sent again; the connection is closed at once."""
    with Peer(lambda _connection, _request: True) as peer:
        with late_answers_alone(), pytest.raises(SendUnknown, match="timeout") as refused:
            sender(peer.url, timeout=0.1).send(PHONE, "012345")
        assert refused.value  # which keeps the frames of the call, and what they use
        assert peer.closed.acquire(timeout=10)
        assert len(peer.requests) == 1


def test_a_server_that_does_not_read_is_left_at_the_deadline() -> None:
    """The request is too large for the buffers between."""
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(SendUnknown, match="timeout"):
        sender(f"http://127.0.0.1:{deaf.getsockname()[1]}", timeout=0.1).send(PHONE, "0" * (1 << 24))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nothing_is_sent_after_the_deadline(
    peer: Peer, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """Neither a request nor a handshake begins if connecting has taken all the time."""
    now, connect = 1000.0, socket.create_connection
    names: list[object] = []

    def slow(*args: Any) -> socket.socket:
        nonlocal now
        now += 6
        return connect(*args)

    monkeypatch.setattr(CLOCK, lambda: now)
    monkeypatch.setattr(socket, "create_connection", slow)
    tls.sni_callback = lambda _socket, name, _context: names.append(name)
    with Peer(accept, tls) as https:
        server = https if scheme == "https" else peer
        assert send(server.url, timeout=5) == "timeout"
        assert server.closed.acquire(timeout=10)
        assert (names, server.requests) == ([], [])


def test_name_resolution_ends_at_the_deadline_too(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent when the address is known at last, and the next message is sent as usual."""
    known = threading.Event()

    def slow(host: str, *args: Any, **options: Any) -> Any:
        if host == HOST:
            threads.put(threading.current_thread())
            assert known.wait(10)
        return resolve("127.0.0.1", *args, **options)

    threads = queue.SimpleQueue[threading.Thread]()
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    sms = sender(f"http://{HOST}:{peer.port}", timeout=0.1)
    with pytest.raises(SendUnknown, match="timeout"):
        sms.send(PHONE, "012345")
    thread = threads.get(timeout=10)
    assert thread.daemon  # the process may end before it
    known.set()
    thread.join()
    assert (peer.connections, len(peer.requests)) == (0, 0)
    assert send(f"http://{HOST}:{peer.port}") == "Ok"
    assert (peer.connections, len(peer.requests)) == (1, 1)


@pytest.mark.parametrize(
    ("addresses", "outcome"),
    [
        ([], "ClientNetworkError"),
        (["::1"], "ClientNetworkError"),
        (["::1", "127.0.0.1"], "Ok"),
        (socket.gaierror("unknown"), "ClientNetworkError"),
        (UnicodeError("label too long"), "ClientNetworkError"),
    ],
    ids=["none", "refused", "refused, then good", "unknown host", "no host"],
)
def test_the_addresses_of_a_host_are_tried_in_turn(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, addresses: list[str] | Exception, outcome: str
) -> None:
    """The server listens on 127.0.0.1 alone."""

    def resolved(host: str, *args: Any, **options: Any) -> Any:
        if host != HOST:
            return resolve(host, *args, **options)
        if isinstance(addresses, Exception):
            raise addresses
        return [found for address in addresses for found in resolve(address, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    assert send(f"http://{HOST}:{peer.port}") == outcome
    assert len(peer.requests) == (outcome == "Ok")


# Strange answers.

JSON = json.dumps({"Response": SENT}).encode()


@each_case(
    "answer",
    [
        response(b"%x\r\n%s\r\n0\r\n\r\n" % (len(JSON), JSON), "Transfer-Encoding: chunked"),
        response(
            b"1\r\n{\r\n%x;x=y\r\n%s\r\n0\r\nX: y\r\n\r\n" % (len(JSON) - 1, JSON[1:]), "Transfer-Encoding: chunked"
        ),
        b"HTTP/1.1 100 Continue\r\n\r\n" + response(SENT),
    ],
    ids=["chunked", "two chunks", "100 Continue"],
)
def test_every_form_of_a_good_answer_is_read(answer: bytes) -> None:
    """The connection is kept after each of them."""

    def serve(connection: socket.socket, _request: bytes) -> bool:
        connection.sendall(answer)
        return True

    with Peer(serve) as peer:
        sms = sender(peer.url)
        assert [sms.send(PHONE, "012345").serial_no for _ in range(2)] == ["2019:1"] * 2
        assert peer.connections == 1


@each_case(
    ("answer", "detail"),
    [
        (b"", "ClientNetworkError"),
        (b"garbage\r\n\r\n", "ClientNetworkError"),
        (response(SENT)[:-1], "ClientNetworkError"),
        (response(b"5\r\n{", "Transfer-Encoding: chunked"), "ClientNetworkError"),
        (response(b"x\r\n{", "Transfer-Encoding: chunked"), "ClientNetworkError"),
        (response(b" " * (1 << 20) + JSON, f"Content-Length: {(1 << 20) + len(JSON)}"), "ClientNetworkError"),
        (response(b" " * (1 << 20) + JSON), "ClientNetworkError"),
        (response(SENT, *["X: y"] * 200), "ClientNetworkError"),
        (response(SENT, f"X: {'y' * 100_000}"), "ClientNetworkError"),
        (response(SENT, "Location: /", status="HTTP/1.1 307 Temporary Redirect"), "ServerNetworkError"),
        (response(SENT, status="HTTP/1.1 500 Internal Server Error"), "ServerNetworkError"),
        (response(b"", "Content-Length: 0"), "JSONDecodeError"),
        (response(b"<html>", "Content-Length: 6"), "JSONDecodeError"),
        (
            response(gzip.compress(JSON), "Content-Encoding: gzip", f"Content-Length: {len(gzip.compress(JSON))}"),
            "UnicodeDecodeError",
        ),
        (response(b"[" * 100_000, "Content-Length: 100000"), "RecursionError"),
        (response(b"[]", "Content-Length: 2"), "TypeError"),
        (response({"SendStatusSet": 5}), "TypeError"),
        (response({"SendStatusSet": [5]}), "AttributeError"),
        (response({"Error": {"Code": "InternalError"}}), "KeyError"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_an_answer_that_cannot_be_read_is_an_unknown_outcome(answer: bytes, detail: str) -> None:
    """The message is not sent again, and neither is a redirected one."""

    def serve(connection: socket.socket, _request: bytes) -> bool:
        connection.sendall(answer)
        return False

    with Peer(serve) as peer:
        assert send(peer.url) == detail
        assert len(peer.requests) == 1


def test_an_endless_answer_is_left_after_a_mebibyte() -> None:
    """The function does not read on to the deadline, and does not keep what it reads."""

    def flood(connection: socket.socket, _request: bytes) -> bool:
        connection.sendall(response(b""))
        while True:
            connection.sendall(b" " * (1 << 16))

    with Peer(flood) as peer:
        assert send(peer.url) == "ClientNetworkError"


@each_case("answer", [{"SendStatusSet": [{"Code": 5}]}, {"Error": {"Code": 5, "Message": "", "RequestId": ""}}])
def test_a_code_that_is_no_text_is_a_refusal(answer: dict[str, Any]) -> None:
    """It is an answer all the same, unlike one that cannot be read."""

    def serve(connection: socket.socket, _request: bytes) -> bool:
        connection.sendall(response({"RequestId": "r", **answer}))
        return True

    with Peer(serve) as peer, pytest.raises(Refusal) as refused:
        sender(peer.url).send(PHONE, "012345")
    assert refused.value.detail == "5"


def test_no_proxy_is_used(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment gets nothing."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert send(peer.url) == "Ok"


# HTTPS.


def test_https_keeps_its_connection(https: Peer) -> None:
    """The session tickets of TLS 1.3, which arrive with the first answer, are no reason to replace it."""
    sms = sender(https.url)
    for _ in range(3):
        assert sms.send(PHONE, "012345").serial_no
    assert (https.connections, len(https.requests)) == (1, 3)
    assert re.search(rb"\r\nHost: localhost:[0-9]+\r\n", https.requests[0])


def test_a_server_of_another_name_is_not_trusted(https: Peer) -> None:
    """The certificate is for localhost, and nothing is sent to an address without a name."""
    assert send(https.url.replace("localhost", "127.0.0.1")) == "ClientNetworkError"
    assert https.requests == []


def test_a_server_of_another_authority_is_not_trusted(
    https: Peer, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent to it."""
    monkeypatch.setattr("certifi.where", lambda: str(certificates / "other.pem"))
    assert send(https.url) == "ClientNetworkError"
    assert https.requests == []


def test_an_https_connection_that_was_closed_while_idle_is_noticed(tls: ssl.SSLContext) -> None:
    """The server counts one request for each message."""
    with Peer(answer_once, tls) as peer:
        sms = sender(peer.url)
        for _ in range(3):
            assert sms.send(PHONE, "012345").serial_no
            assert peer.closed.acquire(timeout=10)
        assert (peer.connections, len(peer.requests)) == (3, 3)


def test_the_server_is_told_which_name_its_certificate_must_have(tls: ssl.SSLContext) -> None:
    """A server with many names chooses the certificate by it (SNI)."""
    names: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: names.append(name)
    with Peer(accept, tls) as peer:
        assert send(peer.url) == "Ok"
    assert names == ["localhost"]


def test_a_handshake_ends_at_the_deadline() -> None:
    """The server accepts the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert send(f"https://127.0.0.1:{silent.getsockname()[1]}", timeout=0.1) == "timeout"
