"""Whole logins at log level DEBUG print no code, no full number, no token, no session id and no key."""

import json
import logging
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from local.cloud import Cloud, local_cloud
from sms_login import logs, wiring
from sms_login.adapters.redis.codes import otp_key
from sms_login.phone import Phone
from sms_login.sessions.refresh_tokens import RefreshTokens
from tests.testkit.leaks import Raw, call, leaked
from tests.testkit.servers import RedisServer

PHONE, NATIONAL = "+8613800138000", "13800138000"
JWT_SECRET = "a-jwt-secret-that-must-not-be-printed"
PASSWORD = "a-redis-password-that-must-not-be-printed"


def test_leaks_are_not_found_by_chance() -> None:
    """Random digits of a serial number do not count as a leaked code, and the same digits elsewhere do."""
    raw = Raw()
    raw.line(1795283244.012345, "INFO", "request", {"serial_no": "2019:" + "012345" * 6})
    assert leaked(["012345"], raw.text) == []
    assert leaked(["012345"], raw.text + "2019:012345 ") == ["012345"]


@pytest.fixture
def cloud(redis_server: RedisServer) -> Iterator[Cloud]:
    """SendSms on this machine, and Redis in a process of its own, whose log is not ours."""
    with redis.Redis(redis_server.host, redis_server.port) as client:
        client.flushall()
    environ = {"LOG_LEVEL": "DEBUG", "JWT_SECRET": JWT_SECRET}
    environ |= {"REDIS_HOST": redis_server.host, "REDIS_PORT": str(redis_server.port)}
    with local_cloud(environ) as cloud:
        yield cloud


