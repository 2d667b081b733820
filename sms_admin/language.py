"""English or Chinese: the language of the locale, found as gettext finds it."""

import gettext
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
_LOCALE = Path(__file__).parent / "locale"  # the words of Click, in Chinese
_SPOKEN: ContextVar[bool | None] = ContextVar("spoken", default=None)


def set_up() -> None:
    """Give Click its words in the language of the locale; it looks them up with gettext."""
    gettext.bindtextdomain("sms_admin", str(_LOCALE))
    gettext.textdomain("sms_admin" if is_chinese() else "messages")  # the latter, gettext's default, is empty


@contextmanager
def speaking(*, chinese: bool) -> Iterator[None]:
    """Speak a language whatever the environment says: that of an operator far away."""
    token = _SPOKEN.set(chinese)
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def is_chinese() -> bool:
    """Tell whether the environment asks for Chinese: the first variable that is set decides."""
    if (spoken := _SPOKEN.get()) is not None:
        return spoken
    locale = next((value for name in _VARIABLES if (value := os.environ.get(name))), "")
    return locale.lower().startswith("zh")


def tr(english: str, chinese: str) -> str:
    """Return the text in the language of the locale."""
    return chinese if is_chinese() else english
