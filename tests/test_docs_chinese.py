"""The Chinese README says the same as the English one: a failure shows where the other is behind."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.testkit.cases import each_case

ROOT = Path(__file__).parent.parent
ENGLISH, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))


class Block(NamedTuple):
    """A block of Markdown; its `kind` is its first characters, such as ##, | or 1., and "" for a paragraph."""

    kind: str
    text: str


def blocks(page: str) -> list[Block]:
    """Return a page's headings, table rows, list items, code blocks, pictures and paragraphs."""
    chunks = re.findall(r"(?ms)^```.*?^```$|(?:^(?!```)[^\n]+\n?)+", page)
    parts = [part for chunk in chunks for part in re.split(r"\n(?=- |\d+\. |\||#)", chunk.strip("\n"))]
    return [Block(re.findall(r"^#+|^-|^\d+\.|^\||^```\w*|^!|^", part)[0], part) for part in parts]


def pairs(kinds: str) -> list[tuple[str, str]]:
    """Return the English blocks whose kind matches `kinds`, each with the Chinese block at its position."""
    english, chinese = blocks(ENGLISH), blocks(CHINESE)
    for one, other in zip(english, chinese, strict=False):
        assert one.kind == other.kind, f"a block is missing or moved: {other.text[:80]!r} stands for {one.text[:80]!r}"
    last = [block.text[:80] for block in english[len(chinese) :] + chinese[len(english) :]]
    assert last == [], "blocks at the end that only one of the two has"
    both = zip(english, chinese, strict=True)
    return [(one.text, other.text) for one, other in both if re.fullmatch(kinds, one.kind)]


def code(text: str) -> list[str]:
    """Return the words in backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def words(text: str) -> str:
    """Return a text with X for words in backticks and for an address, and with the words of a link for the link."""
    text = re.sub(r"!?\[([^]]+)\]\([^)]+\)", r"\1", re.sub(r"`[^`\n]+`", "X", text))
    return re.sub(r"<?https?://[^\s>]+>?", "X", text)


def numbers(text: str) -> set[str]:
    """Return the numbers in digits in a text's words, without the number that begins an item of a list."""
    return set(re.findall(r"[0-9]+(?:[,.][0-9]+)*", re.sub(r"^\d+\. ", "", words(text))))


NUMBER_WORDS = {"two": "2", "three": "3", "third": "3", "four": "4", "five": "5", "six": "6", "ten": "10"}
NUMBER_WORDS |= {"eleven": "11", "hundred": "100"}


def same_numbers(english: str, chinese: str) -> bool:
    """Tell whether the numbers are the same; Chinese may use digits where English has a word."""
    spelled = {NUMBER_WORDS[word] for word in re.findall("[a-z]+", english.lower()) if word in NUMBER_WORDS}
    return numbers(english) <= numbers(chinese) <= numbers(english) | spelled


def cells(row: str) -> list[str]:
    """Return the cells of a table's row."""
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_same_blocks_come_in_the_same_order() -> None:
    """Headings, and the lists, tables, code blocks and pictures between them, match one by one."""
    assert len(pairs("#+")) == len(re.findall("(?m)^##? [A-Za-z]", ENGLISH)) > 1


def test_the_tables_have_the_same_rows() -> None:
    """Code, numbers and dashes of each cell are the same, and a repeated English cell has one translation."""
    chinese_for: dict[tuple[str, int, str], str] = {}
    heading = ""
    for row, chinese_row in pairs(r"##|\|"):
        if row.startswith("#"):
            heading = row
            continue
        assert len(cells(row)) == len(cells(chinese_row)), f"not as many cells as {row!r}: {chinese_row!r}"
        for column, (cell, chinese) in enumerate(zip(cells(row), cells(chinese_row), strict=True)):
            assert code(cell) == code(chinese), f"other code than in {cell!r}: {chinese!r}"
            assert same_numbers(cell, chinese), f"other numbers than in {cell!r}: {chinese!r}"
            if not re.search("[A-Za-z]", words(cell)):
                assert cell == chinese, f"not the same as {cell!r}: {chinese!r}"
            same = chinese_for.setdefault((heading, column, cell), chinese)
            assert chinese == same, f"{cell!r} was {same!r} before: {chinese!r}"


