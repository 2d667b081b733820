"""Limits in Redis: a counter per subject and window, `budget:{ip:203.0.113.7}:hour:494400`. Every key expires.

The keys of one subject share a hash tag, and so a slot of a cluster; the keys of two subjects do not.
"""

from collections.abc import Sequence
from typing import Any

from sms_login.adapters.redis.client import RedisClient
from sms_login.errors import ServiceUnavailable
from sms_login.limits.store import Reserved, Subject, Verdict, Window, WindowNames


class RedisLimits:
    """`limits.store.LimitStore` on Redis."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    def check(self, subjects: Sequence[Subject]) -> Sequence[Reserved]:
        """See `limits.store.LimitStore.check`."""
        return self._run("check", subjects, captcha_passed=False)

    def reserve(self, subjects: Sequence[Subject], *, captcha_passed: bool = False) -> Sequence[Reserved]:
        """See `limits.store.LimitStore.reserve`."""
        return self._run("reserve", subjects, captcha_passed=captcha_passed)

    def _run(self, mode: str, subjects: Sequence[Subject], *, captcha_passed: bool) -> Sequence[Reserved]:
        calls = []
        for subject in subjects:
            keys = [_key(subject.name, window.name) for window in subject.windows]
            args = [arg for window in subject.windows for arg in _args(window)]
            calls.append((keys, [mode, 1 if captcha_passed else 0, *args]))
        return [_reserved(answer) for answer in self._redis.run_all("reserve", calls)]

    def refund(self, *windows: WindowNames) -> None:
        """See `limits.store.LimitStore.refund`."""
        keys: dict[str, list[str]] = {}
        for part in windows:
            for subject, names in part.items():
                keys.setdefault(subject, []).extend(_key(subject, name) for name in names)
        for answer in self._redis.run_all("refund", [(names, []) for names in keys.values()]):
            if isinstance(answer, ServiceUnavailable):
                raise answer


def _key(subject: str, window: str) -> str:
    return f"budget:{{{subject}}}:{window}"


def _args(window: Window) -> list[str | int]:
    limit = "" if window.limit is None else window.limit
    captcha_at = "" if window.captcha_at is None else window.captcha_at
    return [limit, captcha_at, window.left_ms, 1 if window.counts else 0]


def _reserved(answer: list[Any] | ServiceUnavailable) -> Reserved:
    if isinstance(answer, ServiceUnavailable):
        return Reserved(Verdict.NO_ANSWER, detail=answer.detail)
    word, *facts = answer
    verdict = Verdict(word)  # an unknown word is a crash, not a sending
    return Reserved(verdict, wait_ms=facts[0]) if verdict is Verdict.FULL else Reserved(verdict, counts=facts)
