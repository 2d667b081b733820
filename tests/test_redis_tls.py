"""TLS to a Redis at an address that its certificate does not name, as in a VPC."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from sms_admin.check import redis as redis_check
from sms_admin.check.report import Finding, State
from sms_login.adapters.redis.client import RedisClient
from sms_login.errors import ServiceUnavailable
from sms_login.settings.settings import Settings
from sms_login.wiring import connect_redis
from tests.testkit.environ import LEAST
from tests.testkit.findings import the
from tests.testkit.peer import certificate
from tests.testkit.servers import RedisTlsServer, end_connection, find_redis_server, require, until


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the certificate of a server called localhost, and that of an impostor."""
    directory = tmp_path_factory.mktemp("tls")
    for name in ("server", "other"):
        certificate(directory, name)
    return directory


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[RedisTlsServer]:
    """A Redis that is reached at 127.0.0.1, and a cluster of one node at the same time."""
    require(find_redis_server() is not None, "redis-server")
    with RedisTlsServer(directory, "server") as server:
        with admin_of(server) as admin:
            admin.execute_command("CLUSTER ADDSLOTS", *range(16384))
            until(lambda: admin.execute_command("CLUSTER INFO")["cluster_state"] == "ok", 10)
        yield server


def admin_of(server: RedisTlsServer) -> redis.Redis:
    """Return a client that trusts any certificate."""
    return redis.Redis(
        server.host, server.port, protocol=2, ssl=True, ssl_cert_reqs=ssl.CERT_NONE, ssl_check_hostname=False
    )


def settings(server: RedisTlsServer, ca_file: str, name: str, **more: str) -> Settings:
    """Return settings for the server."""
    address = {"REDIS_HOST": server.host, "REDIS_PORT": str(server.port), "REDIS_TLS": "1"}
    return Settings.read({**LEAST, **address, "REDIS_CA_FILE": ca_file, "REDIS_TLS_NAME": name, **more})


def findings(server: RedisTlsServer, ca_file: str, name: str) -> list[Finding]:
    """Return the doctor's findings about the server."""
    return list(redis_check.check(settings(server, ca_file, name, REDIS_CLUSTER="1")))


def test_the_certificate_has_the_name_that_is_set_or_a_ca_that_is_enough(
    server: RedisTlsServer, directory: Path
) -> None:
    """On one Redis and on a cluster; the authority is verified in any case."""
    for cluster in ("0", "1"):
        for ca, name, fails in (
            ("server", "localhost", ""),
            ("server", "*", ""),
            ("server", "", "IP address mismatch"),
            ("server", "redis.example.com", "Hostname mismatch"),
            ("other", "localhost", "self.signed certificate"),
            ("other", "*", "self.signed certificate"),
        ):
            read = settings(server, f"{directory / ca}.pem", name, REDIS_CLUSTER=cluster)
            client = RedisClient(lambda read=read: connect_redis(read))  # type: ignore[misc] # mypy infers no lambda with defaults
            if fails:
                with pytest.raises(ServiceUnavailable, match=fails):
                    client.check()
            else:
                client.check()
                kept = client.command("CLIENT", "ID", read=int).answer()
                assert client.command("CLIENT", "ID", read=int).answer() == kept, "a session ticket is not data"
                with admin_of(server) as admin:
                    end_connection(admin, kept)
                client.check()  # on a new connection, since the server has closed that one
            client.close()


def test_the_doctor_says_whether_the_ca_or_the_name_is_missing(server: RedisTlsServer, directory: Path) -> None:
    """It names the names in a certificate that is trusted; without its CA they prove nothing."""
    right, other = (f"{directory / name}.pem" for name in ("server", "other"))
    good = findings(server, right, "localhost")
    assert the(good, "redis").state is State.OK
    assert the(good, "redis.tls").found.endswith("against REDIS_CA_FILE, and must name localhost")
    for ca, name, begins in (
        (
            right,
            "",
            "the CA is right, the name is not: set REDIS_TLS_NAME to a name in the certificate (localhost), or",
        ),
        (right, "redis.example.com", "the CA is right, the name is not"),
        (other, "localhost", "REDIS_CA_FILE is another CA's"),
        ("", "localhost", "there is no REDIS_CA_FILE"),
    ):
        finding = the(findings(server, ca, name), "redis")
        assert finding.state is State.PROBLEM
        assert finding.todo.startswith(begins)
