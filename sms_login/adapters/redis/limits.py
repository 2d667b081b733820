"""Limits in Redis: a counter per subject and window, `budget:{ip:203.0.113.7}:hour:494400`. Every key expires.

The keys of one subject share a hash tag, and so a slot of a cluster; the keys of two subjects do not.
"""

from collections.abc import Sequence
from typing import Any

from sms_login.adapters.redis.client import RedisCall, RedisClient, nothing
from sms_login.limits.store import Reserved, Subject, Verdict, Window, WindowNames


class RedisLimits:
    """`limits.store.LimitStore` on Redis."""

    def __init__(self, redis: RedisClient) -> None:
        self.redis = redis

    def check(self, subject: Subject) -> RedisCall[Reserved]:
        """See `limits.store.LimitStore.check`."""
        return self._call("check", subject, captcha_passed=False)

    def reserve(self, subject: Subject, *, captcha_passed: bool = False) -> RedisCall[Reserved]:
        """See `limits.store.LimitStore.reserve`."""
        return self._call("reserve", subject, captcha_passed=captcha_passed)

    def _call(self, mode: str, subject: Subject, *, captcha_passed: bool) -> RedisCall[Reserved]:
        keys = [_key(subject.name, window.name) for window in subject.windows]
        args = [arg for window in subject.windows for arg in _args(window)]
        return self.redis.script("reserve", keys, [mode, 1 if captcha_passed else 0, *args], _reserved)

    def refund(self, *windows: WindowNames) -> Sequence[RedisCall[None]]:
        """See `limits.store.LimitStore.refund`."""
        keys: dict[str, list[str]] = {}
        for part in windows:
            for subject, names in part.items():
                keys.setdefault(subject, []).extend(_key(subject, name) for name in names)
        return [self.redis.script("refund", names, [], nothing) for names in keys.values()]


def _key(subject: str, window: str) -> str:
    return f"budget:{{{subject}}}:{window}"


def _args(window: Window) -> list[str | int]:
    limit = "" if window.limit is None else window.limit
    return [limit, "" if window.captcha_at is None else window.captcha_at, window.left_ms, 1 if window.counts else 0]


def _reserved(reply: list[Any]) -> Reserved:
    word, *facts = reply
    verdict = Verdict(word)  # an unknown word is a crash, not a sending
    return Reserved(verdict, wait_ms=facts[0]) if verdict is Verdict.FULL else Reserved(verdict, counts=facts)
