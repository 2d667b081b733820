"""A relay to one or more servers that counts requests and round trips, and can delay them."""

import select
import socket
import socketserver
import threading
import time
from contextlib import AbstractContextManager
from typing import cast


class Wire(AbstractContextManager["Wire"]):
    """Relays to servers on loopback, and holds each request back for `delay` seconds.

    All bytes of a connection until the answer begins are one request. A round trip is all requests, to any of the
    servers, until an answer begins; with several servers a delay is needed, or the first might answer too early.
    """

    def __init__(self, *ports: int, delay: float = 0) -> None:
        self._record = _Record(delay)
        self._servers = [_Server(port, i, self._record) for i, port in enumerate(ports)]
        self.ports: list[int] = [server.server_address[1] for server in self._servers]
        self.port = self.ports[0]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def count(self) -> int:
        """Return the number of requests since the last reading, of any protocol."""
        return sum(map(len, self.round_trips()))

    def round_trips(self) -> list[list[int]]:
        """Return the round trips since the last reading: for each, the index of the server of every request."""
        return self._record.take()


class _Record:
    def __init__(self, delay: float) -> None:
        self.delay = delay
        self._round_trips: list[list[int]] = []
        self._answered = True  # since the last request
        self._lock = threading.Lock()

    def ask(self, server: int) -> None:
        with self._lock:
            if self._answered:
                self._round_trips.append([])
            self._answered = False
            self._round_trips[-1].append(server)

    def answer(self) -> None:
        self._answered = True

    def take(self) -> list[list[int]]:
        with self._lock:
            taken, self._round_trips = self._round_trips, []
            return taken


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, relayed_port: int, index: int, record: _Record) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.relayed_port, self.index, self.record = relayed_port, index, record


class _Relay(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server, client = cast("_Server", self.server), self.request
        record = server.record
        answered = True
        with socket.create_connection(("127.0.0.1", server.relayed_port)) as relayed:
            for end in (client, relayed):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                for source in select.select([client, relayed], [], [])[0]:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if source is client and answered:
                        record.ask(server.index)
                        time.sleep(record.delay)
                    elif source is relayed:
                        record.answer()
                    answered = source is relayed
                    (client if answered else relayed).sendall(data)
