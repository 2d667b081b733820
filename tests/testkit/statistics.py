"""Hours of counts in Redis, and the figures of Tencent Cloud that go with them."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import time_machine

from local.cloud import Cloud
from sms_admin.statistics.spans import HOUR
from sms_login.adapters.redis.client import RedisClient, connect
from sms_login.adapters.redis.statistics import RedisStatistics
from sms_login.statistics import Statistics

APPLICATION = "1400000000"
BUSY = {
    "asked": 50,
    "refused:TooManyRequests": 10,
    "captcha": 5,
    "sent": 40,
    "fee": 40,
    "delivered": 36,
    "failed:unreachable": 3,
    "failed:blocked": 1,
    "verified:login": 30,
    "verified:pay": 2,
    "signed_up": 6,
    "wrong": 4,
    "seconds:10": 20,
    "seconds:20": 11,
    "seconds:60": 1,
}


def connected(cloud: Cloud) -> Any:
    """Return redis-py's client of a Redis or of a cluster."""
    environ = cloud.environ
    return connect(environ["REDIS_HOST"], int(environ["REDIS_PORT"]), cluster=environ.get("REDIS_CLUSTER") == "1")


def fill(cloud: Cloud, hours: Mapping[int, Mapping[str, Mapping[str, int]]]) -> None:
    """Write counts by hour and country as an instance does; messages to China are in Tencent's figures too."""
    with closing(connected(cloud)) as client:
        for hour, countries in hours.items():
            redis, counts = RedisClient(lambda: client), Statistics(None, on=True)
            with time_machine.travel(hour * HOUR, tick=False):
                for country, found in countries.items():
                    counts.count(country, found)
                redis.send(*RedisStatistics(redis, counts).riders())
            home = countries.get("CN", {})
            accepted, delivered = home.get("sent", 0), home.get("delivered", 0)
            cloud.tencent.statistics.add(
                APPLICATION,
                hour * HOUR,
                RequestCount=accepted,
                RequestSuccessCount=accepted,
                FeeCount=home.get("fee", 0),
                CallbackSuccessCount=delivered,
                CallbackFailCount=accepted - delivered,
                ShutdownErrorCount=accepted - delivered,
            )
