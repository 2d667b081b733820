"""Attacks by input and by stored data, through the whole app: spellings, pages, tickets, tokens, bodies, poison."""

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from msgspec.structs import replace

from local import captcha
from local.tencent import TencentStandIn
from sms_login import logs
from sms_login.adapters.redis.codes import otp_key
from sms_login.adapters.tencent.captcha import TencentCaptcha
from sms_login.errors import InvalidPhone, SendFailed
from sms_login.limits.policy import Limits
from sms_login.otp.rules import Rules
from tests.testkit.attacks import FORGED, HALF_A_DAY, HOME, KEY, VICTIM, abroad, ask, counted, guess, mobile
from tests.testkit.backends import Backend
from tests.testkit.cases import each_case
from tests.testkit.forging import claims, encoded
from tests.testkit.races import outcomes, race
from tests.testkit.tokens import HEADER, parts, signed
from tests.testkit.world import PHONE, REVIEW_CODE, REVIEW_PHONE, UNLIMITED, World

CREDENTIALS = {"TENCENTCLOUD_SECRETID": "id", "TENCENTCLOUD_SECRETKEY": "key", "TENCENTCLOUD_SESSIONTOKEN": "token"}
LISTED = "https://app.example.com"
GET_SMS = {"method": "getSms", "phone": VICTIM}


@pytest.fixture(name="world")
def guarded(backend: Backend, clock: time_machine.Traveller) -> World:
    """A login service with the default limits, and one web page that may call it."""
    return World(backend, clock, ip=HOME, origins=frozenset({LISTED}))


# Spellings.


SPELLINGS = ["13800138000", "8613800138000", "008613800138000", "+86 138-0013-8000", "- 138 0013 8000 -"]
SPELLINGS += ["+86 013800138000", "0 138 0013 8000", "8601380013 8000", "+8617951 13800138000", "17951 13800138000"]
SPELLINGS += ["１３８００１３８０００", "+861380013800०", "١٣٨٠٠١٣٨٠٠٠", "＋８６13800138000", "tel:+86-138-0013-8000"]
SPELLINGS += ["138\u200b0013\ufeff8000", "\u202a+86 138 0013 8000\u202c", "138\u00a00013\u20118000", "138.0013/8000\n"]


def test_spelling_tricks_that_name_the_same_number(backend: Backend, clock: time_machine.Traveller) -> None:
    """All spellings of a number, with trunk and carrier prefixes too, share one cooldown, quota, code and user."""
    world = World(backend, clock, ip=HOME, rules=Rules(daily=len(SPELLINGS)))
    for i, spelling in enumerate(SPELLINGS):
        sent = ask(world, spelling)
        assert (spelling, sent["codeStr"]) == (spelling, "Ok")
        assert ask(world, SPELLINGS[i - 1])["codeStr"] == "TooManyRequests"
        login = guess(world, world.outbox.code, SPELLINGS[i - 2], session=sent["data"]["sessionId"])
        assert login["data"]["phone"] == VICTIM
        world.cool_down()
    assert outcomes([ask(world, spelling) for spelling in SPELLINGS]) == {"TooManyRequests": len(SPELLINGS)}
    assert world.sent_today() == len(SPELLINGS)
    numbers = {key.partition("}")[0] for key in world.backend.expiries() if not key.startswith("budget:")}
    assert numbers == {otp_key(PHONE, "").removesuffix("}:"), f"user:{{{VICTIM}", f"session:{{{VICTIM}"}


NO_NUMBER = [
    *("13800138000\0", "1380013800O", "138００138OOO", "1\u00b2\u00bd0138000", "1380013800\ud800", "13800138000\ufffd"),
    *("+008613800138000", "+86+8613800138000", "0086 0086 13800138000", "tel:tel:13800138000", "12015550123"),
    *("+8613800138000;ext=1", "13800138000#1", "+86138001380001", "13800138000,13800138001", "+1" + VICTIM[1:]),
]


def test_spelling_tricks_that_name_no_number(world: World) -> None:
    """Letters, symbols, two numbers and text that is not UTF-8 are refused, for a sending and for a login."""
    for spelling in NO_NUMBER:
        answers = [ask(world, spelling), guess(world, "123456", spelling)]
        name = "InValidParam" if "\ud800" in spelling or "\ufffd" in spelling else "InvalidPhone"
        assert (spelling, outcomes(answers)) == (spelling, {name: 2})
    assert (world.outbox.sent, world.backend.dump()) == ([], {})


# Web pages.


