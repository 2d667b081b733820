"""Parameters in request bodies and query strings: JSON and forms, as clients of every kind write them.

A parameter that is given twice has the list of its values. No method takes a list, so no reader has to choose one.
"""

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from sms_login.errors import InvalidParam

MAX_BODY = 16 * 1024  # bytes
MAX_FIELDS = 64
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# axios, curl and URLSession put the first of these types on text that they have not looked at, and fetch the second.
_OF_ANY_TEXT = {"application/x-www-form-urlencoded", "text/plain", ""}
# Compiled at their first use, which most cold starts do not have.
_BOUNDARY = r"(?i)boundary=\"?([a-z0-9'()+_,./:=?-]{1,70})"  # RFC 2046, section 5.1.1
_PART_NAME = r'(?<=[; ])name="?([^";\r\n]+)'


def read_body(raw: bytes, content_type: str) -> Mapping[str, Any]:
    """Return the parameters of a body of at most 16 KiB; none if it is empty. Raises InvalidParam."""
    if len(raw) > MAX_BODY:
        raise InvalidParam("the body is over 16 KiB", "请求体超过 16 KiB")
    try:
        text = raw.removeprefix(_BYTE_ORDER_MARK).decode().strip()
    except UnicodeDecodeError:
        raise InvalidParam("the body is not UTF-8 text", "请求体不是 UTF-8 文本") from None
    kind = re.split(r"[;,\s]", content_type.strip(), maxsplit=1)[0].lower()
    if not text:
        params: Mapping[str, Any] = {}
    elif kind.endswith(("/json", "+json")) or (kind in _OF_ANY_TEXT and text[0] in "{["):
        params = _json(text)
    elif kind in _OF_ANY_TEXT and "=" in text:
        params = read_form(text)
    elif kind == "multipart/form-data":
        params = _multipart(text, content_type)
    else:
        raise InvalidParam(
            "the body must be application/json, application/x-www-form-urlencoded or multipart/form-data",
            "请求体应为 application/json、application/x-www-form-urlencoded 或 multipart/form-data",
        )
    if len(params) > MAX_FIELDS:
        raise InvalidParam("the body has too many parameters", "请求体参数过多")
    return params


def read_form(text: str) -> dict[str, Any]:
    """Return the parameters of a form or query string. Values that are not UTF-8 get lone surrogates.

    Empty pairs and names without a value do no harm; browsers read forms in the same way (URL Standard, section 5.1).
    """
    return _by_name(parse_qsl(text, keep_blank_values=True, errors="surrogateescape"))


def _by_name(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, value in pairs:
        params[name] = [params[name], value] if name in params else value
    return params


def _no_constant(_name: str) -> None:
    raise ValueError  # NaN and Infinity are not JSON


_decoder = json.JSONDecoder(object_pairs_hook=_by_name, parse_constant=_no_constant)


def _json(text: str) -> Mapping[str, Any]:
    with suppress(ValueError, RecursionError):
        value = _decoder.decode(text)
        if isinstance(value, dict):
            return value
    raise InvalidParam("the body is not a JSON object", "请求体不是 JSON 对象")


def _multipart(text: str, content_type: str) -> Mapping[str, Any]:
    """Return the fields of multipart/form-data (RFC 7578). An uploaded file counts as a value that no method takes."""
    boundary = re.search(_BOUNDARY, content_type)
    parts = f"\r\n{text}".split(f"\r\n--{boundary[1]}") if boundary else []
    pairs: list[tuple[str, Any]] = []
    for part in parts[1:-1]:
        head, _, value = part.partition("\r\n\r\n")
        name = re.search(_PART_NAME, head)
        pairs.append((name[1] if name else "", {} if "filename=" in head else value))
    if not pairs or not parts[-1].startswith("--"):
        raise InvalidParam(
            "the body is not multipart/form-data with its boundary; application/json is simpler",
            "请求体不是带 boundary 的 multipart/form-data；建议改用 application/json",
        )
    return _by_name(pairs)
