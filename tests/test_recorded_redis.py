"""The present version continues with contents of Redis that a version has recorded; `record_redis` makes recordings."""

import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import time_machine
from msgspec import Struct
from msgspec.structs import replace

from sms_login import __version__
from sms_login.limits.policy import Limits
from sms_login.otp.rules import Rules
from sms_login.phone import Phone
from tests.record_redis import AWAY, FAILURES, OTHER_KEY, RECORDED, Held, record, restore
from tests.testkit.backends import NOON, Backend, fake_backend
from tests.testkit.limits import IP, KEY, TO_MIDNIGHT, abroad, stranger
from tests.testkit.receipts import receipt
from tests.testkit.world import UNLIMITED, World

FILES = sorted(RECORDED.glob("*.json"))
AGAIN = "If records are meant to change, run `python -m tests.record_redis` (until 1.0.0; see docs/releases.md)."
STRANGER = stranger(900).e164
DAY = 86_400  # s


class Replay(Struct):
    """A Redis as a version left it; `apps` are keyed by the state of their numbers, `budgets` by subject and window."""

    backend: Backend
    clock: time_machine.Traveller
    apps: dict[str, Held]
    budgets: dict[str, int]

    def world(self, **options: Any) -> World:
        """Return the present version, with other rules or limits."""
        return World(self.backend, self.clock, ip=IP, **options)


def read(path: Path) -> Held:
    """Return a recording."""
    return dict(json.loads(path.read_text(encoding="utf-8")))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def replay(request: pytest.FixtureRequest, backend: Backend, clock: time_machine.Traveller) -> Replay:
    """Load a recording into Redis, and set the clock to its time."""
    recording = read(request.param)
    clock.move_to(datetime.fromtimestamp(recording["at"], timezone.utc), tick=False)
    restore(backend, recording["keys"])
    return Replay(backend, clock, recording["apps"], recording["budgets"])


@pytest.fixture
def world(replay: Replay) -> World:
    """Give the present version, with its own rules and limits."""
    return replay.world()


@pytest.fixture
def apps(replay: Replay) -> dict[str, Held]:
    """Give the recorded state of the apps, by the state of their numbers."""
    return replay.apps


def data(world: World, method: str, headers: dict[str, str] | None = None, /, **params: Any) -> Held:
    """Return the data of an answer, which must be a success."""
    answer = world.call(method, headers, **params)
    assert answer["errorCode"] == 0, f"{method}: {answer['codeStr']}. {AGAIN}"
    return dict(answer["data"])


def name(world: World, method: str, headers: dict[str, str] | None = None, /, **params: Any) -> str:
    """Return the `codeStr` of an answer."""
    return str(world.call(method, headers, **params)["codeStr"])


def log_in(app: Held, code: str | None = None) -> Held:
    """Return the parameters of a login."""
    return {"phone": app["phone"], "code": code or app["code"], "sessionId": app["sessionId"]}


def wrong(app: Held) -> str:
    """Return six digits that are not the app's code."""
    return f"{(int(app['code']) + 1) % 1_000_000:06}"


def shapes(keys: dict[str, Held]) -> set[str]:
    """Return the forms of keys and of their fields, without the random parts."""
    found = set()
    for key, entry in keys.items():
        fields = sorted(entry["value"]) if entry["type"] == "hash" else []
        ttl = "for ever" if entry["ttl"] is None else "expires"
        text = f"{key} {entry['type']} {ttl} {' '.join(fields)}"
        text = re.sub(r"(?<=[:{])[+0-9.]+(?=[:}]| )", "<number>", text)
        found.add(re.sub(r"(?<=}:)[\w-]{22}(?= )", "<id>", re.sub(r"took:[\w-]+", "took:<sending id>", text)))
    return found


def test_the_recording_of_this_version_is_up_to_date(clock: time_machine.Traveller) -> None:
    """The recording has the keys and fields that the code writes."""
    clock.move_to(NOON, tick=False)
    path = RECORDED / f"{__version__}.json"
    assert path in FILES, AGAIN
    now = record(World(fake_backend(), clock, ip=IP))
    assert shapes(read(path)["keys"]) == shapes(now["keys"]), AGAIN


def test_a_pending_code_logs_in_once(world: World, apps: dict[str, Held]) -> None:
    """The recorded version sent it once or twice, to mainland China or abroad."""
    for state in ("pending", "sent again", "abroad", "repeatable"):
        app = apps[state]
        assert data(world, "login", **log_in(app))["isNewUser"] is True
        assert name(world, "login", **log_in(app)) == "CodeHasValid"