def test_a_whole_login_at_debug_prints_no_secret(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Successful and failed requests print no secret, and neither do the loggers of the SDK and of redis-py."""
    handler = wiring.build(cloud.environ)
    logging.getLogger("library").debug("on")
    raw = Raw()
    logging.getLogger().addHandler(raw)
    secrets = [PHONE, NATIONAL, JWT_SECRET, *(v for k, v in cloud.environ.items() if k.startswith("TENCENTCLOUD_"))]
    for i, mode in enumerate(["refusal", "reset", "AuthFailure.SignatureFailure"]):
        cloud.tencent.fail(mode, times=1)
        call(handler, "getSms", phone=f"+861380013810{i}")
    session_id = call(handler, "getSms", phone=PHONE)["data"]["sessionId"]
    code = cloud.tencent.inbox(PHONE)[0].params[0]
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    assert call(handler, "login", phone=NATIONAL, code=wrong, sessionId=session_id)["codeStr"] == "CodeIsError"
    token = call(handler, "login", phone=NATIONAL, code=code, sessionId=session_id)["data"]["token"]
    for params in ({"token": token}, {"token": token[:-1]}, {"token": token, "name": "13800138000"}):
        call(handler, "setNickname" if "name" in params else "getUserInfo", **params)
    call(handler, "login", phone=PHONE, token=token, sessionId="13800138000", code="1234567")
    secrets += [code, wrong, session_id, token, *token.split(".")]

    out, err = capfd.readouterr()
    assert out.count('"event": "request"') == 10
    with monkeypatch.context() as unredacted:
        unredacted.setattr(logs, "_line", raw.line)
        call(handler, "login", phone=NATIONAL, code=code, sessionId=session_id, token=token)
        call(handler, "getSms", phone=PHONE, sessionId=session_id)
    assert "CodeHasValid" in raw.text
    assert '"logger": "library"' in out  # the libraries' loggers are on
    for printed in (out, err, raw.text):
        assert leaked(secrets, printed) == []


def test_a_whole_session_at_debug_prints_no_secret(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Refresh, reuse, logout and deletion print no secret, nor do misplaced, truncated or wrong kinds of tokens."""
    handler = wiring.build({**cloud.environ, "CAPTCHA_MODE": "off"})
    raw = Raw()
    logging.getLogger().addHandler(raw)
    secrets = [PHONE, NATIONAL, JWT_SECRET]

    def asked() -> dict[str, Any]:
        with redis.Redis(cloud.environ["REDIS_HOST"], int(cloud.environ["REDIS_PORT"])) as client:
            client.delete(otp_key(Phone.parse(PHONE, "CN"), "cooldown"))
        session_id = call(handler, "getSms", phone=PHONE)["data"]["sessionId"]
        code = cloud.tencent.inbox(PHONE)[0].params[0]
        secrets.extend([session_id, code])
        return {"sessionId": session_id, "code": code}

    def kept(answer: dict[str, Any]) -> tuple[str, str]:
        data = answer["data"]
        claims = json.loads(urlsafe_b64decode(data["token"].split(".")[1] + "=="))
        secrets.extend([*data["token"].split("."), data["refreshToken"], data["refreshToken"][10:50], claims["sid"]])
        return data["token"], data["refreshToken"]

    def grow_old() -> None:
        """Let 11 seconds pass for the one session."""
        with redis.Redis(cloud.environ["REDIS_HOST"], int(cloud.environ["REDIS_PORT"])) as client:
            (session,) = (key for key in client.scan_iter("session:*") if not key.endswith(b"index"))
            client.pexpire(session, client.pttl(session) - 11_000)

    token, first = kept(call(handler, "login", phone=PHONE, **asked()))
    for bad in (first[:-1], token, f"{first}=", "rt_" + "x" * 5000):
        call(handler, "refresh", refreshToken=bad)
        call(handler, "getUserInfo", token=first)
        call(handler, "login", phone=first[:40], code=first, token=first)
        call(handler, "setNickname", token=token, name=first[:64], refreshToken=bad)
    token, second = kept(call(handler, "refresh", refreshToken=first))
    token, _ = kept(call(handler, "refresh", refreshToken=second))
    grow_old()
    assert call(handler, "refresh", refreshToken=first)["codeStr"] == "TokenInvalid"
    token, first = kept(call(handler, "login", phone=PHONE, **asked()))
    assert call(handler, "logout", refreshToken=first, everywhere="no")["codeStr"] == "InValidParam"
    assert call(handler, "logout", refreshToken=first, everywhere=True)["codeStr"] == "Success"
    token, first = kept(call(handler, "login", phone=PHONE, **asked()))
    assert call(handler, "deleteAccount", token=token, **asked())["codeStr"] == "Success"
    out, err = capfd.readouterr()
    assert "refresh_token_reused" in out
    assert '"method": "deleteAccount"' in out

    with monkeypatch.context() as unredacted:
        unredacted.setattr(logs, "_line", raw.line)
        token, first = kept(call(handler, "login", phone=PHONE, **asked()))
        token, second = kept(call(handler, "refresh", refreshToken=first))
        kept(call(handler, "refresh", refreshToken=second))
        grow_old()
        call(handler, "refresh", refreshToken=first)
        call(handler, "refresh", refreshToken=second)
        call(handler, "logout", refreshToken=first)
        call(handler, "deleteAccount", token=token, **asked())
    assert "refresh_token_reused" in raw.text
    for printed in (out, err, raw.text):
        assert leaked(secrets, printed) == []


def test_a_crash_with_secrets_in_its_message_prints_none(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Redaction removes the secrets from the message of an exception that another library raised."""
    handler = wiring.build(cloud.environ)
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    refresh = RefreshTokens(JWT_SECRET.encode()).issue(Phone(PHONE, "CN"), "A" * 22, 1)

    def crash() -> None:
        raise ValueError(f"bad {PHONE}, {NATIONAL}, code 123456, {token}, {refresh}, password='{PASSWORD}'")

    monkeypatch.setattr(handler, "check_redis", crash)
    assert call(handler, "health")["codeStr"] == "InternalError"
    out, _ = capfd.readouterr()
    assert "ValueError: bad" in out
    assert [secret for secret in (PHONE, NATIONAL, "123456", token, refresh, PASSWORD) if secret in out] == []


def test_wrong_settings_are_reported_without_their_values(capfd: pytest.CaptureFixture[str]) -> None:
    """A secret that is too short is still a secret, so its value is not printed."""
    wiring.build({"JWT_SECRET": "short-secret", "REDIS_PASSWORD": PASSWORD, "SECRET": "another-short"})
    out, err = capfd.readouterr()
    assert "JWT_SECRET must be at least 32 bytes long" in out
    assert [secret for secret in ("short-secret", PASSWORD, "another-short") if secret in out + err] == []


def test_an_unreachable_redis_does_not_print_its_password(cloud: Cloud, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither the password nor the number of the request is printed."""
    handler = wiring.build({**cloud.environ, "REDIS_PORT": "1", "REDIS_PASSWORD": PASSWORD})
    assert call(handler, "getSms", phone=PHONE)["codeStr"] == "ServiceUnavailable"
    out, err = capfd.readouterr()
    assert "redis: ConnectionError" in out
    assert [secret for secret in (PASSWORD, PHONE, NATIONAL) if secret in out + err] == []
