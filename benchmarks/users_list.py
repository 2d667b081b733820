"""`sms-admin users list` over a million users in a real Redis: `python -m benchmarks.users_list [COUNT]`.

Prints when the first users and all of them were there, the command's peak memory, and the slowest command of Redis.
"""

import os
import resource
import subprocess
import sys
import time

import redis

from sms_login.adapters.redis.connections import Client
from tests.testkit.servers import RedisServer

_BATCH = 10_000
_SLOW = 1_000  # µs from which Redis keeps a command in its slow log


def fill(client: Client, count: int) -> None:
    """Sign up so many users, each with a cooldown beside, since Redis holds more than users."""
    for start in range(0, count, _BATCH):
        pipeline = client.pipeline(transaction=False)
        for i in range(start, min(start + _BATCH, count)):
            user = {"id": f"{i:032x}", "name": f"user {i}", "avatar": "", "created": f"{1_700_000_000_000 + i}"}
            pipeline.hset(f"user:{{+8613{i:09}}}", mapping=user)
            pipeline.set(f"otp:{{+8613{i:09}}}:cooldown", "x", px=600_000)
        pipeline.execute()


def main() -> None:
    """Fill a Redis, list its users, and print the numbers."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with RedisServer() as server, redis.Redis(server.host, server.port, decode_responses=True) as client:
        fill(client, count)
        client.config_set("slowlog-log-slower-than", _SLOW)
        client.slowlog_reset()
        environ = {**os.environ, "REDIS_HOST": server.host, "REDIS_PORT": str(server.port)}
        started, first = time.perf_counter(), 0.0
        command = [sys.executable, "-m", "sms_admin", "users", "list", "--json"]
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as process:
            out = process.stdout or ()
            lines = 0
            for _ in out:
                lines += 1
                first = first or time.perf_counter() - started
        total = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        slow = [(entry["duration"] / 1000, entry["command"].split()[0]) for entry in client.slowlog_get(1000)]
    print(f"{lines} users listed: the first after {first:.2f} s, all after {total:.0f} s, {peak:.0f} MiB at most")
    print(f"commands of Redis over {_SLOW / 1000:.0f} ms: {len(slow)}, the slowest {max(slow, default=(0, 'none'))}")


if __name__ == "__main__":
    main()
