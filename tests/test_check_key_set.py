"""`check --url`: the deployed function must publish a key before settings that sign with it are deployed."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local.cloud import local_cloud
from local.gateway import Gateway
from sms_admin.check import key_set
from sms_admin.check.checks import examine
from sms_admin.check.report import Finding, State
from sms_login import wiring
from sms_login.settings.settings import Settings
from tests.testkit.cases import each_case
from tests.testkit.environ import LEAST
from tests.testkit.findings import the
from tests.testkit.forging import key
from tests.testkit.key_files import private_pem, public_pem

SECRET = "c" * 32
OLD = {"JWT_SECRET": "", "JWT_PRIVATE_KEY": private_pem("P-256"), "SECRET": SECRET}
NEW = {**OLD, "JWT_PRIVATE_KEY": private_pem("P-256", 1)}
OLD_IS_PREVIOUS = {"JWT_PUBLIC_KEYS_PREVIOUS": public_pem("P-256")}
NEW_IS_NEXT = {"JWT_PUBLIC_KEYS_PREVIOUS": public_pem("P-256", 1)}
OLD_KID, NEW_KID = str(key("P-256").kid), str(key("P-256", 1).kid)


@contextmanager
def deployed(**environ: str) -> Iterator[str]:
    """Run the function with these settings; yield its URL."""
    with local_cloud(environ) as cloud, Gateway(wiring.build(cloud.environ).handle, cloud.tencent, port=0) as gateway:
        yield gateway.url


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let urllib connect to loopback without a proxy."""
    monkeypatch.setenv("no_proxy", "*")


def found(url: str, **environ: str) -> list[Finding]:
    """Return the findings on these settings, beside those of the function at a URL."""
    return list(key_set.check(Settings.read({**LEAST, **environ}), url))


@each_case("old", [OLD, {"JWT_SECRET": SECRET}], ids=["a private key", "a secret"])
def test_each_step_of_a_rotation_passes_after_the_step_before_it(old: dict[str, str]) -> None:
    """A key that is published may sign; a key that is not, may not. Publishing it needs no earlier step."""
    previous = OLD_IS_PREVIOUS if old is OLD else {}
    with deployed(**old) as url:
        assert {one.state for one in found(url, **old, **NEW_IS_NEXT)} == {State.OK}
        (early,) = found(url, **NEW, **previous)
        assert (early.state, f"{NEW_KID} is to sign" in early.found) == (State.PROBLEM, True)
        assert "wait 300 s" in early.todo
    with deployed(**old, **NEW_IS_NEXT) as url:
        (now,) = found(url, **NEW, **previous)
        assert (now.state, NEW_KID in now.found) == (State.OK, True)


def test_a_key_that_is_dropped_is_a_warning() -> None:
    """Tokens of a published key that the new settings lack would be refused; the finding names the key."""
    with deployed(**OLD, **NEW_IS_NEXT) as url:
        fine, dropped = found(url, **NEW)
    assert (fine.state, dropped.state, OLD_KID in dropped.found) == (State.OK, State.WARNING, True)


def test_a_key_set_that_cannot_be_read_is_a_problem() -> None:
    """A closed port, a page of another service and an error of the function do not count as an empty key set."""
    with local_cloud({}) as cloud, Gateway(wiring.build({}).handle, cloud.tencent, port=0) as broken:
        for url in ("http://127.0.0.1:1", f"{broken.url}/page/icon.svg", broken.url):
            (finding,) = found(url, **NEW)
            assert (finding.state, "cannot be read" in finding.found) == (State.PROBLEM, True)


def test_the_key_set_is_compared_only_if_a_url_is_given() -> None:
    """Without a URL, there is no such finding; with wrong keys, the check says that it is left out."""
    assert "keys.published" not in {one.check for one in examine({"JWT_SECRET": "short"})}
    wrong = the(list(examine({"JWT_SECRET": "short"}, url="http://127.0.0.1:1")), "keys.published")
    assert wrong.found == "not checked: JWT_SECRET is wrong"
