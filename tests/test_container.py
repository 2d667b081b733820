import json
import re
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINES = (ROOT / "deploy/Dockerfile").read_text().splitlines()


def test_what_is_copied_exists_and_nothing_else_is_sent() -> None:
    """The ignore file lets through what the Dockerfile copies, and no more: a .env has keys in it."""
    sources = [
        source for line in LINES if line.startswith("COPY ") and "--from" not in line for source in line.split()[1:-1]
    ]
    assert all(list(ROOT.glob(source)) for source in sources)
    ignored = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    rules = [rule for rule in ignored if rule and not rule.startswith("#")]
    assert rules[0] == "*"
    let_through = [rule[1:] for rule in rules if rule.startswith("!")]
    assert sorted(let_through) == sorted(sources)
    assert not any(fnmatch(name, rule) for name in (".env", "tests", "local", ".git") for rule in let_through)


def test_it_runs_the_web_server_as_nobody() -> None:
    """By number, so that an orchestrator can tell that it is not root; and the function's own module answers."""
    [entry] = [line.removeprefix("ENTRYPOINT ") for line in LINES if line.startswith("ENTRYPOINT ")]
    assert json.loads(entry) == ["python", "-m", "sms_login.http.wsgi"]
    [user] = [line for line in LINES if line.startswith("USER ")]
    assert re.fullmatch(r"USER [1-9][0-9]*:[1-9][0-9]*", user)
    [port] = [line for line in LINES if line.startswith("EXPOSE ")]
    assert port == "EXPOSE 9000"
