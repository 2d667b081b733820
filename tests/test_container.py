import json
import re
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINES = (ROOT / "deploy/Dockerfile").read_text().splitlines()


def test_the_build_context_holds_only_the_copied_files() -> None:
    """The ignore file admits exactly the files that the Dockerfile copies: a .env would bring its keys."""
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


def test_the_container_runs_the_web_server_as_an_unprivileged_user() -> None:
    """The user is given by number, so that an orchestrator can tell that it is not root."""
    [entry] = [line.removeprefix("ENTRYPOINT ") for line in LINES if line.startswith("ENTRYPOINT ")]
    assert json.loads(entry) == ["python", "-m", "sms_login.http.wsgi"]
    [user] = [line for line in LINES if line.startswith("USER ")]
    assert re.fullmatch(r"USER [1-9][0-9]*:[1-9][0-9]*", user)
    [port] = [line for line in LINES if line.startswith("EXPOSE ")]
    assert port == "EXPOSE 9000"
