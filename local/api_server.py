"""HTTP for the stand-in, one thread per connection. Unlike a WSGI server, it can hang, and reset a connection."""

import contextlib
import json
import re
import socket
import socketserver
import struct
import sys
import threading
import time
from collections.abc import Callable
from email.message import Message as Headers
from enum import Enum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

MAX_BODY = 10 * 1024 * 1024  # bytes; the platform's own limit for a signed POST


class Reply(NamedTuple):
    """An answer: ``response`` becomes the JSON ``{"Response": …}``, with HTTP status 200 as on the platform."""

    response: dict[str, Any]
    content_type: str = "application/json"

    def __repr__(self) -> str:
        return object.__repr__(self)  # the response may have numbers


class NoReply(Enum):
    """The ways to leave a request without an answer."""

    HANG = "wait until the client leaves or the server is closed"
    RESET = "abort the connection"


class ApiServer(socketserver.ThreadingTCPServer):
    """Serve POST requests on 127.0.0.1 with ``answer(headers, body)`` from construction to ``close()``.

    Port 0 takes a free one. Many threads call ``answer`` at once; ``clock`` sets the header Date. ``connections``
    counts the TCP connections accepted so far. Raises OSError if the port is taken.
    """

    # Not http.server's HTTPServer, which looks up the host's name when it binds: that can take seconds.
    allow_reuse_address = True
    request_queue_size = 128  # the default of 5 drops simultaneous connections, which retry after a second

    def __init__(
        self, port: int, answer: Callable[[Headers, bytes], Reply | NoReply], clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer = answer
        self.clock = clock
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.connections = 0
        self._open: set[Any] = set()
        self._lock = threading.Lock()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="tencent-stand-in", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End every connection, also one that hangs, and return once all threads have ended. May be called twice."""
        self._closing = True
        with contextlib.suppress(OSError):  # already closed
            socket.create_connection(("127.0.0.1", self.server_address[1]), timeout=1).close()  # wakes the thread up
        self._thread.join()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):  # the client may have closed it
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def _serve(self) -> None:
        # The inherited loop polls for its end; this one waits for the next connection.
        while not self._closing:
            self.handle_request()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Return whether to serve a connection; the one that ends the loop is not served."""
        return bool(request and client_address) and not self._closing

    def process_request(self, request: Any, client_address: Any) -> None:
        """Record the connection, then start its thread."""
        with self._lock:
            self._open.add(request)
            self.connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close the connection, without the FIN that the inherited method sends first: a reset must look like one."""
        with self._lock:
            self._open.discard(request)
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a bug on stderr, but not a client that disconnected, as it does at a timeout."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: ApiServer
    protocol_version = "HTTP/1.1"  # connections are kept
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait 40 ms for the client's ACK

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,9}", length) or int(length) > MAX_BODY:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)  # which also ends the connection
            return
        answer = self.server.answer(self.headers, self.rfile.read(int(length)))
        if isinstance(answer, Reply):
            self._reply(answer)
            return
        self.close_connection = True
        if answer is NoReply.RESET:
            # With a linger time of zero, closing sends RST instead of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            while self.connection.recv(4096):  # the client sends nothing more: this waits for the end of the connection
                pass

    def _reply(self, reply: Reply) -> None:
        body = json.dumps({"Response": reply.response}).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(self.server.clock() if timestamp is None else timestamp)

    def log_message(self, *args: object) -> None:
        """Log nothing: the inbox shows the requests that succeeded."""
