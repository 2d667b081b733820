"""Actions of the stand-in, and the simulated failure of a whole request."""

from collections.abc import Callable
from typing import Any, NamedTuple

from local.errors import ApiError
from local.failures import WHOLE_MODES, Failures


class Action(NamedTuple):
    """One action: the requirements on its requests, and the function that answers them."""

    service: str  # named in the signature
    version: str
    headers: tuple[str, ...]  # required, without X-TC-
    answer: Callable[[Any, str], dict[str, Any]]  # from the JSON of a body and a mode of failure; raises ApiError
    failures: Failures


def whole(service: str, version: str, headers: tuple[str, ...], answer: Callable[[Any], dict[str, Any]]) -> Action:
    """Return an action whose failures refuse the whole request: it has no phone numbers to refuse one by one."""

    def failing(body: Any, mode: str) -> dict[str, Any]:
        fail(None if mode in WHOLE_MODES else mode)
        return answer(body)

    return Action(service, version, headers, failing, Failures(WHOLE_MODES))


def fail(code: str | None) -> None:
    """Raise ApiError with `code`, unless it is None."""
    if code:
        raise ApiError(code, "The stand-in was told to fail.")
