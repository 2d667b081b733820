"""SendSms as the function calls it, compared with the SDK over other transports."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from statistics import median
from time import perf_counter, process_time
from typing import Any

from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sms.v20210111 import models
from tencentcloud.sms.v20210111.sms_client import SmsClient

from benchmarks.cloud import Cloud
from benchmarks.deployed import ROOT
from benchmarks.tables import Ratio, Table
from sms_login.adapters.tencent.http import Answer
from sms_login.adapters.tencent.sms import TencentSms, sms_api
from sms_login.phone import Phone
from sms_login.sms import SmsRoute

ROUNDS = 20
CALLS = 100  # in a round
MOST = 1.2

HOW = f"""\
One message after another to a server in another process, which answers each at once with the same bytes. Beside ours:
the SDK over one connection of http.client, with neither a deadline nor a look at the connection before it is used; the
SDK as it comes, with requests; and http.client alone, which posts the parameters unsigned. {ROUNDS} rounds of {CALLS}
of each in turn; a round gives the ratio of its means: their median, smallest and largest. Judged by the CPU time of the
process that sends; the clock has the server's as well."""

# Ends with its standard input.
SERVER = """
import sys
from tests.testkit.peer import SENT, Peer, response
answer = response(SENT)
with Peer(lambda connection, _: connection.sendall(answer) is None) as peer:
    print(peer.port, flush=True)
    sys.stdin.read()
"""
PHONE = Phone.parse("+8613800138000", "CN")
APP, SIGN, TEMPLATE, REGION = "1400000000", "sign", "1000000", "ap-guangzhou"
KEYS = {"TENCENTCLOUD_SECRETID": "id", "TENCENTCLOUD_SECRETKEY": "key", "TENCENTCLOUD_SESSIONTOKEN": "token"}

Send = Callable[[], object]


def measure(_cloud: Cloud) -> Table:
    """Measure one message, sent in four ways."""
    with _server() as port:
        ways = {
            "ours": _ours(port),
            "the SDK over http.client": _sdk(port, _Connection(port)),
            "the SDK over requests": _sdk(port),
            "http.client alone": _bare(port),
        }
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for i in range(-1, ROUNDS):  # an extra round connects
            for name, send in ways.items():
                cost = _cost(send)
                if i >= 0:
                    costs[name].append(cost)
    table = Table("SendSms", HOW, ("ours /", "CPU", "CPU, us", "clock", "clock, us"))
    for name in list(ways)[1:]:
        (cpu, cpu_us), (clock, clock_us) = (_compared(costs["ours"], costs[name], which) for which in (0, 1))
        most = MOST if name == "the SDK over http.client" else None
        met = not most or cpu.median <= most
        table.add(name, str(cpu), cpu_us, str(clock), clock_us, target=f"<= {most}x" if most else "", met=met)
    return table


def _compared(ours: list[tuple[float, float]], theirs: list[tuple[float, float]], which: int) -> tuple[Ratio, str]:
    mine, other = [cost[which] for cost in ours], [cost[which] for cost in theirs]
    return Ratio(mine, other), f"{median(mine) * 1e6:.0f} : {median(other) * 1e6:.0f}"


def _cost(send: Send) -> tuple[float, float]:
    """Return the seconds of one call: of the CPU, and by the clock."""
    cpu, clock = process_time(), perf_counter()
    for _ in range(CALLS):
        send()
    return (process_time() - cpu) / CALLS, (perf_counter() - clock) / CALLS


@contextmanager
def _server() -> Iterator[int]:
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if not process.stdin or not process.stdout:
            raise TypeError("the process has no pipes")
        yield int(process.stdout.readline())
        process.stdin.close()


def _ours(port: int) -> Send:
    sms = TencentSms(
        api=sms_api(KEYS, region=REGION, endpoint=f"http://127.0.0.1:{port}", timeout=5),
        mainland=SmsRoute(APP, SIGN, TEMPLATE),
        abroad=None,
        template_params=("code", "minutes"),
        minutes=5,
    )
    return lambda: sms.send(PHONE, "123456")


def _sdk(port: int, transport: "_Connection | None" = None) -> Send:
    http = HttpProfile(protocol="http", endpoint=f"127.0.0.1:{port}", reqTimeout=5)
    client = SmsClient(Credential(*KEYS.values()), REGION, ClientProfile(httpProfile=http))
    if transport:
        client.request = transport

    def send() -> object:
        request = models.SendSmsRequest()
        request.PhoneNumberSet, request.TemplateParamSet = [PHONE.e164], ["123456", "5"]
        request.SmsSdkAppId, request.TemplateId, request.SignName = APP, TEMPLATE, SIGN
        return client.SendSms(request)

    return send


class _Connection:
    """The SDK's transport as a loop over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port)

    def send_request(self, request: Any) -> Answer:
        """Send a request of the SDK's."""
        self._connection.request(request.method, request.uri, request.data, request.header)
        response = self._connection.getresponse()
        return Answer(response.status, response.headers, response.read())


def _bare(port: int) -> Send:
    connection = HTTPConnection("127.0.0.1", port)

    def send() -> object:
        params = {
            "PhoneNumberSet": [PHONE.e164],
            "TemplateParamSet": ["123456", "5"],
            "SmsSdkAppId": APP,
            "TemplateId": TEMPLATE,
            "SignName": SIGN,
        }
        connection.request("POST", "/", json.dumps(params), {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())

    return send
