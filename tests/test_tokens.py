"""Access tokens: their content, and the refusal of everything else."""

import re
import time

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import convert

from sms_login.errors import TokenExpired, TokenInvalid
from sms_login.http.parameters import Token
from sms_login.sessions.access_tokens import AccessTokens, Claims
from sms_login.sessions.keys import KeyRing
from sms_login.sessions.pem import private_key
from sms_login.users import User
from tests.testkit.cases import each_case
from tests.testkit.key_files import private_pem
from tests.testkit.text import UNICODE
from tests.testkit.tokens import TTL, USER, parts, tokens
from tests.testkit.world import OLD_SECRET, OTHER_PHONE, PHONE, SECRET

SESSION = "session-1"


@pytest.mark.usefixtures("clock")
def test_a_token_names_its_user_audience_and_lifetime() -> None:
    """Header and claims are those of an access token (RFC 9068), with phone, name and avatar besides."""
    header, payload = parts(tokens().issue(USER, SESSION))
    now = int(time.time())
    assert header == {"alg": "HS256", "typ": "at+jwt"}
    assert re.fullmatch("[A-Za-z0-9_-]{22}", payload.pop("jti"))  # 128 random bits
    assert payload == {
        "iss": "issuer",
        "sub": "user-1",
        "sid": SESSION,
        "aud": "audience",
        "client_id": "audience",
        "iat": now,
        "exp": now + TTL,
        "phone": "+8613800138000",
        "name": "小明",
        "avatar": "https://example.com/a.png",
    }
    assert tokens().ttl == TTL


def test_the_times_of_a_token_are_whole_seconds(clock: time_machine.Traveller) -> None:
    """Times are rounded down, since some services that verify our tokens accept no fractions."""
    now = int(time.time())
    clock.shift(0.9)
    payload = parts(tokens().issue(USER, SESSION))[1]
    assert [(type(payload[name]), payload[name]) for name in ("iat", "exp")] == [(int, now), (int, now + TTL)]


def test_a_verified_token_yields_its_user_and_number() -> None:
    """Another instance with the same settings reads the user and the number."""
    assert tokens().verify(tokens().issue(USER, SESSION)) == Claims("user-1", PHONE, SESSION)


@each_case("avatar", ["头" * 2048, "\x01" * 2048, "a" * 2048, "😀" * 255])
def test_no_avatar_makes_a_token_too_long(avatar: str) -> None:
    """The limit holds even for the longest name and an RSA signature; an avatar that is too long is left out."""
    keys = KeyRing(private_key(private_pem("RSA")))
    issuer = AccessTokens(keys, issuer="issuer", audience="audience", ttl=TTL)
    token = issuer.issue(User("u" * 64, PHONE, "😀" * 64, avatar, 0), SESSION)
    assert convert(token, Token) == token
    assert parts(token)[1]["avatar"] == ("" if len(avatar) > 255 else avatar)


@pytest.mark.usefixtures("clock")
def test_every_token_has_an_id_of_its_own() -> None:
    """Two tokens of one user at one moment differ."""
    assert len({parts(tokens().issue(USER, SESSION))[1]["jti"] for _ in range(100)}) == 100


def test_a_token_of_another_issuer_audience_or_key_is_refused() -> None:
    """Tokens of a sister service are refused too."""
    for other in (tokens(issuer="another"), tokens(audience="another"), tokens(OLD_SECRET)):
        with pytest.raises(TokenInvalid):
            tokens().verify(other.issue(USER, SESSION))


def test_a_tampered_token_is_refused() -> None:
    """Header, claims and signature of two valid tokens cannot be combined, and no character may change."""
    mine, theirs = (tokens().issue(user, SESSION).split(".") for user in (USER, User("user-2", OTHER_PHONE, "", "", 0)))
    mixed = [[mine[0], theirs[1], mine[2]], [mine[0], mine[1], theirs[2]], [mine[1], mine[0], mine[2]], [*mine, ""]]
    token = ".".join(mine)
    changed = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(0, len(token), 7)]
    for bad in [*map(".".join, mixed), *changed, f" {token}", f"{token}\n", f"Bearer {token}"]:
        with pytest.raises(TokenInvalid):
            tokens().verify(bad)


def test_a_truncated_token_is_refused() -> None:
    """No proper prefix of a token is accepted, and neither is the empty string."""
    token = tokens().issue(USER, SESSION)
    for length in range(len(token)):
        with pytest.raises(TokenInvalid):
            tokens().verify(token[:length])


@given(st.text(UNICODE) | st.text("AQZaqz019-_=."))
@settings(deadline=None)  # a busy machine is slow, not wrong
def test_random_text_is_refused_without_a_crash(text: str) -> None:
    """Random text is TokenInvalid and never another exception."""
    with pytest.raises(TokenInvalid):
        tokens().verify(text)


@each_case("text", ["\ud800", "a.\udfff.c"])
def test_a_lone_surrogate_is_refused_without_a_crash(text: str) -> None:
    """Text that is not Unicode is TokenInvalid as well."""
    with pytest.raises(TokenInvalid):
        tokens().verify(text)


def test_a_rotation_refuses_no_token() -> None:
    """Tokens of a previous secret stay valid; new tokens are signed with the current secret."""
    rotated = tokens(SECRET, OLD_SECRET)
    assert rotated.verify(tokens(OLD_SECRET).issue(USER, SESSION)) == Claims("user-1", PHONE, SESSION)
    assert tokens(SECRET).verify(rotated.issue(USER, SESSION)) == Claims("user-1", PHONE, SESSION)
    with pytest.raises(TokenInvalid):
        tokens(OLD_SECRET).verify(rotated.issue(USER, SESSION))
    with pytest.raises(TokenInvalid):
        rotated.verify(tokens(b"a third secret, of 32 bytes too.").issue(USER, SESSION))


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_a_token_expires_with_a_minute_for_clocks_that_differ(clock: time_machine.Traveller, secret: bytes) -> None:
    """A token is valid 59 seconds after its end and not 61, under a previous secret too."""
    rotated, token = tokens(SECRET, OLD_SECRET), tokens(secret).issue(USER, SESSION)
    clock.shift(TTL + 59)
    assert rotated.verify(token)
    clock.shift(2)
    with pytest.raises(TokenExpired):
        rotated.verify(token)
