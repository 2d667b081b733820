"""The one error of the stand-in: what Tencent Cloud's API answers when it refuses a whole request."""


class ApiError(Exception):
    """A refusal, as ``Response.Error``; ``code`` and ``message`` are what goes over the wire."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
