"""HTTP for Tencent's SDK over kept connections, with one deadline for a whole call. No request is sent twice.

The SDK itself sends with `requests`, which costs more than all the rest of a call, and whose timeout limits each read,
but neither name resolution nor an answer that trickles in.
"""

import queue
import select
import socket
import ssl
import threading
import time
from collections import deque
from email.message import Message
from http.client import HTTPConnection, HTTPException
from typing import Any

from sms_login.forks import in_child
from sms_login.secret import Masked

_IDLE = 30.0  # s; the network may drop a connection that is idle for longer, and a sending would end without an answer
_MOST = 1 << 20  # bytes of an answer's body; that of SendSms has 300


class Answer(Masked, frozen=True):
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
        if self._tls:
            self._tls.sslsocket_class = _TlsSocket
        self._timeout = timeout
        self._lock = threading.Lock()
        self._kept: deque[_Connection] = deque()  # the one that was used last is the last
        in_child(self._kept, deque.clear)

    def send_request(self, request: Any) -> Answer:
        """Send a request that the SDK has signed, and return the answer, whatever its status.

        Raises TimeoutError after the deadline, and for any other failure what the SDK's own transport raises. The
        request may have been sent by then.
        """
        connection = self._take()
        try:
            answer = connection.exchange(request, time.monotonic() + self._timeout)
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
                self._kept.popleft().close()
            self._kept.append(connection)


class _Connection(HTTPConnection):
    """A connection on which each request with its answer has a deadline, a time of `time.monotonic`."""

    sock: Any  # a _Socket, once it is connected

    def __init__(self, host: str, tls: ssl.SSLContext | None) -> None:
        self.default_port = 443 if tls else 80
        super().__init__(host)
        self._tls = tls
        self.used = 0.0  # a time of `time.monotonic`

    def exchange(self, request: Any, deadline: float) -> Answer:
        """Send a request, and return the answer.

        Raises TimeoutError, OSError, and HTTPException for an answer that is too long, incomplete or no HTTP.
        """
        if self.sock is None:
            self._connect(deadline)
        self.sock.deadline = deadline
        self.request(request.method, request.uri, request.data.encode(), request.header)
        self.sock.flush()
        with self.getresponse() as response:
            content = response.read(_MOST + 1)
            if len(content) > _MOST or response.length:
                raise HTTPException("the answer is too long, or incomplete")
            return Answer(response.status, response.headers, content)

    def _connect(self, deadline: float) -> None:
        """Connect to the first address of the host that accepts, and verify its certificate."""
        failure = OSError("the host has no address")
        for *_, address in _resolve(self.host, self.port, _left(deadline)):
            try:
                self.sock = socket.create_connection(address[:2], _left(deadline))
                break
            except OSError as error:
                failure = error
        else:
            raise failure
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or the request waits for the handshake's ACK
        self.sock.settimeout(_left(deadline))
        if self._tls:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)
        else:
            self.sock = _Socket(fileno=self.sock.detach())

    def usable(self) -> bool:
        """Return whether a request may go out over this connection, which has been idle.

        Only its end can arrive on an idle connection, or an answer that no request asked for: either makes it unusable.
        """
        arrivals = select.poll()  # unlike select.select, it takes descriptors above 1,023
        arrivals.register(self.sock, select.POLLIN)
        return time.monotonic() - self.used <= _IDLE and not arrivals.poll(0)


class _Socket(socket.socket):
    """A socket for HTTPConnection, on which each operation ends at the `deadline`.

    HTTPConnection writes head and body one after the other; `flush` sends both, as one packet.
    """

    deadline = 0.0
    _written = b""

    def __del__(self) -> None:
        self.close()  # a socket that is collected open gives a warning

    def sendall(self, data: Any, _flags: int = 0) -> None:
        self._written += data

    def flush(self) -> None:
        request, self._written = self._written, b""
        self.settimeout(_left(self.deadline))
        super().sendall(request)

    def recv_into(self, *args: Any) -> int:
        self.settimeout(_left(self.deadline))
        return super().recv_into(*args)


class _TlsSocket(_Socket, ssl.SSLSocket):
    """The same with TLS."""


def _left(deadline: float) -> float:
    """Return the seconds until a deadline. Raises TimeoutError after it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


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
