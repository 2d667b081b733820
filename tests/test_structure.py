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

# Arrows run one way: each module, and all of ours that it may import.
_PARSED = {"errors", "phone", "ports", "rules"}
_COUNTED = {"address", "periods", "budgets", "tolls"}
_LOGIC = _PARSED | _COUNTED | {"codes", "keys", "tokens", "guard", "messages", "fixed_codes"}
_SIGNED_IN = {"refresh_tokens", "session_store", "sessions"}
_APP = _LOGIC | _SIGNED_IN | {"sending", "login", "events", "origins", "logs"}
_REDIS = {"adapters.redis_client", "adapters.redis_codes", "adapters.redis_users", "adapters.redis_budgets"}
_REDIS |= {"adapters.redis_sessions"}
_TENCENT = {"adapters.tencent_client", "adapters.tencent_sms", "adapters.tencent_captcha"}
_SQL = {"adapters.sql_client", "adapters.sql_schema", "adapters.sql_users"}
_LOOKS = {f"doctor.{name}" for name in ("captcha", "clock", "keys", "limits", "redis", "send", "tencent", "users")}
_LOOKS |= {"doctor.settings"}
_DOCTOR = _LOOKS | {"doctor.checks", "doctor.redis_memory", "doctor.report", "doctor.texts"}
_FOUND = {"config", "doctor.report"}  # what a check looks at, and what it says
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "rules": set(),
    "logs": set(),
    "environment": set(),
    "address": set(),
    "periods": set(),
    "budgets": set(),
    "phone": {"errors"},
    "events": {"errors"},
    "origins": {"errors"},
    "messages": {"errors"},
    "ports": {"errors", "phone"},
    "keys": {"errors"},
    "pem": {"keys"},
    "config_keys": {"environment", "keys", "pem"},
    "config": {"environment", "config_keys", "keys"} | _PARSED,
    "tolls": {"address", "periods", "budgets", "phone", "rules"},
    "fixed_codes": {"environment", "errors", "logs", "periods", "phone"},
    "codes": _PARSED,
    "tokens": _PARSED | {"keys"},
    "guard": _PARSED | _COUNTED | {"logs"},
    "sending": _LOGIC | {"logs"},
    "refresh_tokens": _PARSED | {"codes"},
    "session_store": {"phone"},
    "sessions": _LOGIC | {"logs", "refresh_tokens", "session_store"},
    "login": _LOGIC | {"logs", "sessions"},
    "adapters.redis_client": _PARSED | {"logs"},
    "adapters.redis_codes": _PARSED | {"adapters.redis_client"},
    "adapters.redis_users": _PARSED | {"adapters.redis_client"},
    "adapters.redis_sessions": _PARSED | {"session_store", "adapters.redis_client"},
    "adapters.redis_budgets": _PARSED | {"budgets", "adapters.redis_client"},
    "adapters.tencent_client": {"logs"},
    "adapters.tencent_sms": _PARSED | {"adapters.tencent_client"},
    "adapters.tencent_captcha": _PARSED | {"adapters.tencent_client"},
    "adapters.sql_client": _PARSED | {"logs"},
    "adapters.sql_schema": _PARSED | {"adapters.sql_client"},
    "adapters.sql_users": _PARSED | {"adapters.sql_client", "adapters.sql_schema", "environment"},
    "app": _APP,
    "wiring": _APP | _REDIS | _TENCENT | _SQL | {"app", "config", "environment"},
    "index": {"wiring"},
    "http_server": set(),
    "web": {"wiring", "http_server"},
    # The doctor: a second composition root, which is not deployed.
    "doctor.report": set(),
    "doctor.settings": _FOUND | {"environment"},
    "doctor.keys": _FOUND,
    "doctor.limits": _FOUND | {"periods"},
    "doctor.redis_memory": {"doctor.report", "adapters.redis_client"},
    "doctor.redis": _FOUND | {"budgets", "logs", "wiring", "doctor.redis_memory"} | _REDIS,
    "doctor.users": {"doctor.report", "errors", "logs"} | _SQL,
    "doctor.clock": _FOUND,
    "doctor.texts": _FOUND | {"ports"},
    "doctor.tencent": _FOUND | {"doctor.texts", "adapters.tencent_client"},
    "doctor.captcha": _FOUND | {"errors", "wiring"},
    "doctor.send": _FOUND | {"codes", "errors", "phone", "wiring"},
    "doctor.checks": _FOUND | _LOOKS | {"phone"},
    "__main__": {"doctor.checks", "doctor.report", "doctor.settings", "errors", "logs", "phone"},
}

# One each, and none for the others; the standard library is free.
THIRD_PARTY = {
    "http_server": "waitress",
    "phone": "phonenumbers",
    "config": "phonenumbers",
    "environment": "phonenumbers",
    "keys": "jwt",
    "pem": "cryptography",
    "adapters.redis_client": "redis",
    "adapters.tencent_client": "tencentcloud",
    "adapters.tencent_sms": "tencentcloud",
    "adapters.tencent_captcha": "tencentcloud",
    "doctor.redis": "redis",
    "doctor.redis_memory": "redis",
    "doctor.tencent": "tencentcloud",
    **dict.fromkeys(_SQL | {"doctor.users"}, "sqlalchemy"),
}
VALUES = "msgspec"  # for everybody: its Struct is what our values are made of
# Imported where they are first needed: a cold start does not pay for them.
LAZY = {"cryptography", "jwt", "tencentcloud"}
# Of ours, in the same way: whoever does not keep users in SQL does without the library.
LAZY_MODULES = _SQL | {"doctor.users"}
COMMANDS = {"sms_login.adapters.sql_users", "sms_login.web", "sms_login.__main__"}  # whose main() is an entry point

MAX_LINES, MAX_CODE_IN_ALL = 200, 2_900
# Loaded by who asks for them; an operator's commands are not even deployed.
_APART = _SQL | _DOCTOR | {"pem", "web", "http_server", "__main__", "doctor.__init__"}
OPTIONAL = {f"sms_login/{name.replace('.', '/')}.py" for name in _APART}
LONGER = {
    "sms_login/messages.py",  # all that is taken and given, in one place
    "sms_login/config.py",  # settings are read in one place, all their problems at once
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
def test_arrows_run_one_way(module: str) -> None:
    """A module imports only those of ours that the table allows it; a new one needs a row."""
    ours = {short(name) for name in imports(tree_of(MODULES[module])) if name.split(".")[0] in {"sms_login", "local"}}
    assert ours - {"sms_login"} <= MAY_IMPORT[short(module)]  # the package itself has nothing but the version


def test_the_package_itself_imports_nothing() -> None:
    """It has the version, which a cold start and the build backend read."""
    assert list(imports(tree_of(ROOT / "sms_login" / "__init__.py"))) == []


def test_no_arrow_leads_back() -> None:
    """The table itself has no circle."""
    left = {module: set(targets) for module, targets in MAY_IMPORT.items()}
    while left:
        free = {module for module, targets in left.items() if not targets & left.keys()}
        assert free, left
        left = {module: targets for module, targets in left.items() if module not in free}


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
    settings = {"sms_login.wiring", "sms_login.environment"} if path.name == "__main__.py" else set()
    assert ours <= {"index", "sms_login.web", "sms_login.http_server"} | settings


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
    code = code_lines(ROOT / "sms_login/adapters/lua/give_back.lua")
    assert code == len(["for", "local", "if", "if", "end", "return"])
