"""Redaction of log lines removes tokens, numbers, codes and secrets, and leaves everything else readable."""

from sms_login.logs import redact
from sms_login.sessions.refresh_tokens import RefreshTokens
from tests.testkit.cases import each_case
from tests.testkit.world import PHONE, SECRET

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1In0.c2lnbmF0dXJl"
REFRESH = RefreshTokens(SECRET).issue(PHONE, "hv2BFvYIitNmiBDL85XEUA", 1)


@each_case(
    "text",
    [
        JWT,
        f"Authorization: Bearer {JWT}",
        f"{{'token': '{JWT}', 'name': 'x'}}",
        f'{{"refreshToken":"{JWT}"}}',
        f"GET /?token={JWT}&method=login",
        f"invalid token <{JWT}>",
    ],
)
def test_a_jwt_is_redacted(text: str) -> None:
    """Redaction removes every part of a JWT, at any position in the text."""
    assert not any(part in redact(text) for part in JWT.split("."))


@each_case("count", [1, 9, 10, 12_345])
@each_case(
    "text",
    [
        "{}",
        "bad token {}, again",
        "<{}>",
        "('{}',)",
        "/?refreshToken={}&method=refresh",
        "Authorization: Bearer {}",
        '{{"refreshToken":"{}"}}',
        "_{}",
        "{}{}",
        "x{}x",
    ],
)
def test_a_refresh_token_is_redacted(text: str, count: int) -> None:
    """Redaction leaves no eight characters in a row of a refresh token, which holds a number and a session id."""
    token = RefreshTokens(SECRET).issue(PHONE, "hv2BFvYIitNmiBDL85XEUA", count)
    redacted = redact(text.format(token, token))
    assert not [at for at in range(len(token) - 8) if token[at : at + 8] in redacted]


@each_case("length", [43, 50, 60, 70])
def test_a_truncated_refresh_token_is_redacted(length: int) -> None:
    """Redaction also removes a quoted token that a library truncated, if the rest still names a session."""
    assert redact(f"near '{REFRESH[:length]}...'") == "near '<token>...'"


@each_case("number", ["+8613800138000", "8613800138000", "13800138000", "+6592345678", "+447400123456"])
@each_case(
    "text",
    [
        "{}",
        "to {}.",
        "phone={}&code=",
        "['{}']",
        '"{}"',
        "({})",
        "user {}: gone",
        "{}:6379",
        "a_{}",
    ],
)
def test_a_phone_number_is_redacted(text: str, number: str) -> None:
    """Redaction removes numbers with and without calling code, from Redis keys and from sentences."""
    assert number.lstrip("+") not in redact(text.format(number))
    assert redact(text.format(number)) == text.format("<number>")


@each_case(
    "text",
    ["123456", "code 123456 is wrong", "code=123456&phone=", "code: 123456", '"123456"', "['123456', '5']", "(123456)"],
)
def test_a_code_is_redacted(text: str) -> None:
    """Redaction treats six digits on their own as a code."""
    assert redact(text) == text.replace("123456", "******")


def test_the_password_in_a_url_is_redacted() -> None:
    """Redaction keeps the user, host and path of a URL, so that the log stays readable."""
    text = (
        "bad mysql+pymysql://login:hunter2@10.0.0.3:3306/app, redis://:hunter@2@10.0.0.2/0 and https://a.example:80/x@y"
    )
    assert redact(text) == (
        "bad mysql+pymysql://login:****@10.0.0.3:3306/app, redis://:****@10.0.0.2/0 and https://a.example:80/x@y"
    )


@each_case(
    "text",
    [
        "password=hunter2",
        "REDIS_PASSWORD=hunter2",
        "password: 'hunter2'",
        "'password': 'hunter2', 'db': 0",
        '{"password": "hunter2"}',
        "JWT_SECRET=hunter2",
        "TENCENTCLOUD_SECRETKEY = hunter2",
        "secretId: hunter2",
        "TENCENTCLOUD_SESSIONTOKEN=hunter2",
        "refreshToken=hunter2",
        "key=hunter2",
        "AppSecretKey: hunter2",
        "digest: hunter2",
        "nonce=hunter2",
        "Idempotency-Key: hunter2",
    ],
)
def test_a_value_is_redacted_if_its_name_calls_it_a_secret(text: str) -> None:
    """Redaction hides the value of every name that contains password, secret, token, key, digest or nonce."""
    assert redact(text) == text.replace("hunter2", "****")


@each_case(
    "text",
    [
        "request c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        "took 12.345678 ms, 0.123456 s in all",
        "2026-11-21T12:00:00.123456+08:00",
        "2026-11-21 12:00:00,123",
        "HTTP 503 after 31 s, 1001 of 10000",
        "redis: ConnectionError: Error 111 connecting to 10.0.0.2:6379. Connection refused.",
        'File "/var/user/sms_login/app.py", line 114, in handle',
        "KeyError: 'status'",
        "+86138****8000",
        "LimitExceeded.PhoneNumberThirtySecondLimit",
        "版本 1.2.3",
        "",
    ],
)
def test_facts_that_an_operator_needs_stay_readable(text: str) -> None:
    """Redaction leaves request ids, durations, timestamps, addresses and error codes as they are."""
    assert redact(text) == text


@each_case(
    "text",
    ["Authorization: Bearer hunter2", "Authorization: TC3-HMAC-SHA256 Credential=hunter2/tc3, Signature=hunter2"],
)
def test_a_credential_of_any_scheme_is_redacted(text: str) -> None:
    """Redaction removes the whole credential of an Authorization header, although a scheme precedes it."""
    assert "hunter2" not in redact(text)


@each_case("text", ["Your code is 123456.", '{"code":123456}', "code:123456", "123456: wrong"])
def test_a_code_beside_a_colon_or_a_full_stop_is_redacted(text: str) -> None:
    """Redaction finds a code that ends a sentence, or stands in JSON without spaces."""
    assert "123456" not in redact(text)


@each_case("text", ["request 12345678-7b61-4ae6-9a41-93e8deadbeef", "request c6af9ac6-7b61-4ae6-9a41-123456789012"])
def test_a_request_id_of_many_digits_stays_readable(text: str) -> None:
    """Redaction leaves request ids alone; one in forty has a block that consists of digits only."""
    assert redact(text) == text


@each_case(
    "text", ["EVALSHA otp:{+8613800138000}:hv2BFvYIitNmiBDL85XEUA 1", "'user:{+8613800138000}'", "otp:{+861380013"]
)
def test_a_redis_key_of_ours_is_redacted(text: str) -> None:
    """Redaction removes our Redis keys, which hold a number and often the id of a challenge."""
    assert "138" not in redact(text)
    assert "hv2B" not in redact(text)
    assert redact(text).strip("'").startswith(("EVALSHA <otp key>", "<user key>", "<otp key>"))
