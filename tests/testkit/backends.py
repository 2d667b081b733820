"""A Redis inside the process of the tests, and the time at which their clock starts."""

from datetime import datetime, timedelta, timezone

import fakeredis

from tests.testkit.world import Backend

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=8)))


def fake_backend() -> Backend:
    """Return an empty fakeredis with the options of the real client."""
    client = fakeredis.FakeRedis(
        server=fakeredis.FakeServer(), decode_responses=True, encoding_errors="replace", max_connections=1024
    )
    client.ping()  # The first connection creates the database without a lock: two at once would create one each.
    return Backend(client, ages_by_itself=True)