def test_the_code_blocks_are_the_same() -> None:
    """Code blocks are the same byte for byte, except for comments, which are in Chinese."""
    found = pairs("```.*")
    assert len(found) == len(re.findall("(?m)^```$", ENGLISH)) > 1
    for english, chinese in found:
        assert re.sub("(?m)(?<= )# .+$", "#", chinese) == re.sub("(?m)(?<= )# .+$", "#", english)
        assert re.findall("(?m)(?<= )# [^一-鿿]+$", chinese) == []


def targets(text: str, page: str) -> set[str]:
    """Return the links and pictures of a text; a heading of `page` by its position, since its words differ."""
    titles = [re.sub(r"^#+ ", "", block.text) for block in blocks(page) if block.kind.startswith("#")]
    known = {f"](#{title.lower().replace(' ', '-')})": f"heading {place}" for place, title in enumerate(titles)}
    known |= dict.fromkeys(("](README.md)", "](README.zh-CN.md)"), "the other README")
    known |= dict.fromkeys(("](docs/settings.md)", "](docs/settings.zh-CN.md)"), "the settings in its language")
    known |= dict.fromkeys(("](docs/page.png)", "](docs/page-zh.png)"), "the page in its language")
    return {known.get(target, target) for target in re.findall(r"\]\([^)\s]+\)|https?://[^\s>)]+", text)}


def test_both_link_to_the_same_places() -> None:
    """Each pair of blocks has the same links and pictures, and each page begins with a link to the other."""
    for english, chinese in pairs("[^`]*"):
        assert targets(chinese, CHINESE) == targets(english, ENGLISH), f"not the links of {english!r}: {chinese!r}"
    assert targets(blocks(CHINESE)[1].text, CHINESE) == {"the other README"}


def test_the_chinese_readme_shows_the_page_in_chinese() -> None:
    """The English README shows the page in English."""
    assert ("](docs/page.png)" in ENGLISH, "](docs/page.png)" in CHINESE) == (True, False)


def test_the_sentences_name_the_same_things() -> None:
    """Each pair of blocks has the same settings, parameters, files and numbers."""
    for english, chinese in pairs(r"|-|\d+\."):
        assert set(code(chinese)) == set(code(english)), f"other code than in {english!r}: {chinese!r}"
        assert same_numbers(english, chinese), f"other numbers than in {english!r}: {chinese!r}"


TYPESETTING = {
    "no space between Chinese and Latin": r"[一-鿿][A-Za-z0-9]|[A-Za-z0-9%][一-鿿]",
    "Latin punctuation in Chinese": r"[一-鿿][*]* ?[,.;:!?()]|[,;:!?()] ?[一-鿿]",
    "a space beside Chinese punctuation": r"(?<!\|) [，。；：、！？（）“”]|[，。；：、！？（）“”] (?!\|)",
    "GitHub does not see bold end here": r"[，。；：、！？）”][*]+[一-鿿]",
    "a line's end, which shows as a space": r"[^|]\n",
    "English left over": r"(?<!-)\b(?:[Tt]he|[Aa]n?|and|or|of|in|to|for|with|is|are|not|[Ii]t)\b(?!-)",
}


@each_case("mistake", TYPESETTING)
def test_the_chinese_readme_is_typeset_as_chinese(mistake: str) -> None:
    """Text outside code has no such mistake; a failure shows each mistake with the text around it."""
    prose = [words(block.text) for block in blocks(CHINESE) if not block.kind.startswith("```")]
    around = rf"[^\n]{{0,12}}(?:{TYPESETTING[mistake]})[^\n]{{0,12}}"
    assert [found for text in prose for found in re.findall(around, text)] == []
