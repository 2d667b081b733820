"""docs/openapi.json against the function itself, over HTTP: schemathesis makes the requests and judges the answers.

Some of its checks find nothing to judge here, and are on nevertheless: `missing_required_header` (no header is
required), `ignored_auth` (a token may also be a parameter, so the header is optional), `use_after_free`,
`ensure_resource_availability` and `object_level_authorization` (one URL, no resources), `max_response_time` (no timed
tests).
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings

from local.cloud import Cloud, local_cloud
from local.gateway import Gateway
from openapi import refusals, schemas
from openapi.document import build
from sms_login import errors, wiring
from sms_login.errors import InvalidParam, ServiceUnavailable
from sms_login.http import messages
from sms_login.http.bodies import read_body, read_form
from sms_login.http.server import MAX_HEADERS
from sms_login.typed import digits_of
from tests.testkit.servers import RedisServer

LEAST = 2000  # cases
LONGEST_URL = MAX_HEADERS - 1000  # bytes; both go into one limit, and the headers of these tests are short
TOKENS = ("token", "refreshToken")
REVIEW_PHONE, REVIEW_CODE = "+8613800000000", "123456"
PLENTY = dict.fromkeys(
    [
        *("DAILY_LIMIT", "DAILY_BUDGET", "IP_HOURLY_LIMIT", "IP_DAILY_LIMIT", "IP_GUESS_LIMIT", "IP_REFUSED_LIMIT"),
        *("RANGE_HOURLY_LIMIT", "RANGE_DAILY_LIMIT", "RANGE_DAILY_BUDGET"),
        *("COUNTRY_HOURLY_LIMIT", "COUNTRY_DAILY_BUDGET"),
    ],
    "1000000",
)
ENVIRONMENT = {
    "TEST_NUMBERS": f"{REVIEW_PHONE}={REVIEW_CODE}",
    "TEST_NUMBERS_UNTIL": "2099-12-31",
    "LOG_LEVEL": "ERROR",
}
REFUSED = [400, 401, 403, 404, 429, 502, 503, 504]  # the documented statuses, except for 405 and 500
CONFIG = {
    "seed": 1,
    "checks": {
        "not_a_server_error": {"expected-statuses": ["2xx", "4xx", 502, 503, 504]},
        # A good request may have a wrong code; `judge` knows better which 400 is an error.
        "positive_data_acceptance": {"expected-statuses": ["2xx", *REFUSED]},
        "negative_data_rejection": {"expected-statuses": REFUSED},
    },
}
SETTINGS: dict[str, Any] = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}
# No schema can express these refusals: a missing token, a ticket without randstr, a name without visible characters.
IN_WORDS = [errors.missing("token"), errors.missing("captchaRandstr"), messages.malformed("name")]


def closed(schema: Any) -> Any:
    """Return a schema that forbids other fields, so that an undocumented field of an answer is found."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **parts} if schema.get("type") == "object" else parts


DOCUMENT = build()
DOCUMENT["components"]["schemas"] = closed(DOCUMENT["components"]["schemas"])  # requests allow other fields explicitly
DRAWN = schemathesis.openapi.from_dict(DOCUMENT, config=schemathesis.Config.from_dict(CONFIG))
GOOD = schemathesis.openapi.from_dict(
    DOCUMENT, config=schemathesis.Config.from_dict({**CONFIG, "generation": {"mode": "positive"}})
)


def validator(name: str) -> Any:
    """Return a validator for one of the schemas."""
    return jsonschema_rs.validator_for({**schemas.ref(name), "components": DOCUMENT["components"]})


REQUEST = validator("Request")
KINDS = {schemas.tag(kind): kind for kind in schemas.ANSWERS}
SUCCESS = {
    name: validator("KeySet" if kind is messages.Jwks else f"{kind.__name__}Answer") for name, kind in KINDS.items()
}


