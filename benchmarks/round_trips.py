"""Round trips to Redis, counted."""

from benchmarks.cloud import Cloud, Event, call, event
from benchmarks.tables import Table
from benchmarks.wire import Wire
from sms_login.wiring import Handler

HOW = """\
Counted on the wire, not timed: a request with its reply is one; several commands may share it. The scripts are known to
Redis. A new connection of a client without password or database number is counted apart."""


def measure(cloud: Cloud) -> Table:
    """Count the round trips of each method."""
    table = Table("Round trips to Redis", HOW, ("", "count"))
    sender, phone, stranger = cloud.app(), cloud.new_phone(), cloud.new_phone()
    token = call(sender, cloud.send(sender, phone))["token"]  # from here on the scripts are known
    cloud.send(sender, stranger)
    with Wire(cloud.redis.port) as wire:
        app = cloud.app(REDIS_PORT=str(wire.port))

        def count(app: Handler, event: Event) -> int:
            wire.take()
            call(app, event)
            return len(wire.take())

        connecting = count(app, event("getUserInfo", phone, token=token))
        for name, request, most in (
            ("getSms", event("getSms", cloud.new_phone()), 2),
            ("login with sessionId", cloud.send(sender, cloud.new_phone()), 3),
            ("login without", cloud.login(stranger, None), 3),
            ("getUserInfo", event("getUserInfo", phone, token=token), 1),
        ):
            trips = count(app, request)
            table.add(name, str(trips), target=f"<= {most}", met=trips <= most)
        table.add("a new connection, besides", str(connecting - trips))
    return table
