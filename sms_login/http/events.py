"""The platform's events: from API Gateway and Function URL to a Request, and from an answer to the platform's form.

Tencent Cloud documents: SCF 583/12513 (API Gateway trigger) and 583/96099 (Function URL).
"""

import base64
import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from sms_login.errors import InvalidParam
from sms_login.http.bodies import MAX_FIELDS, read_body
from sms_login.secret import Masked

_LANGUAGE = re.compile(r"[\s,]*([A-Za-z]+)")  # the first of a header
_CHINESE = {"zh", "cmn", "yue"}  # the language, Mandarin, and Cantonese, which iOS tells apart
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Request(Masked, frozen=True):
    """A call whose parameters have not been read yet.

    `headers` have names in lower case, and a value that was sent twice once; `verb` is the HTTP method; `path` has no
    query; `source_ip` is the client's address as the platform sees it; `has_body` tells whether the body has at least
    one byte.
    """

    id: str
    headers: Mapping[str, str]
    verb: str = ""
    path: str = ""
    has_body: bool = False
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
        name.lower(): _single(name.lower(), value)
        for name, value in _mapping(event, "headers").items()
        if isinstance(name, str) and isinstance(value, str)
    }
    about = _mapping(event, "requestContext")
    context_id = context.get("request_id") if isinstance(context, dict) else getattr(context, "request_id", None)
    ids = filter(_REQUEST_ID.fullmatch, map(_text, (about.get("requestId"), context_id)))
    return Request(
        id=next(ids, None) or str(uuid4()),
        headers=headers,
        verb=_text(event.get("httpMethod") or about.get("httpMethod")),
        path=_text(event.get("path")),
        has_body=bool(event.get("body")),
        source_ip=_text(about.get("sourceIp")),
        language=_language(headers.get("accept-language", "")),
    )


def read_query(event: Any) -> Mapping[str, Any]:
    """Return the query string as the platform has parsed it. Raises InvalidParam."""
    if not isinstance(event, dict):
        raise InvalidParam("the event is not an HTTP event", "事件不是 HTTP 事件")
    query = _mapping(event, "queryString") or _mapping(event, "queryStringParameters")
    if len(query) > MAX_FIELDS:
        raise InvalidParam("the query string has too many parameters", "查询参数过多")
    return query


def read_params(event: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters of the body and the query string; the body overrides the query string.

    A parameter that is null or empty counts as absent, and so does the text "undefined", which `wx.request` makes of a
    missing value in a query string; but a person may have that name. Raises InvalidParam.
    """
    query = read_query(event)
    params: dict[str, Any] = {}
    for source in (read_body(raw_body(event), headers.get("content-type", "")), query):
        for name, value in source.items():
            if value is None or value == "" or (value == "undefined" and name != "name"):
                continue
            if isinstance(value, list):  # given twice: refused, even if the body has a plain value
                params[name] = value
            params.setdefault(name, value)
    return params


def to_event_answer(status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return an answer in the format of API Gateway (integrated response) and Function URL."""
    return {"isBase64Encoded": False, "statusCode": status, "headers": dict(headers), "body": body.decode()}


def _single(name: str, value: str) -> str:
    """Return "a" for "a, a": a server joins a header that a client or proxy sends twice (RFC 9110, section 5.3)."""
    if "," not in value or name == "x-forwarded-for":  # there, two equal addresses are two hops
        return value
    copies = {copy.strip() for copy in value.split(",")}
    return value if len(copies) > 1 else copies.pop()


def _mapping(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _language(header: str) -> str:
    """Return "zh" if the first language of Accept-Language is Chinese, or if there is none; else "en"."""
    first = _LANGUAGE.match(header)
    return "zh" if first is None or first[1].lower() in _CHINESE else "en"


def raw_body(event: Mapping[str, Any]) -> bytes:
    """Return the bytes of the body. Raises InvalidParam."""
    if (body := event.get("body")) is None:
        return b""
    if not isinstance(body, str):
        raise InvalidParam("the body is not text", "请求体不是文本")
    try:
        # A lone surrogate cannot be encoded as UTF-8; base64 is checked against its alphabet.
        return base64.b64decode(body, validate=True) if event.get("isBase64Encoded") is True else body.encode()
    except ValueError:
        raise InvalidParam("the body does not match its encoding", "请求体编码不正确") from None
