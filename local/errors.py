"""The one error of the stand-in: the refusal of a whole request by Tencent Cloud's API."""


class ApiError(Exception):
    """A refusal, sent as ``Response.Error`` with ``code`` and ``message``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
