"""The structure of the code: import contracts, lazy imports, one reader of the environment, sizes of files."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testkit.cases import each_case

ROOT = Path(__file__).parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in [ROOT / "index.py", *sorted((ROOT / "sms_login").rglob("*.py"))]
    if path.name != "__init__.py"
}

# All third parties of the login; the contracts in pyproject.toml give each its room. Every room may use msgspec, since
# its Struct is the type of our values.
THIRD_PARTIES = {
    "cryptography",
    "hiredis",
    "jwt",
    "msgspec",
    "phonenumbers",
    "redis",
    "sqlalchemy",
    "tencentcloud",
    "waitress",
}
# Imported inside the functions that need them, so that a cold start does not pay for them.
LAZY = {"cryptography", "jwt", "tencentcloud"}
# The same for modules of ours: users in Redis need no SQLAlchemy, and JWT_SECRET needs no cryptography.
LAZY_MODULES = ("sms_login.adapters.sql.", "sms_login.sessions.pem")
COMMANDS = {"sms_login.http.wsgi"}  # its main() is an entry point

MAX_LINES, MAX_LINES_OF_CODE, MAX_ENTRIES = 220, 4_790, 30
LONGER = {
    "sms_login/errors.py",  # every refusal in one place; three quarters of it are sentences
}


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield every module that a node imports at any depth; for `from package import module`, the full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


def imports_at_the_top(module: str) -> set[str]:
    """Return the modules that a module imports while it is itself imported."""
    statements = [
        node for node in tree_of(MODULES[module]).body if not isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    return set(imports(ast.Module(statements, [])))


def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def without_main(module: str) -> ast.Module:
    """Return the syntax tree of a module, without the function main if the module is a command."""
    tree = tree_of(MODULES[module])
    if module in COMMANDS:
        tree.body = [node for node in tree.body if not (isinstance(node, ast.FunctionDef) and node.name == "main")]
    return tree


def reads_environment(tree: ast.AST) -> bool:
    """Return whether code reads the environment of the process."""
    names = {"environ", "environb", "getenv", "getenvb"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) == "os":
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "os" and names & {alias.name for alias in node.names}:
            return True
    return False


def test_the_contracts_between_the_rooms_hold() -> None:
    """import-linter finds no import that breaks the contracts in pyproject.toml; it also reads imports in functions."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own tool
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_entry_point_imports_the_wiring_alone() -> None:
    """One module builds the function's handler, and index.py only calls it."""
    names = set(imports(tree_of(MODULES["index"])))
    assert {name for name in names if name.split(".")[0] not in sys.stdlib_module_names} == {"sms_login.wiring"}


def test_the_package_itself_imports_nothing() -> None:
    """The package itself holds the version, which a cold start and the build backend read."""
    assert list(imports(tree_of(ROOT / "sms_login" / "__init__.py"))) == []


def test_the_login_uses_these_third_parties_and_no_other() -> None:
    """A new third party is a decision: it is deployed, and every cold start may pay for it."""
    packages = {name.split(".")[0] for module in MODULES for name in imports(tree_of(MODULES[module]))}
    assert packages - sys.stdlib_module_names - {"sms_login"} == THIRD_PARTIES


def test_heavy_libraries_are_imported_at_their_first_use() -> None:
    """No module imports a heavy library at its top, nor a module of ours that needs one, except its neighbours."""
    at_the_top = {module: imports_at_the_top(module) for module in MODULES}
    assert [module for module, names in at_the_top.items() if LAZY & {name.split(".")[0] for name in names}] == []
    others = {module: names for module, names in at_the_top.items() if not module.startswith(LAZY_MODULES)}
    assert [module for module, names in others.items() if any(name.startswith(LAZY_MODULES) for name in names)] == []


@each_case("path", sorted((ROOT / "local").glob("*.py")), ids=lambda path: path.name)
def test_the_local_cloud_replaces_no_part_of_the_product(path: Path) -> None:
    """It runs the deployed app and web server; one module reads settings, one Redis, one adds origins."""
    ours = {name for name in imports(tree_of(path)) if name.split(".")[0] in {"sms_login", "index"}}
    more = {
        "env_file.py": {"sms_login.settings.settings"},  # the names of the settings
        "__main__.py": {"sms_login.wiring", "sms_login.settings.reader"},
        "origins.py": {"sms_login.http.cors"},  # the same rule with more origins
        "redis_view.py": {"sms_login.adapters.redis.client"},  # redis-py is set up in one place
    }
    assert ours <= {"sms_login.http.wsgi", "sms_login.http.server"} | more.get(path.name, set())


def test_only_the_entry_point_reads_the_environment() -> None:
    """All other code except the main() of a command receives a mapping, so that a test can pass another one."""
    assert [name for name in MODULES if reads_environment(without_main(name))] == ["index"]


@each_case(
    "code",
    [
        "import os; os.environ['A']",
        "import os\nos.getenv('A')",
        "from os import environ",
        "def f(): from os import getenv",
    ],
)
def test_every_way_to_read_the_environment_is_found(code: str) -> None:
    """The test above finds each way to read the environment, so it does not pass by accident."""
    assert reads_environment(ast.parse(code))


def lines_of_code(path: Path) -> int:
    """Return the number of a file's lines that are neither blank nor part of a comment or docstring."""
    text = path.read_text(encoding="utf-8")
    lines = {number for number, line in enumerate(text.splitlines(), 1) if line.strip()}
    if path.suffix == ".lua":
        return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("--"))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    comments = {number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith("#")}
    return len(lines - comments)


def sources(*folders: str) -> list[Path]:
    """Return all source files in folders of the repository."""
    suffixes = {".py", ".lua", ".js", ".css", ".html"}
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*")) if path.suffix in suffixes]


def test_no_file_is_longer_than_the_ceiling() -> None:
    """The listed exceptions have a reason; a file that becomes shorter must leave the list."""
    paths = [ROOT / "index.py", *sources("sms_login", "sms_admin", "local", "deploy", "openapi", "benchmarks")]
    paths = [path for path in paths if "node_modules" not in path.parts]
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {name for name, lines in lengths.items() if lines > MAX_LINES} == LONGER


def test_the_login_is_small_enough_to_be_read() -> None:
    """The limit covers all Python and Lua of the package; few entries at its top make it readable at a glance."""
    assert sum(map(lines_of_code, sources("sms_login"))) <= MAX_LINES_OF_CODE
    entries = [path.name for path in (ROOT / "sms_login").iterdir() if path.name != "__pycache__"]
    assert len(entries) <= MAX_ENTRIES


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", '"""A module."""\n\n# why\ndef f():\n    """Return\n\n    two lines."""\n    return 1  # one\n'),
        ("a.lua", "-- KEYS: one\n\nlocal n = 1 -- one\nreturn n\n"),
    ],
)
def test_comments_and_docstrings_do_not_count_as_lines_of_code(tmp_path: Path, name: str, text: str) -> None:
    """Explanations are required everywhere, so they do not count."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert lines_of_code(path) == 2
