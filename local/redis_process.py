"""A redis-server as a child process."""

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_HOST = "127.0.0.1"
_TRIES = 10  # ports; most are free
# The first shell becomes the server. The second waits for the end of a pipe, and then kills both; this process holds
# the other end, and the kernel closes it however this process ends, by SIGKILL too.
_LEASH = 'exec 3<&0 </dev/null; { read -r _ <&3; kill -9 0; } >/dev/null 2>&1 & exec "$@" 3<&-'


@contextmanager
def redis_process(program: str) -> Iterator[tuple[str, int, str]]:
    """Run `program` without persistence on a free loopback port, and give (host, port, password).

    Raises RuntimeError if it does not start.
    """
    password = secrets.token_hex(16)
    with TemporaryDirectory(prefix="sms-login-redis-") as directory:  # needed only until the server has started
        process, port = _started(program, password, Path(directory))
    try:
        yield _HOST, port, password
    finally:
        _end(process)


def _started(program: str, password: str, directory: Path) -> tuple[subprocess.Popen[bytes], int]:
    config = directory / "redis.conf"  # not the command line, which other users of this machine can read
    output = b""
    for _ in range(_TRIES):  # the server finds out whether a port is free: a check beforehand might be too old
        port = 10_000 + secrets.randbelow(10_000)  # below the ports of outgoing connections on Linux
        config.write_text(f'bind {_HOST}\nport {port}\nrequirepass {password}\ndir "{directory}"\nsave ""\n')
        process = subprocess.Popen(  # noqa: S603 - fixed words and a program of the PATH
            ["/bin/sh", "-c", _LEASH, "sh", program, str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the server
        )
        lines = []
        for line in process.stdout or ():
            if b"eady to accept connections" in line:
                return process, port
            lines.append(line)
        output = b"".join(lines)
        _end(process)
    raise RuntimeError(f"{program} did not start:\n{output.decode(errors='replace')}")


def _end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
