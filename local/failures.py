"""The simulated failures of the stand-in, and the number of requests that they affect."""

import re
import threading

MODES = ("off", "refusal", "throttle", "timeout", "reset", "charset")  # of SendSms
WHOLE_MODES = ("off", "timeout", "reset", "charset")  # of the other actions, which have no phone number to refuse

_NUMBER_CODES = {
    "refusal": "FailedOperation.InsufficientBalanceInSmsPackage",
    "throttle": "LimitExceeded.PhoneNumberThirtySecondLimit",
}
# Codes of these families refuse the whole request (Response.Error); the others refuse a number (SendStatusSet).
_TOP_LEVEL = {"AuthFailure", "InternalError", "RequestLimitExceeded"}
# The API's common codes, without a dot, also refuse the whole request.
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
    """An action's current mode, one of ``modes`` or a code, and the number of requests left to fail; thread-safe.

    The first mode is the normal one. Without ``codes``, no code of Tencent Cloud is a mode.
    """

    def __init__(self, modes: tuple[str, ...], *, codes: bool = True) -> None:
        self._modes = modes
        self._codes = codes
        self._lock = threading.Lock()
        self._mode = self._normal = modes[0]
        self._left: int | None = None  # None: until it is set again
        self.requests = 0  # counted so far, in every mode

    def set(self, mode: str | None, times: int | None = None) -> None:
        """Fail the next ``times`` requests (None: all) in ``mode``; None, "off" and the normal mode end it.

        Raises ValueError, which lists the modes, for an unknown mode, and for less than one request.
        """
        mode = self._normal if mode in (None, "off") else mode
        if mode not in self._modes and not (self._codes and _is_code(mode)):
            known = ", ".join(self._modes) + (
                " or a code of Tencent Cloud such as InternalError" if self._codes else ""
            )
            raise ValueError(f"unknown mode {mode!r}; use {known}")
        if times is not None and times < 1:
            raise ValueError("times must be a number from 1 on")
        with self._lock:
            self._mode, self._left = mode, None if mode == self._normal else times

    def get(self) -> tuple[str, int | None]:
        """Return the mode and the number of requests that it will still fail (None: all)."""
        with self._lock:
            return self._mode, self._left

    def take(self) -> str:
        """Count one request and return its mode."""
        with self._lock:
            mode = self._mode
            self.requests += 1
            if self._left is not None:
                self._left -= 1
                if self._left == 0:
                    self._mode, self._left = self._normal, None
            return mode


def request_code(mode: str) -> str | None:
    """Return the code with which SendSms refuses the whole request in this mode, if it does."""
    return mode if mode in _COMMON or (_is_code(mode) and mode.partition(".")[0] in _TOP_LEVEL) else None


def number_code(mode: str) -> str | None:
    """Return the code with which SendSms refuses every number in this mode, if it does."""
    return _NUMBER_CODES.get(mode, mode if _is_code(mode) and not request_code(mode) else None)


def _is_code(mode: str) -> bool:
    return mode in _COMMON or re.fullmatch(r"[A-Z][A-Za-z]+(\.[A-Z][A-Za-z]+)+", mode) is not None
