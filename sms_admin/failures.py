"""The one exception of a command that cannot do its work."""

from sms_admin.language import tr


class Failed(Exception):  # noqa: N818 - it may be an answer, such as "the signature was refused"
    """A problem found, or a refusal: one sentence in each language, and exit code 1."""

    def __init__(self, english: str, chinese: str) -> None:
        super().__init__(english, chinese)
        self.english, self.chinese = english, chinese

    def __str__(self) -> str:
        return tr(self.english, self.chinese)
