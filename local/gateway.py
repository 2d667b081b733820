"""The function's own web server on loopback, with the paths of this package beside it."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from local.control import Control
from sms_login.http.server import Server
from sms_login.http.wsgi import Application

if TYPE_CHECKING:
    from local.tencent import TencentStandIn

Handler = Callable[[Any, Any], dict[str, Any]]


class Gateway(AbstractContextManager["Gateway"]):
    """Serve ``handler(event, context)`` at ``url`` from construction to ``close()``; also a context manager.

    ``Control`` answers the paths that show and steer ``tencent``. Port 0 takes a free one. Raises OSError if the port
    is taken.
    """

    def __init__(self, handler: Handler, tencent: "TencentStandIn", *, port: int) -> None:
        control = Control(tencent)
        application = Application(lambda event, context: control.answer(event) or handler(event, context))
        self._server = Server(application, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve, name="gateway", daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop after the requests under way are answered; may be called twice."""
        self._server.stop()
        self._thread.join()
