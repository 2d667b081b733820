"""A soak test: `python -m benchmarks.soak [REQUESTS]` sends the web function 100,000 requests while its world fails.

Twenty people at once, each from their own address, request codes, guess, log in, repeat, refresh, log out and send
garbage. Of the messages 5 % are refused and 1 % hang; Redis is killed and restarted, empty, twice. It exits with 1
unless every answer is documented and has its status, no code logs in twice, every key except users' has a TTL, and the
memory of the function stays constant.
"""

import http.client
import json
import random
import secrets
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import redis

from benchmarks.cloud import Cloud, open_cloud
from benchmarks.deployed import deploy
from benchmarks.load import serve_ours
from benchmarks.memory import resident
from sms_login.errors import Refusal

REQUESTS = 100_000
PEOPLE = 20
KILLED_AT = (0.4, 0.7)  # of all requests
SETTLED_AT = 0.2  # of all requests: the memory that must stay
MOST_GROWTH = 2  # MiB
SETTINGS = {
    "CLIENT_IP_SOURCE": "forwarded:1",
    "SMS_TIMEOUT": "0.5",
    "RESEND_COOLDOWN": "1",
    "DAILY_BUDGET": "1000000000",
    "RANGE_HOURLY_LIMIT": "1000000",
    "RANGE_DAILY_LIMIT": "1000000",
    "RANGE_DAILY_BUDGET": "1000000",
}
DOCUMENTED = {(refusal.number, refusal.name, refusal.status) for refusal in Refusal.__subclasses__()}
DOCUMENTED |= {(0, "Ok", 200), (0, "Success", 200)}
# A bug, or a wrong setting of the soak.
NEVER = {"InternalError", "OriginNotAllowed", "CountryNotAllowed", "SendingPaused"}


class Soak:
    """The shared state: requests left, answers by name, and codes that have logged in."""

    def __init__(self, cloud: Cloud, port: int, requests: int) -> None:
        self.cloud, self.port, self.requests = cloud, port, requests
        self.asked = 0
        self.outcomes = Counter[str]()
        self.wrong: list[str] = []
        self.logins: set[tuple[str, str]] = set()  # session and code
        self.lock = threading.Lock()
        self.milestones: list[tuple[float, Callable[[], None]]] = []

    def over(self) -> bool:
        """Count a request, and return whether the soak is over. One of the callers also kills Redis when it is due."""
        with self.lock:
            self.asked += 1
            due = [act for share, act in self.milestones if self.asked == int(share * self.requests)]
        for act in due:
            act()
        return self.asked > self.requests

    def check(self, status: int, envelope: dict[str, Any]) -> None:
        """Count an answer, and record its errors."""
        name = envelope.get("codeStr", "")
        with self.lock:
            self.outcomes[name] += 1
            if (envelope.get("errorCode"), name, status) not in DOCUMENTED or name in NEVER:
                self.wrong.append(f"not documented: {status} {envelope}")
            if envelope.keys() - {"retryAfter"} != {"errorCode", "codeStr", "errorMessage", "requestId", "data"}:
                self.wrong.append(f"no envelope: {status} {envelope}")

    def logged_in(self, session: str, code: str) -> None:
        """Record a login that was not a repeat."""
        with self.lock:
            if (session, code) in self.logins:
                self.wrong.append("a code has logged in twice")
            self.logins.add((session, code))