def from_page(world: World, headers: dict[str, str], verb: str = "POST") -> dict[str, Any]:
    """Send getSms to https://api.example.com as a browser would from a page."""
    params = {"queryString": GET_SMS} if verb == "GET" else {"body": json.dumps(GET_SMS)}
    event = {"httpMethod": verb, "headers": {"Host": "api.example.com", **headers}, **params}
    return world.app.handle({**event, "requestContext": {"sourceIp": HOME}}, {})


@each_case(
    "headers",
    [
        *({"Origin": "https://evil.example"}, {"origin": "null"}, {"Origin": "null", "Sec-Fetch-Site": "cross-site"}),
        *({"Origin": "https://app.example.com.evil.example"}, {"Origin": "https://evilapp.example.com"}),
        *({"Origin": "http://app.example.com"}, {"Origin": f"{LISTED}:8443"}, {"Origin": f"{LISTED}, null"}),
        *({"Origin": "https://api.example.com.evil.example"}, {"Origin": "https://api.example.com@evil.example"}),
        *({"Origin": "https://[api.example.com"}, {"Origin": "*", "Sec-Fetch-Site": "none"}),
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "X-Forwarded-Host": "evil.example"},
    ],
)
def test_cross_site_request(world: World, headers: dict[str, str]) -> None:
    """A request from another site's page is refused, changes nothing, and the page cannot read its answer."""
    for verb in ("GET", "POST", "OPTIONS"):
        answer = from_page(world, headers, verb)
        assert (answer["statusCode"], json.loads(answer["body"])["codeStr"]) == (403, "OriginNotAllowed")
        assert answer["headers"].keys() == {"Content-Type", "Cache-Control"}
    assert (world.outbox.sent, world.backend.dump()) == ([], {})


@pytest.mark.parametrize("site", ["cross-site", "same-site", "cross-site, cross-site", "cross-site, none", "unknown"])
def test_cross_site_request_without_origin(world: World, site: str) -> None:
    """A GET that an image, a frame or a link of another site causes is refused, with and without Referer."""
    for referer in (
        *(None, "", "https://evil.example/", "https://app.example.com.evil.example/", "https://servicewechat.com.cn/"),
        *("https://evil.example/https://app.example.com/", "https://evil.example?https://servicewechat.com/", "null"),
        *("http://servicewechat.com/", "https://servicewechat.com:8443/", "https://servicewechat.com@evil.example/"),
        *(
            "https://",
            "https:///",
            "//servicewechat.com/",
            "servicewechat.com",
            "https://api.example.com/",
            "https://[",
        ),
    ):
        headers = {"Sec-Fetch-Site": site} if referer is None else {"Sec-Fetch-Site": site, "Referer": referer}
        answer = from_page(world, headers, "GET")
        assert (answer["statusCode"], json.loads(answer["body"])["codeStr"]) == (403, "OriginNotAllowed")
        assert answer["headers"].keys() == {"Content-Type", "Cache-Control"}
    assert (world.outbox.sent, world.backend.dump()) == ([], {})


def test_requests_that_are_not_cross_site_are_served(world: World) -> None:
    """Our own pages, listed pages, typed addresses and apps are served."""
    listed = {"Origin": LISTED, "Sec-Fetch-Site": "cross-site"}
    own = {"Origin": "https://api.example.com", "Sec-Fetch-Site": "same-origin"}
    for headers in (listed, own, {"Sec-Fetch-Site": "none"}, {}):
        for verb in ("GET", "POST"):
            answer = from_page(world, headers, verb)
            assert json.loads(answer["body"])["codeStr"] == "Ok"
            assert answer["headers"].get("Access-Control-Allow-Origin") == (LISTED if headers is listed else None)
            world.cool_down()
    assert len(world.outbox.sent) == 8


def test_preflight_of_a_listed_page(world: World) -> None:
    """A preflight gets the permissions of the page, and sends nothing, although its body is a getSms."""
    answer = from_page(world, {"Origin": LISTED, "Access-Control-Request-Method": "POST"}, "OPTIONS")
    assert (answer["statusCode"], answer["body"]) == (204, "")
    assert answer["headers"]["Access-Control-Allow-Origin"] == LISTED
    assert "Access-Control-Allow-Credentials" not in answer["headers"]
    assert (world.outbox.sent, world.backend.dump()) == ([], {})


# Captchas.


@pytest.fixture
def tencent() -> Iterator[TencentStandIn]:
    """A stand-in for Tencent Captcha."""
    with TencentStandIn(secret_id="id", secret_key="key", token="token") as stand_in:
        yield stand_in


