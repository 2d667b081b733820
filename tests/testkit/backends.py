"""A Redis inside the process of the tests, and the time at which their clock starts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import fakeredis

PATIENCE = 20.0  # s, which a busy machine may need; the function waits for one
NOON = datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=8)))

# Lua that returns each key with the milliseconds it has left; that sets them; and that returns keys, types and values.
_EXPIRIES = """
local found = {}
for i, key in ipairs(redis.call('KEYS', '*')) do found[i] = {key, redis.call('PTTL', key)} end
return found
"""
_EXPIRE = "for i = 1, #ARGV, 2 do redis.call('PEXPIRE', ARGV[i], ARGV[i + 1]) end"
_DUMP = """
local reads, found = {hash = {'HGETALL'}, string = {'GET'}, list = {'LRANGE', 0, -1}}, {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  local command, from, to = unpack(reads[kind])
  found[#found + 1] = {key, kind, from and redis.call(command, key, from, to) or redis.call(command, key)}
end
return found
"""


@dataclass
class Backend:
    """One Redis. `client` is redis-py's; `ages_by_itself` where its clock is Python's, which time-machine moves."""

    client: Any
    ages_by_itself: bool = False

    def age(self, seconds: float) -> None:
        """Let `seconds` pass for every key that expires, which is all the time that the scripts know."""
        for node in self._nodes():
            left = {key: ms - int(seconds * 1000) for key, ms in node.eval(_EXPIRIES, 0) if ms != -1}
            node.eval(_EXPIRE, 0, *(word for each in left.items() for word in each))

    def expiries(self) -> dict[str, int]:
        """Return the keys with the milliseconds that they have left, -1 for ever."""
        return {key: ms for node in self._nodes() for key, ms in node.eval(_EXPIRIES, 0) if ms != -2}

    def dump(self) -> dict[str, Any]:
        """Return all that Redis holds."""
        dumped = {}
        for node in self._nodes():
            for key, kind, value in node.eval(_DUMP, 0):
                dumped[key] = dict(zip(value[::2], value[1::2], strict=True)) if kind == "hash" else value
        return dumped

    def _nodes(self) -> list[Any]:
        """Return a client of each server, which needs no slots."""
        if not hasattr(self.client, "get_primaries"):
            return [self.client]
        return [self.client.get_redis_connection(node) for node in self.client.get_primaries()]


def patient(client: Any, seconds: float = PATIENCE) -> Any:
    """Let new connections of a client wait so many seconds for an answer; return it."""
    if hasattr(client, "nodes_manager"):  # a cluster's
        nodes = [node.redis_connection for node in client.get_nodes()]
        options = [client.nodes_manager.connection_kwargs, *(node.connection_pool.connection_kwargs for node in nodes)]
    else:
        options = [client.connection_pool.connection_kwargs]
    for each in options:
        each.update(socket_timeout=seconds, socket_connect_timeout=seconds)
    return client


class CompiledOnce:
    """fakeredis's Lua, which keeps each script as it was compiled, and collects its garbage when it needs to.

    fakeredis compiles a script at every call and collects garbage after it (cunla/fakeredis-py#452), which takes two
    thirds of a call's CPU. It also looks for new global variables before each command of a script; here it finds them
    only after the script, which is refused all the same.
    """

    def __init__(self, lua: Any) -> None:
        self._lua, self._compiled = lua, dict[bytes | str, Callable[[], Any]]()
        self._running = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lua, name)

    def execute(self, script: bytes | str) -> Any:
        """Run a script."""
        if script == "collectgarbage()":
            return None
        if script not in self._compiled:
            self._compiled[script] = self._lua.compile(script)
        self._running = True
        try:
            return self._compiled[script]()
        finally:
            self._running = False

    def globals(self) -> Any:
        """Return the global variables, none while a script runs."""
        return {} if self._running else self._lua.globals()


class FakeServer(fakeredis.FakeServer):
    """A fakeredis that compiles each script once."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, CompiledOnce(value) if name == "_lua_runtime" else value)


def fake_backend() -> Backend:
    """Return an empty fakeredis with the options of the real client."""
    client = fakeredis.FakeRedis(
        server=FakeServer(), decode_responses=True, encoding_errors="replace", max_connections=1024
    )
    client.ping()  # The first connection creates the database without a lock: two at once would create one each.
    return Backend(client, ages_by_itself=True)
