"""Each method's parameters: good ones are parsed, and a bad one is refused by its name in both languages."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_login.errors import InvalidParam, Refusal, UnknownMethod
from sms_login.http.messages import GetSms, GetUserInfo, Health, Login, Message, SetNickname, parse
from sms_login.http.parameters import MUST_BE, idempotency_key, malformed
from tests.testkit.cases import each_case
from tests.testkit.text import UNICODE

PHONE, SESSION, TOKEN = "+8613800138000", "A" * 22, "made-up-token"
LONGEST_TOKEN = "x" * 4096


@each_case(
    ("params", "message"),
    [
        ({"method": "getSms", "phone": PHONE}, GetSms(PHONE)),
        ({"method": "getSms", "phone": PHONE, "sessionId": SESSION}, GetSms(PHONE, SESSION)),
        ({"method": "login", "phone": PHONE}, Login(PHONE)),
        ({"method": "login", "phone": PHONE, "code": "012345"}, Login(PHONE, "012345")),
        (
            {"method": "login", "phone": PHONE, "code": "000000", "sessionId": "-_" * 11, "token": TOKEN},
            Login(PHONE, "000000", "-_" * 11),  # a login by code ignores a token
        ),
        ({"method": "login", "phone": "1" * 40, "token": LONGEST_TOKEN}, Login("1" * 40, token=LONGEST_TOKEN)),
        ({"method": "getUserInfo", "token": TOKEN}, GetUserInfo(TOKEN)),
        ({"method": "setNickname", "token": TOKEN, "name": "小明"}, SetNickname(TOKEN, "小明")),
        ({"method": "health"}, Health()),
        ({"method": "getSms", "phone": 13800138000}, GetSms("13800138000")),
        ({"method": "login", "phone": PHONE, "code": "012 345"}, Login(PHONE, "012345")),
        ({"method": "health", "utm_source": "app", "appId": 7}, Health()),
    ],
)
def test_each_method_takes_its_parameters_and_ignores_others(params: dict[str, Any], message: Message) -> None:
    """Parameters are kept under the names that a client uses, and all but `code` unchanged."""
    assert parse(params) == message


@each_case("method", ["", "getsms", "GETSMS", "getSms ", "drop", 1, True])
def test_an_unknown_method_is_refused_before_anything_else(method: Any) -> None:
    """A method must be one of the names, in exactly their spelling."""
    with pytest.raises(UnknownMethod):
        parse({"method": method, "phone": 1})


def test_a_request_without_a_method_is_refused() -> None:
    """A missing method is named like every missing parameter, as in Tencent's demo: there is no default."""
    with pytest.raises(InvalidParam, match=r"^method is missing$"):
        parse({"phone": PHONE})


@each_case("name", ["method", "phone", "code", "sessionId"])
@each_case("value", [[PHONE], [], {"a": "b"}, {}])
def test_a_parameter_has_one_plain_value(name: str, value: Any) -> None:
    """A parameter of the method that is repeated or nested is refused: no value is chosen from it."""
    with pytest.raises(InvalidParam) as refusal:
        parse({"method": "login", "phone": PHONE, "code": "123456", name: value})
    assert refusal.value.message("en") == f"Invalid parameter: {name} is given twice, or is not a plain value."
    assert refusal.value.message("zh") == f"参数错误：{name} 重复或不是普通值"


@each_case("value", [[], {}, [{"a": []}], {"b": {"c": None}}, "\ud800", 10**30, "x" * 10_000])
@each_case("name", ["device", "name", "__class__", "\udfff"])
def test_a_parameter_that_the_method_does_not_know_is_ignored(name: str, value: Any) -> None:
    """An unknown parameter is ignored whatever its type, and so is one of another method."""
    assert parse({"method": "login", "phone": PHONE, name: value}) == Login(PHONE)


@each_case("name", ["phone", "code", "token"])
@each_case("text", ["\ud800", "\udfff1", "1\ufffd"])
def test_text_that_was_not_utf_8_is_refused(name: str, text: str) -> None:
    """A lone surrogate cannot be stored or answered, and U+FFFD stands for bytes that a decoder could not read."""
    with pytest.raises(InvalidParam) as refusal:
        parse({"method": "login", "phone": PHONE, name: text})
    assert refusal.value.message("en") == f"Invalid parameter: {name} is not UTF-8 text."
    assert refusal.value.message("zh") == f"参数错误：{name} 不是 UTF-8 文本"


