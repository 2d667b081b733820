"""A relay to a Redis that can lose the answers."""

import socket
import threading


class Relay:
    """Relays to a Redis; while `mute`, it drops the answers, like a network that lost the way back."""

    def __init__(self, port: int) -> None:
        self._redis_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.mute = False
        self.first_words: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        try:
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._redis_port))
                self.first_words.append(b"")
                for source, target, words in ((client, server, len(self.first_words)), (server, client, 0)):
                    threading.Thread(target=self._pump, args=(source, target, words), daemon=True).start()
        except OSError:
            return  # closed

    def _pump(self, source: socket.socket, target: socket.socket, words: int) -> None:
        try:
            while data := source.recv(1 << 16):
                if words and not self.first_words[words - 1]:
                    self.first_words[words - 1] = data
                if words or not self.mute:
                    target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            end.close()

    def close(self) -> None:
        """Accept no more connections."""
        self._listener.close()
