"""Budgets in Redis: a counter per subject and window, `budget:{ip:203.0.113.7}:hour:494400`. Every key expires.

The keys of one subject share a hash tag, and so a slot of a cluster; those of two subjects do not.
"""

from collections.abc import Sequence
from typing import Any

from sms_login.adapters.redis.client import RedisClient
from sms_login.errors import ServiceUnavailable
from sms_login.limits.store import Take, Taken, Verdict, Window, Windows


class RedisBudgets:
    """`limits.store.Budgets` on Redis."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    def take(self, takes: Sequence[Take]) -> Sequence[Taken]:
        """See `limits.store.Budgets.take`."""
        calls = [
            (
                [_key(take.subject, window.name) for window in take.windows],
                [arg for w in take.windows for arg in _args(w)],
            )
            for take in takes
        ]
        return [_taken(answer) for answer in self._redis.run_all("take", calls)]

    def give_back(self, *windows: Windows) -> None:
        """See `limits.store.Budgets.give_back`."""
        keys: dict[str, list[str]] = {}
        for part in windows:
            for subject, names in part.items():
                keys.setdefault(subject, []).extend(_key(subject, name) for name in names)
        for answer in self._redis.run_all("give_back", [(names, []) for names in keys.values()]):
            if isinstance(answer, ServiceUnavailable):
                raise answer


def _key(subject: str, window: str) -> str:
    return f"budget:{{{subject}}}:{window}"


def _args(window: Window) -> list[str | int]:
    limit = "" if window.limit is None else window.limit
    asks_at = "" if window.asks_at is None else window.asks_at
    return [limit, asks_at, window.left_ms, 1 if window.counts else 0]


def _taken(answer: list[Any] | ServiceUnavailable) -> Taken:
    if isinstance(answer, ServiceUnavailable):
        return Taken(Verdict.LOST, detail=answer.detail)
    word, *rest = answer
    verdict = Verdict(word)  # an unknown word is a crash, not a sending
    return Taken(verdict, wait_ms=rest[0]) if verdict is Verdict.FULL else Taken(verdict, counts=rest)