@each_case("number", [123456, 12345, 0, 123456.0, 1e5])
def test_a_code_that_is_a_number_is_refused_with_the_reason(number: float) -> None:
    """A JSON number has lost its leading zeros, so the message asks for a string."""
    with pytest.raises(InvalidParam) as refusal:
        parse({"method": "login", "phone": PHONE, "code": number})
    assert "code must be a string" in refusal.value.message("en")
    assert "code 应为字符串" in refusal.value.message("zh")


@given(
    st.text(" \t\r\n\u00a0\u3000\u200b\u202c\ufeff-\u2013\u2212", max_size=4),
    st.text("0123456789", min_size=6, max_size=6),
)
def test_any_decoration_of_a_code_gives_that_code(decoration: str, code: str) -> None:
    """White space, invisible characters and dashes around and between the digits change nothing."""
    for spelling in (decoration + code, code + decoration, decoration.join(code), code):
        assert parse({"method": "login", "phone": PHONE, "code": spelling}) == Login(PHONE, code)


@each_case(
    ("method", "name"),
    [
        ("getSms", "phone"),
        ("login", "phone"),
        ("getUserInfo", "token"),
        ("setNickname", "token"),
        ("setNickname", "name"),
    ],
)
def test_a_missing_parameter_is_named_in_both_languages(method: str, name: str) -> None:
    """The message in either language says which parameter is missing."""
    params = {"method": method, "phone": PHONE, "token": TOKEN, "name": "x"}
    del params[name]
    with pytest.raises(InvalidParam) as refusal:
        parse(params)
    assert refusal.value.message("en") == f"Invalid parameter: {name} is missing."
    assert refusal.value.message("zh") == f"参数错误：缺少 {name}"


_CODES = ["12345", "1234567", "", "12345a", "12345.6", "12345²3", "+123456", "１２３４５", True]
_SESSIONS = ["", "A" * 21, "A" * 23, "A" * 21 + "=", "A" * 21 + "é", "A" * 22 + "\n", "A" * 21 + ".", 1, True]
_BAD = {
    ("getSms", "phone"): ["1" * 65, 10**64, 0, -13800138000, 13800138000.0, True],
    ("getSms", "sessionId"): _SESSIONS,
    ("login", "phone"): ["1" * 65, 1.38e10],
    ("login", "code"): _CODES,
    ("login", "sessionId"): _SESSIONS,
    ("login", "token"): [LONGEST_TOKEN + "x", 1, True],
    ("getUserInfo", "token"): [LONGEST_TOKEN + "x", 1],
    ("setNickname", "token"): [LONGEST_TOKEN + "x", False],
    ("setNickname", "name"): ["x" * 65, 7],
}


@each_case(("method", "name", "value"), [(*key, value) for key, bad in _BAD.items() for value in bad])
def test_a_malformed_parameter_is_named_in_both_languages(method: str, name: str, value: Any) -> None:
    """The message in either language has the parameter's name and rule, and never its value."""
    with pytest.raises(InvalidParam) as refusal:
        parse({"method": method, "phone": PHONE, "token": TOKEN, "name": "x", name: value})
    assert refusal.value.message("en").startswith(f"Invalid parameter: {name} must be ")
    assert refusal.value.message("zh").startswith(f"参数错误：{name} 应为")


@each_case(
    "name",
    [
        "x",
        "x" * 64,
        "小明",
        "😀" * 64,
        "👩‍👩‍👧",  # held together by zero-width joiners
        "🏳️‍🌈",
        "Zoë",
        "Zoe\u0308",
        "می‌خواهم",  # a zero-width non-joiner between two letters
        "O'Brien <b>",
        " two words ",
        "\u3000小明",
        "محمد",
        "\u200fאבג\u200e",  # with marks of direction, which concern only their neighbours
        "नि",
        "❤\ufe0f",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # England, spelled in invisible letters
        "\U0001faea",  # newer than the Unicode of Python 3.10
        "\uf8ff",  # private use: the apple of one vendor
        "가\u3164",
        "⠓",
    ],
)
def test_a_nickname_may_be_any_visible_text_of_up_to_64_characters(name: str) -> None:
    """Every script is kept unchanged, and so are emoji that consist of several characters."""
    assert parse({"method": "setNickname", "token": TOKEN, "name": name}) == SetNickname(TOKEN, name)


@each_case(
    "name",
    [
        "",
        " ",
        "\u3000\u00a0",
        "😀" * 65,
        "a\nb",
        "a\tb",
        "a\0",
        "a\x7f",
        "a\x85",
        "a\x1b[31m",
        "a\u2028b",
        "a\u2029b",
        "a\u202e",
        "\u202aa\u202c",
        "\u2067a\u2069",
    ],
)
def test_a_nickname_with_control_characters_or_only_spaces_is_refused(name: str) -> None:
    """Line ends and escapes would break programs that show or store it."""
    with pytest.raises(InvalidParam) as refusal:
        parse({"method": "setNickname", "token": TOKEN, "name": name})
    assert "name must be 1 to 64 characters" in refusal.value.message("en")
    assert "name 应为 1 至 64 个字符" in refusal.value.message("zh")


