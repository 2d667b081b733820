"""Numbers, codes and names as people type and paste them: in other scripts' digits, grouped, with invisible marks."""

import re
import unicodedata

_MINUS = "\u2043\u2212"  # a hyphen bullet and a minus sign, which Unicode does not count among the dashes
# Controls, ends of lines and paragraphs, and the marks that set the direction of the text after them, beyond the name
# too (UAX #9, section 2).
_NOT_IN_A_NAME = "[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
# Spaces, joiners and marks are invisible by themselves. Unassigned characters (Cn) and private use (Co) count as
# visible: a phone knows newer emoji than this Python.
_ALONE_INVISIBLE = {"Cf", "Zs", "Mn", "Mc", "Me"}
# Letters and symbols that are blank: fillers of Hangul, the empty pattern of Braille, a musical one, and code points
# reserved for invisible characters (Default_Ignorable_Code_Point).
_BLANK = "[\u115f\u1160\u180f\u2065\u2800\u3164\uffa0\ufff0-\ufff8\U0001d159\U000e0000-\U000e0fff]"


def digits_of(text: str, dropped: str = "") -> str:
    """Return text with ASCII digits, and without white space, dashes, invisible characters and those of `dropped`.

    Unicode NFKC is applied first, which makes full-width and superscript digits ordinary ones. Invisible are the
    format characters (category Cf), such as the marks of direction that address books add. Other characters stay.
    """
    if text.isascii() and text.isdigit():  # as most are; the rest takes 20 us
        return text
    kept = (
        char
        for char in unicodedata.normalize("NFKC", text)
        if not (char.isspace() or char in _MINUS or char in dropped or unicodedata.category(char) in {"Cf", "Pd"})
    )
    return "".join(str(unicodedata.decimal(char, char)) for char in kept)


def is_visible(text: str) -> bool:
    """Return whether a text is visible and cannot affect the text around it."""
    visible = (char for char in re.sub(_BLANK, "", text) if unicodedata.category(char) not in _ALONE_INVISIBLE)
    return not re.search(_NOT_IN_A_NAME, text) and any(visible)
