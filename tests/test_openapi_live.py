"""docs/openapi.json against the function itself, over HTTP: schemathesis makes the requests and judges the answers.

Some of its checks find nothing to judge here, and are on nevertheless: `use_after_free`,
`ensure_resource_availability` and `object_level_authorization` (methods, no resources), `max_response_time` (no timed
tests).
"""

import inspect
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
from schemathesis.core.result import Ok
from schemathesis.pytest.lazy import get_all_tests

from local.cloud import Cloud, local_cloud
from local.gateway import Gateway
from openapi import examples, refusals, schemas
from openapi.document import build
from sms_login import errors, wiring
from sms_login.errors import ServiceUnavailable
from sms_login.http import messages, parameters
from sms_login.http.bodies import read_body
from sms_login.typed import digits_of
from tests.testkit.servers import RedisServer

LEAST = 600  # cases
TOKENS = ("token", "refreshToken")
REVIEW_PHONE, REVIEW_CODE = "+8613800000000", "123456"
RECEIPT_KEY = "the-key-of-the-receipts-in-tests"
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
    "SMS_RECEIPT_KEY": RECEIPT_KEY,
    "LOG_LEVEL": "ERROR",
}
REFUSED = [400, 401, 403, 404, 429, 502, 503, 504]  # the documented statuses, except for 500
CONFIG = {
    "seed": 1,
    # GET and POST reach every method, as a call of the one URL.
    "phases": {"coverage": {"unexpected-methods": ["PUT", "PATCH", "DELETE"]}},
    "checks": {
        "not_a_server_error": {"expected-statuses": ["2xx", "4xx", 502, 503, 504]},
        # `judge` knows better which 400 is an error: a good request may have a wrong code, and null counts as absent.
        "positive_data_acceptance": {"expected-statuses": ["2xx", *REFUSED]},
        "negative_data_rejection": {"enabled": False},
        "missing_required_header": {"enabled": False},  # without a token: 400, as it may be a parameter too
        "ignored_auth": {"enabled": False},  # would try every success again with other tokens
    },
}
SETTINGS: dict[str, Any] = {
    "max_examples": 8,
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}
# No schema can express these refusals: a missing token, a ticket without randstr, a name without visible characters, an
# unknown purpose, a detail of a login, and a call without sessionId or to a number abroad.
IN_WORDS = [errors.missing(name) for name in ("token", "captchaRandstr", "sessionId")]
IN_WORDS += [errors.InvalidParam("channel can be voice for +86 only", "channel 为 voice 时只支持 +86 号码")]
IN_WORDS += [parameters.malformed(name) for name in ("name", "purpose", "detail")]
CHANGE = {"purpose": "changePhone", "detail": None}


DOCUMENT = build()
for name, schema in DOCUMENT["components"]["schemas"].items():
    if schema["type"] == "object" and name != "KeySet":  # an undocumented field of an answer is found
        schema["additionalProperties"] = name.endswith("Request")


def validator(name: str) -> Any:
    """Return a validator for one of the schemas."""
    return jsonschema_rs.validator_for({**schemas.ref(name), "components": DOCUMENT["components"]})


KINDS = {schemas.tag(kind): kind for kind in schemas.ANSWERS}
REQUEST = {
    name: validator(f"{kind.__name__}Request")
    for name, kind in KINDS.items()
    if f"{kind.__name__}Request" in DOCUMENT["components"]["schemas"]
}
SUCCESS = {name: validator(schemas.answer_name(kind)) for name, kind in KINDS.items()}
REFUSAL = validator("Refusal")