@dataclass
class Live:
    """The function behind the gateway, its users, and counts of the cases tried so far."""

    cloud: Cloud
    url: str
    session: requests.Session = field(default_factory=requests.Session)
    rounds: set[str] = field(default_factory=set)
    cases: Counter[str] = field(default_factory=Counter)  # by method, "" without one
    statuses: Counter[int] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)  # by method and codeStr
    _turn: "itertools.count[int]" = field(default_factory=itertools.count)
    _phones: "itertools.count[int]" = field(default_factory=lambda: itertools.count(13_810_000_000))

    def call(self, **params: Any) -> Any:
        """Return the data of an answer."""
        return self.session.post(self.url, json=params, timeout=60).json()["data"]

    def all_was_tried(self) -> None:
        """Fail unless there were thousands of cases, successes of every method, and all statuses without an outage."""
        print(self.cases, self.statuses, self.outcomes, sep="\n")  # noqa: T201 - shown with -s
        assert sum(self.cases.values()) >= LEAST
        assert [name for name in KINDS if not self.outcomes[name, "Ok" if name == "getSms" else "Success"]] == []
        assert set(self.statuses) == {200, 400, 401, 403, 429, 502, 504}

    def fill(self, method: str) -> dict[str, Any]:
        """Return parameters that a request of the method succeeds or fails with in interesting ways, in turn."""
        sorts: dict[str, list[Callable[[], dict[str, Any]]]] = {
            "getSms": [self._number, lambda: self._failing("refusal"), self._number, lambda: self._failing("reset")],
            "login": [self._asked, self._signed_in, self._asked, self._wrong, self._asked, self._spent, self._other],
            "refresh": [lambda: {"refreshToken": self._user()["refreshToken"]}],
            "logout": [lambda: {"refreshToken": self._user()["refreshToken"]}, self._token],
            "getUserInfo": [self._token, self._token, self._gone],
            "setNickname": [lambda: {**self._token(), "name": "小明"}],
            "deleteAccount": [lambda: {**self._token(), "code": REVIEW_CODE, "sessionId": None}],
        }
        of_method = sorts.get(method, [dict])
        return of_method[next(self._turn) % len(of_method)]()

    def _user(self) -> dict[str, str]:
        """Log in with the number that has a fixed code, which costs no SMS."""
        user: dict[str, str] = self.call(method="login", phone=REVIEW_PHONE, code=REVIEW_CODE)
        return user

    def _token(self) -> dict[str, Any]:
        return {"token": self._user()["token"], "refreshToken": None}

    def _signed_in(self) -> dict[str, Any]:
        return {"phone": REVIEW_PHONE, "token": self._user()["token"], "code": None}

    def _other(self) -> dict[str, Any]:
        return {**self._signed_in(), **self._number()}

    def _gone(self) -> dict[str, Any]:
        user = self._token()
        self.call(method="deleteAccount", code=REVIEW_CODE, **user)
        return user

    def _number(self) -> dict[str, Any]:
        return {"phone": f"+86{next(self._phones)}", "sessionId": None, "captchaTicket": None}

    def _failing(self, mode: str) -> dict[str, Any]:
        self.cloud.tencent.fail(mode, 1)
        return self._number()

    def _asked(self) -> dict[str, Any]:
        """Request a code, and read it from the SMS."""
        phone = self._number()["phone"]
        session = self.call(method="getSms", phone=phone)["sessionId"]
        return {"phone": phone, "sessionId": session, "code": self.cloud.tencent.inbox(phone)[0].params[0]}

    def _wrong(self) -> dict[str, Any]:
        asked = self._asked()
        return {**asked, "code": f"{(int(asked['code']) + 1) % 1_000_000:06}"}

    def _spent(self) -> dict[str, Any]:
        asked = self._asked()
        self.call(method="login", **asked)
        return asked


@pytest.fixture(scope="module")
def live(redis_server: RedisServer) -> Iterator[Live]:
    """Run the function on a real Redis, with limits that are never reached."""
    redis = {"REDIS_HOST": redis_server.host, "REDIS_PORT": str(redis_server.port), "REDIS_DB": "7"}
    with ExitStack() as stack:
        cloud = stack.enter_context(local_cloud({**redis, **PLENTY, **ENVIRONMENT}))
        gateway = stack.enter_context(Gateway(wiring.build(cloud.environ).handle, cloud.tencent, port=0))
        live = Live(cloud, gateway.url)
        stack.callback(live.session.close)
        yield live
        if len(live.rounds) == 3 * len(["GET", "POST", "OPTIONS"]):  # a whole run
            live.all_was_tried()


def sent(request: requests.PreparedRequest) -> Any:
    """Return the parameters of a request in the forms that the description has, or None if it cannot be read."""
    body = request.body or b""
    try:
        if request.method == "GET":
            params = read_form(urlsplit(str(request.url)).query)
        else:
            text = body if isinstance(body, bytes) else body.encode()
            params = dict(read_body(text, str(request.headers.get("Content-Type", ""))))
    except InvalidParam:
        return None
    # The function takes more spellings than the description has: a client that is made of it needs one.
    phone, code = params.get("phone"), params.get("code")
    if type(phone) is int and phone > 0:
        params["phone"] = str(phone)
    if isinstance(code, str):
        params["code"] = digits_of(code) or code
    return {name: None if value == "undefined" and name != "name" else value for name, value in params.items()}


