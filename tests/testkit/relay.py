"""A relay to a Redis that can lose answers, and cut a connection at any byte."""

import contextlib
import socket
import threading
from typing import Literal

from tests.testkit.peer import end

Direction = Literal["requests", "answers"]


class Relay:
    """Relays to a Redis; while `mute`, it drops the answers, like a network that lost the way back.

    `first_words` are the first bytes of each connection; `passed` counts the bytes that were relayed in each direction.
    """

    def __init__(self, port: int) -> None:
        self.target = port  # where new connections lead
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.mute = False
        self.first_words: list[bytes] = []
        self.passed: dict[Direction, int] = {"requests": 0, "answers": 0}
        self._cuts: dict[Direction, int] = {}
        self.cut = threading.Event()  # is set when a connection was cut
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut_after(self, direction: Direction, size: int) -> None:
        """Relay so many more bytes in a direction, then close their connection; later connections are whole."""
        self.cut.clear()
        self._cuts[direction] = size

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client = self._listener.accept()[0]
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except ConnectionRefusedError:  # the server is down
                    client.close()
                    continue
                self.first_words.append(b"")
                number = len(self.first_words) - 1
                threading.Thread(target=self._connected, args=(client, server, number), daemon=True).start()

    def _connected(self, client: socket.socket, server: socket.socket, number: int) -> None:
        # One thread closes both sockets, after the other has ended: a descriptor that is closed while a thread is about
        # to use it may be a new connection's by then.
        with client, server:
            answers = threading.Thread(target=self._answer, args=(server, client), daemon=True)
            answers.start()
            self._ask(client, server, number)
            answers.join()

    def _ask(self, client: socket.socket, server: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                self.first_words[number] = self.first_words[number] or data
                if not self._relay("requests", data, server):
                    break
        end(client, server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if not self.mute and not self._relay("answers", data, client):
                    break
        end(client, server)

    def _relay(self, direction: Direction, data: bytes, target: socket.socket) -> bool:
        """Relay data up to a cut; return whether the connection goes on."""
        left = self._cuts.get(direction)
        if left is not None:
            self._cuts[direction] = left - len(data)
            data = data[: max(left, 0)]
        self.passed[direction] += len(data)
        target.sendall(data)
        if left is None or self._cuts[direction] > 0:
            return True
        del self._cuts[direction]
        self.cut.set()
        return False

    def close(self) -> None:
        """Accept no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)  # ends the loop
        self._thread.join()
        self._listener.close()
