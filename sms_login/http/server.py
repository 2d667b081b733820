"""The web server: waitress, with limits on clients, and a stop that loses no answer.

Waitress 3.0.2 lacks some of that. The classes below add it by overriding its methods; each names its issue, if there
is one, and goes when a release has solved it.
"""

import logging
import socket
import threading
import time
from typing import Any

import waitress
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError

THREADS = 32  # more than one core needs: an SMS that hangs holds its thread for SMS_TIMEOUT
CONNECTIONS = 1_000  # at once; idle and slow ones cost no thread
IDLE = 30  # s that a connection may take to complete a request, and stay open without one
GRACE = 8  # s to finish the requests under way after `stop`; containers are killed after 10
MAX_HEADERS = 16 * 1024  # bytes
MAX_BODY = 64 * 1024  # bytes: above the function's own limit, so that the function refuses the body itself


class _Request(HTTPRequestParser):  # type: ignore[misc] # waitress has no types
    def parse_header(self, header_plus: bytes) -> None:
        """Refuse a request whose length or host is ambiguous: a proxy may have read another one (request smuggling).

        That is a length given in two ways, or in one that the HTTP version lacks (RFC 9112, section 6.1), or two hosts.
        Solved after 3.0.2: Pylons/waitress#464 and #462.
        """
        super().parse_header(header_plus)
        fields: dict[bytes, list[bytes]] = {}
        for line in header_plus.lower().split(b"\r\n"):
            name, _, value = line.partition(b":")
            fields.setdefault(name, []).append(value.strip())
        coding = fields.get(b"transfer-encoding")
        unclear = coding and (coding != [b"chunked"] or not self.chunked or b"content-length" in fields)
        if unclear or len(fields.get(b"host", [])) > 1:
            self.expect_continue = False  # the client must not send the body
            raise ParsingError("Length or Host is ambiguous")


class _Connection(HTTPChannel):  # type: ignore[misc] # as above
    parser_class = _Request
    last_activity: float

    def handle_read(self) -> None:
        """Give a client IDLE seconds for the whole request; waitress gives as many for each byte."""
        request, active = self.request, self.last_activity
        super().handle_read()
        if request and request is self.request:  # still incomplete
            self.last_activity = active

    def service(self) -> None:
        if self.server.stopping:
            self.say_goodbye()
        super().service()

    def say_goodbye(self) -> None:
        """Make the next answer the last of the connection: a client that keeps asking would delay the stop."""
        for request in self.requests:
            request.headers["CONNECTION"] = "close"


class Server:
    """Serves a WSGI application on `host` and `port` (0 takes a free one), within the limits above.

    It accepts connections from construction on, and answers while `serve` runs. Waitress refuses malformed or too large
    requests, in plain text. Raises OSError if the port cannot be bound.

    Waitress has no graceful stop (Pylons/waitress#198), so `serve` runs the loop in place of its `run`.
    """

    def __init__(self, application: Any, host: str, port: int) -> None:
        # Bound here: waitress leaves threads and sockets behind if it fails to bind.
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
            max_request_body_size=MAX_BODY + 1,  # waitress refuses a body of just this size too
            clear_untrusted_proxy_headers=False,  # the function itself judges X-Forwarded-For
            ident="",
        )
        # It warns of each request that waits for a thread; the log line of the request shows the delay already.
        self._server.task_dispatcher.queue_logger.setLevel(logging.ERROR)
        self._server.channel_class = _Connection
        self._server.stopping = False
        self._ending = threading.RLock()  # stop() and serve() run in different threads

    def serve(self) -> None:
        """Answer until `stop` is called, then finish the requests under way within GRACE seconds. Call it once."""
        while not self._server.stopping:
            self._loop(IDLE / 3)
        known = -1  # connections that the kernel has already accepted count as under way
        while known < len(self._sockets):
            known = len(self._sockets)
            self._server.handle_accept()
        wasyncore.dispatcher.close(self._server)  # stops listening
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
        """Make `serve` finish. May be called from any thread or signal handler, and more than once."""
        with self._ending:
            if not self._server.stopping:
                self._server.stopping = True
                self._server.pull_trigger()

    def _loop(self, seconds: float) -> None:
        # poll: select() is limited to 1,024 sockets
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._sockets, count=1)

    def _busy(self) -> bool:
        channels = self._server.active_channels.values()
        return any(channel.request or channel.requests or channel.total_outbufs_len for channel in channels)