def test_a_code_for_a_payment_proves_once(world: World, apps: dict[str, Held]) -> None:
    """It is of its purpose and detail alone, and is sent again; a repeated request sends nothing."""
    app = apps["paying"]
    payment = {"phone": app["phone"], "purpose": "pay", "detail": app["detail"]}
    assert data(world, "getSms", {"Idempotency-Key": KEY}, **payment)["sessionId"] == app["sessionId"]
    world.cool_down()
    assert data(world, "getSms", **payment, sessionId=app["sessionId"])["sessionId"] == app["sessionId"]
    assert world.outbox.sent[-1][1] == app["code"]
    assert name(world, "login", **log_in(app)) == "SessionMismatch"
    assert data(world, "verify", **{**payment, **log_in(app)})["proof"]
    assert name(world, "verify", **{**payment, **log_in(app)}) == "CodeHasValid"


def test_a_pending_code_is_sent_again_after_its_cooldown(world: World, apps: dict[str, Held]) -> None:
    """A resend repeats the code, under the same sessionId."""
    app = apps["pending"]
    again = {"phone": app["phone"], "sessionId": app["sessionId"]}
    assert name(world, "getSms", **again) == "TooManyRequests"
    world.wait(world.rules.cooldown + 1)
    assert data(world, "getSms", **again)["sessionId"] == app["sessionId"]
    assert world.outbox.code == app["code"]


def test_a_pending_code_keeps_its_expiry(world: World, apps: dict[str, Held]) -> None:
    """A recorded code lives neither longer nor shorter than the recorded version meant it to."""
    assert name(world, "login", **log_in(apps["expired"])) == "CodeHasExpired"
    world.wait(world.rules.life - 1)
    assert name(world, "login", **log_in(apps["pending"])) == "Success"
    world.wait(1)
    assert name(world, "login", **log_in(apps["repeatable"])) == "CodeHasExpired"


def test_recorded_wrong_guesses_still_count(world: World, apps: dict[str, Held]) -> None:
    """Guesses with the sessionId and guesses without it count separately."""
    for state, session in (("guessed", True), ("guessed without a session", False)):
        app = apps[state]
        guess = {k: v for k, v in log_in(app, wrong(app)).items() if session or k != "sessionId"}
        answer = world.call("login", **guess)
        assert (answer["codeStr"], answer["data"]) == ("CodeIsError", {"attemptsLeft": 0}), AGAIN
        assert name(world, "login", **guess) == "CodeHasValid"
    assert name(world, "login", **log_in(apps["guessed"])) == "CodeHasValid"
    assert name(world, "login", **log_in(apps["guessed without a session"])) == "Success"


def test_a_spent_code_stays_spent(world: World, apps: dict[str, Held]) -> None:
    """Only the login that spent it can be repeated, under its Idempotency-Key and within a minute."""
    app, headers = apps["spent"], {"Idempotency-Key": KEY}
    assert name(world, "login", **log_in(app)) == "CodeHasValid"
    assert data(world, "login", headers, **log_in(app))["userId"] == app["userId"]
    world.wait(world.rules.repeat_for)
    assert name(world, "login", headers, **log_in(app)) == "CodeHasValid"


def test_a_repeated_request_for_a_code_sends_nothing(world: World, apps: dict[str, Held]) -> None:
    """A repeat of a recorded getSms is answered with the sessionId of the first request."""
    app = apps["repeatable"]
    sent = data(world, "getSms", {"Idempotency-Key": OTHER_KEY}, phone=app["phone"])
    assert (sent["sessionId"], world.outbox.sent) == (app["sessionId"], [])


def test_recorded_failures_in_a_row_still_count(replay: Replay) -> None:
    """One more wrong code locks the number if it reaches the limit together with the recorded ones."""
    app = replay.apps["failures in a row"]
    assert name(replay.world(rules=Rules(lock_at=FAILURES)), "login", **log_in(app)) == "Locked", AGAIN
    world = replay.world(rules=Rules(lock_at=FAILURES + 1))
    world.wait(world.rules.cooldown + 1)
    again = {"phone": app["phone"], "sessionId": data(world, "getSms", phone=app["phone"])["sessionId"]}
    assert name(world, "login", **again, code=world.wrong) == "CodeIsError"
    assert name(world, "login", **again, code=world.outbox.code) == "Locked"


