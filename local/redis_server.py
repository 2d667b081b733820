"""A Redis-protocol server inside this process, so that a login can run with nothing installed."""

import hmac
import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from fakeredis import FakeRedis, TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler  # not exported, but one thing in it must be mended

_AUTH_WITHIN = 1.0  # s; leaving the server waits for it

# At DEBUG it logs every command, and the function's own level is for the function.
logging.getLogger("fakeredis").setLevel(logging.INFO)


@contextmanager
def redis_server() -> Iterator[tuple[str, int, str]]:
    """Run an empty server on a free loopback port; leaving it ends every connection.

    Gives (host, port, password). Whoever knows the password can run code in this process: fakeredis lets scripts have
    Python and the shell, and RESTORE unpickles. Without it there is nothing to be had, for other users of this machine.
    """
    password = secrets.token_hex(16)
    server = _Server(password, ("127.0.0.1", 0), server_version=(7, 0))  # the newest that TencentDB offers
    # The loop looks every 20 ms whether it shall end; its default, half a second, is how long leaving would take.
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
    disable_nagle_algorithm = True  # The answers to a pipeline are many writes: the second would wait 40 ms for an ACK.

    def setup(self) -> None:
        super().setup()
        read_response = self.current_client.read_response

        def read_reply(**options: Any) -> Any:
            try:
                return read_response(**options)
            except (redis.ResponseError, redis.AuthenticationError) as error:
                return error

        # An error such as NOSCRIPT is a reply like any other. Raised, as fakeredis has it, it would end the connection.
        vars(self.current_client)["read_response"] = read_reply


class _Server(TcpFakeServer):
    request_queue_size = 128  # The default of 5 drops connections that arrive at once: they try again after a second.

    def __init__(self, password: str, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.RequestHandlerClass = _Handler
        with FakeRedis(server=self.fake_server) as client:
            client.ping()  # The first connection makes the database, without a lock: two at once would each make one.
        self._auth = f"*2\r\n$4\r\nAUTH\r\n${len(password)}\r\n{password}\r\n".encode()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection, in its own thread, if it begins with the password."""
        if self._authenticates(request):
            super().finish_request(request, client_address)

    def _authenticates(self, request: Any) -> bool:
        # fakeredis takes a password, but never asks for one: this is before it has read a byte. Clients send it in one
        # piece; to wait for the rest of what has begun well would let a stranger guess it byte by byte.
        try:
            request.settimeout(_AUTH_WITHIN)
            right = hmac.compare_digest(request.recv(len(self._auth)), self._auth)
            request.sendall(b"+OK\r\n" if right else b"-NOAUTH Authentication required.\r\n")
            request.settimeout(None)
        except OSError:
            return False
        return right
