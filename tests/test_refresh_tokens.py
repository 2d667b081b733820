"""Refresh tokens: their content, and the refusal of everything else."""

import base64
import hmac
from copy import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_login.errors import TokenInvalid
from sms_login.phone import Phone
from sms_login.secret import derived_key
from sms_login.sessions.refresh_tokens import RefreshToken, RefreshTokens
from tests.testkit.cases import each_case
from tests.testkit.devices import Device
from tests.testkit.text import UNICODE
from tests.testkit.world import OLD_SECRET, OTHER_PHONE, PHONE, SECRET, World

SESSION = "hv2BFvYIitNmiBDL85XEUA"
TOKENS = RefreshTokens(SECRET)
TOKEN = TOKENS.issue(PHONE, SESSION, 1)
MAC = 16  # bytes


def raw(token: str) -> bytes:
    """Return the bytes of a token."""
    return base64.urlsafe_b64decode(token.removeprefix("rt_") + "==")


def spelled(token: bytes) -> str:
    """Return a token made of these bytes."""
    return "rt_" + base64.urlsafe_b64encode(token).decode().rstrip("=")


def text(phone: str = PHONE.e164, session: str = SESSION, count: object = 1) -> bytes:
    """Return the signed text of a token."""
    return f"{phone} {session} {count}".encode()


def refused(*tokens: str, by: RefreshTokens = TOKENS) -> bool:
    """Assert that each token raises TokenInvalid and no other exception."""
    for token in tokens:
        with pytest.raises(TokenInvalid):
            by.read(token)
    return True


def test_a_token_names_its_number_session_and_rotation_count() -> None:
    """The same number, session and count give the same token, so that a repeat is answered without storing it."""
    assert TOKENS.read(TOKEN) == RefreshToken(PHONE, SESSION, 1)
    assert TOKENS.issue(PHONE, SESSION, 1) == TOKEN
    others = [(OTHER_PHONE, SESSION, 1), (PHONE, "A" * 22, 1), (PHONE, SESSION, 2), (PHONE, SESSION, 10**9)]
    tokens = [TOKENS.issue(*other) for other in others]
    assert [TOKENS.read(token) for token in tokens] == [RefreshToken(*other) for other in others]
    assert len({TOKEN, *tokens}) == 5


def test_a_token_is_short_and_has_the_form_that_redaction_recognises() -> None:
    """Even the token of the longest number has the length and the alphabet that redaction recognises."""
    token = TOKENS.issue(Phone("+999999999999999", "ZZ"), SESSION, 10**9)
    assert token.startswith("rt_")
    assert token.removeprefix("rt_").replace("-", "a").replace("_", "a").isalnum()
    assert 40 < len(TOKEN) <= len(token) < 128


def test_the_helpers_here_read_and_write_tokens() -> None:
    """The helpers of this module build valid tokens, so each forgery below is refused for its own fault."""
    key = derived_key(SECRET, "refresh")
    assert raw(TOKEN)[MAC:] == text()
    assert spelled(raw(TOKEN)) == TOKEN
    assert spelled(hmac.digest(key, text(), "sha256")[:MAC] + text()) == TOKEN


def test_no_bit_of_a_token_may_change() -> None:
    """A token is refused if any bit of its MAC or of its text is flipped."""
    bits = int.from_bytes(raw(TOKEN), "big")
    length = len(raw(TOKEN))
    assert refused(*(spelled((bits ^ 1 << bit).to_bytes(length, "big")) for bit in range(8 * length)))


