"""Threads that start together, and their outcomes counted."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any


def race(runners: int, run: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the answers of `runners` threads that start together."""
    barrier = threading.Barrier(runners)
    answers: list[dict[str, Any]] = []

    def runner(i: int) -> None:
        barrier.wait()
        answers.append(run(i))

    threads = [threading.Thread(target=runner, args=[i]) for i in range(runners)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def outcomes(answers: list[dict[str, Any]]) -> Counter[str]:
    """Return how often each outcome occurs among answers."""
    return Counter(answer["codeStr"] for answer in answers)
