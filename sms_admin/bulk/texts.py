"""The text of a message: the template with its values, its length, and the number of messages that are charged.

Rules of mainland China: document 382/39023, "Template review standards"; for numbers abroad, Tencent's notice on the
length of international messages.
"""

import re
from math import ceil

from msgspec import Struct

from sms_admin.language import tr

MOST = 500  # characters of a message, its signature and values included
REFUSE = "拒收请回复R"  # the end of a marketing template
_VARIABLE = re.compile(r"\{([0-9]+)\}")
_LINK = re.compile(r"(?i)://|\bwww\.|\b[a-z0-9-]+\.(?:com|cn|net|org|top|xyz|vip|cc|io|info|link|me|shop|app)\b")
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)  # 3GPP TS 23.038, section 6.2.1
_GSM_TWICE = frozenset("^|€{}[]~\\")  # its extension: two characters each


class Rules(Struct, frozen=True):
    """The limits of a row's values: their number, and the most characters of each."""

    variables: int
    longest: int = 6


class Text(Struct, frozen=True):
    """A template with the signature that is sent before it; `abroad` for numbers outside mainland China."""

    content: str
    sign: str = ""
    abroad: bool = False

    @property
    def variables(self) -> int:
        """Return the number of its variables."""
        return len(set(_VARIABLE.findall(self.content)))

    @property
    def is_marketing(self) -> bool:
        """Return whether the text ends as one of marketing must."""
        return REFUSE in self.content.replace(" ", "")

    def render(self, values: list[str]) -> str:
        """Return the message as the phone shows it."""
        body = _VARIABLE.sub(lambda found: values[int(found[1]) - 1], self.content)
        return f"【{self.sign}】{body}" if self.sign else body

    def messages(self, values: list[str]) -> int:
        """Return the number of messages that are charged, or 0 for a text that is too long to be sent."""
        text = self.render(values)
        size, whole, part = _units(text), 70, 67
        if self.abroad and _GSM.union(_GSM_TWICE).issuperset(text):
            size, whole, part = len(text) + sum(char in _GSM_TWICE for char in text), 160, 153
        if size > MOST and not self.abroad:
            return 0
        return 1 if size <= whole else ceil(size / part)


def fault(value: str, rules: Rules) -> str:
    """Return the reason why a value cannot be sent, or ""."""
    if not value:
        return tr("the value is missing", "缺少取值")
    if len(value) > rules.longest:
        return tr(
            f"{len(value)} characters, {rules.longest} are allowed (--variable-length)",
            f"{len(value)} 个字符，最多 {rules.longest} 个（--variable-length）",
        )
    return "" if value.isalnum() else _odd(value)


def _odd(value: str) -> str:
    """Return the reason why a value with other characters than letters and digits cannot be sent, or ""."""
    if _LINK.search(value):
        return tr("a link, which must be part of the template", "含有链接：链接只能写在模板中")
    if not value.isprintable():
        return tr("a line break or an invisible character", "含有换行或不可见字符")
    if "【" in value or "】" in value:
        return tr("brackets 【】, which belong to the signature", "含有【】：仅签名可以使用")
    return ""


def _units(text: str) -> int:
    """Return the length in UTF-16 code units, as phones count: an emoji has two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
