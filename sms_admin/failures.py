"""The one exception of a command that cannot do its work."""

from pathlib import Path

from sms_admin.language import tr


class Failed(Exception):  # noqa: N818 - it may be an answer, such as "the signature was refused"
    """A problem found, or a refusal: one sentence in each language, and exit code 1."""

    def __init__(self, english: str, chinese: str) -> None:
        super().__init__(english, chinese)
        self.english, self.chinese = english, chinese

    def __str__(self) -> str:
        return tr(self.english, self.chinese)


def unwritable(path: Path, error: OSError) -> Failed:
    """Return the failure of a file that cannot be written."""
    return Failed(f"{path} cannot be written: {error.strerror}", f"无法写入 {path}：{error.strerror}")
