"""Cold start: a process from its start through its first answer to its end, beside one that only imports."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from statistics import median

from benchmarks.cloud import CONTEXT, Cloud, event
from benchmarks.deployed import Cost, Deployed, deploy
from benchmarks.tables import Ratio, Table

ROUNDS = 40
MOST = 1.12

HOW = f"""\
A process of Python 3.10, in a build (make build), the same options for all, from its start until it has imported index
and answered one event (Redis and SendSms on loopback, scripts known to Redis), or until it has only imported. It then
ends without tidying up, which an instance never does. {ROUNDS} rounds with one of each in turn: median of the rounds'
ratios, smallest and largest. Judged by the clock; CPU is user and system. "Uncompiled" is the same build without its
.pyc files, which the platform could not write."""
UNCOMPILED = "uncompiled "

END = "\nimport os; os._exit(0)"
# Checking the answer costs next to nothing.
FIRST_ANSWER = """
import index
answer = index.main_handler({event!r}, {context!r})
if '"errorCode":0,' not in answer["body"]:
    raise SystemExit(1)
"""
IMPORTS = {
    "login's libraries": "import redis, jwt, phonenumbers, msgspec",
    "getSms's libraries": """
import redis, phonenumbers, msgspec
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sms.v20210111 import models
from tencentcloud.sms.v20210111.sms_client import SmsClient
""",
    "redis alone": "import redis",
    "the bare interpreter": "pass",
}
BESIDE = "the other commit's "
PAIRS = {
    ("login", "login's libraries"): MOST,
    ("login", "redis alone"): None,
    ("login", "the bare interpreter"): None,
    ("getSms", "getSms's libraries"): MOST,
    ("getSms", "redis alone"): None,
    ("getSms", "the bare interpreter"): None,
    (f"{UNCOMPILED}login", "login"): None,
    (f"{UNCOMPILED}getSms", "getSms"): None,
}


def measure(cloud: Cloud) -> Table:
    """Measure both ways of a first answer."""
    pairs = PAIRS | {(name, BESIDE + name): None for name in ("login", "getSms") if cloud.beside}
    with ExitStack() as stack:
        builds = {"": stack.enter_context(deploy()), UNCOMPILED: stack.enter_context(deploy(compiled=False))}
        if cloud.beside:
            builds[BESIDE] = stack.enter_context(deploy(cloud.beside))
        costs = _measure(cloud, builds)
    table = Table("Cold start", HOW, ("", "clock", "CPU", "clock, ms"))
    for (ours, theirs), most in pairs.items():
        clock = Ratio(_walls(costs[ours]), _walls(costs[theirs]))
        cpu = Ratio([cost.cpu for cost in costs[ours]], [cost.cpu for cost in costs[theirs]])
        ms = " : ".join(f"{median(_walls(costs[name])) * 1000:.0f}" for name in (ours, theirs))
        table.add(
            f"{ours} / {theirs}",
            str(clock),
            str(cpu),
            ms,
            target=f"<= {most}x" if most else "",
            met=not most or clock.median <= most,
        )
    return table


def _measure(cloud: Cloud, builds: Mapping[str, Deployed]) -> dict[str, list[Cost]]:
    """Return the costs of each program; the names of those that answer begin with the name of their build."""
    sender = cloud.app()
    costs: dict[str, list[Cost]] = {}
    for i in range(-1, ROUNDS):  # an extra round warms the file cache, and loads the scripts into Redis
        programs = {name: (builds[""], code) for name, code in IMPORTS.items()}
        for prefix, build in builds.items():
            # New for every round: a code logs in once, and a number has a cooldown.
            events = {
                "login": cloud.send(sender, cloud.new_phone()),
                "getSms": event("getSms", cloud.new_phone()),
            }
            for name, one in events.items():
                programs[prefix + name] = (build, FIRST_ANSWER.format(event=one, context=CONTEXT))
        for name in programs if i % 2 else reversed(programs):
            build, code = programs[name]
            cost = build.run(code + END, cloud.environ)
            costs.setdefault(name, []).extend([cost] if i >= 0 else [])
    return costs


def _walls(costs: Sequence[Cost]) -> list[float]:
    return [cost.wall for cost in costs]