def test_a_locked_number_stays_locked(world: World, apps: dict[str, Held]) -> None:
    """A locked number is unlocked once a day has passed without a failure."""
    app = apps["locked"]
    for method, params in (("login", log_in(app)), ("getSms", {"phone": app["phone"]})):
        answer = world.call(method, **params)
        assert answer["codeStr"] == "Locked", AGAIN
        assert DAY - 60 < answer["retryAfter"] <= DAY
    world.wait(DAY)
    assert name(world, "getSms", phone=app["phone"]) == "Ok"


def test_a_used_up_daily_limit_stays_used_up(world: World, apps: dict[str, Held]) -> None:
    """The number can have a code again after midnight."""
    phone = apps["day full"]["phone"]
    answer = world.call("getSms", phone=phone)
    assert answer["codeStr"] == "TooManyRequests", AGAIN
    assert TO_MIDNIGHT < answer["retryAfter"] < DAY / 2
    world.wait(answer["retryAfter"] + 1)
    assert name(world, "getSms", phone=phone) == "Ok"


@pytest.mark.parametrize("state", ["rotated", "logged out everywhere", "spent", "answer to refresh lost"])
def test_a_recorded_session_goes_on(world: World, apps: dict[str, Held], state: str) -> None:
    """Both tokens of a session are valid, the user keeps id and name, and a logout ends it."""
    app = apps[state]
    user = {"userId": app["userId"], "phone": app["phone"], "name": app.get("name", ""), "avatar": ""}
    assert data(world, "getUserInfo", token=app["token"]) == user
    fresh = data(world, "refresh", refreshToken=app["refreshToken"])
    assert {field: fresh[field] for field in user} == user
    assert data(world, "getUserInfo", token=fresh["token"]) == user
    data(world, "logout", refreshToken=fresh["refreshToken"])
    assert name(world, "getUserInfo", token=app["token"]) == "TokenInvalid"


def test_an_earlier_refresh_token_is_a_repeat_or_a_reuse(world: World, apps: dict[str, Held]) -> None:
    """Within ten seconds of its rotation it is answered again; later it ends the session."""
    lost, rotated = apps["answer to refresh lost"], apps["rotated"]
    again = data(world, "refresh", refreshToken=lost["earlierRefreshToken"])
    assert again["refreshToken"] == lost["refreshToken"]
    assert name(world, "refresh", refreshToken=rotated["earlierRefreshToken"]) == "TokenInvalid"
    assert name(world, "getUserInfo", token=rotated["token"]) == "TokenInvalid", AGAIN


def test_sessions_that_a_logout_everywhere_ended_stay_ended(world: World, apps: dict[str, Held]) -> None:
    """A later session of the number goes on until its own logout."""
    app = apps["logged out everywhere"]
    assert name(world, "getUserInfo", token=app["endedToken"]) == "TokenInvalid"
    assert name(world, "refresh", refreshToken=app["endedRefreshToken"]) == "TokenInvalid"
    data(world, "logout", token=app["token"], everywhere=True)
    assert name(world, "refresh", refreshToken=app["refreshToken"]) == "TokenInvalid"
    assert name(world, "refresh", refreshToken=app["endedRefreshToken"]) == "TokenInvalid"


def test_a_banned_user_stays_banned(world: World, apps: dict[str, Held]) -> None:
    """For every token, and after a right code."""
    app = apps["banned"]
    assert name(world, "getUserInfo", token=app["token"]) == "UserBanned"
    assert name(world, "refresh", refreshToken=app["refreshToken"]) == "UserBanned"
    session = data(world, "getSms", phone=app["phone"])["sessionId"]
    code = {"code": world.outbox.code, "sessionId": session}
    assert name(world, "login", phone=app["phone"], **code) == "UserBanned"


def test_a_user_who_has_moved_is_at_the_new_number_alone(world: World, apps: dict[str, Held]) -> None:
    """The session there goes on, and those of the old number stay ended."""
    app = apps["moved"]
    user = data(world, "getUserInfo", token=app["token"])
    assert (user["userId"], user["phone"], user["name"]) == (app["userId"], app["phone"], app["name"])
    assert data(world, "refresh", refreshToken=app["refreshToken"])["userId"] == app["userId"]
    assert name(world, "getUserInfo", token=app["earlierToken"]) == "TokenInvalid"


def test_a_user_who_has_returned_is_told_so_again(replay: Replay) -> None:
    """With the last login before the absence."""
    world, app = replay.world(reverify_after=AWAY), replay.apps["returned"]
    session = data(world, "getSms", phone=app["phone"])["sessionId"]
    answer = data(world, "login", phone=app["phone"], code=world.outbox.code, sessionId=session)
    assert (answer["userId"], answer["isReturning"]) == (app["userId"], True)