@dataclass
class Live:
    """The function behind the gateway, its users, and counts of the cases tried so far."""

    cloud: Cloud
    handler: wiring.Handler
    url: str
    session: requests.Session = field(default_factory=requests.Session)
    rounds: set[str] = field(default_factory=set)
    cases: Counter[str] = field(default_factory=Counter)  # by method
    statuses: Counter[int] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)  # by method and codeStr
    _turn: "itertools.count[int]" = field(default_factory=itertools.count)
    _phones: "itertools.count[int]" = field(default_factory=lambda: itertools.count(13_810_000_000))

    def call(self, **params: Any) -> Any:
        """Return the data of an answer."""
        event = {"httpMethod": "POST", "headers": {}, "body": json.dumps(params)}
        return json.loads(self.handler.handle(event, {})["body"])["data"]

    def all_was_tried(self) -> None:
        """Fail unless there were as many cases, successes of every method, and all statuses without an outage."""
        print(self.cases, self.statuses, self.outcomes, sep="\n")  # noqa: T201 - shown with -s
        assert sum(self.cases.values()) >= LEAST
        assert [name for name in KINDS if not self.outcomes[name, "Ok" if name == "getSms" else "Success"]] == []
        assert set(self.statuses) == {200, 400, 401, 403, 429, 502, 504}

    def fill(self, method: str) -> dict[str, Any]:
        """Return parameters that a request of the method succeeds or fails with in interesting ways, in turn."""
        sorts: dict[str, list[Callable[[], dict[str, Any]]]] = {
            "getSms": [
                self._number,
                lambda: self._failing("refusal"),
                self._abroad,
                lambda: self._failing("reset"),
                self._too_soon,
                lambda: {**self._number(), **CHANGE},
            ],
            "getSmsStatus": [self._waiting, lambda: {**self._waiting(), "sessionId": "A" * 22}],
            "verify": [lambda: {**self._asked(**CHANGE), **CHANGE}, lambda: {**self._wrong(**CHANGE), **CHANGE}],
            "login": [self._asked, self._wrong, self._asked, self._spent],
            "refresh": [lambda: {"refreshToken": self._user()["refreshToken"]}],
            "logout": [lambda: {"refreshToken": self._user()["refreshToken"]}, self._token],
            "getUserInfo": [self._token, self._token, self._gone],
            "setNickname": [lambda: {**self._token(), "name": "小明"}],
            "changePhone": [self._changing],
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

    def _gone(self) -> dict[str, Any]:
        user = self._token()
        self.call(method="deleteAccount", code=REVIEW_CODE, **user)
        return user

    def _number(self) -> dict[str, Any]:
        return {
            "phone": f"+86{next(self._phones)}",
            "sessionId": None,
            "captchaTicket": None,
            "purpose": None,
            "detail": None,
        }

    def _abroad(self) -> dict[str, Any]:
        return {**self._number(), "phone": "+447400123456"}

    def _too_soon(self) -> dict[str, Any]:
        number = self._number()
        self.call(method="getSms", phone=number["phone"])
        return number

    def _failing(self, mode: str) -> dict[str, Any]:
        self.cloud.tencent.fail(mode, 1)
        return self._number()

    def _asked(self, **purpose: Any) -> dict[str, Any]:
        """Request a code, and read it from the SMS."""
        phone = self._number()["phone"]
        session = self.call(method="getSms", phone=phone, **purpose)["sessionId"]
        return {"phone": phone, "sessionId": session, "code": self.cloud.tencent.inbox(phone)[0].params[0]}

    def _changing(self) -> dict[str, Any]:
        """Log in, prove the number, and request a code at another one."""
        return {**self._asked(**CHANGE), "token": self._user()["token"], "proof": self.proof()}

    def proof(self) -> str:
        """Prove the number that has a fixed code."""
        code = {"phone": REVIEW_PHONE, "code": REVIEW_CODE, "sessionId": "A" * 22}
        return str(self.call(method="verify", **code, **CHANGE)["proof"])

    def _waiting(self) -> dict[str, Any]:
        """Request a code, and return the parameters that ask for the fate of its message."""
        phone = self._number()["phone"]
        sent = self.call(method="getSms", phone=phone)
        return {"phone": phone, "sessionId": sent["sessionId"], "serialNo": sent["serialNo"]}

    def _wrong(self, **purpose: Any) -> dict[str, Any]:
        asked = self._asked(**purpose)
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
        handler = wiring.build(cloud.environ)
        gateway = stack.enter_context(Gateway(handler.handle, cloud.tencent, port=0))
        live = Live(cloud, handler, gateway.url)
        stack.callback(live.session.close)
        yield live
        if len(live.rounds) == 2 * len(KINDS):  # a whole run
            live.all_was_tried()


def sent(request: requests.PreparedRequest) -> Any:
    """Return the parameters of a request in the forms that the description has, or None if it cannot be read."""
    body = request.body or b""
    try:
        text = body if isinstance(body, bytes) else body.encode()
        params = dict(read_body(text, str(request.headers.get("Content-Type", ""))))
    except errors.InvalidParam:
        return None
    # The function takes more spellings than the description has: a client that is made of it needs one.
    phone, code = params.get("phone"), params.get("code")
    if type(phone) is int and phone > 0:
        params["phone"] = str(phone)
    if isinstance(code, str):
        params["code"] = digits_of(code) or code
    absent = {None, ""}
    present = {name: value for name, value in params.items() if not (value.__hash__ and value in absent)}
    present = {name: value for name, value in present.items() if value != "undefined" or name == "name"}
    if str(present.get("everywhere")).lower() in {"true", "false", "0", "1"}:
        present["everywhere"] = True  # also the text of a boolean, which is all that a form has
    return present


def judge(live: Live, answer: schemathesis.Response) -> None:
    """Check that a good request is never called malformed, that a bad one always is, and the form of the answer."""
    params, body = sent(answer.request), answer.json()
    method = messages.method_at(urlsplit(str(answer.request.url)).path) or ""
    name = body.get("codeStr", "Success")
    live.cases[method] += 1
    live.statuses[answer.status_code] += 1
    live.outcomes[method, name] += 1
    key = answer.request.headers.get("Idempotency-Key")
    good = method == "smsReceipt" and answer.status_code != HTTPStatus.BAD_REQUEST  # its body is an array
    good = good or (params is not None and (method not in REQUEST or REQUEST[method].is_valid(params)))
    good = good and (key is None or bool(re.fullmatch(parameters.IDEMPOTENCY_KEY, str(key))))
    if answer.status_code == HTTPStatus.OK:
        assert good
        SUCCESS[method].validate(body)
        return
    REFUSAL.validate(body)
    kinds = [*refusals.ALWAYS, *refusals.BY_METHOD[KINDS[method]]]
    (kind,) = (kind for kind in kinds if (kind.name, kind.status) == (name, answer.status_code))
    assert (kind.number, kind in refusals.WAIT) == (body["errorCode"], kind in refusals.WAIT and "retryAfter" in body)
    assert body["data"].keys() == refusals.DATA.get(kind, {}).keys()
    if not good:
        of_login = {"InvalidPhone"} if method == "login" else set()  # the number comes before a code that is missing
        assert name in {"InValidParam", "MissingCode"} | of_login
    elif name == "InValidParam" and not any("\ufffd" in str(value) for value in (params or {}).values()):
        assert body["errorMessage"] in {refusal.message(language) for refusal in IN_WORDS for language in ("en", "zh")}


def check(live: Live, case: Any) -> None:
    """Make a request, and let schemathesis and `judge` check the answer."""
    answer = case.call(base_url=live.url, session=live.session, timeout=60)
    live.cloud.tencent.fail("off")  # the request may have been refused before SendSms
    case.validate_response(answer)
    if answer.request.method == case.operation.method.upper():
        judge(live, answer)
    else:
        assert answer.status_code == HTTPStatus.METHOD_NOT_ALLOWED


def try_every_method(answer: Callable[[Any], None], **more: Any) -> None:
    """Draw requests to each method as schemathesis is configured, and let `answer` judge each.

    schemathesis's own mark would make a test of each method, with its cases, as pytest collects: in every worker, for a
    second.
    """
    drawn = schemathesis.openapi.from_dict(DOCUMENT, config=schemathesis.Config.from_dict({**CONFIG, **more}))
    # The last schemathesis for Python 3.10 wants more: the seed, which CONFIG has, and values for the strategies.
    wanted = inspect.signature(get_all_tests).parameters
    given = {name: value for name, value in {"seed": 1, "as_strategy_kwargs": None}.items() if name in wanted}
    for built in get_all_tests(
        schema=drawn, test_func=answer, settings=settings(**SETTINGS), given_kwargs=None, **given
    ):
        assert isinstance(built, Ok), built
        _, test = built.ok()
        test()


def test_every_answer_is_as_described(live: Live) -> None:
    """Good and bad requests are drawn for each method, and every answer is as described."""

    def answer(case: Any) -> None:
        live.rounds.add(f"drawn {case.operation.label}")
        check(live, case)

    try_every_method(answer)


def test_every_answer_to_a_known_user_is_as_described(live: Live) -> None:
    """Good requests carry valid numbers, codes and tokens."""

    def answer(case: Any) -> None:
        live.rounds.add(f"good {case.operation.label}")
        params = live.fill(schemas.tag(KINDS[case.operation.definition.raw["operationId"]]))
        if token := params.pop("token", None):
            case.headers["Authorization"] = f"Bearer {token}"
        if case.operation.label.endswith("/smsReceipt"):
            case.query["key"] = RECEIPT_KEY
        if isinstance(case.body, dict):
            case.body.update(params)
        check(live, case)

    try_every_method(answer, generation={"mode": "positive"})


def test_without_redis_every_method_answers_as_described(live: Live) -> None:
    """Without Redis, a method answers ServiceUnavailable if the table of refusals says so, and works otherwise."""
    token, refresh = (live.call(method="login", phone=REVIEW_PHONE, code=REVIEW_CODE)[name] for name in TOKENS)
    params = {"phone": REVIEW_PHONE, "token": token, "refreshToken": refresh, "code": REVIEW_CODE, "name": "小明"}
    params |= {"proof": live.proof(), "sessionId": "A" * 22, "serialNo": "2019:1", "purpose": "changePhone"}
    away = wiring.build({**live.cloud.environ, "REDIS_PORT": "1", "TEST_NUMBERS": "", "TEST_NUMBERS_UNTIL": ""})
    for kind, refused in refusals.BY_METHOD.items():
        new = {"phone": "+8613810000000"} if kind is messages.ChangePhone else {}  # the present one is no change
        body = json.dumps({**params, **new, "method": schemas.tag(kind)})
        event: dict[str, Any] = {"httpMethod": "POST", "body": body}
        if kind is messages.SmsReceipt:
            body = json.dumps(examples.body("smsReceipt", kind))
            event |= {"queryString": {"method": "smsReceipt", "key": RECEIPT_KEY}, "body": body}
        answer = away.handle(event, {})
        said = json.loads(answer["body"])
        assert (answer["statusCode"] == ServiceUnavailable.status) is (ServiceUnavailable in refused)
        (REFUSAL if ServiceUnavailable in refused else SUCCESS["jwks"]).validate(said)
