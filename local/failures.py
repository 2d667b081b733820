"""The failures that the stand-in can be switched to, and for how many requests."""

import re
import threading

MODES = ("off", "refusal", "throttle", "timeout", "reset", "charset")

_NUMBER_CODES = {
    "refusal": "FailedOperation.InsufficientBalanceInSmsPackage",
    "throttle": "LimitExceeded.PhoneNumberThirtySecondLimit",
}
# Codes of these families refuse the whole request (Response.Error); the others refuse a number (SendStatusSet).
_TOP_LEVEL = {"AuthFailure", "InternalError", "RequestLimitExceeded"}
# The API's common codes, which stand alone, without a dot, refuse the whole request, too.
_COMMON = _TOP_LEVEL - {"AuthFailure"} | {
    "FailedOperation",
    "InvalidParameter",
    "InvalidParameterValue",
    "LimitExceeded",
    "MissingParameter",
    "ResourceUnavailable",
    "ServiceUnavailable",
    "UnauthorizedOperation",
    "UnsupportedOperation",
}


class Failures:
    """The present mode and the number of requests that it still fails; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mode = "off"
        self._left: int | None = None  # None: until it is set anew

    def set(self, mode: str | None, times: int | None = None) -> None:
        """Fail the next ``times`` requests (None: all) as ``mode`` says; None and "off" end it.

        Raises ValueError, which lists the modes, for an unknown mode, and for less than one request.
        """
        mode = "off" if mode is None else mode
        if mode not in MODES and not _is_code(mode):
            known = ", ".join(MODES)
            raise ValueError(
                f"unknown mode {mode!r}; use {known} or a code such as LimitExceeded.PhoneNumberDailyLimit"
            )
        if times is not None and times < 1:
            raise ValueError("times must be a number from 1 on")
        with self._lock:
            self._mode, self._left = mode, None if mode == "off" else times

    def get(self) -> tuple[str, int | None]:
        """Return the mode and the number of requests that it will still fail (None: all)."""
        with self._lock:
            return self._mode, self._left

    def take(self) -> str:
        """Count one request and return the mode that it meets."""
        with self._lock:
            mode = self._mode
            if self._left is not None:
                self._left -= 1
                if self._left == 0:
                    self._mode, self._left = "off", None
            return mode


def request_code(mode: str) -> str | None:
    """Return the code that refuses the whole request in this mode, if it does."""
    return mode if mode in _COMMON or (_is_code(mode) and mode.partition(".")[0] in _TOP_LEVEL) else None


def number_code(mode: str) -> str | None:
    """Return the code that refuses every number of a request in this mode, if it does."""
    return _NUMBER_CODES.get(mode, mode if _is_code(mode) and not request_code(mode) else None)


def _is_code(mode: str) -> bool:
    return mode in _COMMON or re.fullmatch(r"[A-Z][A-Za-z]+(\.[A-Z][A-Za-z]+)+", mode) is not None
