"""HTTP for Tencent's SDK over kept connections, with one deadline for a whole call. No request is sent twice.

The SDK itself sends with `requests`, which costs more than all the rest of a call, and whose timeout limits each read,
but neither name resolution nor an answer that trickles in.
"""

import io
import queue
import select
import socket
import ssl
import threading
import time
from email.message import Message
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple

_IDLE = 30.0  # s; the network may drop a connection that is idle for longer, and a sending would end without an answer
_MOST = 1 << 20  # bytes of an answer's body; that of SendSms has 300


class Answer(NamedTuple):
    """The part of an HTTP answer that the SDK reads."""

    status_code: int
    headers: Message
    content: bytes


class Transport:
    """Sends the SDK's requests to one host, in place of its `ApiRequest`. All threads share the kept connections.

    `timeout` limits a whole call, in seconds; `authorities` is a PEM file with the certificate authorities of HTTPS.
    Redirects are not followed, and proxies not used.
    """

    def __init__(self, host: str, *, https: bool, authorities: str, timeout: float) -> None:
        self._host = host
        self._tls = ssl.create_default_context(cafile=authorities) if https else None  # takes 20 ms
        self._timeout = timeout
        self._lock = threading.Lock()
        self._kept: list[_Connection] = []  # the one that was used last is the last

    def send_request(self, request: Any) -> Answer:
        """Send a request that the SDK has signed, and return the answer, whatever its status.

        Raises TimeoutError after the deadline, and for any other failure what the SDK's own transport raises. The
        request may have been sent by then.
        """
        connection = self._take()
        connection.deadline.ends = time.monotonic() + self._timeout
        try:
            connection.request(request.method, request.uri, request.data.encode(), request.header)
            answer = connection.answer()
        except Exception as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise
            from tencentcloud.common.exception import TencentCloudSDKException  # noqa: PLC0415 - the SDK has imported it

            raise TencentCloudSDKException("ClientNetworkError", type(error).__name__) from None
        self._keep(connection)
        return answer

    def _take(self) -> "_Connection":
        with self._lock:
            while self._kept:
                connection = self._kept.pop()
                if connection.usable():
                    return connection
                connection.close()
        return _Connection(self._host, self._tls)

    def _keep(self, connection: "_Connection") -> None:
        if connection.sock is None:  # the server said that it closes the connection
            return
        connection.used = time.monotonic()
        with self._lock:
            while self._kept and not self._kept[0].usable():  # of an earlier burst
                self._kept.pop(0).close()
            self._kept.append(connection)


class _Deadline:
    """The time of `time.monotonic` at which a call ends."""

    def __init__(self) -> None:
        self.ends = 0.0

    def left(self) -> float:
        """Return the seconds until then. Raises TimeoutError after it."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Connection(HTTPConnection):
    """A connection on which everything must happen before its deadline."""

    def __init__(self, host: str, tls: ssl.SSLContext | None) -> None:
        self.default_port = 443 if tls else 80
        super().__init__(host)
        self._tls = tls
        self.deadline = _Deadline()
        self.used = 0.0  # a time of `time.monotonic`

    def __del__(self) -> None:
        self.close()  # a socket that is collected open gives a warning

    def connect(self) -> None:
        """Connect to the first address of the host that accepts, and verify its certificate."""
        failure = OSError("the host has no address")
        for *_, address in _resolve(self.host, self.port, self.deadline.left()):
            try:
                connected = socket.create_connection(address[:2], self.deadline.left())
                break
            except OSError as error:
                failure = error
        else:
            raise failure
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or the request waits for the handshake's ACK
        self.sock = connected
        if self._tls:
            connected.settimeout(self.deadline.left())
            connected = self._tls.wrap_socket(connected, server_hostname=self.host)
        self.sock = _Socket(connected, self.deadline)

    def answer(self) -> Answer:
        """Return the answer. Raises HTTPException for one that is too long, incomplete or no HTTP."""
        with self.getresponse() as response:
            content = response.read(_MOST + 1)
            if len(content) > _MOST or response.length:
                raise HTTPException("the answer is too long, or incomplete")
            return Answer(response.status, response.headers, content)

    def usable(self) -> bool:
        """Return whether a request may go out over this connection, which has been idle.

        Only its end can arrive on an idle connection, or an answer that no request asked for: either makes it unusable.
        """
        arrivals = select.poll()  # unlike select.select, it takes descriptors above 1,023
        arrivals.register(self.sock, select.POLLIN)
        return time.monotonic() - self.used <= _IDLE and not arrivals.poll(0)


class _Socket:
    """The part of a socket that HTTPConnection uses. Each operation ends at the deadline.

    HTTPConnection writes head and body one after the other, then asks for a file to read the answer from. Only then do
    both go out, as one packet.
    """

    def __init__(self, connected: socket.socket, deadline: _Deadline) -> None:
        self._connected = connected
        self._deadline = deadline
        self._written = b""
        self.fileno, self.close = connected.fileno, connected.close

    def sendall(self, data: bytes) -> None:
        self._written += data

    def makefile(self, _mode: str) -> io.BufferedReader:
        request, self._written = self._written, b""
        self._connected.settimeout(self._deadline.left())
        self._connected.sendall(request)
        return io.BufferedReader(_Reader(self._connected, self._deadline))


class _Reader(io.RawIOBase):
    """Reads from a socket, as `_Socket` writes to it."""

    def __init__(self, connected: socket.socket, deadline: _Deadline) -> None:
        self._connected = connected
        self._deadline = deadline
        self._raw = connected.makefile("rb", buffering=0)  # keeps the socket open until this reader is closed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connected.settimeout(self._deadline.left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _resolve(host: str, port: int, seconds: float) -> list[Any]:
    """Return the addresses of a host, as getaddrinfo does. Raises its OSError, or TimeoutError after `seconds`.

    Nothing can interrupt getaddrinfo, so it has a thread: a daemon, to let the process end.
    """
    answers: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - the waiting thread raises it again
            answers.put(error)

    threading.Thread(target=run, daemon=True, name="name resolution").start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer
