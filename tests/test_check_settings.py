"""The checks of keys, limits and users: settings that are possible, and yet wrong."""

import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import time_machine
from sqlalchemy import text

from sms_admin.check import keys, limits
from sms_admin.check.checks import _users
from sms_admin.check.keys import weakness
from sms_admin.check.report import Finding, State
from sms_admin.check.settings import read as read_as_far_as_possible
from sms_admin.users_table import create
from sms_login.adapters.sql.client import SqlClient, connect
from sms_login.settings.settings import Settings
from tests.testkit.cases import each_case
from tests.testkit.environ import LEAST, read
from tests.testkit.findings import bad
from tests.testkit.forging import key
from tests.testkit.key_files import private_pem, public_pem

GOOD, OTHER = "Zm9vYmFyYmF6cXV4MTIzNA9fX2lzX2ZpbmU", "fUx3Yk1zQ0VtNXB2S2hHOWRXb1R6TjJqUQ8"


@each_case(
    ("secret", "why"),
    [
        ("k" * 40, "has only 1 different characters"),
        ("01" * 20, "has only 2 different characters"),
        ("correct-horse-battery" * 2, "repeats itself"),
        ("abcdefghijklmnopqrstuvwxyz0123456789", "is mostly a run of consecutive characters"),
        ("this-is-my-own-Password-for-jwt-2026", "contains a common word"),
        ("please-change-me-before-you-publish!", "contains a common word"),
        (GOOD, None),
        ("9f86d081884c7d659a2feaa0c55ad015", None),  # hexadecimal
        ("u8:kP2?vX-q!Lw4zR@t6Yb#Nc9Hd%Je1Gf", None),
    ],
)
def test_a_secret_that_can_be_guessed_is_reported(secret: str, why: str | None) -> None:
    """It is long enough for the settings, but not random."""
    assert weakness(secret) == why


def of_keys(**environ: str) -> list[Finding]:
    """Return the findings about keys."""
    settings = Settings.read({**LEAST, "JWT_SECRET": GOOD, **environ})
    return list(keys.check(settings, {"JWT_SECRET": GOOD, **environ}))


def test_good_secrets_are_ok() -> None:
    """Each finding names the purpose of a secret, or the time for which a previous one must stay."""
    assert bad(of_keys()) == {}
    found = [finding.found for finding in of_keys(SECRET=OTHER, JWT_SECRET_PREVIOUS=OTHER)]
    assert found == [
        f"HS256, with a secret of {len(GOOD)} bytes",
        f"SECRET, of {len(OTHER)} bytes",
        "JWT_SECRET_PREVIOUS is still accepted: remove it REFRESH_TTL after the change",
    ]


def test_weak_secrets_are_warnings() -> None:
    """Each weak secret is named, and its value is not shown."""
    findings = of_keys(JWT_SECRET="k" * 40, SECRET_PREVIOUS="p" * 40)
    assert bad(findings) == {"keys.strength": State.WARNING}
    assert [finding.found.split()[0] for finding in findings if finding.todo] == ["JWT_SECRET", "SECRET_PREVIOUS"]


def test_a_previous_secret_that_still_signs_is_a_warning() -> None:
    """A rotation to the same secret has changed nothing."""
    findings = of_keys(JWT_SECRET_PREVIOUS=GOOD)
    assert bad(findings) == {"keys.rotation": State.WARNING}


def test_a_public_key_beside_the_signing_one_is_named() -> None:
    """It is the next key or a previous one; if it is the signing key itself, the old key was forgotten: a warning."""
    signs = {"JWT_SECRET": "", "JWT_PRIVATE_KEY": private_pem("P-256"), "SECRET": OTHER}
    good = of_keys(**signs, JWT_PUBLIC_KEYS_PREVIOUS=public_pem("Ed25519"))
    assert bad(good) == {}
    assert f"publishes {key('Ed25519').kid}: the next key, or a previous one" in good[-1].found
    assert bad(of_keys(JWT_PUBLIC_KEYS_PREVIOUS=public_pem("P-256"))) == {}
    same = of_keys(**signs, JWT_PUBLIC_KEYS_PREVIOUS=public_pem("P-256"))
    assert bad(same) == {"keys.rotation": State.WARNING}


@each_case(
    ("kind", "found"),
    [
        ("Ed25519", "EdDSA, with a private key Ed25519"),
        ("P-256", "ES256, with a private key P-256"),
        ("RSA", "RS256, with a private key RSA of 2048 bits"),
    ],
)
def test_a_private_key_is_reported_by_kind_and_size(kind: str, found: str) -> None:
    """The finding describes the key that the settings have read."""
    findings = of_keys(JWT_SECRET="", JWT_PRIVATE_KEY=private_pem(kind), SECRET=OTHER)
    assert findings[0].found == found


@each_case(
    ("changes", "name"),
    [
        ({"DAILY_BUDGET": "40"}, "IP_DAILY_LIMIT"),
        ({"DAILY_BUDGET": "200"}, "RANGE_DAILY_BUDGET"),
        ({"IP_HOURLY_LIMIT": "60"}, "IP_HOURLY_LIMIT"),
        ({"RANGE_HOURLY_LIMIT": "101"}, "RANGE_HOURLY_LIMIT"),
        ({"RANGE_DAILY_LIMIT": "301"}, "RANGE_DAILY_LIMIT"),
        ({"DAILY_LIMIT": "301"}, "DAILY_LIMIT"),
        ({"RESEND_COOLDOWN": "301"}, "RESEND_COOLDOWN"),
        ({"RESEND_COOLDOWN": "10"}, "RESEND_COOLDOWN"),
        ({"TOKEN_TTL": "7200", "REFRESH_TTL": "3600"}, "TOKEN_TTL"),
        ({"REFRESH_TTL": "3000000", "SESSION_TTL": "2000000"}, "REFRESH_TTL"),
        ({"ALLOWED_COUNTRIES": "CN,US", "COUNTRY_DAILY_BUDGET": "20000"}, "COUNTRY_DAILY_BUDGET"),
    ],
)
def test_limits_that_can_never_be_reached_are_warnings(changes: dict[str, str], name: str) -> None:
    """The warning names the limit, and the other one that is always reached first."""
    findings = list(limits.limits(read(**changes)))
    assert bad(findings) == {"limits": State.WARNING}
    assert name in [finding.found.split()[0] for finding in findings]


def test_the_default_limits_are_ok() -> None:
    """Limits for countries count only if foreign countries are allowed."""
    for changes in ({}, {"COUNTRY_HOURLY_LIMIT": "20000"}):
        assert bad(limits.limits(read(**changes))) == {}


@each_case(
    ("changes", "state"),
    [
        ({}, State.OK),
        ({"SENDING": "off"}, State.WARNING),
        ({"SMS_ENDPOINT": "http://127.0.0.1:9"}, State.WARNING),
    ],
)
def test_a_sending_that_is_stopped_or_redirected_is_a_warning(changes: dict[str, str], state: State) -> None:
    """The emergency stop and a stand-in are easily forgotten."""
    (finding,) = limits.sending(read(**changes))
    assert finding.state is state


INTL = {"SMS_INTL_SDKAPPID": "1", "SMS_INTL_TEMPLATE_ID": "2"}


@each_case(
    ("changes", "warnings"),
    [
        ({}, []),
        (INTL, []),
        ({"ALLOWED_COUNTRIES": "CN,US", **INTL}, []),
        ({"ALLOWED_COUNTRIES": "CN,US"}, ["CN, US are allowed, but no international template is set"]),
        ({"ALLOWED_COUNTRIES": "*", **INTL}, ["ALLOWED_COUNTRIES is *: messages go to every country"]),
        (
            {"DEFAULT_COUNTRY": "US", **INTL},
            ["DEFAULT_COUNTRY US is not in ALLOWED_COUNTRIES: national numbers are refused"],
        ),
    ],
)
def test_countries_that_cannot_be_reached_are_warnings(changes: dict[str, str], warnings: list[str]) -> None:
    """So is ALLOWED_COUNTRIES=*, which names no country."""
    findings = list(limits.countries(read(**changes)))
    assert [finding.found for finding in findings if finding.state is State.WARNING] == warnings
    assert findings


@each_case(("source", "state"), [("platform", State.OK), ("forwarded:2", State.OK), ("none", State.WARNING)])
def test_the_source_of_addresses_is_explained(source: str, state: State) -> None:
    """CLIENT_IP_SOURCE=none is a warning, since no limit counts clients then."""
    (finding,) = limits.client_ip(read(CLIENT_IP_SOURCE=source))
    assert (finding.state, source.rpartition(":")[2] in finding.found + "platform") == (state, True)


