"""The function's entry point on Tencent Cloud SCF: `index.main_handler`."""

import os
from typing import Any

from sms_login import wiring

_app = wiring.build(os.environ)  # once per instance; connects to nothing


def main_handler(event: Any, context: Any) -> dict[str, Any]:
    """Return the answer to one API Gateway or Function URL event, as an integrated response."""
    return _app.handle(event, context)
