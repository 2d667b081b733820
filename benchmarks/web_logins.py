"""Whole logins under load: getSms, then login, from many clients at once, on the web function."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.callers import (
    CALLERS,
    OTHERS,
    SERVERS,
    MakeEvent,
    demo_event,
    environment,
    pinned,
    session_of,
    start_demo,
)
from benchmarks.cloud import Cloud, event
from benchmarks.deployed import deploy
from benchmarks.load import Load, http_request, medians, put, serve, serve_ours, side_by_side
from benchmarks.sms_sink import SmsSink
from benchmarks.tables import Ratio, Table
from tests.testkit.servers import RedisServer

CLIENTS = 64
ROUNDS = 15
LOGINS = 384  # in each round
MOST_P99 = 3  # times the p50

HOW = f"""\
{CLIENTS} clients at once, with connections kept open; in each of {ROUNDS} rounds {LOGINS} new numbers have a code sent,
then log in with it, at each server in turn. A server is one process with the deployed packages, on one core; Redis, an
SMS API that answers at once, and the clients have the others. Requests per second, and the p50 and p99 of one, are
medians of the rounds."""

Server = tuple[int, MakeEvent]  # its port, and what makes its events


def measure(cloud: Cloud) -> Table:
    """Put load on the web function, and on what is measured beside it."""
    table = Table("Web function, logins", HOW, ("", "ours / theirs", "requests/s", "p50, ms", "p99, ms"))
    loads: dict[str, list[dict[str, Load]]] = {}
    with pinned(SERVERS), RedisServer() as redis, SmsSink() as sink, _servers(cloud, sink, redis.port) as servers:
        for i in range(-1, ROUNDS):  # an extra round imports and connects
            for name, server in servers.items():
                load = _round(cloud, sink, server)
                loads.setdefault(name, []).extend([load] if i >= 0 else [])
    for method in ("getSms", "login"):
        ours = [load[method] for load in loads["function"]]
        _, p50, p99 = medians(ours)
        met = p99 <= MOST_P99 * p50
        table.add(method, "", *side_by_side(ours), target=f"0 errors, p99 <= {MOST_P99}x p50", met=met)
        for other, title in OTHERS.items():
            if other in loads:
                theirs = [load[method] for load in loads[other]]
                ratio = Ratio([load.per_second for load in ours], [load.per_second for load in theirs])
                table.add(f"{method} / {title}", str(ratio), *side_by_side(ours, theirs))
    return table


def _round(cloud: Cloud, sink: SmsSink, server: Server) -> dict[str, Load]:
    port, make_event = server
    phones = [cloud.new_phone() for _ in range(LOGINS)]
    asked = put(port, CLIENTS, LOGINS, [http_request(make_event("getSms", phone)) for phone in phones])
    logins = [
        http_request(make_event("login", phone, code=sink.code(phone), sessionId=session_of(body)))
        for phone, body in zip(phones, asked.bodies, strict=True)
    ]
    logged_in = put(port, CLIENTS, LOGINS, logins)
    for body in logged_in.bodies:
        session_of(body)  # raises for a refusal
    return {"getSms": asked, "login": logged_in}


@contextmanager
def _servers(cloud: Cloud, sink: SmsSink, redis_port: int) -> Iterator[dict[str, Server]]:
    """Start the web function, and the other checkout and the demo of the cloud, if it has them."""
    environ = environment(cloud, sink, redis_port) | {"CLIENT_IP_SOURCE": "forwarded:1"}
    with ExitStack() as stack, pinned(CALLERS):
        ours = stack.enter_context(serve_ours(stack.enter_context(deploy()), environ))
        servers: dict[str, Server] = {"function": (ours[0], event)}
        if cloud.beside:
            other = stack.enter_context(serve_ours(stack.enter_context(deploy(cloud.beside)), environ))
            servers["beside"] = (other[0], event)
        if demo := cloud.demo:
            theirs = stack.enter_context(serve(lambda port: start_demo(demo, {**environ, **port})))
            servers["demo"] = (theirs[0], demo_event)
        with pinned(SERVERS):  # the clients
            yield servers
