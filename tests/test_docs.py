"""The documents agree with the code."""

import ast
import re
from collections.abc import Callable
from typing import Any

from local.failures import MODES
from sms_admin.users_table import OLD, users_url
from sms_login import errors
from sms_login.adapters.sql.schema import USERS
from sms_login.http import messages, parameters
from sms_login.http.events import read_head, read_params
from sms_login.otp.delivery import SmsStatus
from sms_login.otp.login import LoggedIn
from sms_login.otp.send import CodeSent
from sms_login.phone import Phone
from sms_login.sessions.proofs import Proven
from sms_login.sessions.service import SignedIn, StillLoggedIn, UserInfo
from sms_login.settings.settings import TABLE
from tests.testkit.cases import each_case
from tests.testkit.events import PHONE
from tests.testkit.project import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """Return the cells of the first table in the page called `heading`, or else below that heading of the README."""
    page = ROOT / "docs" / f"{heading.lower()}.md"
    text = page.read_text(encoding="utf-8") if page.exists() else README.split(f"\n## {heading}\n")[1]
    section = text.split("\n## ")[0]
    rows = [line.strip().strip("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.split("|")] for row in rows[2:]]


def test_the_page_of_settings_lists_every_setting_with_its_default() -> None:
    """The page has one row for each setting that the function reads, with its name and default."""
    rows = {row[0].strip("`"): row[1].strip("`") for row in table("Settings")}
    assert list(rows) == [setting.name for setting in TABLE]
    assert {name for name, default in rows.items() if default == "required"} == {
        setting.name for setting in TABLE if setting.required
    }
    assert {name for name, default in rows.items() if default == "one of the two"} == {"JWT_SECRET", "JWT_PRIVATE_KEY"}
    defaults = {setting.name: str(setting.default) for setting in TABLE if setting.default != ""}
    assert {name: rows[name] for name in defaults} == defaults


def test_every_limit_names_its_attack_and_its_setting() -> None:
    """The page on abuse lists every setting that limits, with its default."""
    settings = {row[0].strip("`"): row[1].strip("`") for row in table("Settings")}
    limits = {row[4].strip("`"): row[1] for row in table("Abuse")}
    assert limits == {name: settings[name] for name in limits}
    assert all(row[3] for row in table("Abuse"))
    words = ("LIMIT", "BUDGET", "COOLDOWN")
    assert limits.keys() == {name for name in settings if name.endswith(words)}


def test_the_readme_lists_exactly_the_errors_of_the_code() -> None:
    """Each error stands there with its number, name and status."""
    rows = {tuple(row[:3]) for row in table("Errors")}
    refusals = errors.Refusal.__subclasses__()
    assert rows == {(str(refusal.number), f"`{refusal.name}`", str(refusal.status)) for refusal in refusals}


def test_the_page_of_errors_has_the_sentences_of_every_fault_of_a_number() -> None:
    """Each fault stands there with its two sentences, in the order of the code."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8").split("## Faults of a phone number")[1]
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.+) \| (.+) \|$", page)
    assert rows == [(fault.name, *fault.value) for fault in errors.PhoneFault]


ACCEPTED: dict[str, Callable[[str], str | None]] = {
    "`phone`": lambda text: Phone.parse(text, "CN").e164,
    "`code`": lambda text: getattr(messages.parse({"method": "login", "phone": PHONE, "code": text}), "code", None),
    "`Idempotency-Key`": parameters.idempotency_key,
    "`Accept-Language`": lambda text: read_head({"headers": {"Accept-Language": text}}, None).language,
    "a parameter of the method": lambda text: read_params({"queryString": {"sessionId": text}}, {}).get("sessionId"),
}


@each_case("kind", ACCEPTED)
def test_the_table_of_accepted_input_is_true(kind: str) -> None:
    """Each example in the table is read as the table says."""
    section = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8").split("## Accepted input")[1]
    [row] = [line for line in section.splitlines() if line.startswith(f"| {kind} |")]
    examples = re.findall(r"`([^`]+)` → (?:`([^`]+)`|absent)", row)
    assert examples
    assert [ACCEPTED[kind](given) for given, _ in examples] == [read or None for _, read in examples]


def test_every_method_is_in_the_readme_with_the_fields_of_its_answer() -> None:
    """The fields are those of the answers' types."""
    gives: dict[str, list[Any]] = {
        "getSms": [CodeSent],
        "getSmsStatus": [SmsStatus],
        "verify": [Proven],
        "login": [LoggedIn, StillLoggedIn],
        "refresh": [SignedIn],
        "logout": [messages.Done],
        "changePhone": [LoggedIn],
        "deleteAccount": [messages.Done],
        "getUserInfo": [UserInfo],
        "setNickname": [UserInfo],
        "smsReceipt": [messages.Received],
        "jwks": [messages.KeySet],
        "health": [messages.Healthy],
    }
    rows = table("The API")
    assert {row[0].strip("`") for row in rows} == gives.keys()
    for name, answers in gives.items():
        listed = [set(re.findall(r"`(\w+)`", row[2].split(":")[0])) for row in rows if row[0] == f"`{name}`"]
        assert listed == [set(answer.__struct_encode_fields__) for answer in answers]


def test_the_readme_lists_exactly_the_commands_of_the_makefile() -> None:
    """The table lists the Makefile's targets that have a help text."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {row[0].strip("`").removeprefix("make ") for row in table("Developing")} == targets


def pins(name: str) -> set[str]:
    """Return the packages with their versions in a requirements file."""
    return set(re.findall(r"^[a-z0-9-]+==[^ ;]+", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))


def test_users_in_sql_need_three_more_libraries() -> None:
    """All other libraries have the same versions with and without SQL, and in the tests."""
    more = pins("requirements/sql.txt") - pins("requirements.txt")
    assert {pin.split("==")[0] for pin in more} == {
        "greenlet",
        "pymysql",
        "sqlalchemy",
    }  # greenlet comes with SQLAlchemy
    assert pins("requirements.txt") < pins("requirements/sql.txt") < pins("requirements/dev.txt")


def test_users_in_sql_are_documented_as_they_are() -> None:
    """The page has the commands, the table and its columns, the demo's table and the codes of an outage."""
    page = (ROOT / "docs" / "users.md").read_text(encoding="utf-8")
    words = ["python -m sms_admin.users_table create", "python -m sms_admin.users_table migrate"]
    words += [USERS.name, *USERS.columns.keys(), OLD.name, *OLD.columns.keys()]
    words += [errors.UserStoreFailed.name, errors.ServiceUnavailable.name, "requirements/sql.txt", "USERS_URL"]
    typed = re.findall(r"(?m)^ *\$ (?:.venv/bin/)?(.*)$", page)
    assert [word for word in words if f"`{word}" not in page and word not in typed] == []
    urls = re.findall(r"(?:mysql\+pymysql|sqlite)://[^\s`]+", page + README)
    assert len(urls) > 4
    assert [url for url in urls if not users_url({"USERS_URL": url})] == []


def test_every_mode_of_failure_is_in_the_readme() -> None:
    """An app team finds each failure that it can simulate in the section on running locally."""
    section = README.split("\n## What runs locally\n")[1].split("\n## ")[0]
    assert [mode for mode in MODES if f"`{mode}`" not in section] == []


def test_contributing_shows_every_module() -> None:
    """The map in CONTRIBUTING.md names every module and every page."""
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    names = (path.name for path in (ROOT / "sms_login").iterdir() if path.name != "py.typed")
    assert [name for name in names if not name.startswith("__") and name not in contributing] == []
    rooms = (path for path in (ROOT / "sms_login").glob("*/*.py") if not path.name.startswith("__"))
    assert [path.name for path in rooms if path.name not in contributing] == []
    assert [path.name for path in (ROOT / "docs").glob("*") if path.name not in contributing] == []


def test_the_security_page_names_tests_and_settings_that_exist() -> None:
    """Each measure on the security page is held by a test that exists."""
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py"))
    assert set(re.findall(r"`(test_\w+)`", page)) <= set(re.findall(r"^def (test_\w+)\(", tests, re.MULTILINE))
    settings = {row[0].strip("`") for row in table("Settings")}
    assert set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)(?:=\w+)?`", page)) <= settings


def test_the_operations_page_has_every_field_and_every_alert() -> None:
    """The page names each field that the code adds to a log line, and each alert."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    fields, alerts = set[str](), set[str]()
    for path in (ROOT / "sms_login").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in {"logs.note", "logs.problem"}:
                fields |= {str(keyword.arg) for keyword in call.keywords}
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "logs.alert":
                alerts.add(ast.literal_eval(call.args[0]))
    assert len(fields) > 10
    assert [name for name in fields if f"`{name}`" not in page] == []
    listed = re.findall(r"(?m)^\| `(\w+)` \|", page.split("\n## Alerts\n")[1].split("\n## ")[0])
    assert set(listed) == alerts


def test_the_operations_page_has_an_index_for_every_searched_field() -> None:
    """CLS finds nothing by a field without an index."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| (`.*?) \|", page.split("\n## The log\n")[1].split("\n## ")[0])
    fields = {name for row in rows for name in re.findall(r"`(\w+)`", row)} | {"sms_ms"}
    queries, alarms = page.split("\n## Queries\n")[1].split("\n## Alarms\n")
    searched = " ".join(re.findall(r"(?s)```sql\n(.*?)```", queries)) + alarms.split("\n## ")[0]
    used = {name for name in fields if re.search(rf"\b{name}\b(?!')", searched)}
    indexed = set(re.findall(r"`(\w+)`", queries.split("indexes with")[1].split("\n\n")[0]))
    assert indexed == used - {"detail"}


def anchors(text: str) -> set[str]:
    """Return the anchors that a Markdown page's headings have on GitHub."""
    headings = re.findall(r"(?m)^#+ (.*)$", re.sub(r"(?s)```.*?```", "", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_leads_somewhere() -> None:
    """Each relative link leads to a file that exists, and to a heading in it."""
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if target.startswith(("http://", "https://")):
                continue
            name, _, anchor = target.partition("#")
            file = path.parent / name if name else path
            assert file.exists(), f"{path.name}: {target}"
            assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), f"{path.name}: {target}"


def test_the_documents_use_no_real_number() -> None:
    """The documents use only the number that is everyone's example, and the test number of an unassigned range."""
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        numbers = re.findall(
            r"\+?\b[0-9]{11,15}\b", path.read_text(encoding="utf-8"), re.ASCII
        )  # a number may touch Chinese text
        assert {number[-11:] for number in numbers} <= {PHONE[-11:], "15400000000"}


def test_the_readme_is_no_wider_than_the_code() -> None:
    """Prose has at most 120 columns, while tables and code may be wider."""
    prose = re.sub(r"(?ms)^```.*?^```$|^\|[^\n]*$", "", README)
    assert [line for line in prose.splitlines() if len(line) > 120] == []
