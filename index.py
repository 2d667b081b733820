"""The function's entry point on Tencent Cloud SCF: `index.main_handler`."""

import gc
import os
from typing import Any

gc.disable()  # while importing: a collection would walk through all that has just come, and free nothing

from sms_login import wiring  # noqa: E402 - see above

_app = wiring.build(os.environ)  # once per instance; connects to nothing
gc.freeze()  # nor does any later collection have to walk through it
gc.enable()


def main_handler(event: Any, context: Any) -> dict[str, Any]:
    """Return the answer to one API Gateway or Function URL event, as an integrated response."""
    return _app.handle(event, context)
