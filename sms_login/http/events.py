"""The platform's events: from API Gateway and Function URL to a Request, and from an answer to the platform's form.

Tencent Cloud documents: SCF 583/12513 (API Gateway trigger) and 583/96099 (Function URL).
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

from msgspec import Struct

from sms_login.errors import InvalidParam

MAX_BODY = 16 * 1024  # bytes
MAX_FIELDS = 64
_NAME = re.compile(r"[A-Za-z_]{1,32}")  # of a parameter, fit to be repeated in an answer
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Request(Struct, frozen=True):
    """A call whose parameters have not been read yet.

    `headers` have names in lower case; `verb` is the HTTP method; `path` has no query; `source_ip` is the client's
    address as the platform sees it.
    """

    id: str
    headers: Mapping[str, str]
    verb: str = ""
    path: str = ""
    source_ip: str = ""
    language: str = "zh"

    @property
    def bearer(self) -> str | None:
        """The token of an `Authorization: Bearer` header."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else None


def read_head(event: Any, context: Any) -> Request:
    """Return the request. It accepts any event, so that every refusal can be answered."""
    event = event if isinstance(event, dict) else {}
    headers = {
        name.lower(): value
        for name, value in _mapping(event, "headers").items()
        if isinstance(name, str) and isinstance(value, str)
    }
    about = _mapping(event, "requestContext")
    ids = (
        about.get("requestId"),
        context.get("request_id") if isinstance(context, dict) else getattr(context, "request_id", None),
    )
    known = (value for value in ids if isinstance(value, str) and _REQUEST_ID.fullmatch(value))
    verb, source_ip = event.get("httpMethod") or about.get("httpMethod"), about.get("sourceIp")
    path = event.get("path")
    return Request(
        id=next(known, None) or str(uuid4()),
        headers=headers,
        verb=verb if isinstance(verb, str) else "",
        path=path if isinstance(path, str) else "",
        source_ip=source_ip if isinstance(source_ip, str) else "",
        language="en" if headers.get("accept-language", "").strip().lower().startswith("en") else "zh",
    )


def read_params(event: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters of the body and the query string; the body overrides the query string.

    A parameter that is null or empty counts as absent. Raises InvalidParam.
    """
    if not isinstance(event, dict):
        raise InvalidParam("the event is not an HTTP event", "事件不是 HTTP 事件")
    query = _mapping(event, "queryString") or _mapping(event, "queryStringParameters")
    if len(query) > MAX_FIELDS:
        raise InvalidParam("the query string has too many parameters", "查询参数过多")
    params: dict[str, Any] = {}
    for source in (_body(event, headers), query):
        for name, value in source.items():
            if value is None or value == "":
                continue
            _check(name, value)
            params.setdefault(name, value)
    return params


def to_event_answer(status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return an answer in the format of API Gateway (integrated response) and Function URL."""
    return {"isBase64Encoded": False, "statusCode": status, "headers": dict(headers), "body": body.decode()}


def _mapping(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def _body(event: Mapping[str, Any], headers: Mapping[str, str]) -> Mapping[str, Any]:
    raw = _raw_body(event)
    if len(raw) > MAX_BODY:
        raise InvalidParam("the body is over 16 KiB", "请求体超过 16 KiB")
    if not raw.strip():
        return {}
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return _form(raw)
    if kind in {"", "application/json", "text/plain"}:
        return _json(raw)
    raise InvalidParam(
        "the body must be application/json or application/x-www-form-urlencoded",
        "请求体应为 application/json 或 application/x-www-form-urlencoded",
    )


def _raw_body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise InvalidParam("the body is not text", "请求体不是文本")
    try:
        # A lone surrogate cannot be encoded as UTF-8; base64 is checked against its alphabet.
        return base64.b64decode(body, validate=True) if event.get("isBase64Encoded") is True else body.encode()
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raise InvalidParam("the body does not match its encoding", "请求体编码不正确") from None


def _json(raw: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # UnicodeDecodeError among them
        value = None
    if not isinstance(value, dict):
        raise InvalidParam("the body is not a JSON object", "请求体不是 JSON 对象")
    return value


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. Refuse a repeated key: two JSON readers may take different values from it."""
    if len(pairs) > MAX_FIELDS:
        raise InvalidParam("the body has too many parameters", "请求体参数过多")
    params = dict(pairs)
    if len(params) != len(pairs):
        raise InvalidParam("a parameter of the body is given twice", "请求体参数重复")
    return params


def _no_constant(_name: str) -> None:
    raise ValueError  # NaN and Infinity are not JSON


def _form(raw: bytes) -> Mapping[str, Any]:
    try:
        if raw.lstrip().startswith(b"{"):
            raise ValueError  # noqa: TRY301 - JSON, which may well parse as a form
        pairs = parse_qsl(
            raw.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:  # UnicodeDecodeError among them
        raise InvalidParam(
            "the body is not a form; for JSON send Content-Type: application/json",
            "请求体不是表单；发送 JSON 时请使用 Content-Type: application/json",
        ) from None
    params = dict(pairs)
    if len(params) != len(pairs):
        raise InvalidParam("a parameter of the form is given twice", "表单参数重复")
    return params


def _check(name: Any, value: Any) -> None:
    """Refuse a parameter that is repeated in the query string, nested, or not valid Unicode."""
    if isinstance(value, (list, dict)):
        what = name if isinstance(name, str) and _NAME.fullmatch(name) else "a parameter"
        raise InvalidParam(f"{what} is given twice, or is not a plain value", f"{what} 重复或不是普通值")
    for text in (name, value):
        if isinstance(text, str) and not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                raise InvalidParam("a parameter is not text", "参数不是文本") from None
