"""Numbers and codes as people type and paste them: in other scripts' digits, grouped, with invisible marks."""

import unicodedata

_MINUS = "\u2043\u2212"  # a hyphen bullet and a minus sign, which Unicode does not count among the dashes


def digits_of(text: str, dropped: str = "") -> str:
    """Return text with ASCII digits, and without white space, dashes, invisible characters and those of `dropped`.

    Unicode NFKC is applied first, which makes full-width and superscript digits ordinary ones. Invisible are the
    format characters (category Cf), such as the marks of direction that address books add. Other characters stay.
    """
    if text.isascii() and text.isdigit():
        return text
    dropped += _MINUS
    kept = (
        char
        for char in unicodedata.normalize("NFKC", text)
        if not (char.isspace() or char in dropped or unicodedata.category(char) in {"Cf", "Pd"})
    )
    return "".join(str(unicodedata.decimal(char, char)) for char in kept)