def test_the_fate_of_a_recorded_message_is_told(world: World, apps: dict[str, Held]) -> None:
    """Delivered if there was a receipt; else a receipt that comes now is noted."""
    delivered, called = apps["delivered"], apps["called"]
    for app, status in ((delivered, "delivered"), (called, "sent")):
        asked = {name: app[name] for name in ("phone", "sessionId", "serialNo")}
        assert data(world, "getSmsStatus", **asked)["status"] == status
    late = receipt(called["serialNo"], "MK:0001", Phone.parse(called["phone"], "CN"))
    assert world.receive([late]) == (200, {"result": 0, "errmsg": "OK"})
    asked = {name: called[name] for name in ("phone", "sessionId", "serialNo")}
    assert data(world, "getSmsStatus", **asked)["status"] == "failed"


def test_a_called_code_logs_in(world: World, apps: dict[str, Held]) -> None:
    """The code that was sent and then read aloud is one code."""
    assert data(world, "login", **log_in(apps["called"]))["isNewUser"] is True


def test_recorded_statistics_go_on(replay: Replay) -> None:
    """The counts of an hour are added to."""
    world, app = replay.world(statistics=True), replay.apps["called"]
    before = world.statistics_of()
    data(world, "login", **log_in(app))
    after = world.statistics_of()
    assert (before["sent"], before["delivered"], before["voice"]) == (2, 1, 1)
    assert {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key)}.items() >= {
        "verified:login": 1,
        "signed_up": 1,
    }.items()


def test_a_user_keeps_id_and_name(world: World, apps: dict[str, Held]) -> None:
    """A login finds the recorded user, who can also delete the account."""
    app = apps["rotated"]
    app["sessionId"] = data(world, "getSms", phone=app["phone"])["sessionId"]
    answer = data(world, "login", **log_in(app, world.outbox.code))
    assert (answer["isNewUser"], answer["userId"], answer["name"]) == (False, app["userId"], app["name"]), AGAIN
    world.wait(world.rules.cooldown + 1)
    data(world, "getSms", phone=app["phone"])
    data(world, "deleteAccount", token=app["token"], code=world.outbox.code)
    assert name(world, "getUserInfo", token=app["token"]) == "TokenInvalid"


@pytest.mark.parametrize(
    ("limit", "subject", "phone", "refusal"),
    [
        ("ip_hour", f"ip:{IP} hour", STRANGER, "TooManyRequests"),
        ("ip_day", f"ip:{IP} day", STRANGER, "TooManyRequests"),
        ("refused", f"ip:{IP} refused", STRANGER, "TooManyRequests"),
        ("range_hour", "range hour", "", "TooManyRequests"),
        ("range_day", "range day", "", "TooManyRequests"),
        ("range_total", "range total", "", "TooManyRequests"),
        ("country_hour", "country:GB hour", abroad(9).e164, "TooManyRequests"),
        ("country_total", "country:GB total", abroad(9).e164, "TooManyRequests"),
        ("total", "all total", STRANGER, "SendingPaused"),
    ],
)
def test_recorded_budgets_still_count(replay: Replay, limit: str, subject: str, phone: str, refusal: str) -> None:
    """A used-up budget refuses, and a login refunds the reservation of its recorded sending."""
    pending = replay.apps["pending"]
    phone = phone or f"{pending['phone'][:-4]}0001"  # the same range
    used = replay.budgets[subject.replace("range", f"range:{pending['phone'][:-4]}")]

    def sent(most: int) -> str:
        world = replay.world(limits=replace(UNLIMITED, **{limit: most}))
        return name(world, "getSms", phone=phone)

    assert sent(used) == refusal, AGAIN
    if limit in {"ip_hour", "ip_day", "range_hour", "range_day"}:
        data(replay.world(), "login", **log_in(pending))
        assert sent(used) == "Ok"
    else:
        assert sent(used + 1) == "Ok"


def test_recorded_guesses_of_a_client_still_count(replay: Replay) -> None:
    """A login without a sessionId is refused once the recorded guesses reach the limit."""
    used = replay.budgets[f"ip:{IP} guesses"]
    for most, answer in ((used, "TooManyRequests"), (used + 1, "CodeHasExpired")):
        world = replay.world(limits=replace(Limits(), guesses=most))
        assert name(world, "login", phone=STRANGER, code="123456") == answer, AGAIN
