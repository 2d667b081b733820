"""Docstrings, comments and documents are plain English: each clause names its noun, and its actor before its verb."""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.testkit.cases import each_case

ROOT = Path(__file__).parent.parent
# The one list of all our code, and all documents except the Chinese ones.
CODE = re.findall(r"(?m)^CODE := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"))[0].split()
DOCUMENTS = ["docs", *(path.name for path in sorted(ROOT.glob("*.md")) if ".zh-" not in path.name)]

# The most occurrences in 10,000 words. Each word marks a clause that hides its noun: "what is refused" is a refused
# request, "whoever asks" is the caller. Counted in the same way, click, redis-py, Requests, SQLAlchemy, urllib3 and
# Werkzeug have 2 to 9 times "what", and 0 to 2 times each of the others.
LIMITS = {
    "what": (r"\bwhat\b", 15),
    "whoever": (r"\b(?:whoever|whatever|whichever)\b", 3),
    "nobody": (r"\bnobody\b", 3),
    "is no": (r"(?<!there )\bis no\b(?! (?:longer|more)\b)", 2),
    "of one that": (r"\b(?:of|for|to|by) (?:one|those) (?:that|who|which)\b", 2),
}

STRING_OR_COMMENT = re.compile(
    r'#[^\n]*|"""(?:[^"\\]|\\.|"(?!""))*"""|"(?:[^"\\\n]|\\.)*"'
    r"|'''(?:[^'\\]|\\.|'(?!''))*'''|'(?:[^'\\\n]|\\.)*'",
    re.DOTALL,
)


class Words(NamedTuple):
    """A docstring, or comments on consecutive lines: their file, first line and text."""

    path: Path
    line: int
    text: str


def joined(path: Path, comments: list[tuple[int, str]]) -> Iterator[Words]:
    """Yield comments, given as pairs of line and text; comments on consecutive lines become one text."""
    begun: list[tuple[int, str]] = []
    for number, text in [*comments, (-1, "")]:
        if begun and number != begun[-1][0] + 1:
            yield Words(path, begun[0][0], "\n".join(line for _, line in begun))
            begun = []
        begun.append((number, text))


def in_python(path: Path, source: str) -> Iterator[Words]:
    """Yield the docstrings and comments of Python source, twenty times as fast as its own parser and tokenizer."""
    comments, code, end = [], "", 0  # code is the last of it before a string or comment
    for found in STRING_OR_COMMENT.finditer(source):
        between, text = source[end : found.start()].rstrip("r"), found[0]
        code, end = between.strip()[-1:] or code, found.end()
        if text.startswith("#"):
            comments.append((source.count("\n", 0, found.start()) + 1, text.lstrip("# ")))
            continue
        # A docstring begins a module, or follows the colon of a class or function.
        if code in {"", ":"} and text.startswith('"""') and not between.rpartition("\n")[2].strip():
            yield Words(path, source.count("\n", 0, found.start()) + 1, text[3:-3])
        code = text[-1]
    yield from joined(path, comments)


def in_lua(path: Path, source: str) -> Iterator[Words]:
    """Yield the comments of Lua source."""
    found = [(number, line.partition("--")[2].strip()) for number, line in enumerate(source.splitlines(), 1)]
    yield from joined(path, [(number, text) for number, text in found if text])


def in_markdown(path: Path, text: str) -> Iterator[Words]:
    """Yield the text of a document, without its code blocks."""
    yield Words(path, 1, re.sub(r"(?ms)^ *```.*?^ *```$", lambda block: "\n" * block[0].count("\n"), text))


def files_in(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder, but those of npm's packages."""
    for name, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if each != "node_modules"]
        yield from (Path(name, file) for file in files)


def words_of(place: Path) -> list[Words]:
    """Return the docstrings and comments in Python and Lua files, and the text of documents, in a folder or a file."""
    files = [place] if place.is_file() else sorted(files_in(place))
    readers = {".py": in_python, ".lua": in_lua, ".md": in_markdown}
    return [
        words
        for file in files
        if file.suffix in readers and ".zh-" not in file.name
        for words in readers[file.suffix](file.relative_to(ROOT), file.read_text(encoding="utf-8"))
    ]


def occurrences(pattern: str, texts: list[Words]) -> list[str]:
    """Return each place where a pattern occurs in texts, as file:line: words; quoted words do not count."""
    places = []
    for path, line, text in texts:
        if not re.search(pattern, text, re.IGNORECASE):
            continue
        plain = re.sub(r'`[^`]*`|"[^"\n]*"', lambda quoted: "·" * len(quoted[0]), text)
        for match in re.finditer(pattern, plain, re.IGNORECASE):
            around = " ".join(text[max(0, match.start() - 40) : match.end() + 40].split())
            places.append(f"{path}:{line + text.count(chr(10), 0, match.start())}: …{around}…")
    return places


@each_case("place", [*CODE, *DOCUMENTS])
def test_clauses_without_a_noun_are_rare(place: str) -> None:
    """Each folder and document stays below the limits, or has at most one such clause; the message lists all places."""
    texts = words_of(ROOT / place)
    total = sum(len(text.text.split()) for text in texts)
    too_many = ""
    for word, (pattern, limit) in LIMITS.items():
        allowed = max(1, math.floor(limit * total / 10_000))
        places = occurrences(pattern, texts)
        if len(places) > allowed:
            too_many += f'"{word}" {len(places)} times in {total} words, {allowed} allowed:\n' + "\n".join(places)
    assert not too_many, too_many


def test_every_docstring_and_comment_is_counted() -> None:
    """The test above reads each docstring and each comment, so it does not pass by accident."""
    python = (
        '"""A what."""\n\ndef f():\n    """Say\n    what."""\n    return 1  # what\n\n# what "what" `what`\n# what\n'
        'class A:  # what\n    r"""What"""\n\nx = ["# what", """what""", \'# what\']  # "what" what\n'
    )
    places = occurrences(r"\bwhat\b", list(in_python(Path("a.py"), python)))
    assert sorted(int(place.split(":")[1]) for place in places) == [1, 5, 6, 8, 9, 10, 11, 13]
    lua = "-- KEYS: what\n--\nlocal what = 1 -- what\n"
    places = occurrences(r"\bwhat\b", list(in_lua(Path("a.lua"), lua)))
    assert [place.split(":")[1] for place in places] == ["1", "3"]
