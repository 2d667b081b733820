"""The web function under load: a call compared with a constant answer, and whole logins."""

from benchmarks.cloud import Cloud, call, event
from benchmarks.deployed import deploy
from benchmarks.load import http_request, put, serve, serve_ours, side_by_side
from benchmarks.memory import resident
from benchmarks.tables import Ratio, Table
from sms_login.http.server import THREADS

CLIENTS = (1, 8, 64)
ROUNDS = 5
REQUESTS = 2_000  # in each round
FLAT = 60_000  # requests: ten minutes at a hundred a second
MOST_GROWTH = 1  # MiB, from a tenth of them to the end

HOW = f"""\
Both servers are processes with only the deployed packages, the clients another one, on loopback, with connections kept
open. Ours answers getUserInfo, for which it asks Redis; the bare server is waitress with the same {THREADS} threads and
a constant answer. {ROUNDS} rounds of {REQUESTS:,} requests, ours and the bare one in turn: requests per second, and the
p50 and p99 of one, all medians of the rounds."""
BARE = f"""
import os, waitress
def constant(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json; charset=utf-8"), ("Content-Length", "2")])
    return [b"{{}}"]
port = int(os.environ["PORT"])
waitress.serve(constant, host="127.0.0.1", port=port, threads={THREADS}, connection_limit=1000, ident="")
"""


def measure(cloud: Cloud) -> Table:
    """Put load on both servers, and check that the memory of ours stays constant."""
    app, phone = cloud.app(), cloud.new_phone()
    token = call(app, cloud.send(app, phone))["token"]
    requests = [http_request(event("getUserInfo", phone, token=token))]
    table = Table("Web function", HOW, ("clients", "ours / bare", "requests/s", "p50, ms", "p99, ms"))
    with (
        deploy() as deployed,
        serve_ours(deployed, cloud.environ) as (ours, pid),
        serve(lambda port: deployed.start(BARE, port)) as (bare, _),
    ):
        for clients in CLIENTS:
            loads = [[put(port, clients, REQUESTS, requests) for port in (ours, bare)] for _ in range(ROUNDS)]
            mine, theirs = zip(*loads, strict=True)
            ratio = Ratio([load.per_second for load in mine], [load.per_second for load in theirs])
            table.add(str(clients), str(ratio), *side_by_side(mine, theirs), target="0 errors")  # put() raises for one
        put(ours, 8, FLAT // 10, requests)
        before = resident(pid)
        put(ours, 8, FLAT, requests)
        growth = resident(pid) - before
        grown = f"{before:.0f} MiB, after {FLAT:,} requests more {growth:+.1f}"
        table.add("RSS", grown, "", "", "", target=f"<= {MOST_GROWTH} MiB", met=growth <= MOST_GROWTH)
    return table
