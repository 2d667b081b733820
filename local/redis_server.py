"""An empty Redis for `make run`: the redis-server of the PATH, else fakeredis, which needs no installation."""

import shutil
from contextlib import AbstractContextManager

from local.embedded_redis import embedded_redis
from local.redis_process import redis_process


def redis_server() -> AbstractContextManager[tuple[str, int, str]]:
    """Run an empty server on a free loopback port, and give (host, port, password).

    On leaving, the server ends, and with it every connection. Raises RuntimeError if it does not start.
    """
    program = shutil.which("redis-server")
    return redis_process(program) if program else embedded_redis()
