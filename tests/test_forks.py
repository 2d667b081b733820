"""A process that forks after its first request shares no connection with its child, and writes no count twice."""

import json
import subprocess
import sys
from pathlib import Path

from local.tencent import TencentStandIn
from tests.testkit.mariadb import MariaDbServer
from tests.testkit.servers import RedisCluster, RedisServer

FORKING = """
import json, os, sys
from types import SimpleNamespace
from sqlalchemy import text
from sms_login.adapters.redis.client import RedisClient, connect
from sms_login.adapters.sql import client as sql
from sms_login.adapters.tencent.http import Transport
from sms_login.statistics import Statistics

redis, cluster, mariadb, sqlite, host = sys.argv[1:]
one = RedisClient(lambda: connect("127.0.0.1", int(redis)))
nodes = RedisClient(lambda: connect("127.0.0.1", int(cluster), cluster=True))
tables = [sql.SqlClient(sql.connect(url)) for url in (mariadb, sqlite)]
tencent = Transport(host, https=False, authorities="", timeout=5.0)
statistics = Statistics(None, on=True)
statistics.count("CN", {"sent": 1})

def used():
    found = [client.command("CLIENT", "ID", read=int).answer() for client in (one, nodes)]
    for table, connection_id in zip(tables, ("SELECT connection_id()", "SELECT 1")):
        with table.connection() as connection:
            found.append(connection.execute(text(connection_id)).scalar())
    tencent.send_request(SimpleNamespace(method="POST", uri="/", data="{}", header={}))
    return [*found, tencent._kept[-1].sock.getsockname()[1], bool(statistics.waiting)]

parents = used()
if not (child := os.fork()):
    idle = [len(tencent._kept), tables[1]._engine.pool.checkedin()]
    print(json.dumps({"child": used(), "idle": idle}), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(json.dumps({"before": parents, "after": used()}))
"""


def test_a_forked_child_has_connections_of_its_own(
    redis_server: RedisServer,
    redis_cluster: RedisCluster,
    mariadb: MariaDbServer,
    tencent: TencentStandIn,
    tmp_path: Path,
) -> None:
    """The parent goes on with its own connections, which the child has neither used nor shut down."""
    urls = (mariadb.new_database(), f"sqlite:///{tmp_path / 'users.db'}", tencent.url.removeprefix("http://"))
    command = [sys.executable, "-c", FORKING, str(redis_server.port), str(redis_cluster.port), *urls]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)  # noqa: S603 - our own script
    child, parent = map(json.loads, done.stdout.splitlines())
    assert parent["before"] == parent["after"]
    assert child["idle"] == [0, 0]
    *theirs, _, port, counts = zip(child["child"], parent["before"], strict=True)
    assert all(mine != parents for mine, parents in [*theirs, port])
    assert counts == (False, True)
    assert done.stderr == ""
