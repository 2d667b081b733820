"""fakeredis behind TCP, inside this process: its keys age by the clock of this process, which tests move."""

import hmac
import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from fakeredis import FakeRedis, TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler  # not exported; see _Handler for the reason

_AUTH_WITHIN = 1.0  # s; leaving the server waits for it

# At DEBUG fakeredis logs every command; the function's log level is for the function.
logging.getLogger("fakeredis").setLevel(logging.INFO)


@contextmanager
def embedded_redis() -> Iterator[tuple[str, int, str]]:
    """Run an empty server on a free loopback port, and give (host, port, password).

    A client that knows the password can run code in this process: fakeredis gives scripts Python and the shell, and
    RESTORE unpickles. Other users of this machine do not know it, and get nothing without it.
    """
    password = secrets.token_hex(16)
    server = _Server(password, ("127.0.0.1", 0), server_version=(7, 0))  # the newest version that TencentDB offers
    # serve_forever looks every 20 ms whether to end; its default of half a second would delay leaving by as much.
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="redis", daemon=True)
    thread.start()
    try:
        host, port = server.server_address[:2]
        yield str(host), int(port), password
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(TCPFakeRequestHandler):
    """Sends an error such as NOSCRIPT as a reply, after which the connection goes on.

    fakeredis 2.40 closes it instead, so that EVALSHA with EVAL after it fails over TCP: cunla/fakeredis-py#432.
    """

    disable_nagle_algorithm = True  # fakeredis writes each reply by itself: the second would wait 40 ms for an ACK

    def setup(self) -> None:
        super().setup()
        read_response = self.current_client.read_response

        def read_reply(**options: Any) -> Any:
            try:
                return read_response(**options)
            except (redis.ResponseError, redis.AuthenticationError) as error:
                return error

        vars(self.current_client)["read_response"] = read_reply


class _Server(TcpFakeServer):
    request_queue_size = 128  # the default of 5 drops simultaneous connections, which retry after a second

    def __init__(self, password: str, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.RequestHandlerClass = _Handler
        with FakeRedis(server=self.fake_server) as client:
            client.ping()  # the first connection makes the database, without a lock: two at once would each make one
        self._auth = f"*2\r\n$4\r\nAUTH\r\n${len(password)}\r\n{password}\r\n".encode()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection, in its own thread, if it begins with the password."""
        if self._authenticates(request):
            super().finish_request(request, client_address)

    def _authenticates(self, request: Any) -> bool:
        # fakeredis accepts a password but never requires one, so this reads AUTH before fakeredis reads a byte. Clients
        # send it in one piece; waiting for the rest of a correct beginning would let a stranger guess byte by byte.
        try:
            request.settimeout(_AUTH_WITHIN)
            right = hmac.compare_digest(request.recv(len(self._auth)), self._auth)
            request.sendall(b"+OK\r\n" if right else b"-NOAUTH Authentication required.\r\n")
            request.settimeout(None)
        except OSError:
            return False
        return right
