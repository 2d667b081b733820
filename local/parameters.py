"""The checks that every action makes of its parameters: known, of the right type, and none missing."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from local.errors import ApiError


def check(params: Any, types: Mapping[str, Callable[[Any], bool]], required: Iterable[str]) -> dict[str, Any]:
    """Return ``params`` if they are an object with only the names of ``types``, and all of ``required``.

    Raises ApiError with the platform's code.
    """
    if not isinstance(params, dict):
        raise ApiError("InvalidParameter", "The body is not a JSON object.")
    for name, value in params.items():
        if name not in types:
            raise ApiError("UnknownParameter", f"The parameter `{name}` is not recognized.")
        if not types[name](value):
            raise ApiError("InvalidParameter", f"The value type of parameter `{name}` is not valid.")
    for name in required:
        if name not in params:
            raise ApiError("MissingParameter", f"The request is missing a required parameter `{name}`.")
    return params


def string(value: Any) -> bool:
    """Return whether a value is a string."""
    return isinstance(value, str)


def strings(value: Any) -> bool:
    """Return whether a value is a list of strings."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def integers(value: Any) -> bool:
    """Return whether a value is a list of integers."""
    return isinstance(value, list) and all(integer(item) for item in value)


def integer(value: Any) -> bool:
    """Return whether a value is an integer; true and false are not, although Python says so."""
    return isinstance(value, int) and not isinstance(value, bool)
