"""The Lua scripts: each states its contract, and runs on every Redis from 4.0 on."""

import re
from pathlib import Path

from tests.testkit.cases import each_case

ADAPTERS = Path(__file__).parent.parent / "sms_login" / "adapters" / "redis"
BEFORE = "prelude"  # stands before each of them
SCRIPTS = {path.stem: path.read_text() for path in sorted((ADAPTERS / "lua").glob("*.lua")) if path.stem != BEFORE}

# All of these are in Redis 4.0. TIME is, too, but a write after it is refused there.
READS = {"EXISTS", "GET", "HEXISTS", "HGET", "HGETALL", "HKEYS", "HLEN", "HMGET", "PTTL"}
WRITES = {
    "DECR",
    "DEL",
    "HDEL",
    "HINCRBY",
    "HSET",
    "HSETNX",
    "INCR",
    "INCRBY",
    "PEXPIRE",
    "SET",
}
NEWER = {"KEEPTTL", "GET", "EXAT", "PXAT"}  # options that SET has got since then; PEXPIRE had none at all

GUARD = "if redis.replicate_commands then redis.replicate_commands() end"
NAME = r"[A-Za-z_]\w*"

each_script = each_case("name", SCRIPTS)


def header(script: str) -> str:
    """Return the comment at the top."""
    return script[: re.search(r"^(?!--)", script, re.MULTILINE).start()]  # type: ignore[union-attr] # there is always an end


def code(script: str) -> str:
    """Return a script without comments and without what is in strings."""
    return re.sub(r"'[^']*'", "''", re.sub(r"--.*", "", script))


def commands(script: str) -> list[str]:
    """Return the commands in their order."""
    return re.findall(r"redis\.p?call\('(\w+)'", script)


def undeclared(script: str) -> set[str]:
    """Return the names that are assigned to, but declared nowhere as local, parameter or loop variable."""
    text = code(script)
    names = rf"{NAME}(?:\s*,\s*{NAME})*"
    declared = re.findall(rf"\blocal\s+(?!function\b)({names})", text) + re.findall(rf"\bfor\s+({names})", text)
    declared += re.findall(rf"\blocal\s+function\s+({NAME})", text) + re.findall(r"\bfunction\b[^(]*\(([^)]*)\)", text)
    assigned = re.findall(rf"({names})\s*=(?!=)", text) + re.findall(rf"({NAME})\s*(?:\[[^\]]*\]|\.\w+)\s*=(?!=)", text)
    assigned += re.findall(rf"(?<!local )\bfunction\s+({NAME})", text)
    return {name for group in assigned for name in re.findall(NAME, group)} - {
        name for group in declared for name in re.findall(NAME, group)
    }


def unconverted(script: str) -> list[str]:
    """Return where an argument, which is a string, is compared or reckoned with as if it were a number."""
    text = code(script)
    raw = [r"ARGV\[\w+\]"]
    for left, right in re.findall(rf"\blocal\s+({NAME}(?:\s*,\s*{NAME})*)\s*=\s*([^\n]*)", text):
        values = re.split(r",(?![^(\[]*[)\]])", right)
        for name, value in zip(re.split(r"\s*,\s*", left), values, strict=False):
            raw += [rf"\b{name}\b"] if re.fullmatch(raw[0], value.strip()) else []
    strings = "|".join(raw)
    return re.findall(rf"(?:{strings})\s*(?:[<>+*/%^-])|(?:[<>+*/%^-]|[<>]=)\s*(?:{strings})", text)


@each_script
def test_a_script_states_its_contract(name: str) -> None:
    """What it decides, each key and argument by its number, and what it answers."""
    script = SCRIPTS[name]
    has_args = "ARGV" in code(script)
    sections = re.split(r"^-- (?:KEYS|ARGV|Gives)(?=  ?\S)", header(script), flags=re.MULTILINE)
    decision, keys, args, gives = sections if has_args else (*sections[:2], "", sections[2])
    assert re.match(r"-- \S.*[.?]\n", decision)
    assert gives.strip()
    for kind, section in (("KEYS", keys), ("ARGV", args)):
        stated = [int(number) for number in re.findall(r"(?:\s{2,})([0-9]+)(?:\.\.\.)? ", section)]
        assert stated == list(range(1, len(stated) + 1))
        assert {int(number) for number in re.findall(rf"\b{kind}\[([0-9]+)\]", code(script))} <= set(stated)


@each_script
def test_a_script_uses_only_commands_that_redis_4_has(name: str) -> None:
    """All of them are listed here, in the script they are called by name, and none reads a clock."""
    script = SCRIPTS[name]
    assert set(commands(script)) <= READS | WRITES
    assert len(commands(script)) == len(re.findall(r"redis\.p?call", code(script)))
    assert set(re.findall(r"\bredis\.(\w+)", code(script))) <= {"call"}
    assert not NEWER & {word.upper() for word in re.findall(r", '(\w+)'", script)}
    assert not re.search(r"'PEXPIRE', [^,]+, [^,)]+,", script)


def test_scripts_that_read_an_expiry_may_write_on_older_servers() -> None:
    """Redis 4.0 to 6 refuse a write after a read that is not the same on every replica, but for this first line."""
    prelude = (ADAPTERS / "lua" / f"{BEFORE}.lua").read_text()
    assert next(line for line in prelude.splitlines() if line and not line.startswith("--")) == GUARD
    assert code(prelude).count("replicate_commands") == GUARD.count("replicate_commands")


@each_script
def test_a_script_sets_no_global(name: str) -> None:
    """One would be seen by all scripts after it, or be refused, as the server likes."""
    assert undeclared(SCRIPTS[name]) == set()


@each_script
def test_a_script_turns_arguments_into_numbers_before_it_reckons_with_them(name: str) -> None:
    """A number compared with a string is an error, or worse, an order of letters."""
    assert unconverted(SCRIPTS[name]) == []


@each_case(
    "script",
    ["x = 1", "local a\na, b = 1, 2", "if y then x = 1 end", "t.field = 1", "t[1] = 2", "function f() end"],
)
def test_every_global_is_seen(script: str) -> None:
    """The check above does not pass because it is blind."""
    assert undeclared(script)
    assert not undeclared("local x, y = 1, 2\nx = y == 1\nfor i = 1, 2 do x = i end\nlocal function f(a) a = 1 end")


@each_case(
    "script",
    ["n < ARGV[1]", "ARGV[1] >= n", "local a, limit = 1, ARGV[2]\nif n > limit then end", "ARGV[1] - 1", "n+ARGV[i]"],
)
def test_every_unconverted_argument_is_seen(script: str) -> None:
    """Neither does this one."""
    assert unconverted(script)
    assert not unconverted("local a, n = ARGV[1], tonumber(ARGV[2])\nreturn a == ARGV[3] and ARGV[3] ~= a and n < 1")


def test_every_script_is_run_and_every_script_that_is_run_exists() -> None:
    """A file that nobody runs is a decision that nobody takes."""
    adapters = "".join(path.read_text() for path in ADAPTERS.glob("*.py"))
    assert set(re.findall(r'\.script\("(\w+)"', adapters)) == set(SCRIPTS)