@each_case(
    "name",
    [
        "\u200b",  # zero-width space
        "\u200d",  # zero-width joiner
        "\u200c\u200d\u2060\ufeff",
        "\u200e\u200f\u061c",  # marks of direction
        "\u00ad",  # soft hyphen
        " \u2003\u202f\u205f",
        "\u115f",
        "\u1160",
        "\u3164",  # Hangul filler, a letter by its category
        "\uffa0",
        "\u2800",  # Braille without a dot, a symbol by its category
        "\u034f",
        "\u17b4\u17b5",
        "\u180b\u180e\u180f",
        "\ufe0f",
        "\U000e0100",
        "\U000e0041",  # letters of a tag
        "\U000e0fff",
        "\u2065\ufff0",
        "\U0001d159",
        "\u0301",  # an accent on nothing
        "\u3164 \u200b\u2800",
    ],
)
def test_a_nickname_without_a_visible_character_is_refused(name: str) -> None:
    """A nickname of invisible characters is refused, and accepted with one visible character more."""
    with pytest.raises(InvalidParam) as refusal:
        parse({"method": "setNickname", "token": TOKEN, "name": name})
    assert "one of them visible" in refusal.value.message("en")
    assert "至少一个可见" in refusal.value.message("zh")
    assert parse({"method": "setNickname", "token": TOKEN, "name": name + "x"})


@each_case("key", [None, "a" * 16, "a" * 64, "0-9_A-Z" * 3, "3fa85f64-5717-4562-b3fc-2c963f66afa6"])
def test_an_idempotency_key_is_kept_without_its_quotes(key: str | None) -> None:
    """A request may have a valid Idempotency-Key or none, and a structured string is the key that it quotes."""
    assert idempotency_key(key) == key
    assert key is None or idempotency_key(f'"{key}"') == key


_KEYS = ["", "a" * 15, "a" * 65, "a" * 15 + "\n", "a" * 16 + "\n", "a" * 15 + "é", "a b " * 4, '""']
_KEYS += [f'"{"a" * 15}"', f'"{"a" * 16}', f'{"a" * 16}"', f'""{"a" * 16}""', f'"{"a" * 16}";x=1']


@each_case("key", _KEYS)
def test_a_malformed_idempotency_key_is_refused(key: str) -> None:
    """A key has 16 to 64 characters of base64url; either message names the header."""
    with pytest.raises(InvalidParam) as refusal:
        idempotency_key(key)
    assert refusal.value.message("en").startswith("Invalid parameter: Idempotency-Key must be 16 to 64 of ")
    assert refusal.value.message("zh").startswith("参数错误：Idempotency-Key 应为")


@each_case("name", MUST_BE)
def test_the_rule_for_each_parameter_is_typeset_as_chinese(name: str) -> None:
    """A space stands between Chinese and Latin letters or digits, and nowhere else."""
    text = malformed(name).message("zh")
    assert f"{name} 应为" in text
    assert re.findall(r"[一-鿿][A-Za-z0-9_]|[A-Za-z0-9_][一-鿿]|[一-鿿] [一-鿿]", text) == []


@each_case("kind", Refusal.__subclasses__(), ids=lambda kind: kind.name)
def test_every_refusal_is_typeset_as_chinese(kind: type[Refusal]) -> None:
    """Spaces stand as in the test above, and a message ends without a full stop, like a label."""
    assert re.findall(r"[一-鿿][A-Za-z0-9]|[A-Za-z0-9][一-鿿]|[一-鿿] [一-鿿]|。$", kind.zh) == []


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.lists(st.none())
_NAMES = st.sampled_from(["phone", "code", "sessionId", "token", "name"]) | st.text(UNICODE)
_METHODS = st.sampled_from(["getSms", "login", "getUserInfo", "setNickname", "health"])


@given(_METHODS, st.dictionaries(_NAMES, _VALUES))
@settings(deadline=None)  # a busy machine is slow, not wrong
def test_parsing_never_crashes(method: str, params: dict[str, Any]) -> None:
    """Any parameters give a message or a refusal with a text in either language."""
    try:
        message = parse({**params, "method": method})
    except InvalidParam as refusal:
        texts = {refusal.message("en"), refusal.message("zh")}
        assert len(texts) == 2
    else:
        assert message.__struct_config__.tag == method
