"""The action SendCodeVoice, API version 2020-09-02: a call that reads a code aloud, without HTTP."""

import re
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from local import parameters
from local.errors import ApiError
from local.inbox import Message

VERSION = "2020-09-02"
WINDOW, MOST = 600, 2  # calls to one number in so many seconds; other limits of the platform are not played
_STRINGS = ("CodeMessage", "CalledNumber", "VoiceSdkAppid", "SessionContext")
_TYPES = {**dict.fromkeys(_STRINGS, parameters.string), "PlayTimes": parameters.integer}


class Calls:
    """Takes calls, and hands each to ``ring``; ``clock`` returns epoch seconds. Thread-safe."""

    def __init__(self, clock: Callable[[], float], ring: Callable[[Message], None]) -> None:
        self._clock, self._ring, self._lock = clock, ring, threading.Lock()
        self._called: defaultdict[str, list[float]] = defaultdict(list)

    def call(self, body: Any) -> dict[str, Any]:
        """Answer SendCodeVoice; raises ApiError with the platform's code."""
        params = parameters.check(body, _TYPES, ("CodeMessage", "CalledNumber", "VoiceSdkAppid"))
        phone, digits = params["CalledNumber"], params["CodeMessage"]
        if not re.fullmatch(r"\+861[0-9]{10}", phone):
            raise ApiError("InvalidParameterValue.CalledNumberVerifyFail", "`CalledNumber` is not one of +86.")
        if not re.fullmatch("[0-9]{4,8}", digits):
            raise ApiError("InvalidParameterValue.ContentLengthLimit", "`CodeMessage` is not a code.")
        with self._lock:
            recent = [at for at in self._called[phone] if at > self._clock() - WINDOW]
            if len(recent) >= MOST:
                raise ApiError(
                    "LimitExceeded.DeliveryFrequencyLimit", "The number has been called twice in 10 minutes."
                )
            self._called[phone] = [*recent, self._clock()]
        call_id, context = str(uuid.uuid4()), params.get("SessionContext", "")
        text = f"您的验证码是 {digits}"
        self._ring(Message(phone, text, [digits], self._clock(), call_id, "voice"))
        return {"SendStatus": {"CallId": call_id, "SessionContext": context}}
