"""A Redis client whose batches a test can watch, lose and interrupt."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sms_login.adapters.redis.client import NOT_SENT, RedisCall, RedisClient
from sms_login.calls import Call, each
from sms_login.errors import ServiceUnavailable

FATES = ("dies before", "is lost", "never arrives")  # the process dies, or Redis has made it or not
LOST = "redis: TimeoutError: lost on the way"


class Killed(BaseException):
    """The process has died."""


class SeamedRedis(RedisClient):
    """A client that names its batches: a call is its script or command, a dry run with "check " before it."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        super().__init__(connect)
        self.batches: list[list[str]] = []
        self._before: dict[str, Callable[[], object]] = {}
        self._after: dict[str, Callable[[], object]] = {}
        self._lost: dict[str, bool] = {}
        self._fates: dict[int, str] = {}

    def before(self, name: str, happens: Callable[[], object]) -> None:
        """Let something happen once, before the next batch with this call is sent."""
        self._before[name] = happens

    def after(self, name: str, happens: Callable[[], object]) -> None:
        """Let something happen once, after the next batch with this call is answered."""
        self._after[name] = happens

    @contextmanager
    def losing(self, *names: str, arrives: bool = True) -> Iterator[None]:
        """Lose the answers to these calls, which Redis makes all the same if they arrive; without names, lose none."""
        before, self._lost = self._lost, {**self._lost, **dict.fromkeys(names, arrives)} if names else {}
        try:
            yield
        finally:
            self._lost = before

    @contextmanager
    def cut_at(self, batch: int, fate: str) -> Iterator[None]:
        """Let the n-th batch from now on meet one of `FATES`."""
        self._fates = {len(self.batches) + batch: fate}
        try:
            yield
        finally:
            self._fates = {}

    def send(self, *calls: Call[Any]) -> None:
        """Send the calls, with all that a test has in store for them."""
        mine = [call for call in each(calls) if isinstance(call, RedisCall) and call.reply is NOT_SENT]
        fate = self._fates.get(len(self.batches)) if mine else None
        if fate == "dies before":
            raise Killed
        if fate == "never arrives":
            for call in mine:
                call.reply = ServiceUnavailable(LOST)
        self._send(mine, *calls)
        if fate == "is lost":
            for call in mine:
                call.reply = ServiceUnavailable(LOST)

    def _send(self, mine: list[RedisCall[Any]], *calls: Call[Any]) -> None:
        batch = [(name_of(call), call) for call in mine]
        if batch:
            self.batches.append([name for name, _ in batch])
        lost = self._lost
        for name, _ in batch:
            self._before.pop(name, lambda: None)()
        for name, call in batch:
            if lost.get(name) is False:
                call.reply = ServiceUnavailable(LOST)
        super().send(*calls)
        for name, _ in batch:
            self._after.pop(name, lambda: None)()
        for name, call in batch:
            if name in lost:
                call.reply = ServiceUnavailable(LOST)


def name_of(call: RedisCall[Any]) -> str:
    """Return the name of a call."""
    return f"check {call.name}" if "check" in call.args[:1] else call.name
