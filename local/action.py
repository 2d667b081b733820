"""What an action of the stand-in is, and one that fails as a whole when it is told to."""

from collections.abc import Callable
from typing import Any, NamedTuple

from local.errors import ApiError
from local.failures import WHOLE_MODES, Failures


class Action(NamedTuple):
    """One action: what its requests must be, and what answers them."""

    service: str  # that its requests are signed for
    version: str
    headers: tuple[str, ...]  # that its requests must have
    answer: Callable[[Any, str], dict[str, Any]]  # to the JSON of a body, in a mode of failure; raises ApiError
    failures: Failures


def whole(service: str, version: str, headers: tuple[str, ...], answer: Callable[[Any], dict[str, Any]]) -> Action:
    """Return an action that any code refuses as a whole, since it has no numbers that could be refused one by one."""

    def failing(body: Any, mode: str) -> dict[str, Any]:
        fail(None if mode in WHOLE_MODES else mode)
        return answer(body)

    return Action(service, version, headers, failing, Failures(WHOLE_MODES))


def fail(code: str | None) -> None:
    """Refuse a request, if there is a code to refuse it with; raises ApiError."""
    if code:
        raise ApiError(code, "The stand-in was told to fail.")
