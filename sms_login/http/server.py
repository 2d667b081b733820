"""HTTP for whoever has a socket: waitress, with limits, and an end that loses no answer."""

import logging
import socket
import threading
import time
from typing import Any

import waitress
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError

THREADS = 32  # more than one core needs, since an SMS that hangs holds its thread for SMS_TIMEOUT
CONNECTIONS = 1_000  # at once; idle and slow ones cost no thread
IDLE = 30  # s without a request, or for one to arrive in, after which a connection is closed
GRACE = 8  # s for the requests under way when told to stop; containers are killed after 10
MAX_HEADERS = 16 * 1024  # bytes
MAX_BODY = 64 * 1024  # bytes: above what the function takes, so that it is the function that says so


class _Request(HTTPRequestParser):  # type: ignore[misc] # waitress has no types
    def parse_header(self, header_plus: bytes) -> None:
        """Refuse what a server before us may have read otherwise: it might take for a body what we take for a request.

        That is a length given in two ways, or in one that is not the version's (RFC 9112, section 6.1), or two hosts.
        """
        super().parse_header(header_plus)
        fields: dict[bytes, list[bytes]] = {}
        for line in header_plus.lower().split(b"\r\n"):
            name, _, value = line.partition(b":")
            fields.setdefault(name, []).append(value.strip())
        coding = fields.get(b"transfer-encoding")
        unclear = coding and (coding != [b"chunked"] or not self.chunked or b"content-length" in fields)
        if unclear or len(fields.get(b"host", [])) > 1:
            self.expect_continue = False  # no body is wanted
            raise ParsingError("Length or Host is ambiguous")


class _Connection(HTTPChannel):  # type: ignore[misc] # as above
    parser_class = _Request
    last_activity: float

    def handle_read(self) -> None:
        request, active = self.request, self.last_activity
        super().handle_read()
        if request and request is self.request:  # not all there yet: a byte now and then buys no time
            self.last_activity = active

    def service(self) -> None:
        if self.server.stopping:
            self.say_goodbye()
        super().service()

    def say_goodbye(self) -> None:
        """Let the next answer say that it is the last: a client might go on for as long as others do."""
        for request in self.requests:
            request.headers["CONNECTION"] = "close"


class Server:
    """Serves a WSGI application on `host` and `port` (0 takes a free one), within the limits above.

    It takes connections from construction on, and answers while `serve` runs. What is no HTTP, or beyond the limits, is
    refused by waitress, in plain text. Raises OSError if the port cannot be had.
    """

    def __init__(self, application: Any, host: str, port: int) -> None:
        # Bound here, because waitress leaves threads and sockets behind when it fails to bind.
        listener = socket.create_server((host, port), backlog=CONNECTIONS)
        self.port: int = listener.getsockname()[1]
        self._sockets: dict[int, Any] = {}
        self._server = waitress.create_server(
            application,
            map=self._sockets,
            sockets=[listener],
            threads=THREADS,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE,
            cleanup_interval=IDLE // 3,
            max_request_header_size=MAX_HEADERS,
            max_request_body_size=MAX_BODY + 1,  # waitress refuses what is not smaller
            clear_untrusted_proxy_headers=False,  # X-Forwarded-For is the function's to judge
            ident="",
        )
        # It warns of each request that has to wait for a thread, which says nothing that the request's line does not.
        self._server.task_dispatcher.queue_logger.setLevel(logging.ERROR)
        self._server.channel_class = _Connection
        self._server.stopping = False
        self._ending = threading.RLock()  # of stop() in one thread, and of serve() in another

    def serve(self) -> None:
        """Answer until `stop` is called; then the requests under way, for GRACE seconds at most. Only once."""
        while not self._server.stopping:
            self._loop(IDLE / 3)
        known = -1  # what has already arrived counts as under way, also what the kernel has accepted for us
        while known < len(self._sockets):
            known = len(self._sockets)
            self._server.handle_accept()
        wasyncore.dispatcher.close(self._server)  # listens no more
        for connection in [*self._server.active_channels.values()]:
            connection.say_goodbye()
        deadline = time.monotonic() + GRACE
        self._loop(0)
        while self._busy() and time.monotonic() < deadline:
            self._loop(0.1)
        self._server.task_dispatcher.shutdown(timeout=1)
        with self._ending:
            wasyncore.close_all(self._sockets)

    def stop(self) -> None:
        """Let `serve` come to its end; from any thread, or a signal handler, and as often as one likes."""
        with self._ending:
            if not self._server.stopping:
                self._server.stopping = True
                self._server.pull_trigger()

    def _loop(self, seconds: float) -> None:
        # Not waitress's own run(), which ends without answering anybody; poll, since select() ends at 1,024 sockets.
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._sockets, count=1)

    def _busy(self) -> bool:
        channels = self._server.active_channels.values()
        return any(channel.request or channel.requests or channel.total_outbufs_len for channel in channels)