@each_case(
    ("until", "state"),
    [
        ("2026-11-30", State.OK),
        ("2026-11-28", State.WARNING),
        ("2026-11-21", State.WARNING),
        ("2026-11-20", State.WARNING),
    ],
)
def test_test_numbers_near_their_end_are_warnings(until: str, state: State) -> None:
    """The finding counts the numbers without naming them; the last day is in the zone of TZ_OFFSET."""
    with time_machine.travel(datetime(2026, 11, 20, 17, tzinfo=timezone.utc), tick=False):  # the 21st in China
        (finding,) = limits.test_numbers(read(TEST_NUMBERS="+8615400000000=424242", TEST_NUMBERS_UNTIL=until))
    assert finding.state is state
    assert until in finding.found
    assert ("has passed" in finding.found) is (until == "2026-11-20")
    (none,) = limits.test_numbers(read())
    assert (none.state, none.found) == (State.OK, "none")


def test_a_test_number_that_somebody_may_have_is_a_warning() -> None:
    """The warning counts them and names none."""
    numbers = "+8613800138000=424242,+8615400000000=424242,+447400123456=424242"
    with time_machine.travel("2026-11-28T00:00:00+00:00"):
        real, last = limits.test_numbers(read(TEST_NUMBERS=numbers, TEST_NUMBERS_UNTIL="2027-06-30"))
    assert (real.state, last.state) == (State.WARNING, State.OK)
    assert real.found.startswith("2 of 3 may belong to somebody")
    assert "138" not in real.found


def of_users(url: str) -> Finding:
    """Return the finding about users."""
    (finding,) = _users(read(USERS_URL=url))
    return finding


def test_a_table_of_users_is_checked(tmp_path: Path) -> None:
    """A missing file, table or column is reported, and the check itself creates nothing."""
    path = tmp_path / "users.db"
    url = f"sqlite:///{path}"
    assert of_users("").found == "in Redis"
    assert of_users(url).found == "the file of USERS_URL does not exist"
    assert not path.exists()
    path.touch()
    assert of_users(url).found == "the table sms_login_users does not exist"
    engine = connect(url)
    create(SqlClient(engine))
    assert of_users(url).state is State.OK
    with engine.connect() as connection:
        connection.execute(text("ALTER TABLE sms_login_users DROP COLUMN avatar"))
    assert of_users(url).found == "sms_login_users has no column avatar"
    engine.dispose()
    path.write_text("this is no database")
    assert (of_users(url).state, "DatabaseError" in of_users(url).found) == (State.PROBLEM, True)


def test_a_database_that_is_down_is_a_problem() -> None:
    """The finding does not show the password."""
    finding = of_users("mysql+pymysql://user:hunter2@127.0.0.1:1/db")
    assert (finding.check, finding.state) == ("users", State.PROBLEM)
    assert "hunter2" not in str(finding)
    assert "VPC" in finding.todo


@pytest.mark.parametrize("library", ["sqlalchemy", "pymysql"])
def test_a_library_that_is_missing_is_a_problem(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding names the library, and the advice the requirements file that has it."""
    ours = [name for name in sys.modules if name.startswith(("sms_login.adapters.sql.", "sms_admin.check.users"))]
    for name in ours:
        monkeypatch.delattr(name, raising=False)  # else the package would keep a module that later tests do not have
    for name in [*ours, *(name for name in sys.modules if name.split(".")[0] == library)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    finding = of_users("mysql+pymysql://user:hunter2@127.0.0.1:1/db")
    assert (finding.found, finding.todo) == (f"USERS_URL needs {library}", "deploy with requirements/sql.txt")


ENVIRONMENTS: list[dict[str, Any]] = [
    {},
    {"JWT_SECRET": "x"},
    {"JWT_PRIVATE_KEY": "x"},
    {"JWT_SECRET": GOOD, "JWT_PRIVATE_KEY": private_pem("P-256")},
    {"TEST_NUMBERS": "x", "TEST_NUMBERS_UNTIL": "2099-01-01"},
    {"SMS_INTL_SIGN": "only"},
    {"CAPTCHA_APP_ID": "1"},
    {"REDIS_CLUSTER": "1", "REDIS_DB": "1"},
    {"CAPTCHA_MODE": "always"},
    dict.fromkeys(LEAST, "undefined"),
]


@each_case("environ", ENVIRONMENTS)
def test_wrong_settings_never_hide_the_rest(environ: dict[str, str]) -> None:
    """Any wrong environment still gives settings to go on with, and the names of the broken variables."""
    for least in ({}, LEAST):
        settings, problems, broken = read_as_far_as_possible({**least, **environ})
        assert settings is not None
        assert bool(problems) == bool(broken)