def judge(live: Live, answer: schemathesis.Response) -> None:
    """Check that a good request is never called malformed, that a bad one always is, and the form of the answer."""
    params, body = sent(answer.request), answer.json()
    method = params.get("method") if isinstance(params, dict) else None
    method = method if isinstance(method, str) and method in KINDS else ""
    name = body.get("codeStr", "Success")
    live.cases[method] += 1
    live.statuses[answer.status_code] += 1
    live.outcomes[method, name] += 1
    if method == "login" and params.get("code") and "token" in params:
        params["token"] = "any"  # a login by code ignores it
    key = answer.request.headers.get("Idempotency-Key")
    good = REQUEST.is_valid(params) and (key is None or re.fullmatch(messages.IDEMPOTENCY_KEY, str(key)))
    if answer.status_code == HTTPStatus.OK:
        assert good
        SUCCESS[method].validate(body)
        return
    kinds = [*refusals.ALWAYS, *(refusals.BY_METHOD[KINDS[method]] if method else refusals.NO_METHOD)]
    assert name in {kind.name for kind in kinds if kind.status == answer.status_code}
    if not good:
        assert name in {"InValidParam", "UnknownMethod"}
    elif name == "InValidParam" and not any("\ufffd" in str(value) for value in params.values()):
        assert body["errorMessage"] in {refusal.message(language) for refusal in IN_WORDS for language in ("en", "zh")}


def check(live: Live, case: Any) -> None:
    """Make a request, and let schemathesis and `judge` check the answer."""
    answer = case.call(base_url=live.url, session=live.session, timeout=60)
    live.cloud.tencent.fail("off")  # the request may have been refused before SendSms
    if answer.status_code == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:  # from the web server, before the function
        assert len(str(answer.request.url)) > LONGEST_URL
        return
    case.validate_response(answer)
    if answer.request.method in {"GET", "POST"}:
        judge(live, answer)
    elif answer.request.method != "OPTIONS":  # schemathesis also accepts a 401
        assert answer.status_code == HTTPStatus.METHOD_NOT_ALLOWED


@pytest.mark.parametrize("kind", ["drawn"])  # without parameters, schemathesis gives all operations one name
@DRAWN.parametrize()
@settings(max_examples=150, **SETTINGS)
def test_every_answer_is_as_described(live: Live, case: Any, kind: str) -> None:
    """Good and bad requests are drawn, by GET, POST and OPTIONS, and every answer is as described."""
    live.rounds.add(f"{kind} {case.operation.label}")
    check(live, case)


@pytest.mark.parametrize("time", ["once", "twice"])
@GOOD.parametrize()
@settings(max_examples=100, **SETTINGS)
def test_every_answer_to_a_known_user_is_as_described(live: Live, case: Any, time: str) -> None:
    """Good requests carry valid numbers, codes and tokens, in two rounds, since each finds other states."""
    live.rounds.add(f"{time} {case.operation.label}")
    for params in (case.body, case.query):
        if isinstance(params, dict) and params.get("method") in KINDS:
            params.update(live.fill(params["method"]))
    check(live, case)


def test_without_redis_every_method_answers_as_described(live: Live) -> None:
    """Without Redis, a method answers ServiceUnavailable if the table of refusals says so, and works otherwise."""
    token, refresh = (live.call(method="login", phone=REVIEW_PHONE, code=REVIEW_CODE)[name] for name in TOKENS)
    params = {"phone": REVIEW_PHONE, "token": token, "refreshToken": refresh, "code": REVIEW_CODE, "name": "小明"}
    away = wiring.build({**live.cloud.environ, "REDIS_PORT": "1", "TEST_NUMBERS": "", "TEST_NUMBERS_UNTIL": ""})
    for kind, refused in refusals.BY_METHOD.items():
        body = json.dumps({**params, "method": schemas.tag(kind)})
        answer = away.handle({"httpMethod": "POST", "headers": {}, "body": body}, {})
        said = json.loads(answer["body"])
        assert (answer["statusCode"] == ServiceUnavailable.status) is (ServiceUnavailable in refused)
        validator("ServiceUnavailable" if ServiceUnavailable in refused else "KeySet").validate(said)
