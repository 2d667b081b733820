import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from local.redis_server import redis_server


def client(host: str, port: int) -> redis.Redis:
    """Build a client as the function does: RESP2, no handshake, no retries."""
    retry = Retry(NoBackoff(), 0)
    return redis.Redis(host=host, port=port, protocol=2, driver_info=None, retry=retry, decode_responses=True)


def test_a_script_counts_exactly_for_twenty_threads() -> None:
    """EVALSHA works over TCP, is atomic for twenty connections that arrive at once, and its TTL is kept."""
    barrier = threading.Barrier(20)
    with redis_server() as (host, port), client(host, port) as shared:
        count = shared.register_script(
            "local n = redis.call('INCR', KEYS[1]) redis.call('PEXPIRE', KEYS[1], ARGV[1]) return n"
        )

        def work(_: int) -> list[int]:
            with client(host, port) as own:
                barrier.wait(timeout=30)
                return [count(keys=["n"], args=[60_000], client=own) for _ in range(50)]

        with ThreadPoolExecutor(20) as threads:
            answers = [number for numbers in threads.map(work, range(20)) for number in numbers]
        assert sorted(answers) == list(range(1, 1001))
        assert 0 < shared.pttl("n") <= 60_000


def test_an_error_is_a_reply_and_the_connection_goes_on() -> None:
    """After NOSCRIPT, and after other errors, the same connection takes the next command."""
    with redis_server() as (host, port), client(host, port) as one:
        name = one.client_id()
        with pytest.raises(redis.exceptions.NoScriptError):
            one.evalsha("0" * 40, 0)
        with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
            one.execute_command("GET")
        with pytest.raises(redis.ResponseError):
            one.eval("return redis.call('INCR')", 0)
        assert one.client_id() == name


def test_every_server_is_empty_and_its_own() -> None:
    """Two servers run side by side and share nothing."""
    with redis_server() as one, redis_server() as two, client(*one) as first, client(*two) as second:
        assert one[0] == two[0] == "127.0.0.1"
        first.set("key", "value")
        assert (first.get("key"), second.get("key")) == ("value", None)


def test_leaving_ends_connections_and_threads() -> None:
    """Afterwards a kept connection is dead, the port is free, and no thread or socket is left."""
    before = set(threading.enumerate())
    with redis_server() as (host, port):
        kept = client(host, port)
        kept.ping()
    assert set(threading.enumerate()) <= before
    with pytest.raises(redis.ConnectionError):
        kept.ping()
    kept.close()
    gc.collect()  # A socket left open would be reported here, and a warning is an error.