class Person:
    """A person with a phone, an app and little patience."""

    def __init__(self, soak: Soak, seed: int) -> None:
        self.soak = soak
        self.random = random.Random(seed)  # noqa: S311 - a soak that can be repeated
        self.connection = http.client.HTTPConnection("127.0.0.1", soak.port, timeout=30)
        self.tokens: dict[str, str] = {}
        self.start_anew()

    def start_anew(self) -> None:
        """Become another person."""
        self.phone = f"+86138{self.random.randrange(10**8):08}"
        self.address = f"10.{self.random.randrange(256)}.{self.random.randrange(256)}.{self.random.randrange(256)}"

    def live(self) -> None:
        """Log in and use the session, until the soak is over."""
        while self.log_in():
            for _ in range(self.random.randrange(4)):
                self.use()
            self.start_anew()
        self.connection.close()

    def ask(self, method: str, *, key: str = "", **params: str | None) -> dict[str, Any] | None:
        """Send a request; return None once the soak is over."""
        if self.soak.over():
            return None
        headers = {"Content-Type": "application/json", "X-Forwarded-For": f"203.0.113.1, {self.address}"}
        if key:
            headers["Idempotency-Key"] = key
        self.connection.request("POST", "/", json.dumps({"method": method, **params}), headers)
        response = self.connection.getresponse()
        envelope: dict[str, Any] = json.loads(response.read())
        self.soak.check(response.status, envelope)
        return envelope

    def log_in(self) -> bool:
        """Request a code, sometimes guess wrong, log in, and sometimes repeat that; False once the soak is over."""
        luck = self.random.random()
        if luck < 0.06:
            self.soak.cloud.tencent.fail("timeout" if luck < 0.01 else "refusal", 1)
        sent = self.ask("getSms", phone=self.phone)
        if sent is None:
            return False
        session = sent["data"].get("sessionId")
        inbox = self.soak.cloud.tencent.inbox(self.phone)
        if not session or not inbox:
            return True
        code, key = inbox[0].params[0], secrets.token_urlsafe(16)
        if self.random.random() < 0.3:
            self.ask("login", phone=self.phone, code=f"{(int(code) + 1) % 10**6:06}", sessionId=session)
        answer = self.ask("login", key=key, phone=self.phone, code=code, sessionId=session)
        if answer and answer["errorCode"] == 0:
            self.soak.logged_in(session, code)
            self.tokens = answer["data"]
        if self.random.random() < 0.2:
            self.ask("login", key=key, phone=self.phone, code=code, sessionId=session)  # the answer was lost
        again = self.ask("login", phone=self.phone, code=code, sessionId=session)
        if again and again["errorCode"] == 0:
            self.soak.logged_in(session, code)
        return answer is not None

    def use(self) -> None:
        """Make one of the calls of a signed-in user, or send garbage."""
        token, refresh_token = self.tokens.get("token"), self.tokens.get("refreshToken")
        what = self.random.randrange(7)
        if what == 0:
            fresh = self.ask("refresh", refreshToken=refresh_token)
            if fresh and fresh["errorCode"] == 0:
                self.tokens = fresh["data"]
        elif what == 1:
            self.ask("setNickname", token=token, name=f"小明 {self.random.randrange(100)}")
        elif what == 2:
            self.ask("logout", token=token, everywhere="true" if self.random.random() < 0.5 else None)
        elif what == 3:
            self.ask("login", phone=self.phone, code=secrets.token_hex(3))
        elif what == 4:
            self.ask(secrets.token_hex(8), phone=secrets.token_hex(8))
        else:
            self.ask("getUserInfo", token=token)


def main(requests: int) -> int:
    """Run the soak, print its results, and return the exit code."""
    with (
        open_cloud() as cloud,
        deploy() as deployed,
        serve_ours(deployed, {**cloud.environ, **SETTINGS}) as (port, pid),
    ):
        soak = Soak(cloud, port, requests)
        rss: list[float] = []

        def kill_redis() -> None:
            cloud.redis.kill()
            cloud.redis.start()

        soak.milestones = [(SETTLED_AT, lambda: rss.append(resident(pid)))]
        soak.milestones += [(share, kill_redis) for share in KILLED_AT]
        with ThreadPoolExecutor(PEOPLE) as threads:
            for person in [threads.submit(Person(soak, seed).live) for seed in range(PEOPLE)]:
                person.result()
        growth = resident(pid) - rss[0]
        with closing(redis.Redis(port=cloud.redis.port, protocol=2, decode_responses=True)) as client:
            keys = list(client.scan_iter(count=10_000))
            immortal = [key for key in keys if not key.startswith("user") and client.ttl(key) == -1]
    for name, count in soak.outcomes.most_common():
        print(f"{count:>8,}  {name}")
    print(f"{len(soak.logins):,} codes have logged in; {len(keys):,} keys, {len(immortal)} of them without an end")
    print(f"RSS {rss[0]:.1f} MiB after {SETTLED_AT:.0%}, {growth:+.1f} at the end; {len(soak.wrong)} wrong answers")
    for wrong in soak.wrong[:10]:
        print(wrong)
    grown = growth > MOST_GROWTH and requests >= REQUESTS // 2  # a short one does not settle
    return 1 if soak.wrong or immortal or grown else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else REQUESTS))
