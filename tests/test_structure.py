"""The rules of the house: which module may import which, who reads the environment, how long a file may be."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in [ROOT / "index.py", *sorted((ROOT / "sms_login").rglob("*.py"))]
    if path.name != "__init__.py"
}

_SQL = {"adapters.sql.client", "adapters.sql.schema", "adapters.sql.users"}
# One each, and none for the others; the standard library is free.
THIRD_PARTY = {
    "http.server": "waitress",
    "phone": "phonenumbers",
    "settings.kinds": "phonenumbers",
    "sessions.keys": "jwt",
    "sessions.pem": "cryptography",
    "adapters.redis.client": "redis",
    "adapters.tencent.client": "tencentcloud",
    "adapters.tencent.sms": "tencentcloud",
    "adapters.tencent.captcha": "tencentcloud",
    **dict.fromkeys(_SQL, "sqlalchemy"),
}
VALUES = "msgspec"  # for everybody: its Struct is what our values are made of
# Imported where they are first needed: a cold start does not pay for them.
LAZY = {"cryptography", "jwt", "tencentcloud"}
# Of ours, in the same way: whoever does not keep users in SQL does without the library.
LAZY_MODULES = _SQL
COMMANDS = {"sms_login.adapters.sql.users", "sms_login.http.wsgi"}  # whose main() is an entry point

MAX_LINES, MAX_CODE_IN_ALL = 200, 2_900
# Loaded by who asks for them; an operator's commands are not even deployed.
_APART = _SQL | {"sessions.pem", "http.wsgi", "http.server", "__main__"}
OPTIONAL = {f"sms_login/{name.replace('.', '/')}.py" for name in _APART}
LONGER = {
    "sms_login/errors.py",  # every refusal in one place; three quarters of it are sentences
    "local/page/words.js",  # all that the page says, in both languages
}


def short(name: str) -> str:
    """Return a module's name as the tables above have it."""
    return name.removeprefix("sms_login.")


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield every module that is imported anywhere below a node; for `from package import module` that module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


def without_main(module: str) -> ast.Module:
    """Return the syntax tree of a module; where it has a command, without the function that is called main."""
    tree = tree_of(MODULES[module])
    if module in COMMANDS:
        tree.body = [node for node in tree.body if not (isinstance(node, ast.FunctionDef) and node.name == "main")]
    return tree


def reads_environment(tree: ast.AST) -> bool:
    """Tell whether code reads the environment of the process."""
    names = {"environ", "environb", "getenv", "getenvb"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) == "os":
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "os" and names & {alias.name for alias in node.names}:
            return True
    return False


def tree_of(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(path.read_text())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_speaks_to_one_third_party_at_most(module: str) -> None:
    """Which one is in the table; heavy ones are not imported before they are needed."""
    tree = tree_of(MODULES[module])
    packages = {name.split(".")[0] for name in imports(tree)} - sys.stdlib_module_names - {"sms_login", VALUES}
    assert packages == {THIRD_PARTY[short(module)]} if short(module) in THIRD_PARTY else not packages
    at_once = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    assert not LAZY & {name.split(".")[0] for name in imports(at_once)}
    if short(module) not in LAZY_MODULES:
        assert not LAZY_MODULES & {short(name) for name in imports(at_once)}


@pytest.mark.parametrize("path", sorted((ROOT / "local").glob("*.py")), ids=lambda path: path.name)
def test_the_local_cloud_replaces_no_part_of_the_product(path: Path) -> None:
    """It runs the deployed handler behind the deployed web server; besides it asks the product about its settings."""
    ours = {name for name in imports(tree_of(path)) if name.split(".")[0] in {"sms_login", "index"}}
    settings = {"sms_login.wiring", "sms_login.settings.reader"} if path.name == "__main__.py" else set()
    assert ours <= {"index", "sms_login.http.wsgi", "sms_login.http.server"} | settings


def test_only_the_entry_point_reads_the_environment() -> None:
    """It, and the main() of a command; everything else is handed a mapping, so that a test can hand in another."""
    assert [name for name in MODULES if reads_environment(without_main(name))] == ["index"]


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.environ['A']",
        "import os\nos.getenv('A')",
        "from os import environ",
        "def f(): from os import getenv",
    ],
)
def test_every_way_of_reading_the_environment_is_seen(code: str) -> None:
    """The check above does not pass because it is blind."""
    assert reads_environment(ast.parse(code))


def deployed() -> dict[str, int]:
    """Return the files that are deployed, and their lines."""
    paths = [ROOT / "index.py", *(ROOT / "sms_login").rglob("*.py"), *(ROOT / "sms_login").rglob("*.lua")]
    return {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in paths}


def test_no_file_is_longer_than_200_lines() -> None:
    """But for a few that have a reason; one that has become shorter leaves the list."""
    paths = [*(ROOT / "local").glob("*.py"), *(ROOT / "local" / "page").iterdir()]
    local = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in paths}
    assert {name for name, lines in {**deployed(), **local}.items() if lines > MAX_LINES} == LONGER


def code_lines(path: Path) -> int:
    """Return how many lines of a file are code: no blank ones, no comments, no docstrings."""
    text = path.read_text()
    lines = {number for number, line in enumerate(text.splitlines(), 1) if line.strip()}
    if path.suffix == ".lua":
        return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("--"))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    comments = {number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith("#")}
    return len(lines - comments)


def test_what_every_function_loads_is_small() -> None:
    """Lua included: small enough to be read by whoever is responsible for it."""
    assert sum(code_lines(ROOT / name) for name in deployed().keys() - OPTIONAL) <= MAX_CODE_IN_ALL


def test_counting_lines_of_code_leaves_out_what_explains() -> None:
    """Docstrings are asked for everywhere, so they do not count; what runs does."""
    code = code_lines(ROOT / "sms_login/adapters/redis/lua/give_back.lua")
    assert code == len(["for", "local", "if", "if", "end", "return"])