def test_no_character_of_a_token_may_change() -> None:
    """A token has exactly one spelling, although base64 would allow several."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/="
    for at, right in enumerate(TOKEN):
        assert refused(*(TOKEN[:at] + char + TOKEN[at + 1 :] for char in alphabet if char != right))


def test_a_token_of_another_alphabet_is_refused() -> None:
    """A token in the standard base64 alphabet is refused."""
    tokens = [TOKENS.issue(PHONE, SESSION, count) for count in range(100)]
    spellings = {token.replace("-", "+") for token in tokens} | {
        token[:3] + token[3:].replace("_", "/") for token in tokens
    }
    assert spellings - set(tokens)
    assert refused(*(spellings - set(tokens)))


@each_case(
    "bad",
    ["", "rt_", "rt", TOKEN[3:], f"RT_{TOKEN[3:]}", f"rt_{TOKEN}", f" {TOKEN}", f"{TOKEN}\n", f"{TOKEN} ", TOKEN * 2],
)
def test_a_malformed_token_is_refused(bad: str) -> None:
    """A token is refused if its prefix or its base64 part is malformed."""
    assert refused(bad)


@each_case("more", ["=", "==", "A", "AA", "AAAA", "令", "\0", "\ud800", ".a.b"])
def test_nothing_may_be_added_to_a_token(more: str) -> None:
    """A token is refused if characters are added at either end or inside; characters outside ASCII cause no crash."""
    assert refused(TOKEN + more, "rt_" + more + TOKEN[3:], TOKEN[:30] + more + TOKEN[30:])


def test_a_truncated_token_is_refused() -> None:
    """No prefix and no suffix of a token is accepted."""
    assert refused(*(TOKEN[:length] for length in range(len(TOKEN))))
    assert refused(*(f"rt_{TOKEN[at:]}" for at in range(4, len(TOKEN))))
    assert refused(*(spelled(raw(TOKEN)[at:]) for at in range(1, MAC + 2)))


def test_a_mac_validates_only_its_own_text() -> None:
    """The MAC of one token validates no other session, number or count."""
    mac = raw(TOKEN)[:MAC]
    others = [text(count=2), text(count="01"), text(count="1 "), text(session="A" * 22), text(phone=OTHER_PHONE.e164)]
    assert refused(*(spelled(mac + other) for other in others))
    assert refused(spelled(mac), spelled(raw(TOKEN)[MAC:]), spelled(bytes(MAC) + text()))


def test_only_the_refresh_key_of_our_secret_signs_tokens() -> None:
    """A token is refused if another secret, the secret itself or another key signed it, or if its MAC is longer."""
    keys = [OLD_SECRET, SECRET, derived_key(SECRET, "code"), derived_key(SECRET, "digest"), b""]
    assert refused(*(spelled(hmac.digest(key, text(), "sha256")[:MAC] + text()) for key in keys))
    assert refused(RefreshTokens(OLD_SECRET).issue(PHONE, SESSION, 1))
    assert refused(spelled(hmac.digest(derived_key(SECRET, "refresh"), text(), "sha256") + text()))


def test_a_rotation_of_the_secret_refuses_no_token() -> None:
    """Tokens of the previous secret stay valid until it is dropped; new tokens are signed with the current secret."""
    both = RefreshTokens(OLD_SECRET, SECRET)
    assert both.read(TOKEN) == RefreshToken(PHONE, SESSION, 1)
    new = both.issue(PHONE, SESSION, 1)
    assert RefreshTokens(OLD_SECRET).read(new) == RefreshToken(PHONE, SESSION, 1)
    assert refused(new)
    assert refused(TOKEN, by=RefreshTokens(OLD_SECRET))


def test_a_token_is_not_judged_by_the_numbering_plan_of_today() -> None:
    """A token of a number that has become a fixed line, or whose country has no calling code any more, is valid."""
    for phone in (Phone("+861085851234", "CN"), Phone("+999123456789", "ZZ")):
        assert TOKENS.read(TOKENS.issue(phone, SESSION, 1)) == RefreshToken(phone, SESSION, 1)


@given(st.text(UNICODE, max_size=99) | st.text("AQZaqz019-_=+/", max_size=99))
@settings(deadline=None)  # a busy machine is slow, not wrong
def test_random_text_is_refused_without_a_crash(random: str) -> None:
    """Random text is refused without a crash, with and without the prefix of a token."""
    assert refused(random, f"rt_{random}", TOKEN[:40] + random)


# Through the app.


def test_neither_kind_of_token_replaces_the_other(world: World) -> None:
    """A refresh token authorises no request, an access token refreshes nothing; neither attempt ends the session."""
    device = Device(world)
    mixed = copy(device)
    mixed.token, mixed.refresh_token = device.refresh_token, device.token
    assert mixed.tries() == {"TokenInvalid"}
    bearer = {"Authorization": f"Bearer {device.refresh_token}"}
    assert world.call("getUserInfo", bearer)["codeStr"] == "TokenInvalid"
    assert world.call("refresh", bearer)["codeStr"] == "InValidParam"
    assert device.is_in
    assert device.refresh() == "Success"


def test_a_session_is_valid_for_its_own_number_only(world: World) -> None:
    """A token under our own MAC that combines a session with another number is refused, and the session lives on."""
    device = Device(world, OTHER_PHONE)
    Device(world)
    session = device.key.rpartition(":")[2]
    for name in (session, "A" * 22, ""):
        token = TOKENS.issue(PHONE, name, 1)
        assert device.call("refresh", refreshToken=token) == "TokenInvalid"
        assert device.call("logout", refreshToken=token) == "TokenInvalid"
    assert device.is_in
    assert device.refresh() == "Success"


@each_case("token", ["", None, 1, True, "x" * 4097, ["rt_x"], {"rt_": "x"}, "\ud800"])
def test_a_refresh_token_of_the_wrong_type_or_length_is_an_invalid_parameter(world: World, token: object) -> None:
    """A refresh token of the wrong type or length is an invalid parameter, not a sign of theft."""
    assert world.call("refresh", refreshToken=token)["codeStr"] == "InValidParam"


@each_case("token", ["x", "rt_", "rt_令牌", "rt_" + "x" * 4093, "eyJhbGciOiJub25lIn0.e30."])
def test_a_refresh_token_that_we_did_not_issue_is_invalid(world: World, token: str) -> None:
    """Strings that we did not issue are refused as TokenInvalid."""
    for method in ("refresh", "logout"):
        assert world.call(method, refreshToken=token)["codeStr"] == "TokenInvalid"
