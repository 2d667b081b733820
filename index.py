"""The function's entry point on Tencent Cloud SCF: `index.main_handler`."""

import gc
import os
from typing import Any

gc.disable()  # during the imports: a collection would walk through all new objects, and free none

from sms_login import wiring  # noqa: E402 - see above

_app = wiring.build(os.environ)  # once per instance; connects to nothing
gc.freeze()  # so that later collections do not walk through these objects either
gc.enable()


def main_handler(event: Any, context: Any) -> dict[str, Any]:
    """Return the answer to one API Gateway or Function URL event, as an integrated response."""
    return _app.handle(event, context)