def with_captcha(world: World, tencent: TencentStandIn, mode: str) -> World:
    """Return a service on the same Redis that verifies tickets with the stand-in."""
    service = World(world.backend, world.clock, ip=HOME, captcha_mode=mode)
    adapter = TencentCaptcha(CREDENTIALS, app_id=captcha.APP_ID, app_secret=captcha.SECRET, endpoint=tencent.url)
    service.captchas.refusal = adapter.refusal  # type: ignore[method-assign] # the real one instead
    return service


def ask_with(world: World, ticket: tuple[str, str], phone: str = VICTIM, headers: dict[str, str] | None = None) -> Any:
    """Ask for a code with a ticket."""
    return world.call("getSms", headers, phone=phone, captchaTicket=ticket[0], captchaRandstr=ticket[1])


def test_captcha_replay(world: World, tencent: TencentStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ticket allows one message: of twenty simultaneous uses and five later ones, one sends."""
    monkeypatch.setattr(
        "sms_login.adapters.tencent.captcha._TIMEOUT", 30
    )  # a slow machine must not look like an outage
    world = with_captcha(world, tencent, "always")
    ticket = tencent.captcha_ticket()
    answers = race(20, lambda i: ask_with(world, ticket, mobile(i, block=i)))
    answers += [ask_with(world, ticket, mobile(20 + i)) for i in range(5)]
    assert outcomes(answers) == {"Ok": 1, "CaptchaRequired": 24}
    assert answers[-1]["data"] == {"captchaAppId": "190000"}
    assert (len(world.outbox.sent), tencent.captcha_calls) == (1, 25)
    assert counted(world, f"ip:{HOME}") == {"hour": 1, "day": 1}


@pytest.mark.parametrize("kind", ["trerror_", "expired", "reused", "mismatched", "blocked", "made up", "another's"])
def test_captcha_forgery(world: World, tencent: TencentStandIn, kind: str) -> None:
    """A bad ticket is refused, and one that the widget made up offline is refused without a call to Tencent."""
    world = with_captcha(world, tencent, "always")
    ticket, randstr = tencent.captcha_ticket(kind if kind in captcha.KINDS else "good")
    forged = {"trerror_": f"trerror_1001_{ticket}", "made up": "t03made-up*"}.get(kind, ticket)
    randstr = tencent.captcha_ticket()[1] if kind == "another's" else randstr
    assert ask_with(world, (forged, randstr))["codeStr"] == "CaptchaRequired"
    assert tencent.captcha_calls == (kind != "trerror_")
    assert (world.outbox.sent, world.backend.dump()) == ([], {})


@pytest.mark.parametrize("failure", ["reset", "timeout", "InternalError", "RequestLimitExceeded"])
def test_captcha_outage(world: World, tencent: TencentStandIn, failure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While Tencent Captcha is down no ticket passes, but clients that need no captcha still get a message."""
    monkeypatch.setattr("sms_login.adapters.tencent.captcha._TIMEOUT", 0.2)
    always, adaptive = with_captcha(world, tencent, "always"), with_captcha(world, tencent, "adaptive")
    tencent.fail(failure, action="DescribeCaptchaResult")
    assert ask_with(always, tencent.captcha_ticket())["codeStr"] == "CaptchaRequired"
    assert always.outbox.sent == []
    assert ask_with(adaptive, tencent.captcha_ticket())["codeStr"] == "Ok"


def test_a_repeat_a_cooldown_and_a_lock_use_up_no_ticket(world: World, tencent: TencentStandIn) -> None:
    """A repeat, a cooldown and a lock are answered before the ticket is verified, so it stays valid."""
    world = with_captcha(world, tencent, "always")
    assert ask_with(world, tencent.captcha_ticket(), headers=KEY)["codeStr"] == "Ok"
    ticket = tencent.captcha_ticket()
    answers = [ask_with(world, ticket, headers=KEY), ask_with(world, ticket)]
    world.lock(seconds=100)
    world.cool_down()
    answers.append(ask_with(world, ticket))
    assert outcomes(answers) == {"Ok": 1, "TooManyRequests": 1, "Locked": 1}
    assert (tencent.captcha_calls, len(world.outbox.sent)) == (1, 1)
    assert ask_with(world, ticket, mobile(1))["codeStr"] == "Ok"


def test_pumping_with_adaptive_captchas(world: World, tencent: TencentStandIn) -> None:
    """Without tickets a client gets half of its hour, a number two messages; a ticket lifts the hour, not the day."""
    world = with_captcha(world, tencent, "adaptive")
    answers = [ask(world, mobile(0, block=i)) for i in range(15)]
    assert outcomes(answers) == {"Ok": 10, "CaptchaRequired": 5}
    answers = [ask_with(world, tencent.captcha_ticket(), mobile(1, block=i)) for i in range(45)]
    assert outcomes(answers) == {"Ok": 40, "TooManyRequests": 5}
    assert answers[-1]["retryAfter"] == HALF_A_DAY
    answers = [ask(world, ip="192.0.2.1")]
    for _ in range(3):
        world.cool_down()
        answers.append(ask(world, ip="192.0.2.1"))
    assert outcomes(answers) == {"Ok": 2, "CaptchaRequired": 2}


# Tokens.


def of_key(key: bytes, **changes: Any) -> str:
    """Return a token of our form that is signed with `key`."""
    message = f"{encoded(HEADER)}.{encoded(claims(**changes))}"
    return f"{message}.{encoded(hmac.digest(key, message.encode(), 'sha256'))}"


FORGERIES: dict[str, Callable[[dict[str, Any]], str]] = {
    "none": lambda own: signed(claims(**own), {"alg": "none", "typ": "at+jwt"}).rpartition(".")[0] + ".",
    "no signature": lambda own: signed(claims(**own)).rpartition(".")[0] + ".",
    "RS256 with our key": lambda own: signed(claims(**own), {"alg": "RS256", "typ": "at+jwt"}),
    "HS512": lambda own: signed(claims(**own), {"alg": "HS512", "typ": "at+jwt"}, digest="sha512"),
    "other key": lambda own: of_key(b"another secret, also of 32 bytes", **own),
    "empty key": lambda own: of_key(b"", **own),
    "key in the header": lambda own: signed(claims(**own), {**HEADER, "jwk": {"kty": "oct", "k": ""}})[:-2],
    "other audience": lambda own: signed(claims(**own, aud="another")),
    "other issuer": lambda own: signed(claims(**own, iss="another")),
    "other type": lambda own: signed(claims(**own), {"alg": "HS256", "typ": "JWT"}),
    "other user": lambda own: signed(claims(**own | {"sub": "another"})),
    "expired": lambda own: signed(claims(**own, exp=int(time.time()) - 61)),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_token_forgery(world: World, forgery: str) -> None:
    """A forged token is refused by every method, as a parameter or as a header, while a genuine one is accepted."""
    session = ask(world)["data"]["sessionId"]
    user = guess(world, world.outbox.code, session=session)["data"]
    own = {name: parts(user["token"])[1][name] for name in ("sub", "sid")}
    token = FORGERIES[forgery](own)
    bearer = {"Authorization": f"Bearer {token}"}
    answers = [
        world.call("getUserInfo", token=token),
        world.call("getUserInfo", bearer),
        world.call("setNickname", token=token, name="forged"),
        world.call("setNickname", bearer, name="forged"),
        world.call("login", phone=VICTIM, token=token),
        world.call("login", bearer, phone=VICTIM),
    ]
    assert outcomes(answers) == {"TokenExpired" if forgery == "expired" else "TokenInvalid": 6}
    good = world.call("getUserInfo", token=signed(claims(**own)))
    assert good["data"] == {"userId": user["userId"], "phone": VICTIM, "name": "", "avatar": ""}


# The log.


@pytest.mark.parametrize(
    "evil",
    [
        '\n{"event": "forged"}\n',
        "\r\nforged",
        "\u2028forged",
        "\x85",
        "\x0b",
        "\x00",
        "\x1b[2J\x9b1m",
        "\ud800",
        '"}\\',
    ],
)
def test_log_injection(world: World, capsys: pytest.CaptureFixture[str], evil: str) -> None:
    """No input can end, forge or colour a log line: each request logs one JSON object."""
    session = ask(world)["data"]["sessionId"]
    token = guess(world, world.outbox.code, session=session)["data"]["token"]
    params = ("method", "phone", "code", "sessionId", "token", "name", "captchaTicket", "captchaRandstr", evil)
    headers = ("Origin", "Host", "X-Forwarded-For", "X-Scf-Remote-Addr", "Idempotency-Key", "Authorization", evil)
    logs.set_up("DEBUG")
    event = {"httpMethod": "POST", "requestContext": {"sourceIp": HOME}, "headers": {}}
    events: list[dict[str, Any]] = [
        *({**event, "body": json.dumps({**GET_SMS, name: evil})} for name in params),
        *({**event, "body": json.dumps({"method": "login", "phone": VICTIM, name: evil})} for name in params),
        {**event, "body": json.dumps({"method": "setNickname", "token": token, "name": f"name{evil}"})},
        *({**event, "queryString": GET_SMS, "headers": {name: evil}} for name in headers),
        {**event, "queryString": GET_SMS, "headers": {"Origin": LISTED + evil, "Accept-Language": f"en{evil}"}},
        {**event, "queryString": GET_SMS, "httpMethod": evil, "path": evil},
        {**event, "queryString": GET_SMS, "requestContext": {"sourceIp": HOME + evil, "requestId": evil}},
        {**event, "body": evil, "headers": {"Content-Type": evil}},
    ]
    for i, sent in enumerate(events):
        answer = world.app.handle(sent, {"request_id": evil})
        assert all(value.isprintable() for value in answer["headers"].values())
        out, err = capsys.readouterr()
        assert (out.count("\n"), out[-1:], err) == (1, "\n", "")
        assert out[:-1].isascii()
        assert out[:-1].isprintable()
        line = json.loads(out)
        assert (line["event"], line["status"]) == ("request", answer["statusCode"]), i


# Bodies.


@each_case(
    "body",
    [
        '{"method": "health", "a": "' + "x" * 16_384 + '"}',
        "[" * 8000 + "]" * 8000,
        '{"a":' * 2700 + "1" + "}" * 2700,
        '{"method": "getSms", "phone": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"method": "health", "a": ' + "9" * 16_000 + "e}",
        "{" + ",".join(f'"{i:x}":0' for i in range(1800)) + "}",
        '{"method": "getSms", "phone": {' + ",".join(f'"{i:x}":0' for i in range(1700)) + "}}",
        '{"method": "getSms", "phone": "+8613800138000", "phone": "+8613800138001"}',
        '{"method": "getSms", "phone": ["+8613800138000", "+8613800138001"]}',
        '{"method": "getSms", "phone": {"$ne": ""}}',
        "method=getSms&phone=%2B8613800138000&phone=%2B8613800138001",
        "&".join(f"{i:x}=" for i in range(2500)),
    ],
    ids=lambda body: f"{body[:20]}... {len(body)}",
)
def test_body_bombs(world: World, body: str) -> None:
    """Oversized, deep, crowded and ambiguous bodies get one short refusal, and change nothing."""
    headers = {} if body[0] in "{[" else {"Content-Type": "application/x-www-form-urlencoded"}
    for plain in (True, False):
        sent = body if plain else base64.b64encode(body.encode()).decode()
        answer = world.app.handle({"headers": headers, "body": sent, "isBase64Encoded": not plain}, {})
        assert (answer["statusCode"], json.loads(answer["body"])["codeStr"]) == (400, "InValidParam")
        assert len(answer["body"]) < 300
    assert (world.outbox.sent, world.backend.dump()) == ([], {})


def test_parameter_pollution(world: World) -> None:
    """A parameter that the query repeats is refused, and if body and query differ, the body decides."""
    for twice in (["+8613800138000", "+8613800138001"], []):
        answer = world.app.handle({"queryString": {**GET_SMS, "phone": twice}, "headers": {}}, {})
        assert json.loads(answer["body"])["codeStr"] == "InValidParam"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    query = {"method": "login", "phone": "+8613800138001", "code": "123456"}
    world.app.handle({"headers": form, "body": urlencode(GET_SMS), "queryString": query}, {})
    assert [phone for phone, _ in world.outbox.sent] == [PHONE]


# Enumeration of accounts.


def test_enumeration(world: World) -> None:
    """A known number and an unknown one get the same answers after the same commands to Redis."""
    trips = world.redis.batches
    world.users.sign_in(PHONE, "user-1").answer()
    seen = []
    for phone in (mobile(1), VICTIM, mobile(0)):  # the first call only loads the scripts into Redis
        trips.clear()
        answers = [ask(world, phone)]
        session, code, wrong = answers[0]["data"]["sessionId"], world.outbox.code, world.wrong
        answers += [ask(world, phone), guess(world, wrong, phone, session=session), guess(world, wrong, phone)]
        answers += [guess(world, code, phone, session=its) for its in (FORGED, session, session)]
        answers += [world.call("login", phone=phone, token="x"), ask(world, phone, session=session)]
        shapes = [([*answer], answer["errorCode"], answer["errorMessage"], [*answer["data"]]) for answer in answers]
        seen.append((shapes, [*trips]))
    assert seen[1] == seen[2]
    assert {"issue", "reserve", "redeem", "begin_session"} <= {name for batch in seen[1][1] for name in batch}


# Switches.


def test_emergency_stop(world: World) -> None:
    """The stop refuses every sending and counts none, but codes that were sent before still log in."""
    session = world.call("getSms", KEY, phone=VICTIM)["data"]["sessionId"]
    world.cool_down()
    stopped = World(world.backend, world.clock, ip=HOME, sending=False, captcha_mode="always")
    stopped.captchas.good = {"ticket"}
    before = world.backend.dump()
    answers = [
        ask(stopped, VICTIM, session=session),
        ask(stopped, abroad(1)),
        ask_with(stopped, ("ticket", "r"), mobile(1)),
    ]
    assert outcomes(answers) == {"SendingPaused": 3}
    assert (stopped.outbox.sent, world.backend.dump()) == ([], before)
    assert stopped.call("getSms", KEY, phone=VICTIM)["data"]["sessionId"] == session
    assert guess(stopped, world.outbox.code, session=session)["codeStr"] == "Success"


def test_review_number(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A test number gets no SMS and has no limits; its code works for no other number, and ends on its last day."""
    logs.set_up("INFO")
    number = REVIEW_PHONE.e164
    answers = [*(ask(world, number) for _ in range(70)), *(guess(world, REVIEW_CODE, number) for _ in range(70))]
    assert outcomes(answers) == {"Ok": 70, "Success": 70}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["test_number"] for line in lines] == [True] * 140
    assert world.outbox.sent == []
    assert {key.partition("}")[0] for key in world.backend.dump()} == {f"user:{{{number}", f"session:{{{number}"}
    token = answers[-1]["data"]["token"]
    assert world.call("setNickname", token=token, name="Reviewer")["data"]["name"] == "Reviewer"
    assert world.call("login", phone=VICTIM, token=token)["codeStr"] == "TokenMismatch"
    assert guess(world, "123457", number)["codeStr"] == "CodeIsError"
    assert guess(world, REVIEW_CODE, VICTIM)["codeStr"] == "CodeHasExpired"
    world.wait(40 * 86_400 + HALF_A_DAY - 1)  # the last second of 31 December
    assert guess(world, REVIEW_CODE, number)["codeStr"] == "Success"
    world.wait(1)
    assert outcomes([ask(world, number), guess(world, REVIEW_CODE, number)]) == {"InvalidPhone": 2}
    assert world.outbox.sent == []


# Refused requests cost nothing.

# Without calls, which need a session with a live code: test_voice.py uses up their budget.
BUDGETS = [name for name in Limits.__struct_fields__ if name != "calls"]
LIMITED = [*BUDGETS, "cooldown", "daily", "lock", "stop", "country", "captcha", "origin"]


@pytest.mark.parametrize("limit", LIMITED)
def test_refusals_change_no_counter(backend: Backend, clock: time_machine.Traveller, limit: str) -> None:
    """A request that a limit refuses leaves every counter unchanged, even if it is repeated."""
    limits = replace(UNLIMITED, **{limit: 2}) if limit in BUDGETS else UNLIMITED
    rules = Rules(daily=1 if limit == "daily" else 10, lock_at=1 if limit == "lock" else 100)
    world = World(backend, clock, rules=rules, limits=limits, ip=HOME)
    session = ask(world)["data"]["sessionId"]
    code = world.outbox.code
    guess(world, world.wrong, session=session)
    world.wait(0 if limit == "cooldown" else rules.cooldown + 1)
    ask(world, abroad(1))
    if limit == "refused":
        world.outbox.refuse = [InvalidPhone(), InvalidPhone()]
        ask(world, abroad(2))
        ask(world, abroad(3))
    elif limit not in {"cooldown", "daily", "lock"}:
        ask(world, abroad(101))
        guess(world, world.wrong, abroad(101))
    strict = World(backend, clock, rules=rules, limits=limits, ip=HOME, sending=limit != "stop")
    if limit in {"captcha", "country"}:
        mode, countries = ("always", None) if limit == "captcha" else ("off", frozenset({"CN"}))
        strict = World(backend, clock, limits=limits, ip=HOME, captcha_mode=mode, countries=countries)
    headers = {"Origin": "https://evil.example"} if limit == "origin" else {}
    before, sent = backend.dump(), len(strict.outbox.sent)
    answers = []
    for _ in range(2):
        if limit in {"guesses", "lock"}:
            answers += [guess(strict, code, session=FORGED), guess(strict, code)]
        if limit != "guesses":
            phone = VICTIM if limit in {"cooldown", "daily", "lock"} else abroad(201)
            answers.append(strict.call("getSms", headers, phone=phone))
            answers.append(strict.call("getSms", {**headers, **KEY}, phone=phone, sessionId=session))
    expected = {"total": "SendingPaused", "lock": "Locked", "stop": "SendingPaused", "country": "CountryNotAllowed"}
    expected |= {"captcha": "CaptchaRequired", "origin": "OriginNotAllowed"}
    assert outcomes(answers) == {expected.get(limit, "TooManyRequests"): len(answers)}
    assert (backend.dump(), len(strict.outbox.sent)) == (before, sent)


# Poison in Redis: a broken value lifts no limit, and causes no crash.

# What Python makes of a broken value in fakeredis says nothing about Redis.
on_redis = pytest.mark.parametrize("backend", ["real"], indirect=True)
ELSE = object()  # stands for a value of another type
POISON: list[Any] = ["x", "", "nan", "inf", "-inf", "-1", "1.5", "00", b"\xff\xfe", ELSE]


def spoil(world: World, key: str, value: Any, field: str = "") -> None:
    """Replace a value in Redis, and keep its remaining time; a field cannot hold a value of another type."""
    client, left, kind = world.backend.client, world.backend.client.pttl(key), world.backend.client.type(key)
    if field:
        client.hset(key, field, "x" if value is ELSE else value)
        return
    client.delete(key)
    if value is ELSE and kind != "hash":
        client.hset(key, "x", "x")
    else:
        client.set(key, "x" if value is ELSE else value)
    if left > 0:
        client.pexpire(key, left)


@on_redis
@pytest.mark.parametrize(
    "window",
    [
        *(f"ip:{HOME}}}:{name}" for name in ("hour", "day", "refused", "guesses")),
        *(f"range:+44740001}}:{name}" for name in ("hour", "day", "total")),
        *("country:GB}:hour", "country:GB}:total", "all}:total"),
    ],
)
def test_poisoned_budget(world: World, window: str) -> None:
    """A broken counter counts as full: nothing is sent, and without the sessionId no guess is evaluated."""
    open_to = []
    for value in POISON:
        world.backend.client.flushall()
        ask(world, abroad(1))
        guess(world, world.wrong, abroad(1))
        world.outbox.refuse = [InvalidPhone()]
        ask(world, abroad(2))
        [key] = [key for key in world.backend.expiries() if key.startswith(f"budget:{{{window}:")]
        spoil(world, key, value)
        code, sent = world.outbox.code, len(world.outbox.sent)
        answer = guess(world, code, abroad(1)) if "guesses" in window else ask(world, abroad(101))
        refused = answer["codeStr"] in {"TooManyRequests", "SendingPaused", "ServiceUnavailable"}
        if not refused or len(world.outbox.sent) > sent:
            open_to.append(value)
    assert open_to == []


@on_redis
@pytest.mark.parametrize(
    ("counter", "full"),
    [
        ("day:20261121", "TooManyRequests"),
        ("failures", "Locked"),
        ("guesses", "CodeHasValid"),
        ("shared_guesses", "CodeHasValid"),
    ],
)
def test_poisoned_count_of_a_number(world: World, counter: str, full: str) -> None:
    """A broken count of a number's sendings, failures or guesses counts as used up."""
    open_to = []
    for value in POISON:
        world.backend.client.flushall()
        session = ask(world)["data"]["sessionId"]
        code = world.outbox.code
        for its in (session, None):
            guess(world, world.wrong, session=its)
        if counter in {"guesses", "shared_guesses"}:
            spoil(world, otp_key(PHONE, session), value, counter)
        else:
            spoil(world, otp_key(PHONE, counter), value)
        world.cool_down()
        answers = [guess(world, code, session=session)] if counter in {"guesses", "failures"} else []
        answers += [guess(world, code)] if counter in {"shared_guesses", "failures"} else []
        answers += [ask(world, session=session), ask(world)] if counter in {"day:20261121", "failures"} else []
        open_to += [(value, said) for said in outcomes(answers) if said not in {full, "ServiceUnavailable"}]
    assert open_to == []


def at_once(world: World, session: str, login: dict[str, str]) -> list[dict[str, Any]]:
    """Repeat, ask, guess and log in: one message is sent, and at most one login succeeds."""
    answers = [world.call("getSms", KEY, phone=VICTIM), ask(world, session=session)]
    answers += [guess(world, world.wrong, session=session), world.call("login", KEY, **login)]
    replays = [guess(world, login["code"], session=its) for its in (session, None)]
    assert len(world.outbox.sent) == 1
    assert outcomes([*answers, *replays])["Success"] <= 1
    return answers + replays


def sent_again(world: World, session: str, login: dict[str, str]) -> list[dict[str, Any]]:
    """Ask twice with the sessionId, the first time in vain, and once without: at most two more messages are sent."""
    answers = []
    for refuse, asked in (([SendFailed()], session), ([], session), ([], None)):
        world.cool_down()
        world.outbox.refuse = [*refuse]
        answers.append(ask(world, session=asked))
        world.outbox.refuse = []
    answers += [ask(world), world.call("login", **login)]
    assert len(world.outbox.sent) <= 3
    return answers


def logged_in(world: World, session: str, login: dict[str, str]) -> list[dict[str, Any]]:
    """Log in, and come back later with the same code, token and key: the code is spent, also for a repeat."""
    answers = [world.call("getSms", KEY, phone=VICTIM), guess(world, login["code"], session=session)]
    answers += [guess(world, login["code"]), world.call("getUserInfo", token=login.pop("token"))]
    world.wait(61)
    answers.append(world.call("login", KEY, **login))
    assert outcomes(answers)["Success"] <= (answers[3]["codeStr"] == "Success")
    return answers


def too_late(world: World, session: str, login: dict[str, str]) -> list[dict[str, Any]]:
    """Log in after ten minutes: the code has expired."""
    world.wait(601)
    answers = [
        world.call("login", KEY, **login),
        guess(world, login["code"]),
        guess(world, world.wrong, session=session),
    ]
    assert {*outcomes(answers)} <= {"CodeHasExpired", "ServiceUnavailable"}
    return answers


HELD = [(at_once, "until"), (at_once, "took"), (at_once, "user id"), (at_once, "user created"), (sent_again, "took")]
HELD += [(sent_again, "digest"), (logged_in, "spent_left"), (too_late, "until")]
HELD += [(at_once, name) for name in ("digest", "login_key", "session", "latest", "cooldown", "sent", "user")]
HELD += [(sent_again, name) for name in ("until", "until:", "nonce")]
HELD += [(sent_again, name) for name in ("session", "latest", "user name")]
HELD += [(logged_in, name) for name in ("login", "undoable_by", "login_key", "session", "user", "user avatar")]
HELD += [(too_late, "session")]


@on_redis
@pytest.mark.parametrize(
    ("attack", "place"),
    HELD,
    ids=lambda value: getattr(value, "__name__", value),
)
def test_poisoned_record(world: World, attack: Any, place: str) -> None:
    """A broken code, session or user gives no token, no message and no crash."""
    [key] = KEY.values()
    names = {"sent": f"sent:{key}", "latest": "latest", "cooldown": "cooldown"}
    keys = {place: otp_key(PHONE, name) for place, name in names.items()}
    wrong = []
    for value in POISON if place in {*keys, "session", "user"} else POISON[:-1]:
        world.backend.client.flushall()
        world.outbox.sent.clear()
        world.users.sign_in(PHONE, "user-1").answer()
        session = world.call("getSms", KEY, phone=VICTIM)["data"]["sessionId"]
        login = {"phone": VICTIM, "code": world.outbox.code, "sessionId": session}
        if attack is logged_in:
            login["token"] = world.call("login", KEY, **login)["data"]["token"]
        record = otp_key(PHONE, session)
        if place.startswith("user"):
            spoil(world, f"user:{{{VICTIM}}}", value, place[5:])
        elif place == "session" or place in keys:
            spoil(world, keys.get(place, record), value)
        else:
            fields = [name for name in world.backend.client.hkeys(record) if name.startswith(place)]
            spoil(world, record, value, next(iter(fields), place))
        try:
            answers = attack(world, session, login)
            assert "InternalError" not in outcomes(answers)
            assert all(answer["data"].get("userId", "user") for answer in answers)
            assert all(
                1 <= answer["data"].get("expiresIn", 1) <= 300 for answer in answers if "sessionId" in answer["data"]
            )
        except AssertionError as error:
            wrong.append((value, str(error).splitlines()[0]))
    assert wrong == []
