"""A relay to a server that records every request, to count and repeat them."""

import select
import socket
import socketserver
import threading
from contextlib import AbstractContextManager
from typing import cast

Request = list[list[str]]  # commands with their arguments; several make a pipeline


class Wire(AbstractContextManager["Wire"]):
    """Relays to a server on loopback. All bytes of a client until the reply begins are one request: one round trip."""

    def __init__(self, port: int) -> None:
        self._server = _Server(port)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self) -> int:
        """Return the number of requests since the last call, of any protocol."""
        requests, self._server.requests = self._server.requests, []
        return len(requests)

    def take(self) -> list[Request]:
        """Return the requests to a Redis since the last call."""
        requests, self._server.requests = self._server.requests, []
        return [_commands(request) for request in requests]


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, relayed_port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.relayed_port = relayed_port
        self.requests: list[bytes] = []


class _Relay(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server, client = cast("_Server", self.server), self.request
        answered = True
        with socket.create_connection(("127.0.0.1", server.relayed_port)) as relayed:
            while True:
                for source in select.select([client, relayed], [], [])[0]:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if source is client and answered:
                        server.requests.append(data)
                    elif source is client:
                        server.requests[-1] += data
                    answered = source is relayed
                    (relayed if source is client else client).sendall(data)


def _commands(request: bytes) -> Request:
    """Read RESP: `*<count>`, and for each argument `$<length>` and its text. Ours contain no line ends."""
    lines = request.decode().split("\r\n")[:-1]
    commands = []
    while lines:
        end = 2 * int(lines[0].removeprefix("*")) + 1
        commands.append(lines[2:end:2])
        lines = lines[end:]
    return commands
